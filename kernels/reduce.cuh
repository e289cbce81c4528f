// reduce.cuh - sums over a block's threads and over the rows of a matrix, always in the same order.
#pragma once

// The sum over all threads of the block, returned to every thread.  The barrier at the end lets the
// caller use it again at once.
DEVICE real block_sum(real value) {
#if defined(__CUDACC__)
  __shared__ real warp[32];
  const int threads = blockDim.x * blockDim.y;
  const int thread = threadIdx.y * blockDim.x + threadIdx.x, lane = thread & 31;
  // Blocks are whole warps or a power of two below 32 (work.py sees to it): lanes below
  // `width` exist in every warp.
  const int width = threads < 32 ? threads : 32;
  const unsigned mask = width == 32 ? 0xffffffffu : (1u << width) - 1u;
  for (int offset = width >> 1; offset > 0; offset >>= 1) value += __shfl_xor_sync(mask, value, offset);
  if (threads <= 32) return value;
  if (lane == 0) warp[thread >> 5] = value;
  __syncthreads();
  real total = 0;
  for (int w = 0; w < threads >> 5; ++w) total += warp[w];
  __syncthreads();
  return total;
#else
  return value;
#endif
}

// fold(a, b) over the values of all threads of the block, returned to every thread.
template <class T, class Fold> DEVICE T block_fold(T value, Fold fold) {
#if defined(__CUDACC__)
  __shared__ T warp[32];
  const int threads = blockDim.x * blockDim.y;
  const int thread = threadIdx.y * blockDim.x + threadIdx.x, lane = thread & 31;
  const int width = threads < 32 ? threads : 32;        // as in block_sum
  const unsigned mask = width == 32 ? 0xffffffffu : (1u << width) - 1u;
  for (int offset = width >> 1; offset > 0; offset >>= 1) value = fold(value, __shfl_xor_sync(mask, value, offset));
  if (threads <= 32) return value;
  if (lane == 0) warp[thread >> 5] = value;
  __syncthreads();
  T total = warp[0];
  for (int w = 1; w < threads >> 5; ++w) total = fold(total, warp[w]);
  __syncthreads();
  return total;
#else
  (void)fold;
  return value;
#endif
}

// A thread's running sum, one for each lane of its widest pack: no lane waits for another.
struct LaneSum {
  real lane[WIDTH];
  DEVICE LaneSum() { UNROLL for (int k = 0; k < WIDTH; ++k) lane[k] = 0; }
  template <int W> DEVICE void add(const real (&value)[W]) { LANES(k) lane[k] += value[k]; }
  // The sum over the block's lanes and threads, returned to every thread.
  DEVICE real total() {
    UNROLL for (int half = WIDTH / 2; half > 0; half /= 2)
      for (int k = 0; k < half; ++k) lane[k] += lane[k + half];
    return block_sum(lane[0]);
  }
};

// How a block covers a (rows, cols) matrix when columns are reduced: blockIdx.x and threadIdx.x
// choose the columns, blockIdx.y the slab of rows, threadIdx.y every blockDim.y-th row of it.
// Calls body(Int<W>, column, live) for each pack of columns of this thread; every thread of the block
// makes the same number of calls with the same W, so body may use barriers.  `live` is false
// for a thread with no columns in that call.
template <class Body> DEVICE void for_columns(int cols, Body body) {
#if defined(__CUDACC__)
  const int width = blockDim.x * WIDTH;
  for (int first = blockIdx.x * width; first < cols; first += gridDim.x * width) {
    if (cols % WIDTH == 0) {
      const int c = first + threadIdx.x * WIDTH;
      body(Int<WIDTH>(), c < cols ? c : 0, c < cols);
    } else {
      for (int k = 0; k < WIDTH; ++k) {      // neighbours in a warp take neighbouring columns
        const int c = first + k * blockDim.x + threadIdx.x;
        body(Int<1>(), c < cols ? c : 0, c < cols);
      }
    }
  }
#else
  for_packs(cols, blockIdx.x, gridDim.x, true, [&](auto w, int64 c) { body(w, (int)c, true); });
#endif
}

// Merges each column's value over the block's threadIdx.y in a fixed tree; the result is in every
// thread.  merge(a, b) folds b into a.  All threads of the block must call it.
template <class Value, class Merge> DEVICE void merge_rows(Value& value, Merge merge) {
#if defined(__CUDACC__)
  __shared__ Value shared[MAX_THREADS];
  const int x = threadIdx.x, y = threadIdx.y, threads = blockDim.x;
  shared[y * threads + x] = value;
  __syncthreads();
  for (int half = blockDim.y >> 1; half > 0; half >>= 1) {   // blockDim.y is a power of two
    if (y < half) merge(shared[y * threads + x], shared[(y + half) * threads + x]);
    __syncthreads();
  }
  value = shared[x];
  __syncthreads();
#else
  (void)value; (void)merge;
#endif
}
