// linear.cu - what a dense layer does beside its matrix product.
#include "portable.cuh"

// y (rows, cols) += bias (cols).  One block takes a share of the rows.
// moves: bias, 1 y -> 1 y
extern "C" __global__ void add_bias(const real* __restrict__ bias, real* __restrict__ y, int64 rows, int64 cols) {
  const Share share = share_of(rows, blockIdx.x, gridDim.x);
  for (int64 r = share.first; r < share.last; ++r)
    for_packs(cols, threadIdx.x, blockDim.x, cols % WIDTH == 0, [&](auto w, int64 c) {
      constexpr int W = decltype(w)::value;
      const In<W> b(bias + c), before(y + r * cols + c);
      Out<W> after(y + r * cols + c);
      LANES(k) after[k] = before[k] + b[k];
      after.store();
    });
}
