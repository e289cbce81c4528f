// distort.cu - images moved by a few pixels, mirrored and partly erased at random, drawn by Philox and never stored: the
// input of a classifier that should not mind (LeCun et al. 1998; DeVries & Taylor 2017, "Improved regularization of
// convolutional neural networks with cutout").  x and y are (images, height, width, channels).  What draw (seed; step,
// stream) does to an example is in the words of the counters (0, example, step, stream) and, of what is erased, (1, ...).
#include "portable.cuh"
#include "math.cuh"
#include "philox.cuh"
#include "image.cuh"

// Where the pixels of a distorted image come from: `down` rows below and `right` columns beside, of the mirrored image; and
// where the square begins in which they are erased.
struct Move {
  int down, right;
  bool mirrored;
  int top = 0, left = 0;
  DEVICE Move(const NoiseKey& key, uint32 example, int most, int mirror, int erase, int height, int width) {
    const Words w = words_of(key, example, 0);
    const uint32 steps = 2 * (uint32)most + 1;
    down = (int)__umulhi(w.a, steps) - most;
    right = (int)__umulhi(w.b, steps) - most;
    mirrored = mirror && w.c >> 31;
    if (!erase) return;
    const Words e = words_of(key, example, 1);
    top = (int)__umulhi(e.a, (uint32)height) - erase / 2;
    left = (int)__umulhi(e.b, (uint32)width) - erase / 2;
  }
};

// y = x moved by up to `shift` pixels each way, 0 where nothing was; mirrored left to right in half of the draws where
// `mirror` is not 0; then 0 in a square of `erase` x `erase` pixels, of which one, number erase / 2 each way, is any of the
// image's, and which may so reach beyond it.
// moves: 1 x, example -> 1 y
extern "C" __global__ void distort(const real* __restrict__ x, const int* __restrict__ example, real* __restrict__ y,
                                   int64 images, int height, int width, int channels, int shift, int mirror, int erase,
                                   uint64 seed, uint32 step, uint32 stream) {
  int64 before = -1;
  const NoiseKey key = {seed, step, stream};
  Move move(key, 0, 0, 0, 0, height, width);
  for_places(images * height * width, height, width, [&](int64 place, int64 image, int row, int column) {
    if (image != before) move = Move(key, (uint32)example[image], shift, mirror, erase, height, width);
    before = image;
    const int from = row + move.down, at = column + move.right;
    const bool erased = erase && row >= move.top && row < move.top + erase && column >= move.left && column < move.left + erase;
    const bool there = from >= 0 && from < height && at >= 0 && at < width && !erased;
    const int64 source = (image * height + from) * width + (move.mirrored ? width - 1 - at : at);
    for_channels(channels, [&](auto w, int c) {
      constexpr int W = decltype(w)::value;
      const In<W> in(x + (there ? source : 0) * channels + c);
      Out<W> out(y + place * channels + c);
      LANES(k) {      // read before it is taken or not: see choose in binary.cu
        const real value = in[k];
        out[k] = there ? value : (real)0;
      }
      out.store();
    });
  });
}
