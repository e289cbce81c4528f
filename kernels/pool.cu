// pool.cu - max pooling and perforated upsampling of images (images, height, width, channels), channels last.
// Windows are size x size beside each other: height and width are multiples of size.
// Bytes moved per input element, of sizeof(real): max_pool 1 read + (1 + 1 / sizeof(real)) / size^2 written;
// its backward pass 1 write + the same / size^2 read.
#include "portable.cuh"
#include "math.cuh"
#include "image.cuh"

// The input pixel at the window's top left, for output pixel i.
DEVICE int64 corner(int64 i, int out_height, int out_width, int size) {
  const int64 row = i / out_width;       // image * out_height + out row
  return (row * size * out_width + i % out_width) * size;
}

// y = the largest of the window, the first of equals; NaN wins.  chosen = its place in the window.
extern "C" __global__ void max_pool(const real* __restrict__ x, real* __restrict__ y, uint8* __restrict__ chosen,
                                    int64 pixels, int out_height, int out_width, int channels, int size) {
  const Share share = pixels_of(pixels);
  for (int64 i = share.first; i < share.last; ++i) {
    const int64 first = corner(i, out_height, out_width, size);
    for_channels(channels, [&](auto pack, int c) {
      constexpr int W = decltype(pack)::value;
      real best[W], place[W];      // of one width, so that both are chosen by the same mask
      { const In<W> in(x + first * channels + c); LANES(k) { best[k] = in[k]; place[k] = 0; } }
      for (int p = 1; p < size * size; ++p) {
        const In<W> in(x + (first + (int64)(p / size) * out_width * size + p % size) * channels + c);
        LANES(k) {
          const real value = in[k];
          const bool wins = value > best[k] || (value != value && best[k] == best[k]);
          best[k] = wins ? value : best[k];
          place[k] = wins ? (real)p : place[k];
        }
      }
      Out<W> out(y + i * channels + c);
      Out<W, uint8> which(chosen + i * channels + c);
      LANES(k) { out[k] = best[k]; which[k] = (uint8)place[k]; }
      out.store(); which.store();
    });
  }
}

// dx = dy at the chosen place of each window, 0 elsewhere.
extern "C" __global__ void max_pool_backward(const real* __restrict__ dy, const uint8* __restrict__ chosen,
                                             real* __restrict__ dx, int64 pixels, int out_height, int out_width,
                                             int channels, int size) {
  const Share share = pixels_of(pixels);
  for (int64 i = share.first; i < share.last; ++i) {
    const int64 first = corner(i, out_height, out_width, size);
    for_channels(channels, [&](auto pack, int c) {
      constexpr int W = decltype(pack)::value;
      const In<W> from(dy + i * channels + c);
      const In<W, uint8> which(chosen + i * channels + c);
      for (int p = 0; p < size * size; ++p) {
        Out<W> out(dx + (first + (int64)(p / size) * out_width * size + p % size) * channels + c);
        LANES(k) out[k] = which[k] == p ? from[k] : (real)0;
        out.store();
      }
    });
  }
}

// y (height * size, width * size) = x at the top left of each size x size cell, 0 elsewhere; pixels are x's.
extern "C" __global__ void upsample(const real* __restrict__ x, real* __restrict__ y, int64 pixels, int height,
                                    int width, int channels, int size) {
  const Share share = pixels_of(pixels);
  for (int64 i = share.first; i < share.last; ++i) {
    const int64 first = corner(i, height, width, size);
    for_channels(channels, [&](auto pack, int c) {
      constexpr int W = decltype(pack)::value;
      const In<W> from(x + i * channels + c);
      for (int p = 0; p < size * size; ++p) {
        Out<W> out(y + (first + (int64)(p / size) * width * size + p % size) * channels + c);
        LANES(k) out[k] = p == 0 ? from[k] : (real)0;
        out.store();
      }
    });
  }
}

// dx = dy at the top left of each cell.
extern "C" __global__ void upsample_backward(const real* __restrict__ dy, real* __restrict__ dx, int64 pixels,
                                             int height, int width, int channels, int size) {
  const Share share = pixels_of(pixels);
  for (int64 i = share.first; i < share.last; ++i) {
    const int64 first = corner(i, height, width, size);
    for_channels(channels, [&](auto pack, int c) {
      constexpr int W = decltype(pack)::value;
      const In<W> from(dy + first * channels + c);
      Out<W> out(dx + i * channels + c);
      LANES(k) out[k] = from[k];
      out.store();
    });
  }
}
