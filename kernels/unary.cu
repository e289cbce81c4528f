// unary.cu - functions of one number, elementwise.  Each kind has its value, and its slope given `s`, which is x or the
// value, whichever minivae/ops/unary.py says that the backward pass keeps; `a` and `b` are a kind's settings.
#include "portable.cuh"
#include "math.cuh"
#include "functions.cuh"

struct Affine { static DEVICE real value(real x, real a, real b) { return a * x + b; }
                static DEVICE real slope(real, real a, real) { return a; } };
struct Over { static DEVICE real value(real x, real a, real) { return a / x; }
              static DEVICE real slope(real s, real a, real) { return -(a / s) / s; } };
struct DividedBy { static DEVICE real value(real x, real a, real) { return x / a; }
                   static DEVICE real slope(real, real a, real) { return 1 / a; } };
struct Square { static DEVICE real value(real x, real, real) { return x * x; }
                static DEVICE real slope(real s, real, real) { return 2 * s; } };
struct Power { static DEVICE real value(real x, real a, real) { return pow_(x, a); }
               static DEVICE real slope(real s, real a, real) { return a == 0 ? (real)0 : a * pow_(s, a - 1); } };
struct PowerOf { static DEVICE real value(real x, real a, real) { return pow_(a, x); }
                 static DEVICE real slope(real s, real, real b) { return s * b; } };      // b = log a
struct Exp { static DEVICE real value(real x, real, real) { return exp_(x); }
             static DEVICE real slope(real s, real, real) { return s; } };
struct Log { static DEVICE real value(real x, real, real) { return log_(x); }
             static DEVICE real slope(real s, real, real) { return 1 / s; } };
struct Sqrt { static DEVICE real value(real x, real, real) { return sqrt_(x); }
              static DEVICE real slope(real s, real, real) { return (real)0.5 / s; } };
struct Tanh { static DEVICE real value(real x, real, real) { return tanh_(x); }
              static DEVICE real slope(real s, real, real) { return 1 - s * s; } };
struct Sigmoid { static DEVICE real value(real x, real, real) { return sigmoid_(x); }
                 static DEVICE real slope(real s, real, real) { return s * (1 - s); } };
struct Softplus { static DEVICE real value(real x, real, real) { return softplus_(x); }
                  static DEVICE real slope(real s, real, real) { return sigmoid_(s); } };
struct LeakyRelu { static DEVICE real value(real x, real a, real) { return x < 0 ? a * x : x; }      // a = 0: relu
                   static DEVICE real slope(real s, real a, real) { return s > 0 ? (real)1 : a; } };
struct Elu { static DEVICE real value(real x, real a, real) { return x < 0 ? a * expm1_(x) : x; }
             static DEVICE real slope(real s, real a, real) { return s > 0 ? (real)1 : a * exp_(s); } };
// x times the probability that a standard normal is below x
struct Gelu { static DEVICE real value(real x, real, real) { return x * normal_below(x); }
              static DEVICE real slope(real s, real, real) { return normal_below(s) + s * normal_density(s); } };
struct Abs { static DEVICE real value(real x, real, real) { return x < 0 ? -x : x == 0 ? (real)0 : x; }
             static DEVICE real slope(real s, real, real) { return s < 0 ? (real)-1 : s > 0 ? (real)1 : (real)0; } };
struct Clip { static DEVICE real value(real x, real a, real b) { return x > b ? b : x < a ? (a < b ? a : b) : x; }
              static DEVICE real slope(real s, real a, real b) { return s >= a && s <= b ? (real)1 : (real)0; } };
struct AtLeast { static DEVICE real value(real x, real a, real) { return larger(x, a); }
                 static DEVICE real slope(real s, real a, real) { return share_of_larger(s, a); } };
struct AtMost { static DEVICE real value(real x, real a, real) { return smaller(x, a); }
                static DEVICE real slope(real s, real a, real) { return 1 - share_of_larger(s, a); } };

// Calls body with the kind of that number, in the order of minivae/ops/unary.py.
template <class Body> DEVICE void with_kind(int kind, Body body) {
  switch (kind) {
    case 0: return body(Affine());
    case 1: return body(Over());
    case 2: return body(DividedBy());
    case 3: return body(Square());
    case 4: return body(Power());
    case 5: return body(PowerOf());
    case 6: return body(Exp());
    case 7: return body(Log());
    case 8: return body(Sqrt());
    case 9: return body(Tanh());
    case 10: return body(Sigmoid());
    case 11: return body(Softplus());
    case 12: return body(LeakyRelu());
    case 13: return body(Elu());
    case 14: return body(Gelu());
    case 15: return body(Abs());
    case 16: return body(Clip());
    case 17: return body(AtLeast());
    case 18: return body(AtMost());
  }
}

// y = f(x); y may be x
// moves: 1 x -> 1 y
extern "C" __global__ void unary(const real* x, real* y, int64 n, int kind, real a, real b) {
  with_kind(kind, [&](auto f) {
    for_elements(n, [&](auto w, int64 i) {
      constexpr int W = decltype(w)::value;
      const In<W> xi(x + i);
      Out<W> yi(y + i);
      LANES(k) yi[k] = f.value(xi[k], a, b);
      yi.store();
    });
  });
}

// dx = dy f'(x); dx may be dy
// moves: 1 dy, 1 saved -> 1 dx
extern "C" __global__ void unary_backward(const real* dy, const real* __restrict__ saved,
                                          real* dx, int64 n, int kind, real a, real b) {
  with_kind(kind, [&](auto f) {
    for_elements(n, [&](auto w, int64 i) {
      constexpr int W = decltype(w)::value;
      const In<W> dyi(dy + i), si(saved + i);
      Out<W> dxi(dx + i);
      LANES(k) dxi[k] = dyi[k] * f.slope(si[k], a, b);
      dxi.store();
    });
  });
}
