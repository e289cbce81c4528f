// softmax.cu - softmax, its logarithm and the cross-entropy over the rows of a matrix (rows, cols), shifted by each row's
// largest number so that nothing overflows.  One block takes a share of the rows.
#include "portable.cuh"
#include "math.cuh"
#include "functions.cuh"
#include "reduce.cuh"
#include "rows.cuh"

// y = exp(x - log sum exp x), or with `logarithm` the difference itself
// moves: 1 x -> 1 y
extern "C" __global__ void softmax_forward(const real* __restrict__ x, real* __restrict__ y, int64 rows, int64 cols,
                                           int logarithm) {
  const Share share = share_of(rows, blockIdx.x, gridDim.x);
  for (int64 r = share.first; r < share.last; ++r) {
    const real *from = x + r * cols, all = logsumexp_of_row(from, cols);
    if (logarithm) map_row(from, y + r * cols, cols, [&](real v) { return v - all; });
    else map_row(from, y + r * cols, cols, [&](real v) { return exp_(v - all); });
  }
}

// dx = y (dy - sum dy y), or with `logarithm` dy - exp(y) sum dy
// moves: 1 dy, 1 y -> 1 dx
extern "C" __global__ void softmax_backward(const real* __restrict__ dy, const real* __restrict__ y,
                                            real* __restrict__ dx, int64 rows, int64 cols, int logarithm) {
  const Share share = share_of(rows, blockIdx.x, gridDim.x);
  for (int64 r = share.first; r < share.last; ++r) {
    const real *dyr = dy + r * cols, *yr = y + r * cols;
    LaneSum sum;
    for_row(cols, [&](auto w, int64 c) {
      constexpr int W = decltype(w)::value;
      const In<W> d(dyr + c), v(yr + c);
      real lane[W];
      LANES(k) lane[k] = logarithm ? d[k] : d[k] * v[k];
      sum.add(lane);
    });
    const real total = sum.total();
    for_row(cols, [&](auto w, int64 c) {
      constexpr int W = decltype(w)::value;
      const In<W> d(dyr + c), v(yr + c);
      Out<W> out(dx + r * cols + c);
      LANES(k) out[k] = logarithm ? d[k] - exp_(v[k]) * total : v[k] * (d[k] - total);
      out.store();
    });
  }
}

// cost[r] = all[r] - x[r, label[r]] with all = log sum exp of the row; NaN where there is no such label.
// moves: 1 x, label -> cost, all
extern "C" __global__ void cross_entropy_labels(const real* __restrict__ x, const int* __restrict__ label,
                                                real* __restrict__ cost, real* __restrict__ all, int64 rows, int64 cols) {
  const Share share = share_of(rows, blockIdx.x, gridDim.x);
  for (int64 r = share.first; r < share.last; ++r) {
    const real value = logsumexp_of_row(x + r * cols, cols);
    const int64 right = label[r];
    if (threadIdx.x == 0) {
      all[r] = value;
      cost[r] = right >= 0 && right < cols ? value - x[r * cols + right] : nan_();
    }
  }
}

// dx = dcost[r] (exp(x - all[r]) - [column is label[r]])
// moves: dcost, 1 x, label, all -> 1 dx
extern "C" __global__ void cross_entropy_labels_backward(const real* __restrict__ dcost, const real* __restrict__ x,
                                                         const int* __restrict__ label, const real* __restrict__ all,
                                                         real* __restrict__ dx, int64 rows, int64 cols) {
  const Share share = share_of(rows, blockIdx.x, gridDim.x);
  for (int64 r = share.first; r < share.last; ++r) {
    const real gradient = dcost[r], value = all[r];
    const int right = label[r];
    for_row(cols, [&](auto w, int64 c) {
      constexpr int W = decltype(w)::value;
      const In<W> v(x + r * cols + c);
      Out<W> out(dx + r * cols + c);
      LANES(k) out[k] = gradient * (exp_(v[k] - value) - (c + k == right ? (real)1 : (real)0));
      out.store();
    });
  }
}

// cost[r] = sum p (all[r] - x); `weight`[r] = sum p, which need not be 1.
// moves: 1 x, 1 p -> cost, all, weight
extern "C" __global__ void cross_entropy(const real* __restrict__ x, const real* __restrict__ p,
                                         real* __restrict__ cost, real* __restrict__ all, real* __restrict__ weight,
                                         int64 rows, int64 cols) {
  const Share share = share_of(rows, blockIdx.x, gridDim.x);
  for (int64 r = share.first; r < share.last; ++r) {
    const real value = logsumexp_of_row(x + r * cols, cols);
    LaneSum costs, weights;
    for_row(cols, [&](auto w, int64 c) {
      constexpr int W = decltype(w)::value;
      const In<W> v(x + r * cols + c), q(p + r * cols + c);
      real lane[W], mass[W];
      LANES(k) { lane[k] = q[k] * (value - v[k]); mass[k] = q[k]; }
      costs.add(lane);
      weights.add(mass);
    });
    const real total = costs.total(), mass = weights.total();
    if (threadIdx.x == 0) { cost[r] = total; all[r] = value; weight[r] = mass; }
  }
}

// dx = dcost[r] (weight[r] exp(x - all[r]) - p)
// moves: dcost, 1 x, 1 p, all, weight -> 1 dx
extern "C" __global__ void cross_entropy_backward(const real* __restrict__ dcost, const real* __restrict__ x,
                                                  const real* __restrict__ p, const real* __restrict__ all,
                                                  const real* __restrict__ weight, real* __restrict__ dx, int64 rows,
                                                  int64 cols) {
  const Share share = share_of(rows, blockIdx.x, gridDim.x);
  for (int64 r = share.first; r < share.last; ++r) {
    const real gradient = dcost[r], value = all[r], mass = weight[r];
    for_row(cols, [&](auto w, int64 c) {
      constexpr int W = decltype(w)::value;
      const In<W> v(x + r * cols + c), q(p + r * cols + c);
      Out<W> out(dx + r * cols + c);
      LANES(k) out[k] = gradient * (mass * exp_(v[k] - value) - q[k]);
      out.store();
    });
  }
}
