// reparameterize.cu - z = mu + sigma * eps with fresh noise, and its KL divergence from N(0, I)
// (Kingma & Welling 2014, appendix B), in one pass; the noise is drawn again in the backward pass.
// heads (rows, 2 * codes) holds mu in its first half and rho in its second; sigma = softplus(rho).
//   kl[r] = -1/2 sum_l (1 + 2 log sigma - mu^2 - sigma^2)
// One block takes a share of the rows; example[r / draws] is the row's index in the data set, of which `draws`
// consecutive rows have noise of their own.
#include "portable.cuh"
#include "math.cuh"
#include "philox.cuh"
#include "reduce.cuh"

// Which noise row r has: that of the example where it has one row, else of one among all its draws.
DEVICE uint32 draw_of(const int* example, int64 r, int draws) {
  return (uint32)example[r / draws] * (uint32)draws + (uint32)(r % draws);
}

// moves: 2 heads, example -> 1 z, kl
extern "C" __global__ void reparameterize_forward(const real* __restrict__ heads, const int* __restrict__ example,
                                                  real* __restrict__ z, real* __restrict__ kl,
                                                  int64 rows, int codes, int draws, uint64 seed, uint32 step,
                                                  uint32 stream) {
  const Share share = share_of(rows, blockIdx.x, gridDim.x);
  const NoiseKey key = {seed, step, stream};
  for (int64 r = share.first; r < share.last; ++r) {
    const real* mu_row = heads + r * 2 * codes;
    const uint32 index = draw_of(example, r, draws);
    LaneSum sum;
    for_packs(codes, threadIdx.x, blockDim.x, codes % WIDTH == 0, [&](auto w, int64 l) {
      constexpr int W = decltype(w)::value;
      const In<W> mu(mu_row + l), rho(mu_row + codes + l);
      Out<W> zr(z + r * codes + l);
      real kl_lane[W];
      const Noise<W> eps(key, index, l);
      LANES(k) {
        const real sigma = softplus_(rho[k]);
        zr[k] = mu[k] + sigma * eps[k];
        kl_lane[k] = (real)0.5 * (mu[k] * mu[k] + sigma * sigma - 1) - log_softplus_(rho[k], sigma);
      }
      zr.store();
      sum.add(kl_lane);
    });
    const real total = sum.total();
    if (threadIdx.x == 0) kl[r] = total;
  }
}

// dmu = dz + dkl mu;  dsigma = dz eps + dkl (sigma - 1 / sigma);  drho = dsigma * sigmoid(rho)
// moves: 1 dz, dkl, 2 heads, example -> 2 dheads
extern "C" __global__ void reparameterize_backward(const real* __restrict__ dz, const real* __restrict__ dkl,
                                                   const real* __restrict__ heads, const int* __restrict__ example,
                                                   real* __restrict__ dheads,
                                                   int64 rows, int codes, int draws, uint64 seed, uint32 step,
                                                   uint32 stream) {
  const Share share = share_of(rows, blockIdx.x, gridDim.x);
  const NoiseKey key = {seed, step, stream};
  for (int64 r = share.first; r < share.last; ++r) {
    const real* mu_row = heads + r * 2 * codes;
    real* dmu_row = dheads + r * 2 * codes;
    const uint32 index = draw_of(example, r, draws);
    const real weight = dkl[r];
    for_packs(codes, threadIdx.x, blockDim.x, codes % WIDTH == 0, [&](auto w, int64 l) {
      constexpr int W = decltype(w)::value;
      const In<W> dzr(dz + r * codes + l), mu(mu_row + l), rho(mu_row + codes + l);
      Out<W> dmu(dmu_row + l), drho(dmu_row + codes + l);
      const Noise<W> eps(key, index, l);
      LANES(k) {
        const real sigma = softplus_(rho[k]), slope = sigmoid_(rho[k]);
        // slope / sigma tends to 1 as rho falls; there 1 / sigma alone would overflow.
        const real slope_over_sigma = rho[k] < -15 ? (real)1 : slope / sigma;
        dmu[k] = dzr[k] + weight * mu[k];
        drho[k] = (dzr[k] * eps[k] + weight * sigma) * slope - weight * slope_over_sigma;
      }
      dmu.store(); drho.store();
    });
  }
}

// z (rows, codes) from N(0, I); row r counts as example first + r.
// moves: -> 1 z
extern "C" __global__ void standard_normal(real* __restrict__ z, int64 rows, int codes, int64 first,
                                           uint64 seed, uint32 step, uint32 stream) {
  const Share share = share_of(rows, blockIdx.x, gridDim.x);
  const NoiseKey key = {seed, step, stream};
  for (int64 r = share.first; r < share.last; ++r)
    for_packs(codes, threadIdx.x, blockDim.x, codes % WIDTH == 0, [&](auto w, int64 l) {
      constexpr int W = decltype(w)::value;
      Out<W> zr(z + r * codes + l);
      const Noise<W> eps(key, (uint32)(first + r), l);
      LANES(k) zr[k] = eps[k];
      zr.store();
    });
}

// Philox's words for known-answer tests: counter (rows, 4), key (rows, 2) -> words (rows, 4).
// moves: 4 counter, 2 key -> 4 words
extern "C" __global__ void philox_words(const uint32* __restrict__ counter, const uint32* __restrict__ key,
                                        uint32* __restrict__ words, int64 rows) {
  for_elements(rows, [&](auto w, int64 first) {
    constexpr int W = decltype(w)::value;
    LANES(k) {
      const int64 i = first + k;
      const Words out = philox({counter[4 * i], counter[4 * i + 1], counter[4 * i + 2], counter[4 * i + 3]},
                               key[2 * i], key[2 * i + 1]);
      words[4 * i] = out.a; words[4 * i + 1] = out.b; words[4 * i + 2] = out.c; words[4 * i + 3] = out.d;
    }
  });
}
