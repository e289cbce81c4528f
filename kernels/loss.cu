// loss.cu - reconstruction costs: value and gradient in one pass, or the value alone.
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

// What is summed over a row where the value alone is asked for.
struct SquaredErrorSum {
  LaneSum sum;
  template <int W> DEVICE void add(const In<W>& y, const In<W>& x) {
    real lane[W];
    LANES(k) lane[k] = SquaredError::value(y[k], x[k]);
    sum.add(lane);
  }
  DEVICE real total() { return sum.total(); }
};
// softplus(y) - x y = max(y, 0) - x y + log(1 + e^-|y|), where the last is summed as the logarithm of a product: its
// factors are at most 2, so that a lane takes a logarithm only after so many of them.
struct BernoulliSum {
  static constexpr int FACTORS = 64;
  LaneSum sum;
  real product[WIDTH];
  int count = 0;
  DEVICE BernoulliSum() { UNROLL for (int k = 0; k < WIDTH; ++k) product[k] = 1; }
  template <int W> DEVICE void add(const In<W>& y, const In<W>& x) {
    real lane[W];
    LANES(k) {
      const real u = y[k], below = u < 0 ? u : -u;
      lane[k] = (u < 0 ? (real)0 : u) - x[k] * u;
      product[k] *= 1 + exp_(below);
    }
    sum.add(lane);
    if (++count == FACTORS) close();
  }
  DEVICE void close() {
    UNROLL for (int k = 0; k < WIDTH; ++k) { sum.lane[k] += log_(product[k]); product[k] = 1; }
    count = 0;
  }
  DEVICE real total() { close(); return sum.total(); }
};

template <class Sum>
DEVICE void row_values(const real* y, const real* x, real* cost, int64 rows, int cols, int64 repeat) {
  const Share share = share_of(rows, blockIdx.x, gridDim.x);
  for (int64 r = share.first; r < share.last; ++r) {
    Sum sum;
    for_packs(cols, threadIdx.x, blockDim.x, cols % WIDTH == 0, [&](auto w, int64 c) {
      constexpr int W = decltype(w)::value;
      const In<W> yr(y + r * cols + c), xr(x + r / repeat * cols + c);
      sum.template add<W>(yr, xr);
    });
    const real total = sum.total();
    if (threadIdx.x == 0) cost[r] = total;
  }
}

// The costs without a gradient.
// moves: 1 y, 1 x -> cost
extern "C" __global__ void squared_error_value(const real* __restrict__ y, const real* __restrict__ x,
                                               real* __restrict__ cost, int64 rows, int cols, int64 repeat) {
  row_values<SquaredErrorSum>(y, x, cost, rows, cols, repeat);
}

// moves: 1 y, 1 x -> cost
extern "C" __global__ void bernoulli_value(const real* __restrict__ y, const real* __restrict__ x,
                                           real* __restrict__ cost, int64 rows, int cols, int64 repeat) {
  row_values<BernoulliSum>(y, x, cost, rows, cols, repeat);
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
