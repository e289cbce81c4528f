// optimizer_lamb.cu - LAMB (You et al. 2020, algorithm 2): Adam's step, scaled for each parameter tensor on its own.
//   m <- beta1 m + rest1 g;  v <- beta2 v + rest2 g^2;  r = mean_scale m / (sqrt(scale v) + epsilon) + decay p
//   p -= lr |p| / |r| r  over each tensor;  where one of the norms is zero, p -= lr r
// The norms must be known before the first element changes, hence two launches.  A block owns a piece of one tensor:
// pieces[4 * block] = where it begins and ends in the flat arrays, and the tensor's first piece and the one after its last.
#include "portable.cuh"
#include "math.cuh"
#include "reduce.cuh"
#include "optimizer.cuh"

// Calls body(Int<W>, i) for the packs of this block's piece.
template <class Body> DEVICE void for_piece(const int64* piece, Body body) {
  const int64 begin = piece[0];
  for_packs(piece[1] - begin, threadIdx.x, blockDim.x, true, [&](auto w, int64 i) { body(w, begin + i); });
}

DEVICE real lamb_step(real m, real v, real p, real mean_scale, real scale, real epsilon, real decay) {
  return mean_scale * m / (sqrt_(v * scale) + epsilon) + decay * p;
}

// m, v, and sums[2 * block] = the piece's (sum of p^2, sum of r^2).
// moves: 1 p, 1 g, 1 m, 1 v, pieces, partial -> 1 m, 1 v, sums
extern "C" __global__ void lamb_means(const real* __restrict__ p, const real* __restrict__ g, real* __restrict__ m,
                                      real* __restrict__ v, const int64* __restrict__ pieces,
                                      const real* __restrict__ partial, real* __restrict__ sums, int parts,
                                      real limit, real clip, real beta1, real rest1, real beta2, real rest2,
                                      real epsilon, real mean_scale, real scale, real decay) {
  const Gradient by = gradient(partial, parts, limit, clip, 0);
  LaneSum of_p, of_r;
  for_piece(pieces + 4 * blockIdx.x, [&](auto w, int64 i) {
    constexpr int W = decltype(w)::value;
    const In<W> gi(g + i), pi(p + i), m0(m + i), v0(v + i);
    Out<W> m1(m + i), v1(v + i);
    real p2[W], r2[W];
    LANES(k) {
      const real gk = by.of(gi[k], pi[k]);
      const real mk = beta1 * m0[k] + rest1 * gk;
      const real vk = beta2 * v0[k] + rest2 * gk * gk;
      const real r = lamb_step(mk, vk, pi[k], mean_scale, scale, epsilon, decay);
      m1[k] = mk; v1[k] = vk;
      p2[k] = pi[k] * pi[k];
      r2[k] = r * r;
    }
    m1.store(); v1.store();
    of_p.add(p2); of_r.add(r2);
  });
  const real p_total = of_p.total(), r_total = of_r.total();
  if (threadIdx.x == 0) {
    sums[2 * blockIdx.x] = p_total;
    sums[2 * blockIdx.x + 1] = r_total;
  }
}

// moves: 1 p, 1 m, 1 v, pieces, sums -> 1 p
extern "C" __global__ void lamb_update(real* __restrict__ p, const real* __restrict__ m, const real* __restrict__ v,
                                       const int64* __restrict__ pieces, const real* __restrict__ sums, real lr,
                                       real epsilon, real mean_scale, real scale, real decay) {
  const int64* piece = pieces + 4 * blockIdx.x;
  real p_total = 0, r_total = 0;
  for (int64 b = piece[2] + threadIdx.x; b < piece[3]; b += blockDim.x) {
    p_total += sums[2 * b];
    r_total += sums[2 * b + 1];
  }
  p_total = block_sum(p_total);
  r_total = block_sum(r_total);
  const real rate = lr * (p_total > 0 && r_total > 0 ? sqrt_(p_total) / sqrt_(r_total) : (real)1);
  for_piece(piece, [&](auto w, int64 i) {
    constexpr int W = decltype(w)::value;
    const In<W> p0(p + i), mi(m + i), vi(v + i);
    Out<W> p1(p + i);
    LANES(k) p1[k] = p0[k] - rate * lamb_step(mi[k], vi[k], p0[k], mean_scale, scale, epsilon, decay);
    p1.store();
  });
}
