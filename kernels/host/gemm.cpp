// gemm.cpp - matrix products on the pool: C (m, n) = op(A) (m, k) op(B) (k, n), or C +=; row major.
// Follows Goto & van de Geijn 2008 ("Anatomy of high-performance matrix multiplication"): KC rows of op(B) are packed
// into panels of NR columns; MR rows of op(A) meet panel after panel while they lie in the first-level cache, and MR x NR
// sums stay in registers.  Row-major A needs no packing: its elements are broadcast from where they are.
// Every element is summed over k in the same order whatever the number of threads, so the result has the same bits.
// Appended to pool.cpp.
#include <algorithm>
#include <cstring>
#include <new>
#include <utility>

namespace {

#if defined(__AVX512F__)
constexpr int VECTOR_BYTES = 64, MR = 12;      // 24 sums of 32 registers
#elif defined(__AVX__)
constexpr int VECTOR_BYTES = 32, MR = 6;       // 12 of 16
#else
constexpr int VECTOR_BYTES = 16, MR = 8;       // 16 of 32
#endif
constexpr int STRIPS = 4;                      // strips of MR rows that are packed together: whole cache lines
constexpr int64_t KC = 512, NC = 4096;         // of k and of n at a time
constexpr int64_t SMALL = 1 << 15;             // multiplications below which one thread is faster

template <class T> struct Simd {
  typedef T Vector __attribute__((vector_size(VECTOR_BYTES)));
  static constexpr int LANES = VECTOR_BYTES / sizeof(T), NR = 2 * LANES;
  // Memory need not be aligned: a copy of known size is one unaligned access under any compiler.
  static Vector load(const T* from) { Vector v; memcpy(&v, from, sizeof v); return v; }
  static void store(T* to, const Vector& v) { memcpy(to, &v, sizeof v); }
};

// Lane j of a where j & STEP is 0, else lane j - STEP of b (HIGH == 0); the same with lane j + STEP of a (HIGH == 1).
template <int STEP, int HIGH, int LANES, class Vector, int... J>
Vector exchange(Vector a, Vector b, std::integer_sequence<int, J...>) {
#if defined(__clang__)
  return __builtin_shufflevector(a, b, (HIGH ? (J & STEP ? LANES + J : J + STEP) : (J & STEP ? LANES + J - STEP : J))...);
#else
  typedef decltype(a < a) Mask;
  return __builtin_shuffle(a, b, Mask{(HIGH ? (J & STEP ? LANES + J : J + STEP) : (J & STEP ? LANES + J - STEP : J))...});
#endif
}

// Transposes LANES x LANES numbers in registers: blocks beside the diagonal change places, size by size.
template <class T, int STEP> void transpose(typename Simd<T>::Vector (&row)[Simd<T>::LANES]) {
  constexpr int LANES = Simd<T>::LANES;
  if constexpr (STEP < LANES) {
#pragma GCC unroll 16
    for (int i = 0; i < LANES; ++i) {
      if (i & STEP) continue;
      const auto a = row[i], b = row[i + STEP];
      row[i] = exchange<STEP, 0, LANES>(a, b, std::make_integer_sequence<int, LANES>());
      row[i + STEP] = exchange<STEP, 1, LANES>(a, b, std::make_integer_sequence<int, LANES>());
    }
    transpose<T, 2 * STEP>(row);
  }
}

template <class T> struct Product {
  int64_t m, n, k;
  const T* a;
  int64_t a_row, a_col;                        // strides of op(A) and op(B), in elements; one of each is 1
  const T* b;
  int64_t b_row, b_col;
  T* c;                                        // (m, n), rows ldc elements apart
  int64_t ldc;
  bool accumulate;                             // C += rather than C =
  int parts_m, parts_n;
  T* packed;                                   // op(B)'s rows k0 .. k0 + depth - 1 as (panels, depth, NR), columns
  int64_t k0, depth;                           // past n zero
};

template <class T> void pack_panel(const Product<T>& p, int64_t panel) {
  constexpr int NR = Simd<T>::NR, LANES = Simd<T>::LANES;
  T* to = p.packed + panel * p.depth * NR;
  const int64_t first = panel * NR, count = std::min<int64_t>(NR, p.n - first);
  const T* b = p.b + p.k0 * p.b_row + first * p.b_col;
  if (p.b_col == 1) {
    for (int64_t k = 0; k < p.depth; ++k, to += NR, b += p.b_row) {
      if (count == NR) memcpy(to, b, NR * sizeof(T));
      else for (int i = 0; i < NR; ++i) to[i] = i < count ? b[i] : 0;
    }
    return;
  }
  for (int64_t k0 = 0; k0 < p.depth; k0 += LANES)  // op(B) lies transposed
    for (int half = 0; half < NR; half += LANES) {
      typename Simd<T>::Vector row[LANES];
      const int64_t depth = std::min<int64_t>(LANES, p.depth - k0), columns = std::min<int64_t>(LANES, count - half);
      const T* from = b + half * p.b_col + k0;
      for (int i = 0; i < LANES; ++i) {
        row[i] = typename Simd<T>::Vector{};
        if (i >= columns) continue;
        if (depth == LANES) memcpy(&row[i], from + i * p.b_col, sizeof row[i]);
        else memcpy(&row[i], from + i * p.b_col, depth * sizeof(T));
      }
      transpose<T, 1>(row);
      for (int64_t k = 0; k < depth; ++k) memcpy(to + (k0 + k) * NR + half, &row[k], sizeof row[k]);
    }
}

template <class T> void pack_panels(int part, int parts, void* argument) {
  const Product<T>& p = *(const Product<T>*)argument;
  const int64_t panels = (p.n + Simd<T>::NR - 1) / Simd<T>::NR;
  for (int64_t j = panels * part / parts; j < panels * (part + 1) / parts; ++j) pack_panel(p, j);
}

// c (ROWS, NR) (+)= a (ROWS, depth) b (depth, NR).  a is a packed strip (depth, ROWS), or with DIRECT the matrix.
template <class T, int ROWS, bool DIRECT>
void tile(int64_t depth, const T* a, int64_t a_row, const T* b, T* c, int64_t ldc, bool add, int64_t columns) {
  typedef typename Simd<T>::Vector Vector;
  constexpr int LANES = Simd<T>::LANES, NR = Simd<T>::NR;
  Vector sum[ROWS][2];
#pragma GCC unroll 16
  for (int i = 0; i < ROWS; ++i) sum[i][0] = sum[i][1] = Vector{};
  for (int64_t k = 0; k < depth; ++k, a += DIRECT ? 1 : ROWS, b += NR) {
    const Vector b0 = Simd<T>::load(b), b1 = Simd<T>::load(b + LANES);
#pragma GCC unroll 16
    for (int i = 0; i < ROWS; ++i) {
      const T ai = DIRECT ? a[i * a_row] : a[i];
      sum[i][0] += ai * b0;
      sum[i][1] += ai * b1;
    }
  }
  if (columns == NR) {
#pragma GCC unroll 16
    for (int i = 0; i < ROWS; ++i) {
      T *c0 = c + i * ldc, *c1 = c0 + LANES;
      Simd<T>::store(c0, add ? Simd<T>::load(c0) + sum[i][0] : sum[i][0]);
      Simd<T>::store(c1, add ? Simd<T>::load(c1) + sum[i][1] : sum[i][1]);
    }
    return;
  }
  T whole[ROWS][NR];
  memcpy(whole, sum, sizeof whole);
  for (int i = 0; i < ROWS; ++i)
    for (int64_t j = 0; j < columns; ++j) c[i * ldc + j] = add ? c[i * ldc + j] + whole[i][j] : whole[i][j];
}

// The panels that a thread works on: first .. last - 1.
struct Panels { int64_t first, last; };

// ROWS rows of C from `row` on; `strip` is those rows of op(A), packed, or null.
template <class T, int ROWS> void strip_of_rows(const Product<T>& p, int64_t row, const Panels& panels, const T* strip) {
  constexpr int NR = Simd<T>::NR;
  for (int64_t j = panels.first; j < panels.last; ++j) {
    const T* b = p.packed + j * p.depth * NR;
    T* c = p.c + row * p.ldc + j * NR;
    const int64_t columns = std::min<int64_t>(NR, p.n - j * NR);
    if (strip) tile<T, ROWS, false>(p.depth, strip, 0, b, c, p.ldc, p.accumulate || p.k0 > 0, columns);
    else tile<T, ROWS, true>(p.depth, p.a + row * p.a_row + p.k0, p.a_row, b, c, p.ldc, p.accumulate || p.k0 > 0, columns);
  }
}

template <class T, int ROWS>
void rows_of_strip(const Product<T>& p, int64_t row, int64_t rows, const Panels& panels, const T* strip) {
  if constexpr (ROWS > 0) {
    if (rows == ROWS) strip_of_rows<T, ROWS>(p, row, panels, strip);
    else rows_of_strip<T, ROWS - 1>(p, row, rows, panels, strip);
  }
}

// Rows row .. row + rows - 1 of op(A), which lies transposed, as strips of MR rows (the last may have fewer), each
// (depth, its rows).
template <class T> void pack_strips(const Product<T>& p, int64_t row, int64_t rows, T* to) {
  for (int64_t k = 0; k < p.depth; ++k) {
    const T* from = p.a + row + (p.k0 + k) * p.a_col;
    for (int64_t s = 0; s < rows; s += MR) {
      const int64_t count = std::min<int64_t>(MR, rows - s);
      if (count == MR) memcpy(to + s * KC + k * MR, from + s, MR * sizeof(T));
      else memcpy(to + s * KC + k * count, from + s, count * sizeof(T));
    }
  }
}

template <class T> void multiply_part(const Product<T>& p, int part) {
  const int i = part / p.parts_n, j = part % p.parts_n;
  const int64_t count = (p.n + Simd<T>::NR - 1) / Simd<T>::NR;
  const Panels panels = {count * j / p.parts_n, count * (j + 1) / p.parts_n};
  const int64_t first = p.m * i / p.parts_m, last = p.m * (i + 1) / p.parts_m;
  static thread_local T strips[STRIPS * MR * KC];
  for (int64_t row = first; row < last; row += STRIPS * MR) {
    const int64_t rows = std::min<int64_t>(STRIPS * MR, last - row);
    if (p.a_col != 1) pack_strips(p, row, rows, strips);
    for (int64_t s = 0; s < rows; s += MR)
      rows_of_strip<T, MR>(p, row + s, std::min<int64_t>(MR, rows - s), panels, p.a_col != 1 ? strips + s * KC : nullptr);
  }
}

template <class T> void multiply(int part, int parts, void* argument) {
  const Product<T>& p = *(const Product<T>*)argument;
  for (int i = part; i < p.parts_m * p.parts_n; i += parts) multiply_part(p, i);
}

// Columns of C are taken NC at a time, so that the packed part of op(B) is bounded: 8 MiB in float32.
template <class T> void product(Product<T> p) {
  const bool small = p.m * p.n * p.k < SMALL;
  const int threads = wanted_threads;
  p.parts_m = small ? 1 : (int)std::max<int64_t>(1, std::min<int64_t>(threads, p.m / (2 * MR)));
  p.parts_n = small ? 1 : threads / p.parts_m;
  // One place for all products: it stays in the cache.
  static thread_local std::vector<typename Simd<T>::Vector> place;
  const size_t panels = (std::min(NC, p.n) + Simd<T>::NR - 1) / Simd<T>::NR;
  place.resize(std::max(place.size(), panels * std::min(KC, p.k) * 2));
  p.packed = (T*)place.data();
  const Product<T> whole = p;
  for (int64_t n0 = 0; n0 < whole.n; n0 += NC) {
    p.n = std::min(NC, whole.n - n0);
    p.b = whole.b + n0 * p.b_col;
    p.c = whole.c + n0;
    for (p.k0 = 0; p.k0 < p.k; p.k0 += KC) {
      p.depth = std::min(KC, p.k - p.k0);
      if (small) {
        pack_panels<T>(0, 1, &p);
        multiply<T>(0, 1, &p);
      } else {
        pool_run(pack_panels<T>, &p);
        pool_run(multiply<T>, &p);
      }
    }
  }
}

// 0, or 1 where there was no memory to pack into.
template <class T> int guarded_product(const Product<T>& p) {
  try { product<T>(p); return 0; } catch (const std::bad_alloc&) { return 1; }
}

}  // namespace

extern "C" int gemm_float(int64_t m, int64_t n, int64_t k, const float* a, int64_t a_row, int64_t a_col,
                           const float* b, int64_t b_row, int64_t b_col, float* c, int accumulate) {
  return guarded_product<float>({m, n, k, a, a_row, a_col, b, b_row, b_col, c, n, accumulate != 0, 1, 1, nullptr, 0, 0});
}

extern "C" int gemm_double(int64_t m, int64_t n, int64_t k, const double* a, int64_t a_row, int64_t a_col,
                            const double* b, int64_t b_row, int64_t b_col, double* c, int accumulate) {
  return guarded_product<double>({m, n, k, a, a_row, a_col, b, b_row, b_col, c, n, accumulate != 0, 1, 1, nullptr, 0, 0});
}
