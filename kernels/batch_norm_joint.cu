// batch_norm_joint.cu - the moments of a batch whose rows several processes have: each says what it knows of its own rows,
// all of it is gathered, and each merges all, in the order of the processes (Chan et al. 1979).
// What a process says of x (rows, cols) is summary (3, cols): the first row, the mean relative to it, the variance.
// The merged mean is relative to the process's own first row, as that of its own rows would be: the difference of two first
// rows is exact to their own rounding, where a mean far from zero would not be.
#include "portable.cuh"
#include "math.cuh"
#include "reduce.cuh"
#include "batch_norm.cuh"

// Of x it reads only the first row where there are slabs.
// moves: 1 x, partial[2 * slabs * cols] -> summary
extern "C" __global__ void batch_norm_summary(const real* __restrict__ x, const real* __restrict__ partial,
                                              real* __restrict__ summary, int64 rows, int cols, int slabs) {
  for_columns(cols, [&](auto w, int c, bool live) {
    constexpr int W = decltype(w)::value;
    Moments<W> m;
    all_moments<W>(x + c, partial + c, cols, slabs, rows, m);
    if (!live || threadIdx.y != 0) return;
    const Shift<W> shift(x + c, true);
    Out<W> first(summary + c);
    LANES(k) first[k] = shift[k];
    first.store();
    store_moments<W>(m, summary + cols + c, cols);
  });
}

// moments (1, 2, cols) of all rows, relative to x's first row, out of the summaries (size, 3, cols).  Of `batch` examples
// process i has share_of(batch, i, size), each of as many rows as every other.
// moves: x[cols], summaries[3 * size * cols] -> moments
extern "C" __global__ void batch_norm_join(const real* __restrict__ x, const real* __restrict__ summaries,
                                           real* __restrict__ moments, int cols, int64 batch, int size) {
  for_columns(cols, [&](auto w, int c, bool live) {
    constexpr int W = decltype(w)::value;
    if (!live || threadIdx.y != 0) return;
    const Shift<W> shift(x + c, true);
    Moments<W> all;
    clear(all);
    for (int i = 0; i < size; ++i) {
      const Share share = share_of(batch, i, size);
      const real* from = summaries + (int64)i * 3 * cols + c;
      const In<W> first(from), mean(from + cols), variance(from + 2 * cols);
      Moments<W> one;
      one.count = (real)(share.last - share.first);
      LANES(k) { one.mean[k] = (first[k] - shift[k]) + mean[k]; one.variance[k] = variance[k]; }
      MergeMoments()(all, one);
    }
    store_moments<W>(all, moments + c, cols);
  });
}
