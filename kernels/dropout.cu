// dropout.cu - numbers left out at random (Srivastava et al. 2014), drawn by Philox and never stored: the backward pass
// draws the same again.  Element i of draw (seed; step, stream) is kept where word i % 4 of the counter
// (i / 4, step, stream) is below `threshold`.
#include "portable.cuh"
#include "math.cuh"
#include "philox.cuh"

// The random words of elements first .. first + W - 1.
template <int W> struct Uniform {
  uint32 word[W];
  DEVICE Uniform(const NoiseKey& key, int64 first) {
    if constexpr (W < 4) {
      const Words w = of(key, first / 4);
      LANES(k) {
        const int lane = (int)(first + k) & 3;
        word[k] = lane < 2 ? (lane == 0 ? w.a : w.b) : (lane == 2 ? w.c : w.d);
      }
    } else {
      UNROLL for (int q = 0; q < W / 4; ++q) {
        const Words w = of(key, first / 4 + q);
        word[4 * q] = w.a; word[4 * q + 1] = w.b; word[4 * q + 2] = w.c; word[4 * q + 3] = w.d;
      }
    }
  }
  static DEVICE Words of(const NoiseKey& key, int64 quad) {
    return philox({(uint32)quad, (uint32)(quad >> 32), key.step, key.stream}, (uint32)key.seed, (uint32)(key.seed >> 32));
  }
};

// y = scale * x where it is kept, else 0: its own backward pass.
// moves: 1 x -> 1 y
extern "C" __global__ void dropout(const real* __restrict__ x, real* __restrict__ y, int64 n, uint32 threshold,
                                   real scale, uint64 seed, uint32 step, uint32 stream) {
  const NoiseKey key = {seed, step, stream};
  for_elements(n, [&](auto w, int64 i) {
    constexpr int W = decltype(w)::value;
    const In<W> xi(x + i);
    const Uniform<W> draw(key, i);
    Out<W> yi(y + i);
    LANES(k) {      // read before it is taken or not: see choose in binary.cu
      const real value = xi[k];
      yi[k] = draw.word[k] < threshold ? scale * value : (real)0;
    }
    yi.store();
  });
}
