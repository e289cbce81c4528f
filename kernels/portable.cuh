// portable.cuh - lets one kernel source compile for a GPU (NVRTC) and for a CPU (any C++17 compiler).
//
// The contract every kernel keeps:
//   * `real` is float, or double where the source is compiled with -DREAL=double.
//   * A thread owns packs of WIDTH neighbouring elements: one 16-byte access on a GPU, a few SIMD
//     registers on a CPU.  A remainder is worked off in narrower packs, down to single elements.
//   * A kernel is right for every launch shape, one thread a block included.  Which elements belong
//     to which thread is decided here (for_packs) and in reduce.cuh, nowhere else.
//   * Global memory is read and written a pack at a time through In<W> and Out<W>.
//   * The line above each kernel, `// moves: what it reads -> what it writes`, names the arrays that pass between
//     memory and the GPU in one launch, each once; minivae/traffic.py reads it and says how.
#pragma once

#ifndef REAL
#define REAL float
#endif
typedef REAL real;
typedef unsigned char uint8;
typedef unsigned int uint32;
typedef unsigned long long uint64;
typedef long long int64;

#if defined(__CUDACC__)
#define DEVICE __device__ __forceinline__
#define UNROLL _Pragma("unroll")
#define UNROLL_16 _Pragma("unroll")
#define MAX_THREADS 256                       // no kernel is launched with more threads a block
#if !defined(DYNAMIC_SHARED)                  // the emulator has its own
// type* name: the shared memory whose size the launch says, aligned to 16 bytes.
#define DYNAMIC_SHARED(type, name)                                                                   \
  extern __shared__ __align__(16) unsigned char dynamic_shared[];                                    \
  type* const name = reinterpret_cast<type*>(dynamic_shared)
#endif
constexpr int WIDTH = 16 / sizeof(real);
#else
#if !defined(__clang__)
// GCC 12 takes two rounds of an outer loop at once before it looks at the lanes, and then leaves them scalar (max_pool: 5x).
#pragma GCC optimize("no-loop-unroll-and-jam")
#endif
#include <math.h>
#include <string.h>
#define DEVICE inline __attribute__((always_inline))
#define UNROLL MINIVAE_IVDEP                  // lanes are independent: vectorize without alias checks
#define UNROLL_16 _Pragma("GCC unroll 16")    // up to 16 rounds written out, where each may need the last
#define MAX_THREADS 1
#if defined(__clang__)
#define MINIVAE_IVDEP _Pragma("clang loop vectorize(assume_safety)")
#else
#define MINIVAE_IVDEP _Pragma("GCC ivdep")
#endif
constexpr int WIDTH = 256 / sizeof(real);     // 64 floats, four AVX-512 registers: 1.2x over 32 in batch norm
constexpr int NARROW_WIDTH = 32 / sizeof(real);
#define __global__ __attribute__((flatten))   // inline every call: only then do the lanes vectorize
#define __shared__ static thread_local
#define __syncthreads()
struct MinivaeDim { unsigned x, y, z; };
// Set by the launch entry (host/launch.h) before each block.
static thread_local MinivaeDim blockIdx, gridDim;
static constexpr MinivaeDim threadIdx = {0, 0, 0}, blockDim = {1, 1, 1};
DEVICE uint32 __umulhi(uint32 a, uint32 b) { return (uint32)((uint64)a * b >> 32); }
DEVICE int __float_as_int(float x) { int i; memcpy(&i, &x, 4); return i; }
DEVICE float __int_as_float(int i) { float x; memcpy(&x, &i, 4); return x; }
template <class T> DEVICE T min(T a, T b) { return b < a ? b : a; }
template <class T> DEVICE T max(T a, T b) { return a < b ? b : a; }
#endif

template <int N> struct Int { static constexpr int value = N; };

// The lanes of a pack; W is the pack's width in the enclosing scope.
#define LANES(k) UNROLL for (int k = 0; k < W; ++k)

