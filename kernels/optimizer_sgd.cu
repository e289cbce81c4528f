// optimizer_sgd.cu - gradient descent with one rate for all: plain, with momentum, with Nesterov's momentum.
// g below is the gradient as optimizer.cuh leaves it.
#include "portable.cuh"
#include "math.cuh"
#include "reduce.cuh"
#include "optimizer.cuh"

// p -= lr g
// moves: 1 p, 1 g, partial -> 1 p
extern "C" __global__ void sgd(real* __restrict__ p, const real* __restrict__ g, const real* __restrict__ partial,
                               int64 n, int parts, real limit, real clip, real weight_decay, real lr) {
  const Gradient by = gradient(partial, parts, limit, clip, weight_decay);
  for_elements(n, [&](auto w, int64 i) {
    constexpr int W = decltype(w)::value;
    const In<W> gi(g + i), p0(p + i);
    Out<W> p1(p + i);
    LANES(k) p1[k] = p0[k] - lr * by.of(gi[k], p0[k]);
    p1.store();
  });
}

// m' = mu m - lr g;  p += m'
// moves: 1 p, 1 g, 1 m, partial -> 1 p, 1 m
extern "C" __global__ void sgd_momentum(real* __restrict__ p, const real* __restrict__ g, real* __restrict__ m,
                                        const real* __restrict__ partial, int64 n, int parts, real limit, real clip,
                                        real weight_decay, real lr, real mu) {
  const Gradient by = gradient(partial, parts, limit, clip, weight_decay);
  for_elements(n, [&](auto w, int64 i) {
    constexpr int W = decltype(w)::value;
    const In<W> gi(g + i), p0(p + i), m0(m + i);
    Out<W> p1(p + i), m1(m + i);
    LANES(k) {
      const real momentum = mu * m0[k] - lr * by.of(gi[k], p0[k]);
      m1[k] = momentum;
      p1[k] = p0[k] + momentum;
    }
    p1.store(); m1.store();
  });
}

// Nesterov's momentum (Sutskever et al. 2013): m' = mu m - lr g;  p += mu m' - lr g
// moves: 1 p, 1 g, 1 m, partial -> 1 p, 1 m
extern "C" __global__ void sgd_nesterov(real* __restrict__ p, const real* __restrict__ g, real* __restrict__ m,
                                        const real* __restrict__ partial, int64 n, int parts, real limit, real clip,
                                        real weight_decay, real lr, real mu) {
  const Gradient by = gradient(partial, parts, limit, clip, weight_decay);
  for_elements(n, [&](auto w, int64 i) {
    constexpr int W = decltype(w)::value;
    const In<W> gi(g + i), p0(p + i), m0(m + i);
    Out<W> p1(p + i), m1(m + i);
    LANES(k) {
      const real step = lr * by.of(gi[k], p0[k]);
      const real momentum = mu * m0[k] - step;
      m1[k] = momentum;
      p1[k] = p0[k] + mu * momentum - step;
    }
    p1.store(); m1.store();
  });
}
