// binary.cu - functions of two numbers, elementwise: of arrays of one shape, and with broadcasting.  Each kind has its
// value and its two slopes; where the arrays have other shapes than the result, the gradients are left in the result's
// shape, and sum_rows and sum_columns make the arrays' shapes of them.
#include "portable.cuh"
#include "math.cuh"
#include "functions.cuh"
#include "broadcast.cuh"

struct Add { static DEVICE real value(real a, real b) { return a + b; }
             static DEVICE real slope_a(real, real) { return 1; }
             static DEVICE real slope_b(real, real) { return 1; } };
struct Subtract { static DEVICE real value(real a, real b) { return a - b; }
                  static DEVICE real slope_a(real, real) { return 1; }
                  static DEVICE real slope_b(real, real) { return -1; } };
struct Multiply { static DEVICE real value(real a, real b) { return a * b; }
                  static DEVICE real slope_a(real, real b) { return b; }
                  static DEVICE real slope_b(real a, real) { return a; } };
struct Divide { static DEVICE real value(real a, real b) { return a / b; }
                static DEVICE real slope_a(real, real b) { return 1 / b; }
                static DEVICE real slope_b(real a, real b) { return -(a / b) / b; } };
struct Power { static DEVICE real value(real a, real b) { return pow_(a, b); }
               static DEVICE real slope_a(real a, real b) { return b == 0 ? (real)0 : b * pow_(a, b - 1); }
               static DEVICE real slope_b(real a, real b) { return a == 0 && b >= 0 ? (real)0 : pow_(a, b) * log_(a); } };
struct Maximum { static DEVICE real value(real a, real b) { return larger(a, b); }
                 static DEVICE real slope_a(real a, real b) { return share_of_larger(a, b); }
                 static DEVICE real slope_b(real a, real b) { return share_of_larger(b, a); } };
struct Minimum { static DEVICE real value(real a, real b) { return smaller(a, b); }
                 static DEVICE real slope_a(real a, real b) { return share_of_larger(b, a); }
                 static DEVICE real slope_b(real a, real b) { return share_of_larger(a, b); } };

// Calls body with the kind of that number, in the order of minivae/ops/binary.py.
template <class Body> DEVICE void with_kind(int kind, Body body) {
  switch (kind) {
    case 0: return body(Add());
    case 1: return body(Subtract());
    case 2: return body(Multiply());
    case 3: return body(Divide());
    case 4: return body(Power());
    case 5: return body(Maximum());
    case 6: return body(Minimum());
  }
}

// y = f(a, b), all of one shape
// moves: 1 a, 1 b -> 1 y
extern "C" __global__ void binary(const real* __restrict__ a, const real* __restrict__ b, real* __restrict__ y, int64 n,
                                  int kind) {
  with_kind(kind, [&](auto f) {
    for_elements(n, [&](auto w, int64 i) {
      constexpr int W = decltype(w)::value;
      const In<W> ai(a + i), bi(b + i);
      Out<W> yi(y + i);
      LANES(k) yi[k] = f.value(ai[k], bi[k]);
      yi.store();
    });
  });
}

// da = dy df/da and db = dy df/db, each only where it is wanted
// moves: 1 dy, 1 a, 1 b -> 1 da, 1 db
extern "C" __global__ void binary_backward(const real* __restrict__ dy, const real* __restrict__ a,
                                           const real* __restrict__ b, real* __restrict__ da, real* __restrict__ db,
                                           int64 n, int want_a, int want_b, int kind) {
  with_kind(kind, [&](auto f) {
    for_elements(n, [&](auto w, int64 i) {
      constexpr int W = decltype(w)::value;
      const In<W> dyi(dy + i), ai(a + i), bi(b + i);
      if (want_a) { Out<W> out(da + i); LANES(k) out[k] = dyi[k] * f.slope_a(ai[k], bi[k]); out.store(); }
      if (want_b) { Out<W> out(db + i); LANES(k) out[k] = dyi[k] * f.slope_b(ai[k], bi[k]); out.store(); }
    });
  });
}

