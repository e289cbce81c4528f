// simt_launch.cpp - a launch: its arguments, its shared memory, its blocks; and what kernels call.

namespace {

struct Extent { uint64_t start, bytes; };       // of an argument: its address; of a shared array: offset in the library's

// ---- shared memory ----

std::vector<Extent> shared_arrays;

struct Library { const void* anchor; char *shared, *image, *image_end; uint64_t shared_bytes; };

// Finds the library whose thread-local memory, which is its kernels' shared memory, holds the anchor.
int find_library(dl_phdr_info* info, size_t, void* found) {
  Library& library = *(Library*)found;
  for (int i = 0; i < info->dlpi_phnum; ++i) {
    const ElfW(Phdr)& part = info->dlpi_phdr[i];
    const uint64_t past = (uint64_t)((const char*)library.anchor - (char*)info->dlpi_tls_data);
    if (part.p_type != PT_TLS || !info->dlpi_tls_data || past >= part.p_memsz) continue;
    library.shared = (char*)info->dlpi_tls_data;
    library.shared_bytes = part.p_memsz;
    for (int j = 0; j < info->dlpi_phnum; ++j) {
      if (info->dlpi_phdr[j].p_type != PT_LOAD) continue;
      char* begin = (char*)(info->dlpi_addr + info->dlpi_phdr[j].p_vaddr);
      if (!library.image) library.image = begin;
      library.image_end = begin + info->dlpi_phdr[j].p_memsz;
    }
    return 1;
  }
  return 0;
}

// Guards and what else is no kernel's array stay red.
void make_shared_fresh() {
  for (const Extent& array : shared_arrays) memset(launch.shared.state + array.start, FRESH, array.bytes);
  memset(launch.dynamic.state + PAGE, FRESH, dynamic_bytes);
}

void find_shared(const Extent* arrays, int count) {
  static Region shared = make_region(nullptr, MOST_SHARED);
  static Region dynamic = make_region((char*)reserve(DYNAMIC_ROOM, PROT_READ | PROT_WRITE), DYNAMIC_ROOM);
  Library library = {kernel->anchor(), nullptr, nullptr, nullptr, 0};
  dl_iterate_phdr(find_library, &library);
  if (!library.shared || library.shared_bytes > MOST_SHARED) abort();
  shared.base = library.shared;
  shared.size = library.shared_bytes;
  memset(shared.state, RED, shared.size);
  shared_arrays.assign(arrays, arrays + count);
  for (const Extent& array : shared_arrays)
    if (array.start > shared.size || array.bytes > shared.size - array.start) abort();
  launch.shared = shared;
  launch.dynamic = dynamic;
  memset(dynamic.state, RED, dynamic.size);
  launch.image = library.image;
  launch.image_end = library.image_end;
}

// ---- a launch ----

std::vector<uint64_t> translated;           // the arguments, device addresses made real ones
std::vector<void*> translated_at;

// The array that an argument points to: as the caller says, or the whole allocation.
Pointer pointer_to(int argument, uint64_t offset, const Extent* said) {
  Pointer pointer = {argument, 0, 0, device.owner[offset / PAGE], false, false};
  if (!pointer.owner) return pointer;
  const Allocation& whole = device.allocations[pointer.owner - 1];
  pointer.begin = said ? device.offset_of(said->start) : whole.offset;
  pointer.end = pointer.begin + (said ? said->bytes : whole.size);
  return pointer;
}

void translate(void** arguments, const Extent* const* extents) {
  translated.assign(2 * kernel->count + 1, 0);
  translated_at.clear();
  launch.pointers.clear();
  for (unsigned i = 0; i < kernel->count; ++i) {
    uint64_t* to = &translated[2 * i];
    translated_at.push_back(to);
    memcpy(to, arguments[i], kernel->parameters[i].size);
    const uint64_t offset = device.offset_of(*to);
    if (!kernel->parameters[i].pointer || offset >= RESERVED) continue;
    *to = (uint64_t)device.windows + launch.pointers.size() * RESERVED + offset;
    launch.pointers.push_back(pointer_to((int)i, offset, extents[i]));
    if (launch.pointers.size() > MOST_POINTERS) abort();
  }
}

// Stacks, once.
void make_fibers() {
  if (fibers[0].stack) return;
  char* stacks = (char*)reserve(MOST_THREADS * STACK, PROT_READ | PROT_WRITE);
  for (unsigned t = 0; t < MOST_THREADS; ++t) {
    mprotect(stacks + t * STACK, GUARD, PROT_NONE);     // a stack that overflows ends the process
    fibers[t].stack = stacks + t * STACK + GUARD;
    fibers[t].stack_end = stacks + (t + 1) * STACK - t % 61 * 64;       // else all tops would share a few lines of the cache
  }
}

}  // namespace