// A pack read from memory: on a GPU one vector load into registers, on a CPU the memory itself.  With a second
// argument that is false nothing is read, and the lanes are zero.
template <int W, class T = real> struct In {
#if defined(__CUDACC__)
  struct alignas(W * sizeof(T)) Pack { T lane[W]; } pack;
  DEVICE explicit In(const T* from) : pack(*reinterpret_cast<const Pack*>(from)) {}
  DEVICE In(const T* from, bool there) : pack() { if (there) pack = *reinterpret_cast<const Pack*>(from); }
  DEVICE In() {}
  DEVICE T operator[](int k) const { return pack.lane[k]; }
#else
  static constexpr T ZEROS[WIDTH] = {};
  const T* from;
  DEVICE explicit In(const T* from) : from(from) {}
  DEVICE In(const T* from, bool there) : from(there ? from : ZEROS) {}
  DEVICE In() {}
  DEVICE T operator[](int k) const { return from[k]; }
#endif
};

#if defined(__CUDA_ARCH__)
// Left to itself the compiler writes some packs (results of loops, mostly) an element at a time; these are one
// instruction always.
DEVICE void store_16(float* to, const float (&x)[4]) { __stwb((float4*)to, make_float4(x[0], x[1], x[2], x[3])); }
DEVICE void store_16(double* to, const double (&x)[2]) { __stwb((double2*)to, make_double2(x[0], x[1])); }
#endif

#if !defined(__CUDACC__)
template <class T> struct Nowhere { static thread_local T pack[WIDTH]; };
template <class T> thread_local T Nowhere<T>::pack[WIDTH];
#endif

// A pack to be written: fill every lane, then call store() once.  With a second argument that is false the pack goes
// nowhere.
template <int W, class T = real> struct Out {
#if defined(__CUDACC__)
  struct alignas(W * sizeof(T)) Pack { T lane[W]; } pack;
  T* to;
  bool there;
  DEVICE explicit Out(T* to) : to(to), there(true) {}
  DEVICE Out(T* to, bool there) : to(to), there(there) {}
  DEVICE Out() {}
  DEVICE T& operator[](int k) { return pack.lane[k]; }
  DEVICE void store() {
    if (!there) return;
#if defined(__CUDA_ARCH__)
    if constexpr (sizeof(Pack) == 16) return store_16(to, pack.lane);
#endif
    *reinterpret_cast<Pack*>(to) = pack;
  }
#else
  T* to;
  DEVICE explicit Out(T* to) : to(to) {}
  DEVICE Out(T* to, bool there) : to(there ? to : Nowhere<T>::pack) {}
  DEVICE Out() {}
  DEVICE T& operator[](int k) { return to[k]; }
  DEVICE void store() {}
#endif
};

// Calls body(Int<W>, i) for packs i .. i + W - 1 that cover 0 .. n - 1 once, shared out to `workers`
// of which this one is `worker`.  `aligned` says that a pack at any multiple of WIDTH may be accessed
// as a vector (a GPU needs addresses that are multiples of the pack's size; a CPU does not care).
template <class Body>
DEVICE void for_packs(int64 n, int64 worker, int64 workers, bool aligned, Body body) {
#if defined(__CUDACC__)
  for (int64 i = worker * WIDTH; i < n; i += workers * WIDTH) {
    if (aligned && i + WIDTH <= n) body(Int<WIDTH>(), i);
    else for (int64 j = i; j < n && j < i + WIDTH; ++j) body(Int<1>(), j);
  }
#else
  // One contiguous range a worker: it walks through memory and keeps its part in its own cache.
  const int64 packs = (n + WIDTH - 1) / WIDTH;
  int64 i = packs * worker / workers * WIDTH;
  const int64 end = min(n, packs * (worker + 1) / workers * WIDTH);
  (void)aligned;
  for (; i + WIDTH <= end; i += WIDTH) body(Int<WIDTH>(), i);
  for (; i + NARROW_WIDTH <= end; i += NARROW_WIDTH) body(Int<NARROW_WIDTH>(), i);
  for (; i < end; ++i) body(Int<1>(), i);
#endif
}

// The same over all threads of the grid: elementwise kernels.
template <class Body> DEVICE void for_elements(int64 n, Body body) {
  for_packs(n, (int64)blockIdx.x * blockDim.x + threadIdx.x, (int64)gridDim.x * blockDim.x, true, body);
}

// This block's contiguous share first .. last - 1 of `items` (rows, mostly).
struct Share { int64 first, last; };
DEVICE Share share_of(int64 items, int64 part, int64 parts) {
  return {items * part / parts, items * (part + 1) / parts};
}