// y (rows, cols) = f(a, b): in each row an operand has a pack for a pack of y (along), or one number.
// moves: 1 a, 1 b -> 1 y
extern "C" __global__ void binary_broadcast(const real* __restrict__ a, const real* __restrict__ b, real* __restrict__ y,
                                            int64 rows, int64 cols, int64 n1, int64 n2, int64 a0, int64 a1, int64 a2,
                                            int64 b0, int64 b1, int64 b2, int along_a, int along_b, int kind) {
  with_kind(kind, [&](auto f) {
    for_broadcast(a, b, rows, cols, n1, n2, Rows{a0, a1, a2}, Rows{b0, b1, b2}, along_a, along_b,
                  [&](const auto& ai, const auto& bi, int64 i, auto w) {
      constexpr int W = decltype(w)::value;
      Out<W> yi(y + i);
      LANES(k) yi[k] = f.value(ai[k], bi[k]);
      yi.store();
    });
  });
}

// da and db (rows, cols), each only where it is wanted
// moves: 1 dy, 1 a, 1 b -> 1 da, 1 db
extern "C" __global__ void binary_broadcast_backward(const real* __restrict__ dy, const real* __restrict__ a,
                                                     const real* __restrict__ b, real* __restrict__ da,
                                                     real* __restrict__ db, int64 rows, int64 cols, int64 n1, int64 n2,
                                                     int64 a0, int64 a1, int64 a2, int64 b0, int64 b1, int64 b2,
                                                     int along_a, int along_b, int want_a, int want_b, int kind) {
  with_kind(kind, [&](auto f) {
    for_broadcast(a, b, rows, cols, n1, n2, Rows{a0, a1, a2}, Rows{b0, b1, b2}, along_a, along_b,
                  [&](const auto& ai, const auto& bi, int64 i, auto w) {
      constexpr int W = decltype(w)::value;
      const In<W> dyi(dy + i);
      if (want_a) { Out<W> out(da + i); LANES(k) out[k] = dyi[k] * f.slope_a(ai[k], bi[k]); out.store(); }
      if (want_b) { Out<W> out(db + i); LANES(k) out[k] = dyi[k] * f.slope_b(ai[k], bi[k]); out.store(); }
    });
  });
}

// y = a where the mask is not 0, else b
// moves: 1 mask, 1 a, 1 b -> 1 y
extern "C" __global__ void choose(const uint8* __restrict__ mask, const real* __restrict__ a,
                                  const real* __restrict__ b, real* __restrict__ y, int64 n) {
  for_elements(n, [&](auto w, int64 i) {
    constexpr int W = decltype(w)::value;
    const In<W, uint8> chosen(mask + i);
    const In<W> ai(a + i), bi(b + i);
    Out<W> yi(y + i);
    LANES(k) {      // both are read before one is taken: of reads under a condition GCC 12 made wrong code, packs of zeros
      const real first = ai[k], second = bi[k];
      yi[k] = chosen[k] ? first : second;
    }
    yi.store();
  });
}

// da = dy where the mask is not 0, db where it is; 0 elsewhere
// moves: 1 mask, 1 dy -> 1 da, 1 db
extern "C" __global__ void choose_backward(const uint8* __restrict__ mask, const real* __restrict__ dy,
                                           real* __restrict__ da, real* __restrict__ db, int64 n) {
  for_elements(n, [&](auto w, int64 i) {
    constexpr int W = decltype(w)::value;
    const In<W, uint8> chosen(mask + i);
    const In<W> dyi(dy + i);
    Out<W> dai(da + i), dbi(db + i);
    LANES(k) {
      const real gradient = dyi[k];
      dai[k] = chosen[k] ? gradient : (real)0;
      dbi[k] = chosen[k] ? (real)0 : gradient;
    }
    dai.store(); dbi.store();
  });
}
