// broadcast.cuh - how elementwise kernels walk two operands of other shapes than the result's: minivae/ops/binary.py makes
// the numbers from n1 to along_b of the shapes.
#pragma once

// A pack of an operand that lies along the result's rows, or of one that has a single number a row.
template <int W, bool ALONG> struct Lanes {
  const In<W> pack;
  DEVICE explicit Lanes(const real* row, int64 c) : pack(row + c) {}
  DEVICE real operator[](int k) const { return pack[k]; }
};
template <int W> struct Lanes<W, false> {
  const real number;
  DEVICE explicit Lanes(const real* row, int64) : number(row[0]) {}
  DEVICE real operator[](int) const { return number; }
};

// Where an operand's row begins: rows are counted (n0, n1, n2), and from one to the next along each lie s0, s1, s2.
struct Rows {
  int64 s0, s1, s2;
  DEVICE int64 at(int64 row, int64 n1, int64 n2) const {
    const int64 i = row / n2, j = i / n1;
    return j * s0 + (i - j * n1) * s1 + (row - i * n2) * s2;
  }
};

// Calls body(a's pack, b's pack, place in the result, Int<W>) for all packs of this block's rows.
template <bool A, bool B, class Body>
DEVICE void for_broadcast(const real* a, const real* b, int64 rows, int64 cols, int64 n1, int64 n2, const Rows& of_a,
                          const Rows& of_b, Body body) {
  const Share share = share_of(rows, blockIdx.x, gridDim.x);
  for (int64 r = share.first; r < share.last; ++r) {
    const real *row_a = a + of_a.at(r, n1, n2), *row_b = b + of_b.at(r, n1, n2);
    for_packs(cols, threadIdx.x, blockDim.x, cols % WIDTH == 0, [&](auto w, int64 c) {
      constexpr int W = decltype(w)::value;
      body(Lanes<W, A>(row_a, c), Lanes<W, B>(row_b, c), r * cols + c, w);
    });
  }
}

template <class Body>
DEVICE void for_broadcast(const real* a, const real* b, int64 rows, int64 cols, int64 n1, int64 n2, const Rows& of_a,
                          const Rows& of_b, int along_a, int along_b, Body body) {
  if (along_a && along_b) for_broadcast<true, true>(a, b, rows, cols, n1, n2, of_a, of_b, body);
  else if (along_a) for_broadcast<true, false>(a, b, rows, cols, n1, n2, of_a, of_b, body);
  else for_broadcast<false, true>(a, b, rows, cols, n1, n2, of_a, of_b, body);
}
