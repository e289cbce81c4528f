// importance.cu - importance sampling of the likelihood of an image (Burda et al. 2016, "Importance weighted
// autoencoders", equation 8): log p(x) ~ log 1/K sum_k exp(w_k) with
//   w_k = log p(x | z_k) + log p(z_k) - log q(z_k | x),  z_k ~ q(z | x) = N(mu, sigma^2)
// heads (images, 2 * codes) holds mu and rho as in reparameterize.cu; sigma = softplus(rho).  Row i * samples + s of
// z is sample s of image i.  The noise of a sample is keyed by its number, whatever launch it is drawn in.
#include "portable.cuh"
#include "math.cuh"
#include "functions.cuh"
#include "philox.cuh"
#include "reduce.cuh"

// The noise of numbers 4 quad .. 4 quad + 3 of the codes of WIDTH samples, key.step the first: what Noise gives for one
// sample and its neighbouring numbers, here for neighbouring samples.
struct NoiseOfSamples {
  float eps[4][WIDTH];
  DEVICE NoiseOfSamples(const NoiseKey& key, uint32 example, uint32 quad) {
    uint32 word[4][WIDTH];
    UNROLL for (int k = 0; k < WIDTH; ++k) {
      const Words w = words_of({key.seed, key.step + k, key.stream}, example, quad);
      word[0][k] = w.a; word[1][k] = w.b; word[2][k] = w.c; word[3][k] = w.d;
    }
    UNROLL for (int pair = 0; pair < 4; pair += 2)
      UNROLL for (int k = 0; k < WIDTH; ++k) {
        const Pair normal = box_muller(word[pair][k], word[pair + 1][k]);
        eps[pair][k] = normal.first;
        eps[pair + 1][k] = normal.second;
      }
  }
};

// z[k * codes + j] = value[j][k] for k < live and j < count.
DEVICE void store_samples(real* z, const real (&value)[4][WIDTH], int codes, int count, int live) {
#if defined(__CUDACC__)
  constexpr int N = WIDTH < 4 ? WIDTH : 4;
  UNROLL for (int k = 0; k < WIDTH; ++k) {
    if (k >= live) break;
    if (codes % 4 == 0) {
      UNROLL for (int j = 0; j < 4; j += N) {
        Out<N> to(z + (int64)k * codes + j);
        UNROLL for (int n = 0; n < N; ++n) to[n] = value[j + n][k];
        to.store();
      }
    } else {
      UNROLL for (int j = 0; j < 4; ++j)
        if (j < count) z[(int64)k * codes + j] = value[j][k];
    }
  }
#else
  for (int k = 0; k < live; ++k)
    for (int j = 0; j < count; ++j) z[(int64)k * codes + j] = value[j][k];
#endif
}

// Samples step .. step + samples - 1 of every image, and
//   ratio = log p(z) - log q(z | x) = sum_l (eps^2 - z^2) / 2 + log sigma
// A thread owns WIDTH neighbouring samples of an image, with all their numbers: sigma is computed once for them, and
// each lane has a sum of its own.
// moves: heads, example -> 1 z, ratio
extern "C" __global__ void importance_sample(const real* __restrict__ heads, const int* __restrict__ example,
                                             real* __restrict__ z, real* __restrict__ ratio,
                                             int64 images, int64 samples, int codes, uint64 seed, uint32 step,
                                             uint32 stream) {
  const int64 across = (samples + WIDTH - 1) / WIDTH * WIDTH;
  for_elements(images * across, [&](auto, int64 place) {
    const int64 image = place / across, first = place - image * across, row = image * samples + first;
    const int live = (int)min((int64)WIDTH, samples - first);
    const NoiseKey key = {seed, step + (uint32)first, stream};
    const real* mu = heads + image * 2 * codes;
    const real* rho = mu + codes;
    real sum[WIDTH];
    UNROLL for (int k = 0; k < WIDTH; ++k) sum[k] = 0;
    for (int l = 0; l < codes; l += 4) {
      const NoiseOfSamples noise(key, (uint32)example[image], (uint32)l / 4);
      const int count = min(4, codes - l);
      real value[4][WIDTH];
      UNROLL for (int j = 0; j < 4; ++j) {
        if (j >= count) break;
        const real mean = mu[l + j], sigma = softplus_(rho[l + j]), log_sigma = log_softplus_(rho[l + j], sigma);
        UNROLL for (int k = 0; k < WIDTH; ++k) {
          const real eps = noise.eps[j][k];
          value[j][k] = mean + sigma * eps;
          sum[k] += (real)0.5 * (eps * eps - value[j][k] * value[j][k]) + log_sigma;
        }
      }
      store_samples(z + row * codes + l, value, codes, count, live);
    }
    UNROLL for (int k = 0; k < WIDTH; ++k) if (k < live) ratio[row + k] = sum[k];
  });
}

