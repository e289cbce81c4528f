// batch_norm.cu - batch normalization over the rows of x (rows, cols), then an activation.
//   u = gamma * (x - mean) / sqrt(variance + epsilon) + beta,  y = act(u)     (Ioffe & Szegedy 2015)
// Layout: channels last, so dense layers (examples, channels) and convolutional ones
// (examples * height * width, channels) are the same kernel.
// The activation's input u is computed again in the backward pass rather than stored.  Where one block has
// all rows, it reads them twice, the second time from its cache.
//
// Few rows: one block has all rows of its columns, takes their moments and normalizes while they are
// still in its cache (slabs == 0: no partial sums, one launch).  Many rows: a first kernel takes the
// moments of each slab of rows, partial (slabs, 2, cols); the second merges the slabs.  Merges are in a
// fixed order (Chan et al. 1979), so no sum depends on how many threads run.
#include "portable.cuh"
#include "math.cuh"
#include "reduce.cuh"
#include "activation.cuh"
#include "batch_norm.cuh"

// moves: 1 x -> partial
extern "C" __global__ void batch_norm_moments(const real* __restrict__ x, real* __restrict__ partial,
                                              int64 rows, int cols) {
  const Share slab = share_of(rows, blockIdx.y, gridDim.y);
  for_columns(cols, [&](auto w, int c, bool live) {
    constexpr int W = decltype(w)::value;
    Moments<W> m;
    thread_moments<W>(x + c, cols, slab.first + threadIdx.y, slab.last, blockDim.y, m);
    merge_rows(m, MergeMoments());
    if (live && threadIdx.y == 0) store_moments<W>(m, partial + (int64)blockIdx.y * 2 * cols + c, cols);
  });
}

// y and, for the backward pass, the merged moments.  fixed != 0: partial (1, 2, cols) does not come from
// this x, but holds the statistics to use, such as the fixed-point ones at test time.
// moves: 1 x, partial[2 * slabs * cols], gamma, beta -> 1 y, moments
extern "C" __global__ void batch_norm_forward(const real* __restrict__ x, const real* __restrict__ partial,
                                              const real* __restrict__ gamma, const real* __restrict__ beta,
                                              real* __restrict__ y, real* __restrict__ moments,
                                              int64 rows, int cols, int slabs, real epsilon, int activation, int fixed) {
  const Share share = share_of(rows, blockIdx.y, gridDim.y);
  with_activation(activation, [&](auto act) {
    for_columns(cols, [&](auto w, int c, bool live) {
      constexpr int W = decltype(w)::value;
      Moments<W> m;
      all_moments<W>(x + c, partial + c, cols, slabs, rows, m);
      if (!live) return;
      if (blockIdx.y == 0 && threadIdx.y == 0) store_moments<W>(m, moments + c, cols);
      real scale[W];
      const Shift<W> shift(x + c, !fixed);
      const In<W> g(gamma + c), b(beta + c);
      LANES(k) scale[k] = g[k] / sqrt_(m.variance[k] + epsilon);
      for (int64 r = share.first + threadIdx.y; r < share.last; r += blockDim.y) {
        const In<W> xr(x + r * cols + c);
        Out<W> yr(y + r * cols + c);
        LANES(k) yr[k] = act.value((xr[k] - shift[k] - m.mean[k]) * scale[k] + b[k]);
        yr.store();
      }
    });
  });
}

// Adds the moments of x, of `rows` rows, to running moments over `seen` rows.  Of x it reads only the first row where
// there are slabs.
// moves: 1 x, partial[2 * slabs * cols], running -> running
extern "C" __global__ void batch_norm_merge(const real* __restrict__ x, const real* __restrict__ partial, real* __restrict__ running,
                                            int64 rows, int cols, int slabs, int64 seen) {
  for_columns(cols, [&](auto w, int c, bool live) {
    constexpr int W = decltype(w)::value;
    Moments<W> batch, all;
    all_moments<W>(x + c, partial + c, cols, slabs, rows, batch);
    if (!live || threadIdx.y != 0) return;
    const Shift<W> shift(x + c, true);
    batch.count = (real)rows;
    clear(all);
    if (seen > 0) {
      const In<W> mean(running + c), variance(running + cols + c);
      all.count = (real)seen;
      LANES(k) { all.mean[k] = mean[k] - shift[k]; all.variance[k] = variance[k]; }
    }
    MergeMoments()(all, batch);
    LANES(k) all.mean[k] += shift[k];
    store_moments<W>(all, running + c, cols);
  });
}

