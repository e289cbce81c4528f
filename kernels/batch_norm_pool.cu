// batch_norm_pool.cu - batch norm, its activation and max pooling of images in one: what batch_norm.cu and pool.cu do one
// after the other, without the normalized images in between, nor their gradient.
//   y = the largest act(u) of each window, u = gamma xhat + beta, xhat = (x - mean) / sqrt(variance + epsilon)
// Images are channels last; x is (rows, cols), a row being a pixel, and windows are size x size pixels beside each other.
// Of each window the backward pass keeps xhat where y came from, and which of its places that was: only there does dy
// reach u, so its sums take a quarter of the rows (size 2).  Moments and slabs as in batch_norm.cu, slabs >= 1.
#include "portable.cuh"
#include "math.cuh"
#include "reduce.cuh"
#include "image.cuh"
#include "activation.cuh"
#include "batch_norm.cuh"

// y, xhat and chosen (rows / size^2, cols), and the merged moments.  fixed as in batch_norm_forward.
// moves: 1 x, partial[2 * slabs * cols], gamma, beta -> 1/4 y, 1/4 xhat, 1/4 chosen, moments
extern "C" __global__ void batch_norm_pool_forward(const real* __restrict__ x, const real* __restrict__ partial,
                                                   const real* __restrict__ gamma, const real* __restrict__ beta,
                                                   real* __restrict__ y, real* __restrict__ xhat, uint8* __restrict__ chosen,
                                                   real* __restrict__ moments, int64 rows, int cols, int slabs,
                                                   int small_width, int size, real epsilon, int activation, int fixed) {
  const Share share = share_of(rows / (size * size), blockIdx.y, gridDim.y);
  with_activation(activation, [&](auto act) {
    for_columns(cols, [&](auto w, int c, bool live) {
      constexpr int W = decltype(w)::value;
      Moments<W> m;
      all_moments<W>(x + c, partial + c, cols, slabs, rows, m);
      if (!live) return;
      if (blockIdx.y == 0 && threadIdx.y == 0) store_moments<W>(m, moments + c, cols);
      real rstd[W];
      const Shift<W> shift(x + c, !fixed);
      const In<W> g(gamma + c), b(beta + c);
      LANES(k) rstd[k] = 1 / sqrt_(m.variance[k] + epsilon);
      for (int64 i = share.first + threadIdx.y; i < share.last; i += blockDim.y) {
        const Window window(i, c, small_width, cols, size);
        Largest<W> best;
        real peak[W];
        for (int p = 0; p < size * size; ++p) {
          const In<W> in(x + window.at(p));
          LANES(k) {
            const real h = (in[k] - shift[k] - m.mean[k]) * rstd[k], value = act.value(h * g[k] + b[k]);
            const bool wins = p == 0 || best.beaten(value, k);
            best.value[k] = wins ? value : best.value[k];
            best.place[k] = wins ? (real)p : best.place[k];
            peak[k] = wins ? h : peak[k];
          }
        }
        best.store(y + i * cols + c, chosen + i * cols + c);
        Out<W> out(xhat + i * cols + c);
        LANES(k) out[k] = peak[k];
        out.store();
      }
    });
  });
}

// partial (slabs, 2, cols): each slab's sums of du = dy act'(u) and of du xhat over its windows.
// moves: 1 dy, 1 xhat, gamma, beta -> partial
extern "C" __global__ void batch_norm_pool_backward_sums(const real* __restrict__ dy, const real* __restrict__ xhat,
                                                         const real* __restrict__ gamma, const real* __restrict__ beta,
                                                         real* __restrict__ partial, int64 windows, int cols, int activation) {
  const Share slab = share_of(windows, blockIdx.y, gridDim.y);
  with_activation(activation, [&](auto act) {
    for_columns(cols, [&](auto w, int c, bool live) {
      constexpr int W = decltype(w)::value;
      const In<W> g(gamma + c), b(beta + c);
      Sums<W> sums;
      clear(sums);
      for (int64 i = slab.first + threadIdx.y; i < slab.last; i += blockDim.y) {
        const In<W> dyr(dy + i * cols + c), h(xhat + i * cols + c);
        LANES(k) {
          const real du = dyr[k] * act.slope(h[k] * g[k] + b[k]);
          sums.du[k] += du;
          sums.du_xhat[k] += du * h[k];
        }
      }
      merge_rows(sums, AddSums());
      if (!live || threadIdx.y != 0) return;
      real* to = partial + (int64)blockIdx.y * 2 * cols + c;
      store_sums(sums, to, to + cols);
    });
  });
}

// dx, dbeta and dgamma as in batch_norm_backward.
// moves: 1/4 dy, 1/4 xhat, 1/4 chosen, 1 x, moments, gamma, beta, partial[2 * slabs * cols] -> 1 dx, dgamma, dbeta
extern "C" __global__ void batch_norm_pool_backward(const real* __restrict__ dy, const real* __restrict__ xhat,
                                                    const uint8* __restrict__ chosen, const real* __restrict__ x,
                                                    const real* __restrict__ moments, const real* __restrict__ gamma,
                                                    const real* __restrict__ beta, const real* __restrict__ partial,
                                                    real* __restrict__ dx, real* __restrict__ dgamma,
                                                    real* __restrict__ dbeta, int64 rows, int cols, int slabs,
                                                    int small_width, int size, real epsilon, int activation, int fixed) {
  const Share share = share_of(rows / (size * size), blockIdx.y, gridDim.y);
  const real per_row = fixed ? (real)0 : 1 / (real)rows;
  with_activation(activation, [&](auto act) {
    for_columns(cols, [&](auto w, int c, bool live) {
      constexpr int W = decltype(w)::value;
      Channel<W> ch;
      read_channel<W>(x + c, moments + c, gamma + c, beta + c, cols, epsilon, fixed, ch);
      Sums<W> sums;
      clear(sums);
      all_sums(partial + c, cols, slabs, sums);
      if (!live) return;
      if (blockIdx.y == 0 && threadIdx.y == 0) store_sums(sums, dbeta + c, dgamma + c);
      const Gradient<W> gradient(sums, ch, per_row);
      for (int64 i = share.first + threadIdx.y; i < share.last; i += blockDim.y) {
        const Window window(i, c, small_width, cols, size);
        const In<W> dyr(dy + i * cols + c), h(xhat + i * cols + c);
        const In<W, uint8> which(chosen + i * cols + c);
        real du[W], place[W];
        LANES(k) du[k] = dyr[k] * act.slope(ch.u(h[k], k));
        LANES(k) place[k] = (real)which[k];
        for (int p = 0; p < size * size; ++p) {
          const In<W> in(x + window.at(p));
          Out<W> out(dx + window.at(p));
          LANES(k) out[k] = gradient.dx(place[k] == (real)p ? du[k] : (real)0, ch.xhat(in[k], k), k);
          out.store();
        }
      }
    });
  });
}
