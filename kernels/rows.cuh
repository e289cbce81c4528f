// rows.cuh - what one block does with one row of `cols` numbers; all its threads must call it.
#pragma once

// Calls body(Int<W>, c) for this thread's packs of a row.
template <class Body> DEVICE void for_row(int64 cols, Body body) {
  for_packs(cols, threadIdx.x, blockDim.x, cols % WIDTH == 0, body);
}

// The sum of f over a row, returned to every thread.
template <class F> DEVICE real sum_of_row(const real* row, int64 cols, F f) {
  LaneSum sum;
  for_row(cols, [&](auto w, int64 c) {
    constexpr int W = decltype(w)::value;
    const In<W> x(row + c);
    real lane[W];
    LANES(k) lane[k] = f(x[k]);
    sum.add(lane);
  });
  return sum.total();
}

// The largest number of a row, returned to every thread; NaN wins.
DEVICE real largest_of_row(const real* row, int64 cols) {
  real lane[WIDTH];
  UNROLL for (int k = 0; k < WIDTH; ++k) lane[k] = row[0];
  for_row(cols, [&](auto w, int64 c) {
    constexpr int W = decltype(w)::value;
    const In<W> x(row + c);
    LANES(k) lane[k] = larger(x[k], lane[k]);
  });
  UNROLL for (int half = WIDTH / 2; half > 0; half /= 2)
    for (int k = 0; k < half; ++k) lane[k] = larger(lane[k], lane[k + half]);
  return block_fold(lane[0], [](real a, real b) { return larger(a, b); });
}

// log sum exp of a row, shifted by its largest number, or not where that is infinite; returned to every thread.
DEVICE real logsumexp_of_row(const real* row, int64 cols) {
  const real most = largest_of_row(row, cols), shift = finite_(most) ? most : (real)0;
  return shift + log_(sum_of_row(row, cols, [&](real v) { return exp_(v - shift); }));
}

// to = f(from), a row each.
template <class F> DEVICE void map_row(const real* from, real* to, int64 cols, F f) {
  for_row(cols, [&](auto w, int64 c) {
    constexpr int W = decltype(w)::value;
    const In<W> x(from + c);
    Out<W> y(to + c);
    LANES(k) y[k] = f(x[k]);
    y.store();
  });
}
