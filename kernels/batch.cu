// batch.cu - a shuffled batch out of the data set that lives on the device.
// images (count, pixels) uint8 or real in [0, 1] -> x (rows, pixels) real in [0, 1], or drawn black or white with
// those as the probabilities of white; example (rows) is each row's index, counted from `first`.
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

// A pixel in [0, 1], and whether it is white where 24 random bits are its draw.
DEVICE real unit(uint8 pixel) { return (real)pixel / 255; }
DEVICE real unit(real pixel) { return pixel; }
DEVICE bool white(uint8 pixel, uint32 drawn) { return drawn * 255 < (uint32)pixel << 24; }
DEVICE bool white(real pixel, uint32 drawn) { return (real)drawn < pixel * (real)(1 << 24); }

// Which images rows have; see gather_batch.
struct Order {
  int64 count, begin, start, first;
  uint64 seed;
  uint32 epoch;
  int shuffle;
};

// A row of x: an image's pixels, drawn where `binary` is not 0; `number` is whose draw it is.
template <class Pixel>
DEVICE void put(const Pixel* image, real* row, int pixels, uint32 number, int binary, const NoiseKey& key) {
  for_packs(pixels, threadIdx.x, blockDim.x, pixels % WIDTH == 0, [&](auto w, int64 p) {
    constexpr int W = decltype(w)::value;
    const In<W, Pixel> from(image + p);
    Out<W> to(row + p);
    if (binary) {     // each pixel 1 with its value's probability (to 2^-24) and else 0
      const Uniform<W> draw(key, number, p);
      LANES(k) to[k] = white(from[k], draw.word[k] >> 8) ? (real)1 : (real)0;
    } else {
      LANES(k) to[k] = unit(from[k]);
    }
    to.store();
  });
}

template <class Pixel>
DEVICE void gather(const Pixel* images, real* x, int* example, int64 rows, int pixels, const Order& order, int binary,
                   const NoiseKey& key) {
  const Share share = share_of(rows, blockIdx.x, gridDim.x);
  for (int64 r = share.first; r < share.last; ++r) {
    const uint32 place = (uint32)(order.start + r);
    const uint32 index = order.shuffle ? permute(place, (uint32)order.count, order.seed, order.epoch) : place;
    const uint32 number = (uint32)order.first + index;
    if (threadIdx.x == 0) example[r] = (int)number;
    put(images + (order.begin + index) * pixels, x + r * pixels, pixels, number, binary, key);
  }
}

template <class Pixel>
DEVICE void place(const Pixel* images, const int* example, real* x, int64 rows, int pixels, int binary, const NoiseKey& key) {
  const Share share = share_of(rows, blockIdx.x, gridDim.x);
  for (int64 r = share.first; r < share.last; ++r)
    put(images + r * pixels, x + r * pixels, pixels, (uint32)example[r], binary, key);
}

// Rows start .. start + rows - 1 of the epoch's order (of the plain order where shuffle is 0) of `count` images, which
// begin at the image `begin`: they are counted from there, their examples from `first`.  Where `binary` is
// not 0 the pixels are drawn; (noise_seed; step, stream) name the draw.
// moves: 1 images[rows * pixels] -> 1 x, example
extern "C" __global__ void gather_batch(const uint8* __restrict__ images, real* __restrict__ x,
                                        int* __restrict__ example, int64 count, int64 rows, int pixels,
                                        int64 begin, int64 start, uint64 seed, uint32 epoch, int shuffle, int64 first,
                                        int binary, uint64 noise_seed, uint32 step, uint32 stream) {
  gather(images, x, example, rows, pixels, {count, begin, start, first, seed, epoch, shuffle}, binary,
         {noise_seed, step, stream});
}

// The same of images in [0, 1].
// moves: 1 images[rows * pixels] -> 1 x, example
extern "C" __global__ void gather_batch_real(const real* __restrict__ images, real* __restrict__ x,
                                             int* __restrict__ example, int64 count, int64 rows, int pixels,
                                             int64 begin, int64 start, uint64 seed, uint32 epoch, int shuffle,
                                             int64 first, int binary, uint64 noise_seed, uint32 step, uint32 stream) {
  gather(images, x, example, rows, pixels, {count, begin, start, first, seed, epoch, shuffle}, binary,
         {noise_seed, step, stream});
}

// Images (rows, pixels) that were gathered on the host, as gather_batch gives them where it chooses those of `example`.
// moves: 1 images, example -> 1 x
extern "C" __global__ void place_batch(const uint8* __restrict__ images, const int* __restrict__ example,
                                       real* __restrict__ x, int64 rows, int pixels, int binary, uint64 noise_seed,
                                       uint32 step, uint32 stream) {
  place(images, example, x, rows, pixels, binary, {noise_seed, step, stream});
}

// The same of images in [0, 1].
// moves: 1 images, example -> 1 x
extern "C" __global__ void place_batch_real(const real* __restrict__ images, const int* __restrict__ example,
                                            real* __restrict__ x, int64 rows, int pixels, int binary, uint64 noise_seed,
                                            uint32 step, uint32 stream) {
  place(images, example, x, rows, pixels, binary, {noise_seed, step, stream});
}
