// simt_memory.cpp - the emulator's device memory: allocations, and what is known of each of their bytes.
// Device addresses lie in a reservation that nobody may touch: host code that follows one faults, as with a GPU's.
// The real memory stands at a fixed distance from it, and only kernels and copies know that.  A kernel finds the same
// memory at another address through each of its pointers: so an access tells through which argument it was made.
// For every byte the state says whether it is allocated and written; cells say who touched it last (simt_check.cpp).
#include <dlfcn.h>
#include <elf.h>
#include <fcntl.h>
#include <link.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include <algorithm>
#include <map>
#include <string>
#include <vector>

namespace {

constexpr uint64_t RESERVED = 4ull << 30;       // of addresses: what is not touched costs nothing
constexpr unsigned MOST_POINTERS = 30;          // arguments of a kernel, each with a window of its own on the memory
constexpr uint64_t PAGE = 512;                  // allocations begin at multiples of this, as CuPy's do
constexpr uint8_t POISON = 0xff;                // four of it are a NaN

enum State : uint8_t { RED, FREED, FRESH, WRITTEN };    // of a byte: no array's, no array's any more, nobody wrote it yet

// The last write and the last reads of a word or a byte, each a stamp: see simt_check.cpp.
struct Cell { uint64_t write, read; };

// Memory whose accesses are checked: all of the device's, or the shared memory of a block.
struct Region {
  char* base;
  uint64_t size;
  uint8_t* state;     // of each byte
  Cell* words;        // of each four bytes
  Cell* bytes;        // of each byte, where bytes of a word are accessed one by one
};

struct Allocation {
  uint64_t offset, size, room;      // room: with what alignment adds, and a red zone
  bool live;
};

void* reserve(uint64_t bytes, int protection) {
  void* at = mmap(nullptr, bytes, protection, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (at != MAP_FAILED) return at;
  perror("simt: no addresses to reserve");
  abort();
}

Region make_region(char* base, uint64_t size) {
  constexpr int ACCESS = PROT_READ | PROT_WRITE;
  return {base, size, (uint8_t*)reserve(size, ACCESS), (Cell*)reserve(size / 4 * sizeof(Cell), ACCESS),
          (Cell*)reserve(size * sizeof(Cell), ACCESS)};
}

// Addresses nobody may touch, then the real memory, then the windows through which kernels see it.
char* reserve_windows() {
  char* at = (char*)reserve((2 + MOST_POINTERS) * RESERVED, PROT_NONE);
  const int memory = memfd_create("simt", MFD_CLOEXEC);
  bool done = memory >= 0 && ftruncate(memory, RESERVED) == 0;
  for (unsigned w = 1; w < 2 + MOST_POINTERS && done; ++w)
    done = mmap(at + w * RESERVED, RESERVED, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED | MAP_NORESERVE, memory, 0) !=
           MAP_FAILED;
  if (memory >= 0) close(memory);
  if (done) return at;
  perror("simt: no memory to map");
  abort();
}

struct Device {
  char* addresses = reserve_windows();
  Region region = make_region(addresses + RESERVED, RESERVED);
  char* windows = addresses + 2 * RESERVED;
  uint32_t* owner = (uint32_t*)reserve(RESERVED / PAGE * sizeof(uint32_t), PROT_READ | PROT_WRITE);   // of a page: index + 1
  uint64_t end = PAGE;                                            // of what was ever allocated
  std::vector<Allocation> allocations;
  std::map<uint64_t, uint32_t> by_offset;                         // offset -> index
  std::map<uint64_t, std::vector<uint32_t>> spare;                // room -> freed ones of that room, the last on top

  uint64_t offset_of(uint64_t address) const { return address - (uint64_t)addresses; }
  // The allocation that holds this offset or ends before it, or null.
  const Allocation* below(uint64_t offset) const {
    auto next = by_offset.upper_bound(offset);
    return next == by_offset.begin() ? nullptr : &allocations[std::prev(next)->second];
  }
};

Device device;

void make_fresh(uint64_t offset, uint64_t bytes) {
  memset(device.region.base + offset, POISON, bytes);
  memset(device.region.state + offset, FRESH, bytes);
}

char problem[256];

const char* complain(const char* format, ...) {
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(problem, sizeof problem, format, arguments);
  va_end(arguments);
  return problem;
}

// What is wrong with `bytes` from a device address on, or null.
const char* wrong_range(const char* what, uint64_t address, uint64_t bytes) {
  const uint64_t offset = device.offset_of(address);
  if (bytes == 0) return nullptr;
  if (offset >= RESERVED) return complain("%s: 0x%llx is no device address", what, (unsigned long long)address);
  const Allocation* found = device.below(offset);
  if (!found) return complain("%s: there is no array at 0x%llx", what, (unsigned long long)address);
  const uint64_t first = offset - found->offset;
  if (first + bytes > found->size)
    return complain("%s of %llu bytes from byte %llu of an array of %llu bytes", what, (unsigned long long)bytes,
                    (unsigned long long)first, (unsigned long long)found->size);
  return found->live ? nullptr : complain("%s: the array at 0x%llx was freed", what, (unsigned long long)address);
}

}  // namespace

#define EXPORT extern "C" __attribute__((visibility("default")))

// The address of fresh memory, poisoned and unwritten; 0 for 0 bytes and where there is no room.
// What was freed last with the same room is given out again first.
EXPORT uint64_t simt_allocate(uint64_t bytes) {
  if (bytes == 0 || bytes > RESERVED) return 0;
  const uint64_t room = (bytes + PAGE - 1) / PAGE * PAGE + PAGE;
  auto spare = device.spare.find(room);
  if (spare == device.spare.end() && device.end + room > RESERVED) spare = device.spare.lower_bound(room);
  uint32_t index;
  if (spare != device.spare.end()) {
    index = spare->second.back();
    spare->second.pop_back();
    if (spare->second.empty()) device.spare.erase(spare);
    Allocation& old = device.allocations[index];
    memset(device.region.state + old.offset, RED, old.room);
    old.size = bytes;
    old.live = true;
  } else {
    if (device.end + room > RESERVED) return 0;
    index = (uint32_t)device.allocations.size();
    device.allocations.push_back({device.end, bytes, room, true});
    device.by_offset[device.end] = index;
    std::fill_n(device.owner + device.end / PAGE, room / PAGE, index + 1);
    device.end += room;
  }
  const Allocation& made = device.allocations[index];
  make_fresh(made.offset, bytes);
  return (uint64_t)device.addresses + made.offset;
}

EXPORT const char* simt_free(uint64_t address) {
  if (const char* wrong = wrong_range("free", address, 1)) return wrong;
  const uint64_t offset = device.offset_of(address);
  const uint32_t index = device.owner[offset / PAGE] - 1;
  Allocation& found = device.allocations[index];
  if (found.offset != offset) return complain("free: 0x%llx is not where an array begins", (unsigned long long)address);
  found.live = false;
  memset(device.region.base + offset, POISON, found.size);
  memset(device.region.state + offset, FREED, found.size);
  device.spare[found.room].push_back(index);
  return nullptr;
}

EXPORT const char* simt_copy_in(uint64_t address, const void* from, uint64_t bytes) {
  if (const char* wrong = wrong_range("copy to the device", address, bytes)) return wrong;
  const uint64_t offset = device.offset_of(address);
  memcpy(device.region.base + offset, from, bytes);
  memset(device.region.state + offset, WRITTEN, bytes);
  return nullptr;
}

// The same for those bytes alone whose mask is not 0: the others stay what they are, unwritten ones too.
EXPORT const char* simt_copy_in_masked(uint64_t address, const void* from, const uint8_t* mask, uint64_t bytes) {
  if (const char* wrong = wrong_range("copy to the device", address, bytes)) return wrong;
  const uint64_t offset = device.offset_of(address);
  for (uint64_t b = 0; b < bytes; ++b) {
    if (!mask[b]) continue;
    device.region.base[offset + b] = ((const char*)from)[b];
    device.region.state[offset + b] = WRITTEN;
  }
  return nullptr;
}

EXPORT const char* simt_copy_out(uint64_t address, void* to, uint64_t bytes) {
  if (const char* wrong = wrong_range("copy from the device", address, bytes)) return wrong;
  memcpy(to, device.region.base + device.offset_of(address), bytes);
  return nullptr;
}

// What was unwritten stays so in the copy.
EXPORT const char* simt_copy_device(uint64_t to, uint64_t from, uint64_t bytes) {
  if (const char* wrong = wrong_range("copy on the device, to", to, bytes)) return wrong;
  if (const char* wrong = wrong_range("copy on the device, from", from, bytes)) return wrong;
  memmove(device.region.base + device.offset_of(to), device.region.base + device.offset_of(from), bytes);
  memmove(device.region.state + device.offset_of(to), device.region.state + device.offset_of(from), bytes);
  return nullptr;
}

EXPORT const char* simt_poison(uint64_t address, uint64_t bytes) {
  if (const char* wrong = wrong_range("poison", address, bytes)) return wrong;
  make_fresh(device.offset_of(address), bytes);
  return nullptr;
}

// How many of these bytes nobody wrote.
EXPORT const char* simt_unwritten(uint64_t address, uint64_t bytes, uint64_t* count) {
  if (const char* wrong = wrong_range("question", address, bytes)) return wrong;
  const uint8_t* state = device.region.state + device.offset_of(address);
  *count = bytes - (uint64_t)std::count(state, state + bytes, (uint8_t)WRITTEN);
  return nullptr;
}

// Of each byte, whether somebody wrote it.
EXPORT const char* simt_written(uint64_t address, bool* to, uint64_t bytes) {
  if (const char* wrong = wrong_range("question", address, bytes)) return wrong;
  const uint8_t* state = device.region.state + device.offset_of(address);
  for (uint64_t b = 0; b < bytes; ++b) to[b] = state[b] == WRITTEN;
  return nullptr;
}