// So many samples are folded into an image's state at a time.  minivae/ops/importance.py says the same: launches that
// begin at multiples of it give the same bits as one launch.
constexpr int GROUP = 256;

// Adds samples of weight exp(ratio - cost) to each image's state (images, 4): the largest log weight so far; the sum of
// the weights divided by the largest, and what rounding has left out of that sum (Neumaier 1974); the sum of their
// squares.  Nothing overflows, and no weight is lost in a long sum.  Where `seen` is 0 the state begins here.
// One block takes a share of the images.
// moves: 1 cost, 1 ratio, state -> state
extern "C" __global__ void importance_merge(const real* __restrict__ cost, const real* __restrict__ ratio,
                                            real* __restrict__ state, int64 images, int64 samples, int64 seen) {
  const Share share = share_of(images, blockIdx.x, gridDim.x);
  const bool aligned = samples % WIDTH == 0;
  for (int64 i = share.first; i < share.last; ++i) {
    real* const own = state + 4 * i;
    real most = (real)-__int_as_float(0x7f800000), sum = 0, left = 0, squares = 0;
    if (seen > 0) { most = own[0]; sum = own[1]; left = own[2]; squares = own[3]; }
    for (int64 first = i * samples; first < (i + 1) * samples; first += GROUP) {
      const int64 count = min((int64)GROUP, (i + 1) * samples - first);
      real lane[WIDTH];
      UNROLL for (int k = 0; k < WIDTH; ++k) lane[k] = most;
      for_packs(count, threadIdx.x, blockDim.x, aligned, [&](auto w, int64 s) {
        constexpr int W = decltype(w)::value;
        const In<W> c(cost + first + s), q(ratio + first + s);
        LANES(k) lane[k] = larger(q[k] - c[k], lane[k]);
      });
      UNROLL for (int half = WIDTH / 2; half > 0; half /= 2)
        for (int k = 0; k < half; ++k) lane[k] = larger(lane[k], lane[k + half]);
      const real now = block_fold(lane[0], [](real a, real b) { return larger(a, b); });
      const real shift = finite_(now) ? now : (real)0, kept = exp_(most - shift);
      LaneSum weights, their_squares;
      for_packs(count, threadIdx.x, blockDim.x, aligned, [&](auto w, int64 s) {
        constexpr int W = decltype(w)::value;
        const In<W> c(cost + first + s), q(ratio + first + s);
        real weight[W], square[W];
        LANES(k) {
          weight[k] = exp_(q[k] - c[k] - shift);
          square[k] = weight[k] * weight[k];
        }
        weights.add(weight);
        their_squares.add(square);
      });
      const real before = sum * kept, more = weights.total();
      sum = before + more;
      left = left * kept + (before >= more ? before - sum + more : more - sum + before);
      squares = squares * kept * kept + their_squares.total();
      most = now;
    }
    __syncthreads();        // every thread has read the state before the first one overwrites it
    if (threadIdx.x == 0) { own[0] = most; own[1] = sum; own[2] = left; own[3] = squares; }
  }
}
