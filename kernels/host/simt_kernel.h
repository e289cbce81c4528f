// simt_kernel.h - the GPU's side of every kernel on a CPU: each thread of each block really runs, and is watched.
// Pasted before a kernel file in place of a CUDA compiler's own definitions, so that the branches for
// __CUDACC__ are what is compiled: the GPU's WIDTH, vector accesses, warp shuffles, shared memory.
// Compiled with -fsanitize=thread: each access calls back into simt_check.cpp.  Threads are simt_threads.cpp's.
#define __CUDACC__ 1
#define __device__
#define __host__
#define __noinline__ __attribute__((noinline))
#define __forceinline__ inline __attribute__((always_inline))
#define __global__ __attribute__((noinline, used))
#define __launch_bounds__(...)
#define __align__(bytes) alignas(bytes)
// One block runs at a time: the library's thread-local memory is the block's.  A guard stands beside every array, which is
// nobody's: an overrun, of up to its size, ends there and not in the next array.
#define SIMT_JOIN(a, b) a##b
#define SIMT_GUARD(number) \
  static thread_local char __attribute__((used, aligned(16))) SIMT_JOIN(simt_guard_, number)[512]
#define __shared__ SIMT_GUARD(__COUNTER__); static thread_local
#include <math.h>
#include <stdint.h>
#include <string.h>

struct SimtDim { unsigned x, y, z; };
extern "C" {
SimtDim simt_thread_index() __attribute__((const));     // the same for all of a fiber's life
SimtDim simt_block_index() __attribute__((const));
SimtDim simt_block_dim() __attribute__((const));
SimtDim simt_grid_dim() __attribute__((const));
void* simt_dynamic_shared() __attribute__((const));
void simt_barrier();
uint64_t simt_shuffle(unsigned mask, uint64_t value, int kind, int lane, int width);
}
#define threadIdx (simt_thread_index())
#define blockIdx (simt_block_index())
#define blockDim (simt_block_dim())
#define gridDim (simt_grid_dim())
#define __syncthreads() simt_barrier()
#define DYNAMIC_SHARED(type, name) type* const name = (type*)simt_dynamic_shared()

static inline unsigned __umulhi(unsigned a, unsigned b) { return (unsigned)((uint64_t)a * b >> 32); }
static inline int __float_as_int(float x) { int i; memcpy(&i, &x, 4); return i; }
static inline float __int_as_float(int i) { float x; memcpy(&x, &i, 4); return x; }
template <class T> static __forceinline__ T min(T a, T b) { return b < a ? b : a; }
template <class T> static __forceinline__ T max(T a, T b) { return a < b ? b : a; }

template <class T> static __forceinline__ T simt_exchange(unsigned mask, T value, SimtShuffle kind, int lane, int width) {
  static_assert(sizeof value == 4 || sizeof value == 8, "CUDA shuffles words of 4 and 8 bytes");
  uint64_t bits = 0;
  memcpy(&bits, &value, sizeof value);
  bits = simt_shuffle(mask, bits, kind, lane, width);
  memcpy(&value, &bits, sizeof value);
  return value;
}
template <class T> static __forceinline__ T __shfl_sync(unsigned mask, T value, int lane, int width = 32) {
  return simt_exchange(mask, value, SIMT_INDEX, lane, width);
}
template <class T> static __forceinline__ T __shfl_up_sync(unsigned mask, T value, unsigned delta, int width = 32) {
  return simt_exchange(mask, value, SIMT_UP, (int)delta, width);
}
template <class T> static __forceinline__ T __shfl_down_sync(unsigned mask, T value, unsigned delta, int width = 32) {
  return simt_exchange(mask, value, SIMT_DOWN, (int)delta, width);
}
template <class T> static __forceinline__ T __shfl_xor_sync(unsigned mask, T value, int lanes, int width = 32) {
  return simt_exchange(mask, value, SIMT_XOR, lanes, width);
}

// What the runtime gets to know of a kernel, deduced from the kernel itself.
static thread_local char simt_anchor;
static char* simt_anchor_of_library() { return &simt_anchor; }

template <class T> struct SimtIsPointer { static constexpr bool value = false; };
template <class T> struct SimtIsPointer<T*> { static constexpr bool value = true; };
template <int... I> struct SimtIndices {};
template <int N, int... I> struct SimtCount : SimtCount<N - 1, N - 1, I...> {};
template <int... I> struct SimtCount<0, I...> { typedef SimtIndices<I...> type; };

template <auto kernel> struct SimtEntry;
template <class... P, void (*kernel)(P...)> struct SimtEntry<kernel> {
  static constexpr unsigned count = sizeof...(P);
  static constexpr SimtParameter parameters[count + 1] = {{sizeof(P), SimtIsPointer<P>::value}..., {0, false}};
  template <int... I>
  __attribute__((no_sanitize("thread", "undefined"))) static void call(void** arguments, SimtIndices<I...>) {
    (void)arguments;
    kernel(*(P*)arguments[I]...);
  }
  __attribute__((no_sanitize("thread", "undefined"))) static void enter(void** arguments) {
    call(arguments, typename SimtCount<count>::type());
  }
};
#define SIMT_KERNEL(name)                                                                             \
  extern "C" __attribute__((visibility("default"))) const SimtKernel simt_kernel_##name;              \
  const SimtKernel simt_kernel_##name = {#name, SimtEntry<&name>::count, SimtEntry<&name>::parameters,\
                                         SimtEntry<&name>::enter, simt_anchor_of_library};
