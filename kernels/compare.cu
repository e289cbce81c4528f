// compare.cu - comparisons, elementwise: of arrays of one shape, of an array with a number, and with broadcasting.  The
// result is a byte an element, 1 where the comparison holds; with NaN none holds but "not equal".
#include "portable.cuh"
#include "broadcast.cuh"

struct Less { static DEVICE uint8 value(real a, real b) { return a < b; } };
struct LessEqual { static DEVICE uint8 value(real a, real b) { return a <= b; } };
struct Greater { static DEVICE uint8 value(real a, real b) { return a > b; } };
struct GreaterEqual { static DEVICE uint8 value(real a, real b) { return a >= b; } };
struct Equal { static DEVICE uint8 value(real a, real b) { return a == b; } };
struct NotEqual { static DEVICE uint8 value(real a, real b) { return a != b; } };

// Calls body with the comparison of that number, in the order of minivae/ops/compare.py.
template <class Body> DEVICE void with_kind(int kind, Body body) {
  switch (kind) {
    case 0: return body(Less());
    case 1: return body(LessEqual());
    case 2: return body(Greater());
    case 3: return body(GreaterEqual());
    case 4: return body(Equal());
    case 5: return body(NotEqual());
  }
}

// y = whether a compares so to b, all of one shape
// moves: 1 a, 1 b -> 1 y
extern "C" __global__ void compare(const real* __restrict__ a, const real* __restrict__ b, uint8* __restrict__ y, int64 n,
                                   int kind) {
  with_kind(kind, [&](auto f) {
    for_elements(n, [&](auto w, int64 i) {
      constexpr int W = decltype(w)::value;
      const In<W> ai(a + i), bi(b + i);
      Out<W, uint8> yi(y + i);
      LANES(k) yi[k] = f.value(ai[k], bi[k]);
      yi.store();
    });
  });
}

// y = whether a compares so to the number
// moves: 1 a -> 1 y
extern "C" __global__ void compare_number(const real* __restrict__ a, uint8* __restrict__ y, int64 n, real number,
                                          int kind) {
  with_kind(kind, [&](auto f) {
    for_elements(n, [&](auto w, int64 i) {
      constexpr int W = decltype(w)::value;
      const In<W> ai(a + i);
      Out<W, uint8> yi(y + i);
      LANES(k) yi[k] = f.value(ai[k], number);
      yi.store();
    });
  });
}

// y (rows, cols): in each row an operand has a pack for a pack of y (along), or one number.
// moves: 1 a, 1 b -> 1 y
extern "C" __global__ void compare_broadcast(const real* __restrict__ a, const real* __restrict__ b, uint8* __restrict__ y,
                                             int64 rows, int64 cols, int64 n1, int64 n2, int64 a0, int64 a1, int64 a2,
                                             int64 b0, int64 b1, int64 b2, int along_a, int along_b, int kind) {
  with_kind(kind, [&](auto f) {
    for_broadcast(a, b, rows, cols, n1, n2, Rows{a0, a1, a2}, Rows{b0, b1, b2}, along_a, along_b,
                  [&](const auto& ai, const auto& bi, int64 i, auto w) {
      constexpr int W = decltype(w)::value;
      Out<W, uint8> yi(y + i);
      LANES(k) yi[k] = f.value(ai[k], bi[k]);
      yi.store();
    });
  });
}
