// conv.cu - the two halves of a convolution by matrix products: im2col and its transpose, col2im.
// Images are channels last, (images, height, width, channels); columns are (images * out_height * out_width,
// kernel_height * kernel_width * channels), so that columns times weights is the output as it lies in memory.
// Any kernel size, stride and padding (zeros, above and left; the output size says what is below and right).
// Bytes moved per column element, of sizeof(real): 1 read + 1 write; col2im reads each column element once.
#include "portable.cuh"
#include "math.cuh"
#include "image.cuh"

// A thread owns rows of columns and fills them by runs: the taps of one kernel row are neighbours in the image too.
// moves: 1/9 x -> 1 columns
extern "C" __global__ void im2col(const real* __restrict__ x, real* __restrict__ columns, int64 rows, int height,
                                  int width, int channels, int kernel_height, int kernel_width, int stride, int pad,
                                  int out_height, int out_width) {
  const int run = kernel_width * channels;
  for_places(rows, out_height, out_width, [&](int64 r, int64 image, int out_h, int out_w) {
    const int top = out_h * stride - pad, left = out_w * stride - pad;
    const int first = min(max(-left, 0) * channels, run), last = max(min(kernel_width, width - left) * channels, first);
    for (int a = 0; a < kernel_height; ++a) {
      const int h = top + a;
      const bool inside = h >= 0 && h < height;
      const int begin = inside ? first : run, end = inside ? last : run;
      real* to = columns + (r * kernel_height + a) * run;
      const real* from = x + ((image * height + (inside ? h : 0)) * width + left) * channels;
      for_packs(run, threadIdx.x, blockDim.x, channels % WIDTH == 0, [&](auto pack, int64 i) {
        constexpr int W = decltype(pack)::value;
        Out<W> out(to + i);
        if (i >= begin && i + W <= end) {
          const In<W> in(from + i);
          LANES(k) out[k] = in[k];
        } else {      // on a GPU all of it is outside: a pack that may be read at once is of one pixel
          for (int k = 0; k < W; ++k) out[k] = i + k >= begin && i + k < end ? from[i + k] : (real)0;
        }
        out.store();
      });
    }
  });
}

// x[pixel] = the sum of the column elements that im2col would have filled from it: a thread owns the pixel's
// channels and gathers, so nothing is written twice and the sum's order is fixed.
// moves: 1 columns -> 1/9 x
extern "C" __global__ void col2im(const real* __restrict__ columns, real* __restrict__ x, int64 pixels, int height,
                                  int width, int channels, int kernel_height, int kernel_width, int stride, int pad,
                                  int out_height, int out_width) {
  const int taps = kernel_height * kernel_width;
  for_places(pixels, height, width, [&](int64 i, int64 image, int row, int column) {
    const int h = row + pad, w = column + pad;
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
  });
}
