// activation.cuh - the activations that batch norm can end with: value and slope at u.
// The numbers are those of minivae/ops/batch_norm.py.
#pragma once

struct Identity { static DEVICE real value(real u) { return u; }
                  static DEVICE real slope(real) { return 1; } };
struct Relu { static DEVICE real value(real u) { return u < 0 ? (real)0 : u; }      // NaN stays NaN
              static DEVICE real slope(real u) { return u > 0 ? (real)1 : (real)0; } };
struct Tanh { static DEVICE real value(real u) { return tanh_(u); }
              static DEVICE real slope(real u) { const real y = tanh_(u); return 1 - y * y; } };
struct HardTanh { static DEVICE real value(real u) { return u < -1 ? (real)-1 : u > 1 ? (real)1 : u; }
                  static DEVICE real slope(real u) { return u > -1 && u < 1 ? (real)1 : (real)0; } };
struct Softplus { static DEVICE real value(real u) { return softplus_(u); }
                  static DEVICE real slope(real u) { return sigmoid_(u); } };
struct Sigmoid { static DEVICE real value(real u) { return sigmoid_(u); }
                 static DEVICE real slope(real u) { const real y = sigmoid_(u); return y * (1 - y); } };

// Calls body with the activation of that number: the branch is taken once, outside all loops.
template <class Body> DEVICE void with_activation(int number, Body body) {
  switch (number) {
    case 0: return body(Identity());
    case 1: return body(Relu());
    case 2: return body(Tanh());
    case 3: return body(HardTanh());
    case 4: return body(Softplus());
    case 5: return body(Sigmoid());
  }
}
