// batch_norm.cuh - the moments, the sums and the channels that the kernels of batch norm share.
// Moments are per column: moments[0][c] the mean, moments[1][c] the variance (divided by the count).
// Means of a batch are kept relative to its first row: at mean 1e4 and deviation 1 a float32 of the
// mean itself would be wrong by a thousandth of the deviation after each merge.
#pragma once

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

// The sums over all rows: what `sums` holds of this thread's rows, and those of the slabs, partial (slabs, 2, cols).
template <int W> DEVICE void all_sums(const real* partial, int64 cols, int slabs, Sums<W>& sums) {
  for (int s = threadIdx.y; s < slabs; s += blockDim.y) {
    const In<W> du(partial + (int64)s * 2 * cols), du_xhat(partial + (int64)s * 2 * cols + cols);
    LANES(k) { sums.du[k] += du[k]; sums.du_xhat[k] += du_xhat[k]; }
  }
  merge_rows(sums, AddSums());
}

template <int W> DEVICE void store_sums(const Sums<W>& sums, real* to_du, real* to_du_xhat) {
  Out<W> du(to_du), du_xhat(to_du_xhat);
  LANES(k) { du[k] = sums.du[k]; du_xhat[k] = sums.du_xhat[k]; }
  du.store(); du_xhat.store();
}

template <int W> DEVICE void clear(Sums<W>& sums) {
  LANES(k) { sums.du[k] = 0; sums.du_xhat[k] = 0; }
}

// dx = gamma rstd (du - mean(du) - xhat mean(du xhat)).  The means drop out (per_row == 0) where the moments did not
// come from this batch.
template <int W> struct Gradient {
  real mean_du[W], mean_du_xhat[W], scale[W];
  DEVICE Gradient(const Sums<W>& sums, const Channel<W>& ch, real per_row) {
    LANES(k) {
      mean_du[k] = sums.du[k] * per_row;
      mean_du_xhat[k] = sums.du_xhat[k] * per_row;
      scale[k] = ch.gamma[k] * ch.rstd[k];
    }
  }
  DEVICE real dx(real du, real xhat, int k) const { return scale[k] * (du - mean_du[k] - xhat * mean_du_xhat[k]); }
};