// Runs a kernel; arguments are pointers to the bytes of each, as for cuLaunchKernel; extents say of each argument which
// bytes are its array's, or are null; arrays are those in the library's shared memory.  Returns the number of findings.
EXPORT int simt_launch(const SimtKernel* which, const unsigned* grid, const unsigned* block, unsigned shared_bytes,
                       void** arguments, const Extent* const* extents, const Extent* arrays, int array_count) {
  make_fibers();
  kernel = which;
  launch.kernel = kernel->name;
  launch.grid = {grid[0], grid[1], grid[2]};
  launch.block = {block[0], block[1], block[2]};
  ++launch.number;
  next_phase();
  launch.launch_start = launch.block_start = launch.phase;
  launch.blocks.clear();
  launch.findings.clear();
  launch.counters = {};
  abandoned = false;
  threads = block[0] * block[1] * block[2];
  translate(arguments, extents);
  kernel_arguments = translated_at.data();
  dynamic_bytes = shared_bytes;
  find_shared(arrays, array_count);
  for (unsigned t = 0; t < threads; ++t) fibers[t].index = place(t, launch.block);
  std::vector<uint64_t> order((uint64_t)grid[0] * grid[1] * grid[2]);
  for (uint64_t b = 0; b < order.size(); ++b) order[b] = b;
  for (uint64_t b = order.size(); b > 1; --b) std::swap(order[b - 1], order[random_below((unsigned)b)]);
  for (uint64_t b = 0; b < order.size() && !abandoned; ++b) run_block(order[b]);
  return (int)launch.findings.size();
}

EXPORT void simt_seed(uint64_t seed) { random_state = seed * 2 + 1; }
EXPORT const Finding* simt_finding(int i) { return &launch.findings[i]; }
EXPORT const Counters* simt_counters() { return &launch.counters; }

// Bit 0: the argument was read through, bit 1: it was written through.
EXPORT int simt_argument_use(int argument) {
  for (const Pointer& p : launch.pointers)
    if (p.argument == argument) return p.read | p.written << 1;
  return 0;
}

// ---- what kernels call ----

EXPORT Dim simt_thread_index() { return running().index; }
EXPORT Dim simt_block_index() { return place(launch.blocks.back().second, launch.grid); }
EXPORT Dim simt_block_dim() { return launch.block; }
EXPORT Dim simt_grid_dim() { return launch.grid; }
EXPORT void* simt_dynamic_shared() { return launch.dynamic.base + PAGE; }
EXPORT void simt_barrier() { wait_as(AT_BARRIER, WHERE); }

EXPORT uint64_t simt_shuffle(unsigned mask, uint64_t value, int kind, int lane, int width) {
  Fiber& fiber = running();
  const unsigned mine = launch.thread % WARP;
  if (!(mask >> mine & 1)) {
    found(WHERE, "shuffle: its mask %08x leaves out the lane that calls, %u", mask, mine);
    abandon();
  }
  if (width < 1 || width > (int)WARP || width & (width - 1)) {
    found(WHERE, "shuffle: a width of %d is no power of two up to 32", width);
    abandon();
  }
  fiber.mask = mask;
  fiber.value = value;
  fiber.kind = (SimtShuffle)kind;
  fiber.lane = lane;
  fiber.width = width;
  wait_as(AT_SHUFFLE, WHERE);
  return fiber.result;
}
