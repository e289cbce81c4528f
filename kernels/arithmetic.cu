// arithmetic.cu - the elementwise sums and the mean that join a cost together.
#include "portable.cuh"
#include "math.cuh"
#include "reduce.cuh"

// y = a + b
// moves: 1 a, 1 b -> 1 y
extern "C" __global__ void add(const real* a, const real* b, real* y, int64 n) {
  for_elements(n, [&](auto w, int64 i) {
    constexpr int W = decltype(w)::value;
    const In<W> ai(a + i), bi(b + i);
    Out<W> yi(y + i);
    LANES(k) yi[k] = ai[k] + bi[k];
    yi.store();
  });
}

// y[i] = scale * x[0]: how the gradient of a mean spreads
// moves: x -> 1 y
extern "C" __global__ void fill(const real* __restrict__ x, real* __restrict__ y, int64 n, real scale) {
  const real value = scale * x[0];
  for_elements(n, [&](auto w, int64 i) {
    constexpr int W = decltype(w)::value;
    Out<W> yi(y + i);
    LANES(k) yi[k] = value;
    yi.store();
  });
}

DEVICE real sum_by_block(const real* x, int64 n) {   // one block, all of x
  LaneSum sum;
  for_packs(n, threadIdx.x, blockDim.x, true, [&](auto w, int64 i) {
    constexpr int W = decltype(w)::value;
    const In<W> xi(x + i);
    real lane[W];
    LANES(k) lane[k] = xi[k];
    sum.add(lane);
  });
  return sum.total();
}

// y[b] = scale * the sum of block b's elements: with one block, of all
// moves: 1 x -> y
extern "C" __global__ void sum(const real* __restrict__ x, real* __restrict__ y, int64 n, real scale) {
  LaneSum sum;
  for_elements(n, [&](auto w, int64 i) {
    constexpr int W = decltype(w)::value;
    const In<W> xi(x + i);
    real lane[W];
    LANES(k) lane[k] = xi[k];
    sum.add(lane);
  });
  const real total = sum.total();
  if (threadIdx.x == 0) y[blockIdx.x] = scale * total;
}

// Keeps the score of a run without reading anything back: totals[0] += mean(a), totals[1] += mean(b), and
// totals[2] becomes the first step at which either was not finite (it starts at -1).  One block.
// moves: 1 a, 1 b, totals -> totals
extern "C" __global__ void keep_score(const real* __restrict__ a, const real* __restrict__ b,
                                      real* __restrict__ totals, int64 n, int64 step) {
  const real sum_a = sum_by_block(a, n), sum_b = sum_by_block(b, n);
  if (blockIdx.x == 0 && threadIdx.x == 0) {
    totals[0] += sum_a / (real)n;
    totals[1] += sum_b / (real)n;
    if (totals[2] < 0 && !(finite_(sum_a) && finite_(sum_b))) totals[2] = (real)step;
  }
}
