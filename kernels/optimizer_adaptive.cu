// optimizer_adaptive.cu - a rate for each parameter, from the squares of its gradients: Adagrad, Adadelta, RMSProp.
// g below is the gradient as optimizer.cuh leaves it; `rest` is 1 - decay, made in float64.
#include "portable.cuh"
#include "math.cuh"
#include "reduce.cuh"
#include "optimizer.cuh"

// Adagrad (Duchi et al. 2011): s += g^2;  p -= lr g / (sqrt(s) + epsilon)
// moves: 1 p, 1 g, 1 square, partial -> 1 p, 1 square
extern "C" __global__ void adagrad(real* __restrict__ p, const real* __restrict__ g, real* __restrict__ square,
                                   const real* __restrict__ partial, int64 n, int parts, real limit, real clip,
                                   real weight_decay, real lr, real epsilon) {
  const Gradient by = gradient(partial, parts, limit, clip, weight_decay);
  for_elements(n, [&](auto w, int64 i) {
    constexpr int W = decltype(w)::value;
    const In<W> gi(g + i), p0(p + i), s0(square + i);
    Out<W> p1(p + i), s1(square + i);
    LANES(k) {
      const real gk = by.of(gi[k], p0[k]);
      const real sk = s0[k] + gk * gk;
      s1[k] = sk;
      p1[k] = p0[k] - lr * gk / (sqrt_(sk) + epsilon);
    }
    p1.store(); s1.store();
  });
}

// Adadelta (Zeiler 2012): n <- d n + (1 - d) g^2;  s = g sqrt(u + epsilon) / sqrt(n + epsilon);
//   u <- d u + (1 - d) s^2;  p -= lr s
// moves: 1 p, 1 g, 1 square, 1 change, partial -> 1 p, 1 square, 1 change
extern "C" __global__ void adadelta(real* __restrict__ p, const real* __restrict__ g, real* __restrict__ square,
                                    real* __restrict__ change, const real* __restrict__ partial, int64 n, int parts,
                                    real limit, real clip, real weight_decay, real lr, real decay, real rest,
                                    real epsilon) {
  const Gradient by = gradient(partial, parts, limit, clip, weight_decay);
  for_elements(n, [&](auto w, int64 i) {
    constexpr int W = decltype(w)::value;
    const In<W> gi(g + i), p0(p + i), n0(square + i), u0(change + i);
    Out<W> p1(p + i), n1(square + i), u1(change + i);
    LANES(k) {
      const real gk = by.of(gi[k], p0[k]);
      const real nk = decay * n0[k] + rest * gk * gk;
      const real step = gk * sqrt_((u0[k] + epsilon) / (nk + epsilon));
      n1[k] = nk;
      u1[k] = decay * u0[k] + rest * step * step;
      p1[k] = p0[k] - lr * step;
    }
    p1.store(); n1.store(); u1.store();
  });
}

// RMSProp (Tieleman & Hinton 2012): n <- d n + (1 - d) g^2;  p -= lr g / (sqrt(n) + epsilon)
// moves: 1 p, 1 g, 1 square, partial -> 1 p, 1 square
extern "C" __global__ void rmsprop(real* __restrict__ p, const real* __restrict__ g, real* __restrict__ square,
                                   const real* __restrict__ partial, int64 n, int parts, real limit, real clip,
                                   real weight_decay, real lr, real decay, real rest, real epsilon) {
  const Gradient by = gradient(partial, parts, limit, clip, weight_decay);
  for_elements(n, [&](auto w, int64 i) {
    constexpr int W = decltype(w)::value;
    const In<W> gi(g + i), p0(p + i), n0(square + i);
    Out<W> p1(p + i), n1(square + i);
    LANES(k) {
      const real gk = by.of(gi[k], p0[k]);
      const real nk = decay * n0[k] + rest * gk * gk;
      n1[k] = nk;
      p1[k] = p0[k] - lr * gk / (sqrt_(nk) + epsilon);
    }
    p1.store(); n1.store();
  });
}

