// dropout.cu - numbers left out at random (Srivastava et al. 2014), drawn by Philox and never stored: the backward pass
// draws the same again.  Element c of an example's row in draw (seed; step, stream) is kept where word c % 4 of the
// counter (c / 4, example, step, stream) is below `threshold`.  One block takes a share of the rows; example[r] is the
// row's index in the data set.
#include "portable.cuh"
#include "math.cuh"
#include "philox.cuh"

// y = scale * x where it is kept, else 0: its own backward pass.
// moves: 1 x, example -> 1 y
extern "C" __global__ void dropout(const real* __restrict__ x, const int* __restrict__ example, real* __restrict__ y,
                                   int64 rows, int64 cols, uint32 threshold, real scale, uint64 seed, uint32 step,
                                   uint32 stream) {
  const Share share = share_of(rows, blockIdx.x, gridDim.x);
  const NoiseKey key = {seed, step, stream};
  for (int64 r = share.first; r < share.last; ++r) {
    const uint32 index = (uint32)example[r];
    for_packs(cols, threadIdx.x, blockDim.x, cols % WIDTH == 0, [&](auto w, int64 c) {
      constexpr int W = decltype(w)::value;
      const In<W> xr(x + r * cols + c);
      const Uniform<W> draw(key, index, c);
      Out<W> yr(y + r * cols + c);
      LANES(k) {      // read before it is taken or not: see choose in binary.cu
        const real value = xr[k];
        yr[k] = draw.word[k] < threshold ? scale * value : (real)0;
      }
      yr.store();
    });
  }
}
