// image.cuh - how a block's threads cover images, channels last: along y the pixels, along x the channels.
#pragma once

// This thread's share of `pixels` pixels.
DEVICE Share pixels_of(int64 pixels) {
  return share_of(pixels, (int64)blockIdx.x * blockDim.y + threadIdx.y, (int64)gridDim.x * blockDim.y);
}

// Calls body(Int<W>, c) for packs of a pixel's channels, shared out to the threads along x.
template <class Body> DEVICE void for_channels(int channels, Body body) {
  for_packs(channels, threadIdx.x, blockDim.x, channels % WIDTH == 0, [&](auto w, int64 c) { body(w, (int)c); });
}