// Centred: n <- d n + (1 - d) g^2;  a <- d a + (1 - d) g;  p -= lr g / sqrt(n - a^2 + epsilon)
// moves: 1 p, 1 g, 1 square, 1 average, partial -> 1 p, 1 square, 1 average
extern "C" __global__ void rmsprop_centred(real* __restrict__ p, const real* __restrict__ g,
                                           real* __restrict__ square, real* __restrict__ average,
                                           const real* __restrict__ partial, int64 n, int parts, real limit,
                                           real clip, real weight_decay, real lr, real decay, real rest,
                                           real epsilon) {
  const Gradient by = gradient(partial, parts, limit, clip, weight_decay);
  for_elements(n, [&](auto w, int64 i) {
    constexpr int W = decltype(w)::value;
    const In<W> gi(g + i), p0(p + i), n0(square + i), a0(average + i);
    Out<W> p1(p + i), n1(square + i), a1(average + i);
    LANES(k) {
      const real gk = by.of(gi[k], p0[k]);
      const real nk = decay * n0[k] + rest * gk * gk;
      const real ak = decay * a0[k] + rest * gk;
      const real variance = nk - ak * ak;
      n1[k] = nk; a1[k] = ak;
      p1[k] = p0[k] - lr * gk / sqrt_((variance < 0 ? (real)0 : variance) + epsilon);
    }
    p1.store(); n1.store(); a1.store();
  });
}

// Centred, with momentum (Graves 2013, eq. 38-41): m' = mu m - lr g / sqrt(n - a^2 + epsilon);  p += m'
// moves: 1 p, 1 g, 1 m, 1 square, 1 average, partial -> 1 p, 1 m, 1 square, 1 average
extern "C" __global__ void rmsprop_momentum(real* __restrict__ p, const real* __restrict__ g, real* __restrict__ m,
                                            real* __restrict__ square, real* __restrict__ average,
                                            const real* __restrict__ partial, int64 n, int parts, real limit,
                                            real clip, real weight_decay, real lr, real mu, real decay, real rest,
                                            real epsilon) {
  const Gradient by = gradient(partial, parts, limit, clip, weight_decay);
  for_elements(n, [&](auto w, int64 i) {
    constexpr int W = decltype(w)::value;
    const In<W> gi(g + i), p0(p + i), m0(m + i), n0(square + i), a0(average + i);
    Out<W> p1(p + i), m1(m + i), n1(square + i), a1(average + i);
    LANES(k) {
      const real gk = by.of(gi[k], p0[k]);
      const real nk = decay * n0[k] + rest * gk * gk;
      const real ak = decay * a0[k] + rest * gk;
      const real variance = nk - ak * ak;
      const real momentum = mu * m0[k] - lr * gk / sqrt_((variance < 0 ? (real)0 : variance) + epsilon);
      n1[k] = nk; a1[k] = ak; m1[k] = momentum;
      p1[k] = p0[k] + momentum;
    }
    p1.store(); m1.store(); n1.store(); a1.store();
  });
}

// Centred, with Nesterov's momentum, and a floor under the root mean square instead of an epsilon in it:
//   step = lr g / max(sqrt(n - a^2), floor);  m' = mu m - step;  p += mu m' - step
// moves: 1 p, 1 g, 1 m, 1 square, 1 average, partial -> 1 p, 1 m, 1 square, 1 average
extern "C" __global__ void rmsprop_nesterov(real* __restrict__ p, const real* __restrict__ g, real* __restrict__ m,
                                            real* __restrict__ square, real* __restrict__ average,
                                            const real* __restrict__ partial, int64 n, int parts, real limit,
                                            real clip, real weight_decay, real lr, real mu, real decay, real floor) {
  const Gradient by = gradient(partial, parts, limit, clip, weight_decay);
  for_elements(n, [&](auto w, int64 i) {
    constexpr int W = decltype(w)::value;
    const In<W> gi(g + i), p0(p + i), m0(m + i), n0(square + i), a0(average + i);
    Out<W> p1(p + i), m1(m + i), n1(square + i), a1(average + i);
    LANES(k) {
      const real gk = by.of(gi[k], p0[k]);
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
