// conv_direct.cu - convolutions of few channels by their definition: where a kernel takes few numbers of the image, say 9
// of a grey one, columns and their product cost more than the sums themselves.
// Images are channels last, (images, height, width, channels); weights are (taps, outputs), a tap being one of
// kernel_height * kernel_width * channels numbers.  A thread owns a pack of outputs.
// Bytes moved per output element, of sizeof(real): forward 1 write, weights 1 read (from memory; taps - 1 more from the
// cache); the image is small beside it.
#include "portable.cuh"
#include "math.cuh"
#include "reduce.cuh"
#include "image.cuh"

// y[place, o] = the sum over taps of x at that tap of the place, zero outside the image, times w[tap, o].
// moves: x, w -> 1 y
extern "C" __global__ void conv_direct_forward(const real* __restrict__ x, const real* __restrict__ w, real* __restrict__ y,
                                               int64 places, int outputs, int height, int width, int channels,
                                               int kernel_height, int kernel_width, int stride, int pad, int out_height,
                                               int out_width) {
  const int run = kernel_width * channels;
  for_places(places, out_height, out_width, [&](int64 r, int64 image, int out_h, int out_w) {
    const int top = out_h * stride - pad, left = out_w * stride - pad;
    const int begin = max(-left, 0) * channels, end = min(kernel_width, width - left) * channels;
    for_channels(outputs, [&](auto pack, int o) {
      constexpr int W = decltype(pack)::value;
      real sum[W];
      LANES(k) sum[k] = 0;
      for (int a = max(-top, 0); a < kernel_height && top + a < height; ++a) {
        const real* from = x + ((image * height + top + a) * width + left) * channels;
        for (int i = begin; i < end; ++i) {
          const real value = from[i];
          const In<W> weight(w + (int64)(a * run + i) * outputs + o);
          LANES(k) sum[k] += value * weight[k];
        }
      }
      Out<W> out(y + r * outputs + o);
      LANES(k) out[k] = sum[k];
      out.store();
    });
  });
}

// partial (slabs, taps, outputs): the sum over each slab of places of x at the tap times dy.  Threads along y share the taps.
// moves: x, 1 dy -> partial
extern "C" __global__ void conv_direct_weights(const real* __restrict__ x, const real* __restrict__ dy,
                                               real* __restrict__ partial, int64 places, int outputs, int height, int width,
                                               int channels, int kernel_height, int kernel_width, int stride, int pad,
                                               int out_height, int out_width) {
  const int run = kernel_width * channels, taps = kernel_height * run;
  const Share slab = share_of(places, blockIdx.y, gridDim.y);
  for_columns(outputs, [&](auto pack, int o, bool live) {
    constexpr int W = decltype(pack)::value;
    if (!live) return;
    for (int tap = threadIdx.y; tap < taps; tap += blockDim.y) {
      const int a = tap / run, b = tap % run / channels, c = tap % channels;
      real sum[W];
      LANES(k) sum[k] = 0;
      count_places(slab, out_height, out_width, [&](int64 r, int64 image, int out_h, int out_w) {
        const int h = out_h * stride - pad + a, col = out_w * stride - pad + b;
        if (h < 0 || h >= height || col < 0 || col >= width) return;
        const real value = x[((image * height + h) * width + col) * channels + c];
        const In<W> in(dy + r * outputs + o);
        LANES(k) sum[k] += value * in[k];
      });
      Out<W> out(partial + ((int64)blockIdx.y * taps + tap) * outputs + o);
      LANES(k) out[k] = sum[k];
      out.store();
    }
  });
}

// dw[i] = the sum over slabs of partial[slab, i], in their order.
// moves: 1 partial -> dw
extern "C" __global__ void conv_direct_merge(const real* __restrict__ partial, real* __restrict__ dw, int slabs, int count) {
  for_packs(count, (int64)blockIdx.x * blockDim.x + threadIdx.x, (int64)gridDim.x * blockDim.x, count % WIDTH == 0,
            [&](auto pack, int64 i) {
    constexpr int W = decltype(pack)::value;
    real sum[W];
    LANES(k) sum[k] = 0;
    for (int s = 0; s < slabs; ++s) {
      const In<W> in(partial + (int64)s * count + i);
      LANES(k) sum[k] += in[k];
    }
    Out<W> out(dw + i);
    LANES(k) out[k] = sum[k];
    out.store();
  });
}
