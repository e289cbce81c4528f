// image.cuh - how a block's threads cover images, channels last: along y the pixels, along x the channels.
#pragma once

// This thread's share of `pixels` pixels.
DEVICE Share pixels_of(int64 pixels) {
  return share_of(pixels, (int64)blockIdx.x * blockDim.y + threadIdx.y, (int64)gridDim.x * blockDim.y);
}

// Calls body(i, image, row, column) for each place i of a share of (images, height, width) places.
template <class Body> DEVICE void count_places(const Share& share, int height, int width, Body body) {
  int64 image = share.first / (height * width);
  int row = (int)(share.first - image * height * width) / width;
  int column = (int)(share.first - image * height * width) - row * width;
  for (int64 i = share.first; i < share.last; ++i) {
    body(i, image, row, column);
    if (++column < width) continue;     // counting on costs less than two divisions a place
    column = 0;
    if (++row < height) continue;
    row = 0;
    ++image;
  }
}

// The same for this thread's share of all places.
template <class Body> DEVICE void for_places(int64 places, int height, int width, Body body) {
  count_places(pixels_of(places), height, width, body);
}

// Calls body(Int<W>, c) for packs of a pixel's channels, shared out to the threads along x.
template <class Body> DEVICE void for_channels(int channels, Body body) {
  for_packs(channels, threadIdx.x, blockDim.x, channels % WIDTH == 0, [&](auto w, int64 c) { body(w, (int)c); });
}

// The same for bodies that hold dozens of packs: on a GPU a channel at a time, since wider packs would not fit a thread's
// registers. Neighbours in a warp still take neighbouring channels.
template <class Body> DEVICE void for_channels_of_many(int channels, Body body) {
#if defined(__CUDACC__)
  for (int c = threadIdx.x; c < channels; c += blockDim.x) body(Int<1>(), c);
#else
  for_channels(channels, body);
#endif
}

// A window of size x size pixels of the larger images, that of pixel i of the smaller ones, `small_width` wide: where its
// places begin, at channel c.
struct Window {
  int64 first;
  int size, width, channels;      // width of the larger images
  DEVICE Window(int64 i, int c, int small_width, int channels, int size)
      : first((i / small_width * size * small_width + i % small_width) * size * channels + c), size(size),
        width(small_width * size), channels(channels) {}
  DEVICE int64 at(int place) const { return first + ((int64)(place / size) * width + place % size) * channels; }
};

// The largest so far of a window's values, the first of equals; NaN wins.
template <int W> struct Largest {
  real value[W], place[W];        // of one width, so that both are chosen by the same mask
  // Whether lane k's next value takes the lead.
  DEVICE bool beaten(real next, int k) const { return (value[k] == value[k]) & !(next <= value[k]); }
  DEVICE void store(real* y, uint8* chosen) const {
    Out<W> out(y);
    Out<W, uint8> which(chosen);
    LANES(k) out[k] = value[k];
    LANES(k) which[k] = (uint8)place[k];      // a loop of its own: with two sizes of element none is vectorized
    out.store(); which.store();
  }
};
