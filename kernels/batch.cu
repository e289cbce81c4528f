// batch.cu - a shuffled batch out of the uint8 data set that lives on the device.
// images (count, pixels) uint8 -> x (rows, pixels) real in [0, 1], or drawn black or white with those as the
// probabilities of white; example (rows) is each row's index, counted from `first`.
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

// W pixels of an image, from number p on, each 1 with the probability pixel / 255 (to 2^-24) and else 0.  Four
// neighbours share a Philox call, as in Noise.
template <int W, class Pixels, class To>
DEVICE void binarize(const NoiseKey& key, uint32 example, int64 p, const Pixels& pixel, To& to) {
  constexpr int QUADS = W < 4 ? 1 : W / 4;
  uint32 word[4 * QUADS];
  UNROLL for (int q = 0; q < QUADS; ++q) {
    const Words w = philox({(uint32)p / 4 + q, example, key.step, key.stream}, (uint32)key.seed, (uint32)(key.seed >> 32));
    word[4 * q] = w.a; word[4 * q + 1] = w.b; word[4 * q + 2] = w.c; word[4 * q + 3] = w.d;
  }
  LANES(k) {
    uint32 drawn;
    if constexpr (W < 4) {       // selections, not an index known only at run time, as in Noise
      const int lane = (int)(p + k) & 3;
      const uint32 low = lane & 1 ? word[1] : word[0], high = lane & 1 ? word[3] : word[2];
      drawn = lane < 2 ? low : high;
    } else {
      drawn = word[k];
    }
    to[k] = (drawn >> 8) * 255 < (uint32)pixel[k] << 24 ? (real)1 : (real)0;
  }
}

// Rows start .. start + rows - 1 of the epoch's order (of the plain order where shuffle is 0) of `count` images, which
// begin at the image `begin`: they are counted from there, their examples from `first`.  Where `binary` is
// not 0 the pixels are drawn; (noise_seed; step, stream) name the draw.
// moves: 1 images[rows * pixels] -> 1 x, example
extern "C" __global__ void gather_batch(const uint8* __restrict__ images, real* __restrict__ x,
                                        int* __restrict__ example, int64 count, int64 rows, int pixels,
                                        int64 begin, int64 start, uint64 seed, uint32 epoch, int shuffle, int64 first,
                                        int binary, uint64 noise_seed, uint32 step, uint32 stream) {
  const Share share = share_of(rows, blockIdx.x, gridDim.x);
  const NoiseKey key = {noise_seed, step, stream};
  for (int64 r = share.first; r < share.last; ++r) {
    const uint32 place = (uint32)(start + r);
    const uint32 index = shuffle ? permute(place, (uint32)count, seed, epoch) : place;
    const uint32 number = (uint32)first + index;
    if (threadIdx.x == 0) example[r] = (int)number;
    const uint8* image = images + (begin + index) * pixels;
    for_packs(pixels, threadIdx.x, blockDim.x, pixels % WIDTH == 0, [&](auto w, int64 p) {
      constexpr int W = decltype(w)::value;
      const In<W, uint8> from(image + p);
      Out<W> to(x + r * pixels + p);
      if (binary) binarize<W>(key, number, p, from, to);
      else LANES(k) to[k] = (real)from[k] / 255;
      to.store();
    });
  }
}
