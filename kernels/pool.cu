// pool.cu - max pooling and perforated upsampling of images (images, height, width, channels), channels last.
// Windows are size x size beside each other: height and width of the larger images are multiples of size.
// Bytes moved per input element, of sizeof(real): max_pool 1 read + (1 + 1 / sizeof(real)) / size^2 written;
// its backward pass 1 write + the same / size^2 read.
#include "portable.cuh"
#include "math.cuh"
#include "image.cuh"

// Calls body(Int<W>, i, window) for each pack of channels of this thread: i is its offset in the smaller images, of
// `pixels` pixels and `small_width` columns, and window the places in the larger ones that belong to it.
template <class Body> DEVICE void for_windows(int64 pixels, int small_width, int channels, int size, Body body) {
  const Share share = pixels_of(pixels);
  for (int64 i = share.first; i < share.last; ++i) {
    for_channels(channels, [&](auto pack, int c) {
      body(pack, i * channels + c, Window(i, c, small_width, channels, size));
    });
  }
}

// y = the largest of the window, the first of equals; NaN wins.  chosen = its place in the window.
// moves: 1 x -> 1/4 y, 1/4 chosen
extern "C" __global__ void max_pool(const real* __restrict__ x, real* __restrict__ y, uint8* __restrict__ chosen,
                                    int64 pixels, int small_width, int channels, int size) {
  for_windows(pixels, small_width, channels, size, [&](auto pack, int64 i, const Window& window) {
    constexpr int W = decltype(pack)::value;
    Largest<W> best;
    { const In<W> in(x + window.first); LANES(k) { best.value[k] = in[k]; best.place[k] = 0; } }
    for (int p = 1; p < size * size; ++p) {
      const In<W> in(x + window.at(p));
      LANES(k) {
        const real value = in[k];
        const bool wins = best.beaten(value, k);
        best.value[k] = wins ? value : best.value[k];
        best.place[k] = wins ? (real)p : best.place[k];
      }
    }
    best.store(y + i, chosen + i);
  });
}

// dx = dy at the chosen place of each window, 0 elsewhere.
// moves: 1/4 dy, 1/4 chosen -> 1 dx
extern "C" __global__ void max_pool_backward(const real* __restrict__ dy, const uint8* __restrict__ chosen,
                                             real* __restrict__ dx, int64 pixels, int small_width, int channels,
                                             int size) {
  for_windows(pixels, small_width, channels, size, [&](auto pack, int64 i, const Window& window) {
    constexpr int W = decltype(pack)::value;
    const In<W> from(dy + i);
    const In<W, uint8> which(chosen + i);
    for (int p = 0; p < size * size; ++p) {
      Out<W> out(dx + window.at(p));
      LANES(k) {      // read before it is taken or not: see choose in binary.cu
        const real value = from[k];
        out[k] = which[k] == p ? value : (real)0;
      }
      out.store();
    }
  });
}

// y = the mean of the window.
// moves: 1 x -> 1/4 y
extern "C" __global__ void average_pool(const real* __restrict__ x, real* __restrict__ y, int64 pixels, int small_width,
                                        int channels, int size) {
  const real share = 1 / (real)(size * size);
  for_windows(pixels, small_width, channels, size, [&](auto pack, int64 i, const Window& window) {
    constexpr int W = decltype(pack)::value;
    real sum[W];
    LANES(k) sum[k] = 0;
    for (int p = 0; p < size * size; ++p) {
      const In<W> in(x + window.at(p));
      LANES(k) sum[k] += in[k];
    }
    Out<W> out(y + i);
    LANES(k) out[k] = share * sum[k];
    out.store();
  });
}

// dx = a share of dy at each place of the window.
// moves: 1/4 dy -> 1 dx
extern "C" __global__ void average_pool_backward(const real* __restrict__ dy, real* __restrict__ dx, int64 pixels,
                                                 int small_width, int channels, int size) {
  const real share = 1 / (real)(size * size);
  for_windows(pixels, small_width, channels, size, [&](auto pack, int64 i, const Window& window) {
    constexpr int W = decltype(pack)::value;
    const In<W> from(dy + i);
    for (int p = 0; p < size * size; ++p) {
      Out<W> out(dx + window.at(p));
      LANES(k) out[k] = share * from[k];
      out.store();
    }
  });
}

// y = x at the top left of each window, 0 elsewhere.
// moves: 1/4 x -> 1 y
extern "C" __global__ void upsample(const real* __restrict__ x, real* __restrict__ y, int64 pixels, int small_width,
                                    int channels, int size) {
  for_windows(pixels, small_width, channels, size, [&](auto pack, int64 i, const Window& window) {
    constexpr int W = decltype(pack)::value;
    const In<W> from(x + i);
    for (int p = 0; p < size * size; ++p) {
      Out<W> out(y + window.at(p));
      LANES(k) out[k] = p == 0 ? from[k] : (real)0;
      out.store();
    }
  });
}

// dx = dy at the top left of each window.
// moves: 1/4 dy[pixels * channels] -> 1/4 dx
extern "C" __global__ void upsample_backward(const real* __restrict__ dy, real* __restrict__ dx, int64 pixels,
                                             int small_width, int channels, int size) {
  for_windows(pixels, small_width, channels, size, [&](auto pack, int64 i, const Window& window) {
    constexpr int W = decltype(pack)::value;
    const In<W> from(dy + window.first);
    Out<W> out(dx + i);
    LANES(k) out[k] = from[k];
    out.store();
  });
}
