// simt.h - the GPU's side of every kernel on a CPU: each thread of each block really runs.
// Pasted before a kernel file in place of a CUDA compiler's own definitions, so that the branches for
// __CUDACC__ are what is compiled: the GPU's WIDTH, vector accesses, warp shuffles, shared memory.
// A thread is a fiber.  Each warp in turn runs as far ahead of the others as its barriers let it, in an order that
// changes from barrier to barrier: a missing barrier shows as a wrong result.
#define __CUDACC__ 1
#define __device__
#define __forceinline__ inline __attribute__((always_inline))
#define __global__
#define __shared__ static            // one block runs at a time
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <ucontext.h>

struct SimtDim { unsigned x, y, z; };
static SimtDim threadIdx, blockIdx, blockDim, gridDim;

static inline unsigned __umulhi(unsigned a, unsigned b) { return (unsigned)((uint64_t)a * b >> 32); }
static inline int __float_as_int(float x) { int i; memcpy(&i, &x, 4); return i; }
static inline float __int_as_float(int i) { float x; memcpy(&x, &i, 4); return x; }
template <class T> static inline T min(T a, T b) { return b < a ? b : a; }
template <class T> static inline T max(T a, T b) { return a < b ? b : a; }

namespace simt {

constexpr int MOST_THREADS = 1024, WARP = 32;
constexpr size_t STACK = 64 << 10;
enum State { RUNNING, AT_BARRIER, AT_SHUFFLE, DONE };

struct Fiber {
  ucontext_t context;
  State state;
  unsigned mask;                     // of the shuffle it waits at
  unsigned char exchanged[8];
};

static Fiber fibers[MOST_THREADS];
static unsigned char (*stacks)[STACK];
static ucontext_t scheduler;
static int current;
static void (*body)(void*);
static void* argument;
static const char* kernel;

[[noreturn]] static void fail(const char* what) {
  fprintf(stderr, "simt: kernel %s, block (%u, %u), thread %d: %s\n", kernel, blockIdx.x, blockIdx.y, current, what);
  abort();
}

static void wait_at(State state) {
  fibers[current].state = state;
  const int mine = current;
  swapcontext(&fibers[mine].context, &scheduler);
}

static void entry() {
  body(argument);
  fibers[current].state = DONE;
  swapcontext(&fibers[current].context, &scheduler);
}

// Lets those lanes of the warp go on whose shuffle all lanes that it names have reached.
static bool release_shuffles(int first, int end) {
  bool any = false;
  for (int t = first; t < end; ++t) {
    if (fibers[t].state != AT_SHUFFLE) continue;
    const unsigned mask = fibers[t].mask;
    bool complete = true;
    for (int lane = 0; lane < WARP; ++lane)
      if (mask >> lane & 1)
        complete = complete && first + lane < end && fibers[first + lane].state == AT_SHUFFLE &&
                   fibers[first + lane].mask == mask;
    if (!complete) continue;
    for (int lane = 0; lane < WARP; ++lane)
      if (mask >> lane & 1) fibers[first + lane].state = RUNNING;
    any = true;
  }
  return any;
}

static bool release_barrier(int threads) {
  for (int t = 0; t < threads; ++t)
    if (fibers[t].state != AT_BARRIER) return false;
  for (int t = 0; t < threads; ++t) fibers[t].state = RUNNING;
  return true;
}

// Runs a warp's threads until each is done or at a barrier.
static void run_warp(int first, int end, bool backwards) {
  for (bool ran = true; ran; ran = ran || release_shuffles(first, end)) {
    ran = false;
    for (int n = first; n < end; ++n) {
      const int t = backwards ? first + end - 1 - n : n;
      if (fibers[t].state != RUNNING) continue;
      current = t;
      threadIdx = {t % blockDim.x, t / blockDim.x, 0};
      swapcontext(&scheduler, &fibers[t].context);
      ran = true;
    }
  }
}

static void run_block() {
  static unsigned round;
  const int threads = (int)(blockDim.x * blockDim.y), warps = (threads + WARP - 1) / WARP;
  for (int t = 0; t < threads; ++t) {
    getcontext(&fibers[t].context);
    fibers[t].context.uc_stack.ss_sp = stacks[t];
    fibers[t].context.uc_stack.ss_size = STACK;
    fibers[t].context.uc_link = nullptr;
    makecontext(&fibers[t].context, entry, 0);
    fibers[t].state = RUNNING;
  }
  for (;; ++round) {
    for (int n = 0; n < warps; ++n) {
      const int warp = (round & 1 ? warps - 1 - n + (int)(round >> 1 & 0xffff) : n + (int)(round >> 1 & 0xffff)) % warps;
      run_warp(warp * WARP, min(threads, warp * WARP + WARP), round & 2);
    }
    int done = 0;
    for (int t = 0; t < threads; ++t) done += fibers[t].state == DONE;
    if (done == threads) return;
    if (!release_barrier(threads)) fail("some threads wait at a barrier or shuffle that the others never reach");
  }
}

template <class Call> static void call_body(void* call) { (*(Call*)call)(); }

// Runs a kernel's grid, blocks in an order that is not the natural one.
template <class Call>
static void run_grid(const char* name, unsigned gx, unsigned gy, unsigned bx, unsigned by, Call call) {
  if (!stacks) stacks = (unsigned char (*)[STACK])malloc(MOST_THREADS * STACK);
  if (bx * by > MOST_THREADS) fail("more than 1024 threads a block");
  kernel = name;
  body = call_body<Call>;
  argument = &call;
  gridDim = {gx, gy, 1};
  blockDim = {bx, by, 1};
  const unsigned long long blocks = (unsigned long long)gx * gy;
  for (unsigned long long i = 0; i < blocks; ++i) {
    const unsigned long long b = blocks - 1 - i;
    blockIdx = {(unsigned)(b % gx), (unsigned)(b / gx), 0};
    run_block();
  }
}

}  // namespace simt

static inline void __syncthreads() {
  const SimtDim mine = threadIdx;
  simt::wait_at(simt::AT_BARRIER);
  threadIdx = mine;
}

template <class T> static T __shfl_xor_sync(unsigned mask, T value, int offset) {
  const SimtDim thread = threadIdx;
  const int mine = simt::current, lane = mine % simt::WARP;
  if (!(mask >> lane & 1)) simt::fail("a shuffle whose mask leaves out the calling lane");
  memcpy(simt::fibers[mine].exchanged, &value, sizeof value);
  simt::fibers[mine].mask = mask;
  simt::wait_at(simt::AT_SHUFFLE);
  threadIdx = thread;
  const int other = lane ^ offset;
  if (!(mask >> other & 1)) simt::fail("a shuffle from a lane that its mask leaves out");
  memcpy(&value, simt::fibers[mine - lane + other].exchanged, sizeof value);
  simt::wait_at(simt::AT_SHUFFLE);       // nobody may overwrite what another has still to read
  threadIdx = thread;
  return value;
}

// As in launch.h: void launch_<name>(grid_x, grid_y, block_x, block_y, parameters...)
#define MINIVAE_UNWRAP(...) __VA_ARGS__
#define MINIVAE_ENTRY(name, parameters, arguments)                                                   \
  extern "C" void launch_##name(unsigned gx, unsigned gy, unsigned bx, unsigned by,                  \
                                MINIVAE_UNWRAP parameters) {                                         \
    simt::run_grid(#name, gx, gy, bx, by, [=] { name arguments; });                                  \
  }
