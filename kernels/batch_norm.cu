// batch_norm.cu - batch normalization over the rows of x (rows, cols), then an activation.
//   u = gamma * (x - mean) / sqrt(variance + epsilon) + beta,  y = act(u)     (Ioffe & Szegedy 2015)
// Layout: channels last, so dense layers (examples, channels) and convolutional ones
// (examples * height * width, channels) are the same kernel.
// The activation's input u is computed again in the backward pass rather than stored.  Where one block has
// all rows, it reads them twice, the second time from its cache.
//
// Moments are per column: moments[0][c] the mean, moments[1][c] the variance (divided by the count).
// Few rows: one block has all rows of its columns, takes their moments and normalizes while they are
// still in its cache (slabs == 0: no partial sums, one launch).  Many rows: a first kernel takes the
// moments of each slab of rows, partial (slabs, 2, cols); the second merges the slabs.  Merges are in a
// fixed order (Chan et al. 1979), so no sum depends on how many threads run.
// Means of a batch are kept relative to its first row: at mean 1e4 and deviation 1 a float32 of the
// mean itself would be wrong by a thousandth of the deviation after each merge.
#include "portable.cuh"
#include "math.cuh"
#include "reduce.cuh"
#include "activation.cuh"

template <int W> struct Moments {
  real count, mean[W], variance[W];
};

// Folds b into a.  No E[x^2] - E[x]^2 anywhere: float32 would lose everything at mean 1e4.
struct MergeMoments {
  template <int W> DEVICE void operator()(Moments<W>& a, const Moments<W>& b) const {
    const real count = a.count + b.count;
    if (b.count == 0) return;
    const real share = b.count / count;
    LANES(k) {
      const real delta = b.mean[k] - a.mean[k];
      a.variance[k] += (b.variance[k] - a.variance[k] + delta * delta * (1 - share)) * share;
      a.mean[k] += delta * share;
    }
    a.count = count;
  }
};

template <int W> DEVICE void clear(Moments<W>& m) {
  m.count = 0;
  LANES(k) { m.mean[k] = 0; m.variance[k] = 0; }
}

// What the means of a pack of columns are relative to: x's first row, or zero.
template <int W> struct Shift {
  real lane[W];
  DEVICE Shift(const real* first_row, bool shifted) {
    const In<W> row(first_row);
    LANES(k) lane[k] = shifted ? row[k] : (real)0;
  }
  DEVICE real operator[](int k) const { return lane[k]; }
};

// Moments of the rows of one thread: CHUNK rows at a time, summed about the mean so far.
constexpr int CHUNK = 16;

template <int W>
DEVICE void thread_moments(const real* x, int64 cols, int64 first, int64 last, int64 step, Moments<W>& m) {
  const Shift<W> shift(x, true);
  clear(m);
  for (int64 r = first; r < last;) {
    real sum[W], square[W];
    LANES(k) { sum[k] = 0; square[k] = 0; }
    int count = 0;
    for (; count < CHUNK && r < last; ++count, r += step) {
      const In<W> xr(x + r * cols);
      LANES(k) { const real d = xr[k] - shift[k] - m.mean[k]; sum[k] += d; square[k] += d * d; }
    }
    Moments<W> chunk;
    const real scale = 1 / (real)count;
    chunk.count = (real)count;
    LANES(k) {
      const real d = sum[k] * scale;
      chunk.mean[k] = m.mean[k] + d;
      const real variance = square[k] * scale - d * d;
      chunk.variance[k] = variance < 0 ? (real)0 : variance;
    }
    if (m.count == 0) m = chunk; else MergeMoments()(m, chunk);
  }
}

// The moments of all rows: from those of the slabs, or with slabs == 0 from x itself.
template <int W>
DEVICE void all_moments(const real* x, const real* partial, int64 cols, int slabs, int64 rows, Moments<W>& m) {
  clear(m);
  if (slabs == 0) thread_moments<W>(x, cols, threadIdx.y, rows, blockDim.y, m);
  for (int s = threadIdx.y; s < slabs; s += blockDim.y) {
    const Share share = share_of(rows, s, slabs);
    const In<W> mean(partial + (int64)s * 2 * cols), variance(partial + (int64)s * 2 * cols + cols);
    Moments<W> slab;
    slab.count = slabs == 1 ? (real)1 : (real)(share.last - share.first);
    LANES(k) { slab.mean[k] = mean[k]; slab.variance[k] = variance[k]; }
    MergeMoments()(m, slab);
  }
  merge_rows(m, MergeMoments());
}

