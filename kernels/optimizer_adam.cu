// optimizer_adam.cu - Adam and what came of it: means of the gradient and of its square, corrected for their start at
// zero.  The corrections are the host's, in float64, and come as the factors that they lead to; so do rest1 = 1 - beta1
// and rest2 = 1 - beta2, which float32 would make of beta with an error of 1e-5.
// g below is the gradient as optimizer.cuh leaves it; m <- beta1 m + rest1 g;  v <- beta2 v + rest2 g^2.
#include "portable.cuh"
#include "math.cuh"
#include "reduce.cuh"
#include "optimizer.cuh"

// p -= (mean_rate m + gradient_rate g) / (sqrt(scale v) + epsilon) + decoupled p
// Adam: mean_rate = lr / (1 - beta1^t), gradient_rate = 0, scale = 1 / (1 - beta2^t).  See optim/adam.py for the others.
// moves: 1 p, 1 g, 1 m, 1 v, partial -> 1 p, 1 m, 1 v
extern "C" __global__ void adam(real* __restrict__ p, const real* __restrict__ g, real* __restrict__ m,
                                real* __restrict__ v, const real* __restrict__ partial, int64 n, int parts,
                                real limit, real clip, real weight_decay, real beta1, real rest1, real beta2,
                                real rest2, real epsilon, real mean_rate, real gradient_rate, real scale,
                                real decoupled) {
  const Gradient by = gradient(partial, parts, limit, clip, weight_decay);
  for_elements(n, [&](auto w, int64 i) {
    constexpr int W = decltype(w)::value;
    const In<W> gi(g + i), p0(p + i), m0(m + i), v0(v + i);
    Out<W> p1(p + i), m1(m + i), v1(v + i);
    LANES(k) {
      const real gk = by.of(gi[k], p0[k]);
      const real mk = beta1 * m0[k] + rest1 * gk;
      const real vk = beta2 * v0[k] + rest2 * gk * gk;
      m1[k] = mk; v1[k] = vk;
      p1[k] = p0[k] - (decoupled * p0[k] + (mean_rate * mk + gradient_rate * gk) / (sqrt_(vk * scale) + epsilon));
    }
    p1.store(); m1.store(); v1.store();
  });
}

// AMSGrad (Reddi et al. 2018): the largest v so far in the place of v.
// moves: 1 p, 1 g, 1 m, 1 v, 1 most, partial -> 1 p, 1 m, 1 v, 1 most
extern "C" __global__ void amsgrad(real* __restrict__ p, const real* __restrict__ g, real* __restrict__ m,
                                   real* __restrict__ v, real* __restrict__ most, const real* __restrict__ partial,
                                   int64 n, int parts, real limit, real clip, real weight_decay, real beta1,
                                   real rest1, real beta2, real rest2, real epsilon, real mean_rate, real scale) {
  const Gradient by = gradient(partial, parts, limit, clip, weight_decay);
  for_elements(n, [&](auto w, int64 i) {
    constexpr int W = decltype(w)::value;
    const In<W> gi(g + i), p0(p + i), m0(m + i), v0(v + i), x0(most + i);
    Out<W> p1(p + i), m1(m + i), v1(v + i), x1(most + i);
    LANES(k) {
      const real gk = by.of(gi[k], p0[k]);
      const real mk = beta1 * m0[k] + rest1 * gk;
      const real vk = beta2 * v0[k] + rest2 * gk * gk;
      const real xk = x0[k] > vk ? x0[k] : vk;
      m1[k] = mk; v1[k] = vk; x1[k] = xk;
      p1[k] = p0[k] - mean_rate * mk / (sqrt_(xk * scale) + epsilon);
    }
    p1.store(); m1.store(); v1.store(); x1.store();
  });
}

// Adamax (Kingma & Ba 2015, algorithm 2): u <- max(beta2 u, |g| + epsilon);  p -= mean_rate m / u
// moves: 1 p, 1 g, 1 m, 1 u, partial -> 1 p, 1 m, 1 u
extern "C" __global__ void adamax(real* __restrict__ p, const real* __restrict__ g, real* __restrict__ m,
                                  real* __restrict__ u, const real* __restrict__ partial, int64 n, int parts,
                                  real limit, real clip, real weight_decay, real beta1, real rest1, real beta2,
                                  real epsilon, real mean_rate) {
  const Gradient by = gradient(partial, parts, limit, clip, weight_decay);
  for_elements(n, [&](auto w, int64 i) {
    constexpr int W = decltype(w)::value;
    const In<W> gi(g + i), p0(p + i), m0(m + i), u0(u + i);
    Out<W> p1(p + i), m1(m + i), u1(u + i);
    LANES(k) {
      const real gk = by.of(gi[k], p0[k]);
      const real mk = beta1 * m0[k] + rest1 * gk;
      const real now = (gk < 0 ? -gk : gk) + epsilon, before = beta2 * u0[k];
      const real uk = before > now ? before : now;
      m1[k] = mk; u1[k] = uk;
      p1[k] = p0[k] - mean_rate * mk / uk;
    }
    p1.store(); m1.store(); u1.store();
  });
}

// Lion (Chen et al. 2023): p -= lr sign(beta1 m + rest1 g) + decoupled p;  m <- beta2 m + rest2 g
// moves: 1 p, 1 g, 1 m, partial -> 1 p, 1 m
extern "C" __global__ void lion(real* __restrict__ p, const real* __restrict__ g, real* __restrict__ m,
                                const real* __restrict__ partial, int64 n, int parts, real limit, real clip,
                                real weight_decay, real lr, real beta1, real rest1, real beta2, real rest2,
                                real decoupled) {
  const Gradient by = gradient(partial, parts, limit, clip, weight_decay);
  for_elements(n, [&](auto w, int64 i) {
    constexpr int W = decltype(w)::value;
    const In<W> gi(g + i), p0(p + i), m0(m + i);
    Out<W> p1(p + i), m1(m + i);
    LANES(k) {
      const real gk = by.of(gi[k], p0[k]);
      const real c = beta1 * m0[k] + rest1 * gk;
      const real sign = c > 0 ? (real)1 : c < 0 ? (real)-1 : c;     // of 0 it is 0, and NaN stays
      m1[k] = beta2 * m0[k] + rest2 * gk;
      p1[k] = p0[k] - (decoupled * p0[k] + lr * sign);
    }
    p1.store(); m1.store();
  });
}
