// gemm.cpp - matrix products on the pool: C (m, n) = op(A) (m, k) op(B) (k, n), or C +=; row major; one, or a batch.
// Follows Goto & van de Geijn 2008 ("Anatomy of high-performance matrix multiplication"): KC rows and NR columns of op(B)
// are packed into a panel; a block of op(A)'s rows, which fits the second-level cache, meets it while it is near, and
// MR x NR sums stay in registers.  Row-major A needs no packing: its elements are broadcast from where they are.
// Each thread packs for itself, so a product is one round of the pool.  Every element is summed over k in the same order
// whatever the number of threads, so the result has the same bits.
// Appended to array.h and pool.cpp.
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
constexpr int64_t KC = 512, NC = 4096;         // of k and of n at a time
constexpr int64_t BLOCK = 144;                 // rows of op(A) at a time: 288 KiB in float32; a multiple of MR
constexpr int64_t GROUP = 4;                   // panels packed together: whole 256 bytes of op(B)'s rows
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
  T* c;                                        // (m, n)
  int64_t c_row, c_col;                        // its strides; one of them is 1
  bool accumulate;                             // C += rather than C =
  int64_t k0, depth;                           // the part of k that is worked on
};

// Columns panel * NR .. of op(B) as (depth, NR); those past n are zero.
template <class T> void pack_panel(const Product<T>& p, int64_t panel, T* to) {
  constexpr int NR = Simd<T>::NR, LANES = Simd<T>::LANES;
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

// `panels` panels of op(B) from number `panel` on.  Where its rows are contiguous they are walked once for all panels:
// a cache line of each row at a time would wait for memory at every one.
template <class T> void pack_panels(const Product<T>& p, int64_t panel, int64_t panels, T* to) {
  constexpr int NR = Simd<T>::NR;
  const int64_t whole = p.b_col == 1 ? std::clamp<int64_t>(p.n / NR - panel, 0, panels) : 0;
  const T* b = p.b + p.k0 * p.b_row + panel * NR;
  for (int64_t k = 0; k < p.depth; ++k, b += p.b_row)
    for (int64_t j = 0; j < whole; ++j) memcpy(to + (j * p.depth + k) * NR, b + j * NR, NR * sizeof(T));
  for (int64_t j = whole; j < panels; ++j) pack_panel(p, panel + j, to + j * p.depth * NR);
}

// Adds a tile's sums to the first `columns` of its columns in C, or puts them there.
template <class T, int ROWS> void store_tile(typename Simd<T>::Vector (&sum)[ROWS][2], const Product<T>& p, T* c, int64_t columns) {
  constexpr int LANES = Simd<T>::LANES, NR = Simd<T>::NR;
  const bool add = p.accumulate || p.k0 > 0;
  if (p.c_col != 1) {                          // C lies transposed: blocks of LANES x LANES change their sides
    for (int row = 0; row < ROWS; row += LANES)
      for (int half = 0; half < 2; ++half) {
        typename Simd<T>::Vector block[LANES];
        const int rows = std::min(ROWS - row, LANES);
        for (int i = 0; i < LANES; ++i) block[i] = i < rows ? sum[row + i][half] : typename Simd<T>::Vector{};
        transpose<T, 1>(block);
        for (int j = 0; j < LANES && half * LANES + j < columns; ++j) {
          T* to = c + row + (half * LANES + j) * p.c_col;
          if (!add) { memcpy(to, &block[j], rows * sizeof(T)); continue; }
          for (int i = 0; i < rows; ++i) to[i] += block[j][i];
        }
      }
    return;
  }
  if (columns == NR) {
#pragma GCC unroll 16
    for (int i = 0; i < ROWS; ++i) {
      T *c0 = c + i * p.c_row, *c1 = c0 + LANES;
      Simd<T>::store(c0, add ? Simd<T>::load(c0) + sum[i][0] : sum[i][0]);
      Simd<T>::store(c1, add ? Simd<T>::load(c1) + sum[i][1] : sum[i][1]);
    }
    return;
  }
  T whole[ROWS][NR];
  memcpy(whole, sum, sizeof whole);
  for (int i = 0; i < ROWS; ++i)
    for (int64_t j = 0; j < columns; ++j) c[i * p.c_row + j] = add ? c[i * p.c_row + j] + whole[i][j] : whole[i][j];
}

// c (ROWS, NR) (+)= a (ROWS, depth) b (depth, NR).  a is a packed strip (depth, ROWS), or with DIRECT the matrix.  With AHEAD
// `depth` rows of op(B) from `ahead` on, which are packed next, are fetched on the way, a cache line of each.
// A function of its own: inlined, GCC 12 runs out of registers for the rows' addresses, and a third of the speed is lost.
template <class T, int ROWS, bool DIRECT, bool AHEAD>
__attribute__((noinline)) void tile(const Product<T>& p, const T* a, const T* b, T* c, int64_t columns, const T* ahead) {
  typedef typename Simd<T>::Vector Vector;
  constexpr int LANES = Simd<T>::LANES, NR = Simd<T>::NR;
  const int64_t depth = p.depth, a_row = p.a_row, b_row = p.b_row;
  if (p.c_col == 1 && columns == NR)           // on its way while the sums are made
    for (int i = 0; i < ROWS; ++i) {
      __builtin_prefetch(c + i * p.c_row, 1);
      __builtin_prefetch(c + i * p.c_row + LANES, 1);
    }
  Vector sum[ROWS][2];
#pragma GCC unroll 16
  for (int i = 0; i < ROWS; ++i) sum[i][0] = sum[i][1] = Vector{};
  for (int64_t k = 0; k < depth; ++k, a += DIRECT ? 1 : ROWS, b += NR) {
    const Vector b0 = Simd<T>::load(b), b1 = Simd<T>::load(b + LANES);
    if (AHEAD) __builtin_prefetch(ahead, 0, 2), ahead += b_row;
#pragma GCC unroll 16
    for (int i = 0; i < ROWS; ++i) {
      const T ai = DIRECT ? a[i * a_row] : a[i];
      sum[i][0] += ai * b0;
      sum[i][1] += ai * b1;
    }
  }
  store_tile<T, ROWS>(sum, p, c, columns);
}

// `rows` <= ROWS rows of C from `row` on, in the columns of a packed panel; `strip` is those rows of op(A), packed, or null.
template <class T, int ROWS>
void strip_by_panel(const Product<T>& p, int64_t row, int64_t rows, const T* strip, int64_t panel, const T* packed,
                    const T* ahead) {
  if constexpr (ROWS > 0) {
    if (rows < ROWS) return strip_by_panel<T, ROWS - 1>(p, row, rows, strip, panel, packed, ahead);
    const int64_t first = panel * Simd<T>::NR, columns = std::min<int64_t>(Simd<T>::NR, p.n - first);
    T* c = p.c + row * p.c_row + first * p.c_col;
    const T* a = strip ? strip : p.a + row * p.a_row + p.k0;
    if (strip && ahead) tile<T, ROWS, false, true>(p, a, packed, c, columns, ahead);
    else if (strip) tile<T, ROWS, false, false>(p, a, packed, c, columns, ahead);
    else if (ahead) tile<T, ROWS, true, true>(p, a, packed, c, columns, ahead);
    else tile<T, ROWS, true, false>(p, a, packed, c, columns, ahead);
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

// Memory of this thread that stays, and stays in its cache: `count` vectors, number `which` of such places.
template <class T, int which> T* place_of(size_t count) {
  static thread_local std::vector<typename Simd<T>::Vector> place;
  if (place.size() < count) place.resize(count);
  return (T*)place.data();
}

// A product by this thread alone, for `depth` of k.  Where all rows are one block, each group of panels is used once and
// overwrites the last; else the first block packs all panels for the others.
template <class T> void multiply_depth(const Product<T>& p) {
  constexpr int NR = Simd<T>::NR, LINE = 64 / sizeof(T);     // a cache line
  const int64_t panels = (p.n + NR - 1) / NR;
  const bool keep = p.m > BLOCK, transposed = p.a_col != 1;
  T* const packed = place_of<T, 0>((keep ? panels : GROUP) * p.depth * 2);
  T* const strips = transposed ? place_of<T, 1>(BLOCK * KC / Simd<T>::LANES) : nullptr;
  for (int64_t block = 0; block < p.m; block += BLOCK) {
    const int64_t rows = std::min(BLOCK, p.m - block);
    if (transposed) pack_strips(p, block, rows, strips);
    for (int64_t j = 0; j < panels; ++j) {
      T* const panel = packed + (keep ? j : j % GROUP) * p.depth * NR;
      if (block == 0 && j % GROUP == 0) pack_panels(p, j, std::min(GROUP, panels - j), panel);
      // A panel's strips fetch the lines of the rows that its successor in the next group is packed from, a line each.
      const T* const next = p.b_col == 1 && block == 0 && j + GROUP < p.n / NR ?
          p.b + p.k0 * p.b_row + (j + GROUP) * NR : nullptr;
      for (int64_t s = 0; s < rows; s += MR)
        strip_by_panel<T, MR>(p, block + s, std::min<int64_t>(MR, rows - s), strips ? strips + s * KC : nullptr, j, panel,
                              next && s / MR * LINE < NR ? next + s / MR * LINE : nullptr);
    }
  }
}

// A product by this thread alone.  NC columns of C at a time bound the packed part of op(B): 8 MiB in float32.
template <class T> void multiply(Product<T> p) {
  const Product<T> whole = p;
  const int64_t blocks = (p.k + KC - 1) / KC;     // of nearly equal depth
  for (int64_t n0 = 0; n0 < whole.n; n0 += NC) {
    p.n = std::min(NC, whole.n - n0);
    p.b = whole.b + n0 * p.b_col;
    p.c = whole.c + n0 * whole.c_col;
    for (int64_t block = 0; block < blocks; ++block) {
      p.k0 = p.k * block / blocks;
      p.depth = p.k * (block + 1) / blocks - p.k0;
      multiply_depth(p);
    }
  }
}

// `count` products of one shape, one after the other in memory, each cut into parts_m x parts_n parts.
template <class T> struct Batch {
  Product<T> first;
  int64_t count, a_next, b_next, c_next;       // elements from one matrix to the next
  int64_t parts_m, parts_n;
  std::atomic<bool> failed;

  void part(int64_t i) const {
    const int64_t row_part = i / parts_n % parts_m, column_part = i % parts_n, number = i / (parts_m * parts_n);
    const int64_t panels = (first.n + Simd<T>::NR - 1) / Simd<T>::NR, strips = (first.m + MR - 1) / MR;
    const int64_t row = strips * row_part / parts_m * MR, column = panels * column_part / parts_n * Simd<T>::NR;
    Product<T> p = first;
    p.m = std::min(first.m, strips * (row_part + 1) / parts_m * MR) - row;
    p.n = std::min(first.n, panels * (column_part + 1) / parts_n * Simd<T>::NR) - column;
    p.a += number * a_next + row * p.a_row;
    p.b += number * b_next + column * p.b_col;
    p.c += number * c_next + row * p.c_row + column * p.c_col;
    multiply(p);
  }
};

template <class T> void multiply_share(int part, int parts, void* argument) {
  Batch<T>& batch = *(Batch<T>*)argument;
  const int64_t all = batch.count * batch.parts_m * batch.parts_n;
  try {
    for (int64_t i = all * part / parts; i < all * (part + 1) / parts; ++i) batch.part(i);
  } catch (const std::bad_alloc&) {
    batch.failed = true;
  }
}

// Into how many parts to cut the rows, where rows times columns make `parts`: the largest part should be small, and
// what it packs of op(B), some PACKING rows' worth of multiplications.
template <class T> int64_t row_parts(const Product<T>& p, int64_t parts) {
  constexpr int64_t PACKING = 6, NR = Simd<T>::NR;
  const int64_t strips = (p.m + MR - 1) / MR, panels = (p.n + NR - 1) / NR;
  int64_t best = 1, least = INT64_MAX;
  for (int64_t i = 1; i <= parts; ++i) {
    if (parts % i) continue;
    const int64_t rows = (strips + i - 1) / i * MR, j = parts / i, columns = (panels + j - 1) / j * NR;
    const int64_t cost = (rows + PACKING) * columns;
    if (cost < least) best = i, least = cost;
  }
  return best;
}

// The same product, C^T = op(B)^T op(A)^T.
template <class T> Product<T> transposed(const Product<T>& p) {
  Product<T> t = p;
  t.m = p.n, t.n = p.m;
  t.a = p.b, t.a_row = p.b_col, t.a_col = p.b_row;
  t.b = p.a, t.b_row = p.a_col, t.b_col = p.a_row;
  t.c_row = p.c_col, t.c_col = p.c_row;
  return t;
}

// 0, or 1 where there was no memory to pack into.
template <class T> int products(Product<T> p, int64_t count, int64_t a_next, int64_t b_next, int64_t c_next) {
  // op(B) that lies transposed costs a transposition to pack, but none as the left factor: there op(A) is packed, and if
  // it is the smaller one, time is saved.
  if (p.b_col != 1 && p.a_col == 1 && p.m < p.n) {
    p = transposed(p);
    std::swap(a_next, b_next);
  }
  const int64_t parts = (wanted_threads + count - 1) / count, rows = row_parts(p, parts);
  Batch<T> batch = {p, count, a_next, b_next, c_next, rows, parts / rows, {false}};
  if (p.m * p.n * p.k * count < SMALL) multiply_share<T>(0, 1, &batch);
  else pool_run(multiply_share<T>, &batch);
  return batch.failed;
}

// What minivae/host/pool.py packs of a product: NumPy's objects; gemm_configure() says how many bytes their heads have.
struct Call { const char *a, *b, *out; int accumulate; };
ptrdiff_t object_head;

// An array's last two axes as a matrix of elements; a batch of matrices has an axis before.
template <class T> struct Matrix {
  T* data;
  int64_t count, rows, cols, next, row, col;
  explicit Matrix(const char* object) {
    MinivaeArray array;
    memcpy(&array, object + object_head, sizeof array);
    const int at = array.axes - 2;
    data = (T*)array.data;
    count = at ? array.shape[0] : 1, rows = array.shape[at], cols = array.shape[at + 1];
    next = at ? array.strides[0] / (ptrdiff_t)sizeof(T) : 0;
    row = array.strides[at] / (ptrdiff_t)sizeof(T), col = array.strides[at + 1] / (ptrdiff_t)sizeof(T);
  }
  bool fits() const { return row == 1 || col == 1; }
};

enum { DONE, NO_MEMORY, STRIDED };      // as minivae/host/pool.py has them

template <class T> int multiply(const char* packed) {
  Call call;
  memcpy(&call, packed, sizeof call);
  const Matrix<const T> a(call.a), b(call.b);
  const Matrix<T> out(call.out);
  if (!a.fits() || !b.fits()) return STRIDED;
  return products<T>({out.rows, out.cols, a.cols, a.data, a.row, a.col, b.data, b.row, b.col, out.data, out.cols, 1,
                      call.accumulate != 0, 0, 0}, out.count, a.next, b.next, out.next) ? NO_MEMORY : DONE;
}

}  // namespace

extern "C" void gemm_configure(int64_t head) { object_head = head; }
extern "C" int gemm_float(const char* packed) { return multiply<float>(packed); }
extern "C" int gemm_double(const char* packed) { return multiply<double>(packed); }
