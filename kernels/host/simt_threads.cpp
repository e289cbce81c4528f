// simt_threads.cpp - the threads of a block: each a fiber; blocks one after another, in a permuted order.
// Each warp in turn runs as far ahead of the others as its barriers let it, in an order that changes from barrier to
// barrier.  A thread goes on from a barrier when all of the block wait at it, and from a shuffle when all lanes
// that its mask names wait with the same mask.

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

__attribute__((format(printf, 4, 5)))
Finding* stuck(unsigned thread, void* where, void* elsewhere, const char* format, ...) {
  va_list arguments;
  va_start(arguments, format);
  Finding* noted = note(thread, where, elsewhere, format, arguments);
  va_end(arguments);
  abandoned = true;
  return noted;
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
      return (void)stuck(first + lane, fiber.where, nullptr, "shuffle: reads from lane %u, which its mask %08x leaves out",
                         from, mask);
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
        return (void)stuck(t, waits.where, nullptr, "shuffle: its mask %08x names lane %u, but the warp has %u",
                           waits.mask, lane, end - first);
      const Fiber& other = fibers[first + lane];
      if (other.doing == DONE)
        return (void)stuck(t, waits.where, nullptr, "shuffle: its mask %08x names lane %u, which has left the kernel",
                           waits.mask, lane);
      if (other.doing == AT_BARRIER)
        return (void)stuck(t, waits.where, other.where, "shuffle: its mask %08x names lane %u, which waits at a barrier",
                           waits.mask, lane);
      if (other.mask != waits.mask)
        return (void)stuck(t, waits.where, other.where, "shuffle: masks differ, its %08x and lane %u's %08x",
                           waits.mask, lane, other.mask);
      if (other.kind != waits.kind)
        return (void)stuck(t, waits.where, other.where, "shuffle: lane %u takes part in a shuffle of another kind", lane);
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

// Copies of one source line are one barrier: whether two places are is seen when findings are told.
void say_apart(unsigned one, unsigned other) {
  const Dim t = fibers[other].index;
  Finding* noted = stuck(one, fibers[one].where, fibers[other].where, "barrier: thread (%u, %u, %u) waits at another one",
                         t.x, t.y, t.z);
  if (noted) noted->if_lines_differ = true;
  abandoned = false;
}

// Lets all threads go on from a barrier; false when all are done.
bool release_barrier() {
  unsigned waiting = MOST_THREADS, gone = MOST_THREADS;
  for (unsigned t = 0; t < threads; ++t) {
    if (fibers[t].doing == DONE) gone = t;
    else if (waiting == MOST_THREADS) waiting = t;
  }
  if (waiting == MOST_THREADS) return false;
  if (gone != MOST_THREADS) {
    const Dim t = fibers[gone].index;
    stuck(waiting, fibers[waiting].where, nullptr, "barrier: thread (%u, %u, %u) never reaches it: it has left the kernel",
          t.x, t.y, t.z);
    return false;
  }
  for (unsigned t = threads; t-- > waiting;) {
    if (fibers[t].where != fibers[waiting].where) say_apart(waiting, t);
    fibers[t].doing = RUNNING;
  }
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

}  // namespace
