// take.cu - numbers chosen by an index along an axis: x is (outer, size, inner), index (count), y (outer, count, inner).
// An index that is out of range gives NaN.
#include "portable.cuh"
#include "math.cuh"
#include "functions.cuh"
#include "image.cuh"

// y[o, j] = x[o, index[j]]
// moves: 1 x[outer * count * inner], index -> 1 y
extern "C" __global__ void take(const real* __restrict__ x, const int* __restrict__ index, real* __restrict__ y,
                                int64 outer, int64 size, int64 count, int inner) {
  const Share share = pixels_of(outer * count);
  for (int64 s = share.first; s < share.last; ++s) {
    const int64 o = s / count, from = index[s - o * count];
    const bool there = from >= 0 && from < size;
    for_channels(inner, [&](auto w, int c) {
      constexpr int W = decltype(w)::value;
      const In<W> in(x + (o * size + (there ? from : 0)) * inner + c);
      Out<W> out(y + s * inner + c);
      LANES(k) out[k] = there ? in[k] : nan_();
      out.store();
    });
  }
}

// dx[o, i] = the sum of dy[o, j] over all j with index[j] = i, in the order of j: a thread looks through the whole
// index for its i, so that nothing is added atomically.
// moves: 1 dy, index -> 1 dx
extern "C" __global__ void take_backward(const real* __restrict__ dy, const int* __restrict__ index,
                                         real* __restrict__ dx, int64 outer, int64 size, int64 count, int inner) {
  const Share share = pixels_of(outer * size);
  for (int64 s = share.first; s < share.last; ++s) {
    const int64 o = s / size, i = s - o * size;
    for_channels(inner, [&](auto w, int c) {
      constexpr int W = decltype(w)::value;
      real sum[W];
      LANES(k) sum[k] = 0;
      for (int64 j = 0; j < count; ++j) {
        if (index[j] != i) continue;
        const In<W> in(dy + (o * count + j) * inner + c);
        LANES(k) sum[k] += in[k];
      }
      Out<W> out(dx + s * inner + c);
      LANES(k) out[k] = sum[k];
      out.store();
    });
  }
}