// The sums of du = dy act'(u) and of du * xhat over the rows of one thread.
template <int W, class Activation>
DEVICE void thread_sums(Activation act, const Channel<W>& ch, const real* dy, const real* x, int64 cols,
                        int64 first, int64 last, int64 step, Sums<W>& sums) {
  clear(sums);
  for (int64 r = first; r < last; r += step) {
    const In<W> xr(x + r * cols), dyr(dy + r * cols);
    LANES(k) {
      const real xhat = ch.xhat(xr[k], k);
      const real du = dyr[k] * act.slope(ch.u(xhat, k));
      sums.du[k] += du;
      sums.du_xhat[k] += du * xhat;
    }
  }
}

// partial (slabs, 2, cols): each slab's two sums.
// moves: 1 dy, 1 x, moments, gamma, beta -> partial
extern "C" __global__ void batch_norm_backward_sums(const real* __restrict__ dy, const real* __restrict__ x,
                                                    const real* __restrict__ moments,
                                                    const real* __restrict__ gamma, const real* __restrict__ beta,
                                                    real* __restrict__ partial, int64 rows, int cols,
                                                    real epsilon, int activation, int fixed) {
  const Share slab = share_of(rows, blockIdx.y, gridDim.y);
  with_activation(activation, [&](auto act) {
    for_columns(cols, [&](auto w, int c, bool live) {
      constexpr int W = decltype(w)::value;
      Channel<W> ch;
      read_channel<W>(x + c, moments + c, gamma + c, beta + c, cols, epsilon, fixed, ch);
      Sums<W> sums;
      thread_sums(act, ch, dy + c, x + c, cols, slab.first + threadIdx.y, slab.last, blockDim.y, sums);
      merge_rows(sums, AddSums());
      if (!live || threadIdx.y != 0) return;
      real* to = partial + (int64)blockIdx.y * 2 * cols + c;
      store_sums(sums, to, to + cols);
    });
  });
}

// dx, see Gradient; dbeta = sum du, dgamma = sum du xhat.
// dx may be dy itself: each element is read before it is written.
// fixed != 0: the moments did not come from this batch, so the two means drop out.
// moves: 1 dy, 1 x, moments, gamma, beta, partial[2 * slabs * cols] -> 1 dx, dgamma, dbeta
extern "C" __global__ void batch_norm_backward(const real* dy, const real* __restrict__ x,
                                               const real* __restrict__ moments,
                                               const real* __restrict__ gamma, const real* __restrict__ beta,
                                               const real* __restrict__ partial,
                                               real* dx, real* __restrict__ dgamma,
                                               real* __restrict__ dbeta,
                                               int64 rows, int cols, int slabs, real epsilon, int activation,
                                               int fixed) {
  const Share share = share_of(rows, blockIdx.y, gridDim.y);
  const real per_row = fixed ? (real)0 : 1 / (real)rows;
  with_activation(activation, [&](auto act) {
    for_columns(cols, [&](auto w, int c, bool live) {
      constexpr int W = decltype(w)::value;
      Channel<W> ch;
      read_channel<W>(x + c, moments + c, gamma + c, beta + c, cols, epsilon, fixed, ch);
      Sums<W> sums;
      clear(sums);
      // Threads without columns read nothing: what they would read may be written by others, dx being dy.
      if (slabs == 0) thread_sums(act, ch, dy + c, x + c, cols, threadIdx.y, live ? rows : 0, blockDim.y, sums);
      all_sums(partial + c, cols, slabs, sums);
      if (!live) return;
      if (blockIdx.y == 0 && threadIdx.y == 0) store_sums(sums, dbeta + c, dgamma + c);
      const Gradient<W> gradient(sums, ch, per_row);
      for (int64 r = share.first + threadIdx.y; r < share.last; r += blockDim.y) {
        const In<W> xr(x + r * cols + c), dyr(dy + r * cols + c);
        Out<W> dxr(dx + r * cols + c);
        LANES(k) {
          const real xhat = ch.xhat(xr[k], k);
          const real du = dyr[k] * act.slope(ch.u(xhat, k));
          dxr[k] = gradient.dx(du, xhat, k);
        }
        dxr.store();
      }
    });
  });
}
