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
