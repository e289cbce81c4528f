// batch.cu - a shuffled batch out of the uint8 data set that lives on the device.
// images (count, pixels) uint8 -> x (rows, pixels) real in [0, 1]; example (rows) is each row's index.
// One block takes a share of the rows.
// The order of an epoch is a keyed permutation computed where it is needed: no table, nothing copied
// from the host, and any place of any epoch can be visited at once.
#include "portable.cuh"
#include "math.cuh"
#include "philox.cuh"

// A permutation of 0 .. count - 1: a 6-round Feistel network over the next power of 4, with Philox as
// the round function; images outside the range walk on along their cycle (Black & Rogaway 2002).
DEVICE uint32 permute(uint32 i, uint32 count, uint64 seed, uint32 epoch) {
  int half = 1;
  while (half < 16 && (uint64)count > (uint64)1 << 2 * half) ++half;
  const uint32 mask = (1u << half) - 1;
  do {
    uint32 left = i >> half, right = i & mask;
    for (uint32 round = 0; round < 6; ++round) {
      const uint32 f = philox({right, round, epoch, 0x5b}, (uint32)seed, (uint32)(seed >> 32)).a & mask;
      const uint32 next = left ^ f;
      left = right;
      right = next;
    }
    i = left << half | right;
  } while (i >= count);
  return i;
}

// Rows start .. start + rows - 1 of the epoch's order (of the plain order where shuffle is 0).
// moves: 1 images[rows * pixels] -> 1 x, example
extern "C" __global__ void gather_batch(const uint8* __restrict__ images, real* __restrict__ x,
                                        int* __restrict__ example, int64 count, int64 rows, int pixels,
                                        int64 start, uint64 seed, uint32 epoch, int shuffle) {
  const Share share = share_of(rows, blockIdx.x, gridDim.x);
  for (int64 r = share.first; r < share.last; ++r) {
    const uint32 place = (uint32)(start + r);
    const uint32 index = shuffle ? permute(place, (uint32)count, seed, epoch) : place;
    if (threadIdx.x == 0) example[r] = (int)index;
    const uint8* image = images + (int64)index * pixels;
    for_packs(pixels, threadIdx.x, blockDim.x, pixels % WIDTH == 0, [&](auto w, int64 p) {
      constexpr int W = decltype(w)::value;
      const In<W, uint8> from(image + p);
      Out<W> to(x + r * pixels + p);
      LANES(k) to[k] = (real)from[k] / 255;
      to.store();
    });
  }
}
