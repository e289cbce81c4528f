// loss.cu - reconstruction costs: value and gradient in one pass.
// y, dy are (rows, cols), x is (rows / repeat, cols): `repeat` consecutive rows of y share one of x.  cost[r] is the
// sum over the row.  dy is the gradient of scale * cost, where
// scale is what the rest of the graph multiplies each row's cost with (1 / rows for a mean): the
// backward pass then has nothing left to do, and rescale_rows mends the rows where it was otherwise.
// One block takes a share of the rows.
#include "portable.cuh"
#include "math.cuh"
#include "reduce.cuh"

// Each kind of cost gives one element's value and its derivative with respect to y.
struct SquaredError {
  static DEVICE real value(real y, real x) { return (y - x) * (y - x); }
  static DEVICE real slope(real y, real x) { return 2 * (y - x); }
};
struct Bernoulli {   // -x log p - (1 - x) log(1 - p) with p = sigmoid(y): y is a logit
  static DEVICE real value(real y, real x) { return softplus_(y) - x * y; }
  static DEVICE real slope(real y, real x) { return sigmoid_(y) - x; }
};

template <class Kind>
DEVICE void row_costs(Kind, const real* y, const real* x, real* cost, real* dy, int64 rows, int cols, int64 repeat,
                      real scale) {
  const Share share = share_of(rows, blockIdx.x, gridDim.x);
  for (int64 r = share.first; r < share.last; ++r) {
    LaneSum sum;
    for_packs(cols, threadIdx.x, blockDim.x, cols % WIDTH == 0, [&](auto w, int64 c) {
      constexpr int W = decltype(w)::value;
      const In<W> yr(y + r * cols + c), xr(x + r / repeat * cols + c);
      Out<W> dyr(dy + r * cols + c);
      real lane[W];
      LANES(k) {
        lane[k] = Kind::value(yr[k], xr[k]);
        dyr[k] = scale * Kind::slope(yr[k], xr[k]);
      }
      dyr.store();
      sum.add(lane);
    });
    const real total = sum.total();
    if (threadIdx.x == 0) cost[r] = total;
  }
}

// cost[r] = sum_c (y - x)^2
// moves: 1 y, 1 x -> cost, 1 dy
extern "C" __global__ void squared_error(const real* __restrict__ y, const real* __restrict__ x,
                                         real* __restrict__ cost, real* __restrict__ dy,
                                         int64 rows, int cols, int64 repeat, real scale) {
  row_costs(SquaredError(), y, x, cost, dy, rows, cols, repeat, scale);
}

// cost[r] = -sum_c (x log p + (1 - x) log(1 - p))
// moves: 1 y, 1 x -> cost, 1 dy
extern "C" __global__ void bernoulli(const real* __restrict__ y, const real* __restrict__ x,
                                     real* __restrict__ cost, real* __restrict__ dy,
                                     int64 rows, int cols, int64 repeat, real scale) {
  row_costs(Bernoulli(), y, x, cost, dy, rows, cols, repeat, scale);
}

// dy[r] *= dcost[r] / scale, where that is not 1: in a training step nowhere, so that dy is not touched.
// moves: dcost, 0 dy -> 0 dy
extern "C" __global__ void rescale_rows(real* __restrict__ dy, const real* __restrict__ dcost,
                                        int64 rows, int cols, real scale) {
  const Share share = share_of(rows, blockIdx.x, gridDim.x);
  for (int64 r = share.first; r < share.last; ++r) {
    if (dcost[r] == scale) continue;
    const real factor = dcost[r] / scale;
    for_packs(cols, threadIdx.x, blockDim.x, cols % WIDTH == 0, [&](auto w, int64 c) {
      constexpr int W = decltype(w)::value;
      const In<W> from(dy + r * cols + c);
      Out<W> to(dy + r * cols + c);
      LANES(k) to[k] = from[k] * factor;
      to.store();
    });
  }
}
