// optimizer.cu - one launch updates the whole model: parameters, gradients and state are flat arrays.
// The gradient is first rescaled to a global norm of at most `limit` (models without a limit pass
// infinity); where the norm is not finite, 0.1 * parameter takes the gradient's place, which shrinks the
// parameters towards zero instead of breaking them.  The norm never leaves the device.
#include "portable.cuh"
#include "math.cuh"
#include "reduce.cuh"

// partial[b] = block b's sum of squares of g.
// moves: 1 g -> partial
extern "C" __global__ void squared_norm(const real* __restrict__ g, real* __restrict__ partial, int64 n) {
  LaneSum sum;
  for_elements(n, [&](auto w, int64 i) {
    constexpr int W = decltype(w)::value;
    const In<W> gi(g + i);
    real lane[W];
    LANES(k) lane[k] = gi[k] * gi[k];
    sum.add(lane);
  });
  const real total = sum.total();
  if (threadIdx.x == 0) partial[blockIdx.x] = total;
}

struct Rescale { real factor, shrink; };   // step's gradient = g * factor, or shrink * parameter if > 0

DEVICE Rescale rescale(const real* partial, int parts, real limit) {
  real total = 0;
  for (int b = threadIdx.x; b < parts; b += blockDim.x) total += partial[b];
  const real norm = sqrt_(block_sum(total));
  if (!finite_(norm)) return {0, (real)0.1};
  return {norm > limit ? limit / norm : (real)1, 0};
}

DEVICE real step_gradient(const Rescale& by, real g, real p) {
  return by.shrink > 0 ? by.shrink * p : g * by.factor;
}

// Nesterov's momentum (Sutskever et al. 2013): m' = mu m - lr g;  p += mu m' - lr g
// moves: 1 p, 1 g, 1 m, partial -> 1 p, 1 m
extern "C" __global__ void sgd_nesterov(real* __restrict__ p, const real* __restrict__ g, real* __restrict__ m,
                                        const real* __restrict__ partial, int64 n, int parts, real limit,
                                        real lr, real mu) {
  const Rescale by = rescale(partial, parts, limit);
  for_elements(n, [&](auto w, int64 i) {
    constexpr int W = decltype(w)::value;
    const In<W> gi(g + i), p0(p + i), m0(m + i);
    Out<W> p1(p + i), m1(m + i);
    LANES(k) {
      const real step = lr * step_gradient(by, gi[k], p0[k]);
      const real momentum = mu * m0[k] - step;
      m1[k] = momentum;
      p1[k] = p0[k] + mu * momentum - step;
    }
    p1.store(); m1.store();
  });
}

// RMSProp, centred (Graves 2013, eq. 38-40), with Nesterov's momentum and the rescaled gradient:
//   n <- d n + (1 - d) g^2;  a <- d a + (1 - d) g;  step = lr g / max(sqrt(n - a^2), floor)
// moves: 1 p, 1 g, 1 m, 1 square, 1 average, partial -> 1 p, 1 m, 1 square, 1 average
extern "C" __global__ void rmsprop_nesterov(real* __restrict__ p, const real* __restrict__ g, real* __restrict__ m,
                                            real* __restrict__ square, real* __restrict__ average,
                                            const real* __restrict__ partial, int64 n, int parts, real limit,
                                            real lr, real mu, real decay, real floor) {
  const Rescale by = rescale(partial, parts, limit);
  for_elements(n, [&](auto w, int64 i) {
    constexpr int W = decltype(w)::value;
    const In<W> gi(g + i), p0(p + i), m0(m + i), n0(square + i), a0(average + i);
    Out<W> p1(p + i), m1(m + i), n1(square + i), a1(average + i);
    LANES(k) {
      const real gk = step_gradient(by, gi[k], p0[k]);
      const real nk = decay * n0[k] + (1 - decay) * gk * gk;
      const real ak = decay * a0[k] + (1 - decay) * gk;
      const real variance = nk - ak * ak;
      const real step = lr * gk / max(floor, sqrt_(variance < 0 ? (real)0 : variance));
      const real momentum = mu * m0[k] - step;
      n1[k] = nk; a1[k] = ak; m1[k] = momentum;
      p1[k] = p0[k] + mu * momentum - step;
    }
    p1.store(); m1.store(); n1.store(); a1.store();
  });
}

// Adam (Kingma & Ba 2015, algorithm 1): correct1 = 1 - beta1^t, correct2 = 1 - beta2^t
// moves: 1 p, 1 g, 1 m, 1 v, partial -> 1 p, 1 m, 1 v
extern "C" __global__ void adam(real* __restrict__ p, const real* __restrict__ g, real* __restrict__ m,
                                real* __restrict__ v, const real* __restrict__ partial, int64 n, int parts,
                                real limit, real lr, real beta1, real beta2, real epsilon,
                                real correct1, real correct2) {
  const Rescale by = rescale(partial, parts, limit);
  const real rate = lr / correct1, inverse2 = 1 / correct2;
  for_elements(n, [&](auto w, int64 i) {
    constexpr int W = decltype(w)::value;
    const In<W> gi(g + i), p0(p + i), m0(m + i), v0(v + i);
    Out<W> p1(p + i), m1(m + i), v1(v + i);
    LANES(k) {
      const real gk = step_gradient(by, gi[k], p0[k]);
      const real mk = beta1 * m0[k] + (1 - beta1) * gk;
      const real vk = beta2 * v0[k] + (1 - beta2) * gk * gk;
      m1[k] = mk; v1[k] = vk;
      p1[k] = p0[k] - rate * mk / (sqrt_(vk * inverse2) + epsilon);
    }
    p1.store(); m1.store(); v1.store();
  });
}
