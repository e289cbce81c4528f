// simt_threads.cpp - the threads of a block: each a fiber; blocks one after another, in a permuted order.
// Each warp in turn runs as far ahead of the others as its barriers let it, in an order that changes from barrier to
// barrier.  A thread goes on from a barrier when all of the block wait at it, and from a shuffle when all lanes
// that its mask names wait with the same mask.

// What a kernel's library says of a kernel: see simt_kernel.h.
struct SimtParameter { unsigned size; bool pointer; };
struct SimtKernel {
  const char* name;
  unsigned count;
  const SimtParameter* parameters;
  void (*enter)(void** arguments);
  char* (*anchor)();                        // a variable in the library's shared memory
};
enum SimtShuffle { SIMT_INDEX, SIMT_UP, SIMT_DOWN, SIMT_XOR };

namespace {

constexpr unsigned MOST_THREADS = 1024, WARP = 32;
constexpr uint64_t STACK = 128 << 10, GUARD = 16 << 10;
constexpr uint64_t MOST_SHARED = 1 << 20, DYNAMIC_ROOM = PAGE + (227 << 10) + PAGE;     // between red zones
enum Doing : uint8_t { RUNNING, AT_BARRIER, AT_SHUFFLE, DONE };

struct Fiber {
  Context context;
  char *stack, *stack_end;
  Dim index;
  Doing doing;
  void* where;                              // it waits
  unsigned mask;                            // of the shuffle, and what it does
  SimtShuffle kind;
  int lane, width;
  uint64_t value, result;
};

Fiber fibers[MOST_THREADS];
unsigned threads;
Context scheduler;
bool abandoned;
unsigned dynamic_bytes;
const SimtKernel* kernel;
void** kernel_arguments;
uint64_t random_state = 1;

unsigned random_below(unsigned n) {         // xorshift64*, Vigna 2016
  random_state ^= random_state >> 12;
  random_state ^= random_state << 25;
  random_state ^= random_state >> 27;
  return (unsigned)((random_state * 0x2545F4914F6CDD1Dull >> 32) * n >> 32);
}

Fiber& running() { return fibers[launch.thread]; }

void wait_as(Doing doing, void* where) {
  Fiber& fiber = running();
  fiber.doing = doing;
  fiber.where = where;
  switch_context(fiber.context, scheduler);
}

[[noreturn]] void abandon() {
  abandoned = true;
  wait_as(DONE, nullptr);
  abort();
}

void thread_entry() {
  kernel->enter(kernel_arguments);
  wait_as(DONE, nullptr);
}

__attribute__((format(printf, 4, 5))) void stuck(unsigned thread, void* where, void* elsewhere, const char* format, ...) {
  va_list arguments;
  va_start(arguments, format);
  note(thread, where, elsewhere, format, arguments);
  va_end(arguments);
  abandoned = true;
}

// ---- shuffles ----

unsigned source_lane(const Fiber& fiber, unsigned lane) {
  const unsigned first = lane & ~(unsigned)(fiber.width - 1), last = first + fiber.width - 1;
  const int from = fiber.kind == SIMT_INDEX ? (int)(first + (fiber.lane & (fiber.width - 1)))
                   : fiber.kind == SIMT_UP ? (int)lane - fiber.lane
                   : fiber.kind == SIMT_DOWN ? (int)lane + fiber.lane : (int)(lane ^ fiber.lane);
  return from < (int)first || from > (int)last ? lane : (unsigned)from;
}

// Exchanges the values of the lanes that a mask names, all of which have come.
void exchange(unsigned first, unsigned mask) {
  for (unsigned lane = 0; lane < WARP; ++lane) {
    if (!(mask >> lane & 1)) continue;
    Fiber& fiber = fibers[first + lane];
    const unsigned from = source_lane(fiber, lane);
    if (!(mask >> from & 1))
      return stuck(first + lane, fiber.where, nullptr, "shuffle: reads from lane %u, which its mask %08x leaves out", from, mask);
    fiber.result = fibers[first + from].value;
  }
  for (unsigned lane = 0; lane < WARP; ++lane)
    if (mask >> lane & 1) fibers[first + lane].doing = RUNNING;
}

// Lets those lanes go on whose shuffle is complete; returns whether there were any.
bool release_shuffles(unsigned first, unsigned end) {
  bool any = false;
  for (unsigned t = first; t < end && !abandoned; ++t) {
    if (fibers[t].doing != AT_SHUFFLE) continue;
    const unsigned mask = fibers[t].mask;
    bool complete = true;
    for (unsigned lane = 0; lane < WARP && complete; ++lane) {
      if (!(mask >> lane & 1)) continue;
      const Fiber& other = fibers[first + lane];
      complete = first + lane < end && other.doing == AT_SHUFFLE && other.mask == mask && other.kind == fibers[t].kind;
    }
    if (complete) exchange(first, mask);
    any |= complete;
  }
  return any;
}

// Says why a thread that is left at a shuffle can never go on.
void say_stuck_shuffle(unsigned first, unsigned end) {
  for (unsigned t = first; t < end; ++t) {
    const Fiber& waits = fibers[t];
    if (waits.doing != AT_SHUFFLE) continue;
    for (unsigned lane = 0; lane < WARP; ++lane) {
      if (!(waits.mask >> lane & 1)) continue;
      if (first + lane >= end)
        return stuck(t, waits.where, nullptr, "shuffle: its mask %08x names lane %u, but the warp has %u", waits.mask, lane,
                     end - first);
      const Fiber& other = fibers[first + lane];
      if (other.doing == DONE)
        return stuck(t, waits.where, nullptr, "shuffle: its mask %08x names lane %u, which has left the kernel", waits.mask, lane);
      if (other.doing == AT_BARRIER)
        return stuck(t, waits.where, other.where, "shuffle: its mask %08x names lane %u, which waits at a barrier", waits.mask, lane);
      if (other.mask != waits.mask)
        return stuck(t, waits.where, other.where, "shuffle: masks differ, its %08x and lane %u's %08x", waits.mask, lane, other.mask);
      if (other.kind != waits.kind)
        return stuck(t, waits.where, other.where, "shuffle: lane %u takes part in a shuffle of another kind", lane);
    }
  }
}

// ---- a block ----

void run_thread(unsigned t) {
  launch.thread = t;
  launch.stamp = launch.phase << THREAD_BITS | t;
  launch.stack = fibers[t].stack;
  launch.stack_end = fibers[t].stack_end;
  switch_context(scheduler, fibers[t].context);
}

// Runs a warp's threads until each is done or at a barrier.
void run_warp(unsigned first, unsigned end, bool backwards) {
  do {
    for (unsigned n = first; n < end && !abandoned; ++n) {
      const unsigned t = backwards ? first + end - 1 - n : n;
      if (fibers[t].doing == RUNNING) run_thread(t);
    }
  } while (!abandoned && release_shuffles(first, end));
  if (!abandoned) say_stuck_shuffle(first, end);
}

void next_phase() { ++launch.phase; }

// Lets all threads go on from a barrier; false when all are done.
bool release_barrier() {
  unsigned waiting = MOST_THREADS, gone = MOST_THREADS, other = MOST_THREADS;
  for (unsigned t = 0; t < threads; ++t) {
    if (fibers[t].doing == DONE) gone = t;
    else if (waiting == MOST_THREADS) waiting = t;
    else if (fibers[t].where != fibers[waiting].where) other = t;
  }
  if (waiting == MOST_THREADS) return false;
  if (gone != MOST_THREADS) {
    const Dim t = fibers[gone].index;
    stuck(waiting, fibers[waiting].where, nullptr, "barrier: thread (%u, %u, %u) never reaches it: it has left the kernel", t.x, t.y, t.z);
    return false;
  }
  if (other != MOST_THREADS) {
    const Dim t = fibers[other].index;
    stuck(waiting, fibers[waiting].where, fibers[other].where, "barrier: thread (%u, %u, %u) waits at another one", t.x, t.y, t.z);
    launch.findings.back().if_lines_differ = true;
    abandoned = false;
  }
  for (unsigned t = 0; t < threads; ++t) fibers[t].doing = RUNNING;
  next_phase();
  return true;
}

void make_shared_fresh();

void run_block(uint64_t block) {
  next_phase();
  launch.block_start = launch.phase;
  launch.blocks.push_back({launch.phase, block});
  make_shared_fresh();
  for (unsigned t = 0; t < threads; ++t) {
    prepare(fibers[t].context, fibers[t].stack, fibers[t].stack_end, thread_entry);
    fibers[t].doing = RUNNING;
  }
  const unsigned warps = (threads + WARP - 1) / WARP;
  do {
    const unsigned turn = random_below(2 * warps);
    for (unsigned n = 0; n < warps && !abandoned; ++n) {
      const unsigned warp = (turn & 1 ? warps - 1 - n + turn / 2 : n + turn / 2) % warps;
      run_warp(warp * WARP, std::min(threads, warp * WARP + WARP), random_below(2));
    }
  } while (!abandoned && release_barrier());
}

// ---- shared memory ----

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

void make_shared_fresh() {
  memset(launch.shared.state, FRESH, launch.shared.size);
  memset(launch.dynamic.state + PAGE, FRESH, dynamic_bytes);
}

void find_shared() {
  static Region shared = make_region(nullptr, MOST_SHARED);
  static Region dynamic = make_region((char*)reserve(DYNAMIC_ROOM, PROT_READ | PROT_WRITE), DYNAMIC_ROOM);
  Library library = {kernel->anchor(), nullptr, nullptr, nullptr, 0};
  dl_iterate_phdr(find_library, &library);
  if (!library.shared || library.shared_bytes > MOST_SHARED) abort();
  shared.base = library.shared;
  shared.size = library.shared_bytes;
  launch.shared = shared;
  launch.dynamic = dynamic;
  memset(dynamic.state, RED, dynamic.size);
  launch.image = library.image;
  launch.image_end = library.image_end;
}

// ---- a launch ----

std::vector<uint64_t> translated;           // the arguments, device addresses made real ones
std::vector<void*> translated_at;

void translate(void** arguments) {
  translated.assign(2 * kernel->count + 1, 0);
  translated_at.clear();
  launch.pointers.clear();
  for (unsigned i = 0; i < kernel->count; ++i) {
    uint64_t* to = &translated[2 * i];
    translated_at.push_back(to);
    memcpy(to, arguments[i], kernel->parameters[i].size);
    const uint64_t offset = device.offset_of(*to);
    if (!kernel->parameters[i].pointer || offset >= RESERVED) continue;
    *to += RESERVED;
    launch.pointers.push_back({(int)i, offset, false, false});
  }
  std::stable_sort(launch.pointers.begin(), launch.pointers.end(),
                   [](const Pointer& a, const Pointer& b) { return a.offset < b.offset; });
  for (size_t p = 0; p < launch.pointers.size(); ++p) {
    const uint32_t owner = device.owner[launch.pointers[p].offset / PAGE];
    if (!owner) continue;
    Allocation& array = device.allocations[owner - 1];
    if (array.launch == launch.number) continue;
    array.launch = launch.number;
    array.first_pointer = (unsigned)p;
  }
}

void make_fibers() {
  if (fibers[0].stack) return;
  char* stacks = (char*)reserve(MOST_THREADS * STACK, PROT_READ | PROT_WRITE);
  for (unsigned t = 0; t < MOST_THREADS; ++t) {
    mprotect(stacks + t * STACK, GUARD, PROT_NONE);     // a stack that overflows ends the process, and nothing is silently lost
    fibers[t].stack = stacks + t * STACK + GUARD;
    fibers[t].stack_end = stacks + (t + 1) * STACK - t % 61 * 64;       // else all tops would share a few lines of the cache
  }
}

}  // namespace

// Runs a kernel; arguments are pointers to the bytes of each, as for cuLaunchKernel.  Returns the number of findings.
EXPORT int simt_launch(const SimtKernel* which, const unsigned* grid, const unsigned* block, unsigned shared_bytes,
                       void** arguments) {
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
  translate(arguments);
  kernel_arguments = translated_at.data();
  dynamic_bytes = shared_bytes;
  find_shared();
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
