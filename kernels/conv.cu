// conv.cu - the two halves of a convolution by matrix products: im2col and its transpose, col2im.
// Images are channels last, (images, height, width, channels); columns are (images * out_height * out_width,
// kernel_height * kernel_width * channels), so that columns times weights is the output as it lies in memory.
// Any kernel size, stride and padding (zeros, above and left; the output size says what is below and right).
// Bytes moved per column element, of sizeof(real): 1 read + 1 write; col2im reads each column element once.
#include "portable.cuh"
#include "math.cuh"
#include "image.cuh"

// One block takes a share of the columns' rows; its threads along y the taps, along x the channels.
extern "C" __global__ void im2col(const real* __restrict__ x, real* __restrict__ columns, int64 rows, int height,
                                  int width, int channels, int kernel_height, int kernel_width, int stride, int pad,
                                  int out_height, int out_width) {
  const int taps = kernel_height * kernel_width;
  const Share share = share_of(rows, blockIdx.x, gridDim.x);
  for (int64 r = share.first; r < share.last; ++r) {
    const int64 image = r / (out_height * out_width);
    const int place = (int)(r % (out_height * out_width));
    const int top = place / out_width * stride - pad, left = place % out_width * stride - pad;
    for (int tap = threadIdx.y; tap < taps; tap += blockDim.y) {
      const int h = top + tap / kernel_width, w = left + tap % kernel_width;
      const bool inside = h >= 0 && h < height && w >= 0 && w < width;
      const real* from = x + ((image * height + (inside ? h : 0)) * width + (inside ? w : 0)) * channels;
      real* to = columns + (r * taps + tap) * channels;
      for_channels(channels, [&](auto pack, int c) {
        constexpr int W = decltype(pack)::value;
        const In<W> in(from + c);
        Out<W> out(to + c);
        LANES(k) out[k] = inside ? in[k] : (real)0;
        out.store();
      });
    }
  }
}

// x[pixel] = the sum of the column elements that im2col would have filled from it: a thread owns the pixel's
// channels and gathers, so nothing is written twice and the sum's order is fixed.
extern "C" __global__ void col2im(const real* __restrict__ columns, real* __restrict__ x, int64 pixels, int height,
                                  int width, int channels, int kernel_height, int kernel_width, int stride, int pad,
                                  int out_height, int out_width) {
  const int taps = kernel_height * kernel_width;
  const Share share = pixels_of(pixels);
  for (int64 i = share.first; i < share.last; ++i) {
    const int64 image = i / (height * width);
    const int place = (int)(i % (height * width));
    const int h = place / width + pad, w = place % width + pad;
    for_channels(channels, [&](auto pack, int c) {
      constexpr int W = decltype(pack)::value;
      real sum[W];
      LANES(k) sum[k] = 0;
      for (int tap_h = h % stride; tap_h < kernel_height && tap_h <= h; tap_h += stride) {
        const int out_h = (h - tap_h) / stride;
        if (out_h >= out_height) continue;
        for (int tap_w = w % stride; tap_w < kernel_width && tap_w <= w; tap_w += stride) {
          const int out_w = (w - tap_w) / stride;
          if (out_w >= out_width) continue;
          const int64 row = (image * out_height + out_h) * out_width + out_w;
          const In<W> in(columns + (row * taps + tap_h * kernel_width + tap_w) * channels + c);
          LANES(k) sum[k] += in[k];
        }
      }
      Out<W> out(x + i * channels + c);
      LANES(k) out[k] = sum[k];
      out.store();
    });
  }
}
