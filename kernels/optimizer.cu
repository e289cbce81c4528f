// optimizer.cu - what optimizers share: the gradient's norm before a step, an average of the weights after it.
// Parameters, gradients and state are flat arrays: one launch covers the whole model.
#include "portable.cuh"
#include "math.cuh"
#include "reduce.cuh"

// partial[b] = block b's sum of squares of g.
// moves: 1 g -> partial
extern "C" __global__ void squared_norm(const real* __restrict__ g, real* __restrict__ partial, int64 n) {
  LaneSum sum;
  for_elements(n, [&](auto w, int64 i) {
    constexpr int W = decltype(w)::value;
    const In<W> gi(g + i);
    real lane[W];
    LANES(k) lane[k] = gi[k] * gi[k];
    sum.add(lane);
  });
  const real total = sum.total();
  if (threadIdx.x == 0) partial[blockIdx.x] = total;
}

// Exponential moving average:  average += rest (p - average),  rest = 1 - decay
// moves: 1 average, 1 p -> 1 average
extern "C" __global__ void moving_average(real* __restrict__ average, const real* __restrict__ p, int64 n, real rest) {
  for_elements(n, [&](auto w, int64 i) {
    constexpr int W = decltype(w)::value;
    const In<W> pi(p + i), a0(average + i);
    Out<W> a1(average + i);
    LANES(k) a1[k] = a0[k] + rest * (pi[k] - a0[k]);
    a1.store();
  });
}