template <int W> DEVICE void store_moments(const Moments<W>& m, real* to, int64 cols) {
  Out<W> mean(to), variance(to + cols);
  LANES(k) { mean[k] = m.mean[k]; variance[k] = m.variance[k]; }
  mean.store(); variance.store();
}

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

template <int W> struct Sums {
  real du[W], du_xhat[W];
};

struct AddSums {
  template <int W> DEVICE void operator()(Sums<W>& a, const Sums<W>& b) const {
    LANES(k) { a.du[k] += b.du[k]; a.du_xhat[k] += b.du_xhat[k]; }
  }
};

// What the backward kernels know of a pack of columns.
template <int W> struct Channel {
  real shift[W], mean[W], rstd[W], gamma[W], beta[W];
  DEVICE real xhat(real x, int k) const { return (x - shift[k] - mean[k]) * rstd[k]; }
  DEVICE real u(real xhat, int k) const { return xhat * gamma[k] + beta[k]; }
};

template <int W>
DEVICE void read_channel(const real* x, const real* moments, const real* gamma, const real* beta, int64 cols,
                         real epsilon, int fixed, Channel<W>& ch) {
  const Shift<W> shift(x, !fixed);
  const In<W> mean(moments), variance(moments + cols), g(gamma), b(beta);
  LANES(k) {
    ch.shift[k] = shift[k];
    ch.mean[k] = mean[k];
    ch.rstd[k] = 1 / sqrt_(variance[k] + epsilon);
    ch.gamma[k] = g[k];
    ch.beta[k] = b[k];
  }
}

// The sums of du = dy act'(u) and of du * xhat over the rows of one thread.
template <int W, class Activation>
DEVICE void thread_sums(Activation act, const Channel<W>& ch, const real* dy, const real* x, int64 cols,
                        int64 first, int64 last, int64 step, Sums<W>& sums) {
  LANES(k) { sums.du[k] = 0; sums.du_xhat[k] = 0; }
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
      Out<W> du(to), du_xhat(to + cols);
      LANES(k) { du[k] = sums.du[k]; du_xhat[k] = sums.du_xhat[k]; }
      du.store(); du_xhat.store();
    });
  });
}

// dx = gamma rstd (du - mean(du) - xhat mean(du xhat)), dbeta = sum du, dgamma = sum du xhat.
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
      LANES(k) { sums.du[k] = 0; sums.du_xhat[k] = 0; }
      if (slabs == 0) thread_sums(act, ch, dy + c, x + c, cols, threadIdx.y, rows, blockDim.y, sums);
      for (int s = threadIdx.y; s < slabs; s += blockDim.y) {
        const In<W> du(partial + (int64)s * 2 * cols + c), du_xhat(partial + (int64)s * 2 * cols + cols + c);
        LANES(k) { sums.du[k] += du[k]; sums.du_xhat[k] += du_xhat[k]; }
      }
      merge_rows(sums, AddSums());
      if (!live) return;
      if (blockIdx.y == 0 && threadIdx.y == 0) {
        Out<W> dg(dgamma + c), db(dbeta + c);
        LANES(k) { dg[k] = sums.du_xhat[k]; db[k] = sums.du[k]; }
        dg.store(); db.store();
      }
      real mean_du[W], mean_du_xhat[W], scale[W];
      LANES(k) {
        mean_du[k] = sums.du[k] * per_row;
        mean_du_xhat[k] = sums.du_xhat[k] * per_row;
        scale[k] = ch.gamma[k] * ch.rstd[k];
      }
      for (int64 r = share.first + threadIdx.y; r < share.last; r += blockDim.y) {
        const In<W> xr(x + r * cols + c), dyr(dy + r * cols + c);
        Out<W> dxr(dx + r * cols + c);
        LANES(k) {
          const real xhat = ch.xhat(xr[k], k);
          const real du = dyr[k] * act.slope(ch.u(xhat, k));
          dxr[k] = scale[k] * (du - mean_du[k] - xhat * mean_du_xhat[k]);
        }
        dxr.store();
      }
    });
  });
}
