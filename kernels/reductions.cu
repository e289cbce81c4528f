// reductions.cu - sums over an axis, and over the rows of a matrix (rows, cols): maxima, variances, log sum exp.
// Sums over an axis view the array as (outer, reduced, inner); long ones are cut into parts, whose sums are summed
// again, so that the order of all additions follows from the shape alone.
#include "portable.cuh"
#include "math.cuh"
#include "functions.cuh"
#include "reduce.cuh"
#include "rows.cuh"

// y (outer, parts) = scale * the sum over each part of x (outer, reduced).  A block takes a share of the parts.
// moves: 1 x -> y
extern "C" __global__ void sum_rows(const real* __restrict__ x, real* __restrict__ y, int64 outer, int64 parts,
                                    int64 part, int64 reduced, real scale) {
  const Share share = share_of(outer * parts, blockIdx.x, gridDim.x);
  for (int64 s = share.first; s < share.last; ++s) {
    const int64 row = s / parts, first = (s - row * parts) * part;
    LaneSum sum;
    for_packs(min(part, reduced - first), threadIdx.x, blockDim.x, reduced % WIDTH == 0, [&](auto w, int64 c) {
      constexpr int W = decltype(w)::value;
      const In<W> xi(x + row * reduced + first + c);
      real lane[W];
      LANES(k) lane[k] = xi[k];
      sum.add(lane);
    });
    const real total = sum.total();
    if (threadIdx.x == 0) y[s] = scale * total;
  }
}

// y (outer, parts, inner) = scale * the sum over each part of x's middle axis.  A thread takes packs of inner.
// moves: 1 x -> y
extern "C" __global__ void sum_columns(const real* __restrict__ x, real* __restrict__ y, int64 outer, int64 parts,
                                       int64 part, int64 reduced, int64 inner, real scale) {
  const Share share = share_of(outer * parts, (int64)blockIdx.x * blockDim.y + threadIdx.y,
                               (int64)gridDim.x * blockDim.y);
  for (int64 s = share.first; s < share.last; ++s) {
    const int64 block = s / parts, first = (s - block * parts) * part, last = min(first + part, reduced);
    for_packs(inner, threadIdx.x, blockDim.x, inner % WIDTH == 0, [&](auto w, int64 c) {
      constexpr int W = decltype(w)::value;
      real sum[W];
      LANES(k) sum[k] = 0;
      for (int64 r = first; r < last; ++r) {
        const In<W> xi(x + (block * reduced + r) * inner + c);
        LANES(k) sum[k] += xi[k];
      }
      Out<W> yi(y + s * inner + c);
      LANES(k) yi[k] = scale * sum[k];
      yi.store();
    });
  }
}

// y[r] = the largest of row r; NaN wins.
// moves: 1 x -> y
extern "C" __global__ void max_rows(const real* __restrict__ x, real* __restrict__ y, int64 rows, int64 cols) {
  const Share share = share_of(rows, blockIdx.x, gridDim.x);
  for (int64 r = share.first; r < share.last; ++r) {
    const real most = largest_of_row(x + r * cols, cols);
    if (threadIdx.x == 0) y[r] = most;
  }
}

// dx = dy[r] at the first place of row r that holds y[r] (a NaN, if that is one), 0 elsewhere.
// moves: dy, 1 x, y -> 1 dx
extern "C" __global__ void max_rows_backward(const real* __restrict__ dy, const real* __restrict__ x,
                                             const real* __restrict__ y, real* __restrict__ dx, int64 rows, int64 cols) {
  const Share share = share_of(rows, blockIdx.x, gridDim.x);
  for (int64 r = share.first; r < share.last; ++r) {
    const real most = y[r], gradient = dy[r];
    int64 found = cols;
    for_packs(cols, threadIdx.x, blockDim.x, cols % WIDTH == 0, [&](auto w, int64 c) {
      constexpr int W = decltype(w)::value;
      const In<W> xi(x + r * cols + c);
      for (int k = 0; k < W; ++k)
        if ((xi[k] == most || (xi[k] != xi[k] && most != most)) && c + k < found) found = c + k;
    });
    const int64 place = block_fold(found, [](int64 a, int64 b) { return b < a ? b : a; });
    for_packs(cols, threadIdx.x, blockDim.x, cols % WIDTH == 0, [&](auto w, int64 c) {
      constexpr int W = decltype(w)::value;
      Out<W> out(dx + r * cols + c);
      LANES(k) out[k] = c + k == place ? gradient : (real)0;
      out.store();
    });
  }
}

// mean[r] of row r, and y[r] = scale * sum (x - mean)^2: two passes, the second over numbers without their mean.
// moves: 1 x -> mean, y
extern "C" __global__ void variance_rows(const real* __restrict__ x, real* __restrict__ mean, real* __restrict__ y,
                                         int64 rows, int64 cols, real scale) {
  const Share share = share_of(rows, blockIdx.x, gridDim.x);
  for (int64 r = share.first; r < share.last; ++r) {
    const real* row = x + r * cols;
    const real shift = row[0];
    const real centre = shift + sum_of_row(row, cols, [&](real v) { return v - shift; }) / (real)cols;
    const real squares = sum_of_row(row, cols, [&](real v) { return (v - centre) * (v - centre); });
    if (threadIdx.x == 0) { mean[r] = centre; y[r] = scale * squares; }
  }
}

// dx = dy[r] * scale * (x - mean[r])
// moves: dy, 1 x, mean -> 1 dx
extern "C" __global__ void variance_rows_backward(const real* __restrict__ dy, const real* __restrict__ x,
                                                  const real* __restrict__ mean, real* __restrict__ dx, int64 rows,
                                                  int64 cols, real scale) {
  const Share share = share_of(rows, blockIdx.x, gridDim.x);
  for (int64 r = share.first; r < share.last; ++r) {
    const real centre = mean[r], factor = dy[r] * scale;
    map_row(x + r * cols, dx + r * cols, cols, [&](real v) { return factor * (v - centre); });
  }
}

// y[r] = log sum exp over row r, shifted by its largest number.
// moves: 1 x -> y
extern "C" __global__ void logsumexp_rows(const real* __restrict__ x, real* __restrict__ y, int64 rows, int64 cols) {
  const Share share = share_of(rows, blockIdx.x, gridDim.x);
  for (int64 r = share.first; r < share.last; ++r) {
    const real value = logsumexp_of_row(x + r * cols, cols);
    if (threadIdx.x == 0) y[r] = value;
  }
}

// dx = dy[r] * exp(x - y[r])
// moves: dy, 1 x, y -> 1 dx
extern "C" __global__ void logsumexp_rows_backward(const real* __restrict__ dy, const real* __restrict__ x,
                                                   const real* __restrict__ y, real* __restrict__ dx, int64 rows,
                                                   int64 cols) {
  const Share share = share_of(rows, blockIdx.x, gridDim.x);
  for (int64 r = share.first; r < share.last; ++r) {
    const real value = y[r], gradient = dy[r];
    map_row(x + r * cols, dx + r * cols, cols, [&](real v) { return gradient * exp_(v - value); });
  }
}
