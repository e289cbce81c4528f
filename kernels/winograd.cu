// winograd.cu - 3 x 3 convolutions of stride 1 by minimal filtering, F(4 x 4, 3 x 3): a tile of 4 x 4 outputs takes 36
// multiplications a channel pair instead of 144 (Winograd 1980; Lavin & Gray 2016, section 4.3).
//   y = A^T [(G w G^T) . (B^T x B)] A, the products over channels in between being 36 matrix products:
//   transformed images (36, tiles, inputs) times transformed kernels (36, inputs, outputs) is (36, tiles, outputs).
// Each *_backward kernel is the transpose of the linear map of its name.
// Images are channels last; tile t of an image is at row t / tiles_wide, column t % tiles_wide of its grid, and covers
// 6 x 6 of the padded inputs from (4 row, 4 column) on.  A thread owns a pack of channels of a tile.
// Bytes moved per tile and channel, of sizeof(real): input 36 reads (16 from memory, 20 from the cache) + 36 writes, its
// backward pass 144 reads (36 from memory) + 16 writes; output 36 + 16, backward 16 + 36; weights 9 + 36, backward 36 + 9.
#include "portable.cuh"
#include "math.cuh"
#include "image.cuh"

// One axis of each transform takes IN numbers and gives OUT (Toom & Cook's construction).  Polynomials of degree 5 are
// told by their values at 0, a, -a, b, -b and infinity.  With a = sqrt(1/2), b = sqrt(2) the powers stay near 1, and the
// error in float32 is a fifth of that with the usual 1, 2.
#define A ((real)0.70710678118654752440)
#define B ((real)1.41421356237309504880)
#define TRANSFORM(from, to) static constexpr int IN = from, OUT = to; DEVICE static void axis(const real (&x)[from], real (&y)[to])

struct Input {                                    // B^T
  TRANSFORM(6, 6) {
    const real even_a = x[4] - 2 * x[2], odd_a = A * x[3] - B * x[1];           // a b^2 = b, b a^2 = a
    const real even_b = x[4] - (real)0.5 * x[2], odd_b = B * x[3] - A * x[1];
    y[0] = x[0] - (real)2.5 * x[2] + x[4];
    y[1] = even_a + odd_a;
    y[2] = even_a - odd_a;
    y[3] = even_b + odd_b;
    y[4] = even_b - odd_b;
    y[5] = x[1] - (real)2.5 * x[3] + x[5];
  }
};
struct InputTransposedFirst {                     // the first four of B x
  TRANSFORM(6, 4) {
    const real sum_a = x[1] + x[2], sum_b = x[3] + x[4], difference_a = x[1] - x[2], difference_b = x[3] - x[4];
    y[0] = x[0];
    y[1] = x[5] - B * difference_a - A * difference_b;
    y[2] = (real)-2.5 * x[0] - 2 * sum_a - (real)0.5 * sum_b;
    y[3] = A * difference_a + B * difference_b - (real)2.5 * x[5];
  }
};
struct InputTransposedLast {                      // the last two
  TRANSFORM(6, 2) {
    y[0] = x[0] + x[1] + x[2] + x[3] + x[4];
    y[1] = x[5];
  }
};
struct Output {                                   // A^T
  TRANSFORM(6, 4) {
    const real sum_a = x[1] + x[2], sum_b = x[3] + x[4], difference_a = x[1] - x[2], difference_b = x[3] - x[4];
    y[0] = x[0] + sum_a + sum_b;
    y[1] = A * difference_a + B * difference_b;
    y[2] = (real)0.5 * sum_a + 2 * sum_b;
    y[3] = (real)0.5 * A * difference_a + 2 * B * difference_b + x[5];
  }
};
struct OutputTransposed {
  TRANSFORM(4, 6) {
    const real even_a = x[0] + (real)0.5 * x[2], odd_a = A * (x[1] + (real)0.5 * x[3]);
    const real even_b = x[0] + 2 * x[2], odd_b = B * (x[1] + 2 * x[3]);
    y[0] = x[0];
    y[1] = even_a + odd_a;
    y[2] = even_a - odd_a;
    y[3] = even_b + odd_b;
    y[4] = even_b - odd_b;
    y[5] = x[3];
  }
};
#define OF_A ((real)(-1 / 1.5))                   // 1 / ((a - 0) (a + a) (a^2 - b^2)), and the same for b
#define OF_B ((real)(1 / 6.0))
struct Weights {                                  // G
  TRANSFORM(3, 6) {
    const real even_a = OF_A * (x[0] + (real)0.5 * x[2]), odd_a = OF_A * A * x[1];
    const real even_b = OF_B * (x[0] + 2 * x[2]), odd_b = OF_B * B * x[1];
    y[0] = x[0];
    y[1] = even_a + odd_a;
    y[2] = even_a - odd_a;
    y[3] = even_b + odd_b;
    y[4] = even_b - odd_b;
    y[5] = x[2];
  }
};
struct WeightsTransposed {
  TRANSFORM(6, 3) {
    const real sum_a = OF_A * (x[1] + x[2]), sum_b = OF_B * (x[3] + x[4]);
    y[0] = x[0] + sum_a + sum_b;
    y[1] = OF_A * A * (x[1] - x[2]) + OF_B * B * (x[3] - x[4]);
    y[2] = (real)0.5 * sum_a + 2 * sum_b + x[5];
  }
};

// A transform along the rows' axis by Rows, then along the columns' by Columns: half of it is done from memory into a
// buffer, the rest row by row out of it.
template <class Rows, class Columns, int W> struct Transformed {
  real half[Rows::OUT][Columns::IN][W];

  // from(i, j) is the In<W> at row i, column j.
  template <class From> DEVICE explicit Transformed(const From& from) {
    UNROLL_16 for (int j = 0; j < Columns::IN; ++j) {
      In<W> in[Rows::IN];
      UNROLL_16 for (int i = 0; i < Rows::IN; ++i) in[i] = from(i, j);
      LANES(k) {
        real x[Rows::IN], y[Rows::OUT];
        UNROLL_16 for (int i = 0; i < Rows::IN; ++i) x[i] = in[i][k];
        Rows::axis(x, y);
        UNROLL_16 for (int i = 0; i < Rows::OUT; ++i) half[i][j][k] = y[i];
      }
    }
  }

  // Lane k of row i of the result.
  DEVICE void row(int i, int k, real (&y)[Columns::OUT]) const {
    real x[Columns::IN];
    UNROLL_16 for (int j = 0; j < Columns::IN; ++j) x[j] = half[i][j][k];
    Columns::axis(x, y);
  }

  // to(i, j) is the Out<W> for row i, column j.
  template <class To> DEVICE void store(const To& to) const {
    UNROLL_16 for (int i = 0; i < Rows::OUT; ++i) {
      Out<W> out[Columns::OUT];
      UNROLL_16 for (int j = 0; j < Columns::OUT; ++j) out[j] = to(i, j);
      LANES(k) {
        real y[Columns::OUT];
        row(i, k, y);
        UNROLL_16 for (int j = 0; j < Columns::OUT; ++j) out[j][k] = y[j];
      }
      UNROLL_16 for (int j = 0; j < Columns::OUT; ++j) out[j].store();
    }
  }
};

constexpr int TILE = 4;         // outputs along an axis of a tile, and how far tiles are apart
constexpr int POINTS = 6;       // numbers along an axis of a transformed tile

// Calls body(Int<W>, i) for packs i .. of `count` channel pairs; each tap's weights begin `count` after the last's.
template <class Body> DEVICE void for_taps(int64 count, Body body) {
  const int64 worker = (int64)blockIdx.x * blockDim.x + threadIdx.x, workers = (int64)gridDim.x * blockDim.x;
#if defined(__CUDACC__)
  for (int64 i = worker; i < count; i += workers) body(Int<1>(), i);      // see for_channels_of_many
#else
  for_packs(count, worker, workers, true, body);
#endif
}

// The weights of all channel pairs, `count` numbers a tap: u = G w G^T, (36, count).
// moves: 1/4 w -> 1 u
extern "C" __global__ void winograd_weights(const real* __restrict__ w, real* __restrict__ u, int64 count) {
  for_taps(count, [&](auto pack, int64 at) {
    constexpr int W = decltype(pack)::value;
    const Transformed<Weights, Weights, W> tile([&](int i, int j) { return In<W>(w + (i * 3 + j) * count + at); });
    tile.store([&](int i, int j) { return Out<W>(u + (i * POINTS + j) * count + at); });
  });
}

// dw from du.
// moves: 1 du -> 1/4 dw
extern "C" __global__ void winograd_weights_backward(const real* __restrict__ du, real* __restrict__ dw, int64 count) {
  for_taps(count, [&](auto pack, int64 at) {
    constexpr int W = decltype(pack)::value;
    const Transformed<WeightsTransposed, WeightsTransposed, W> tile(
        [&](int i, int j) { return In<W>(du + (i * POINTS + j) * count + at); });
    tile.store([&](int i, int j) { return Out<W>(dw + (i * 3 + j) * count + at); });
  });
}

// How images (images, height, width, channels) are cut into tiles; tiles_high * tiles_wide of them an image.
struct Grid { int64 tiles; int tiles_high, tiles_wide, height, width, channels; };

// A tile's 4 x 4 or 6 x 6 pixels from (top, left) on, of which some may lie outside the image.
struct Patch {
  int64 first;      // offset of (top, left)
  int top, left, height, width, channels;
  DEVICE Patch(const Grid& grid, int64 image, int top, int left, int c)
      : first(((image * grid.height + top) * grid.width + left) * grid.channels + c), top(top), left(left),
        height(grid.height), width(grid.width), channels(grid.channels) {}
  DEVICE bool holds(int i, int j) const { return top + i >= 0 && top + i < height && left + j >= 0 && left + j < width; }
  DEVICE int64 at(int i, int j) const { return first + ((int64)i * width + j) * channels; }
};

// Calls body(Int<W>, c, t, image, row, column) for each pack of channels of this thread in each tile t of its share.
template <class Body> DEVICE void for_tiles(const Grid& grid, Body body) {
  for_places(grid.tiles, grid.tiles_high, grid.tiles_wide, [&](int64 t, int64 image, int row, int column) {
    for_channels_of_many(grid.channels, [&](auto pack, int c) { body(pack, c, t, image, row, column); });
  });
}

// v (36, tiles, channels), its matrices `apart` elements apart, = B^T x B of each tile, which begins `pad` above and to the
// left of its outputs.
// moves: 49/144 x -> 1 v
extern "C" __global__ void winograd_input(const real* __restrict__ x, real* __restrict__ v, int64 tiles, int64 apart,
                                          int tiles_high, int tiles_wide, int height, int width, int channels, int pad) {
  const Grid grid = {tiles, tiles_high, tiles_wide, height, width, channels};
  for_tiles(grid, [&](auto pack, int c, int64 t, int64 image, int row, int column) {
    constexpr int W = decltype(pack)::value;
    const Patch patch(grid, image, TILE * row - pad, TILE * column - pad, c);
    const Transformed<Input, Input, W> tile([&](int i, int j) { return In<W>(x + patch.at(i, j), patch.holds(i, j)); });
    real* to = v + t * channels + c;
    tile.store([&](int i, int j) { return Out<W>(to + (i * POINTS + j) * apart); });
  });
}

// Adds to sum what the tile at (row, column) has of a cell's pixels: Rows and Columns say which part of the tile lies there.
template <class Rows, class Columns, int W>
DEVICE void add_part(real (&sum)[TILE][TILE][W], const Grid& cells, const real* dv, int64 apart, int64 image, int row, int column) {
  const int high = cells.tiles_high - 1, wide = cells.tiles_wide - 1;
  if (row < 0 || row >= high || column < 0 || column >= wide) return;
  const real* from = dv + ((image * high + row) * wide + column) * cells.channels;
  const Transformed<Rows, Columns, W> part([&](int i, int j) { return In<W>(from + (i * POINTS + j) * apart); });
  UNROLL_16 for (int i = 0; i < Rows::OUT; ++i) LANES(k) {
    real y[Columns::OUT];
    part.row(i, k, y);
    UNROLL_16 for (int j = 0; j < Columns::OUT; ++j) sum[i][j][k] += y[j];
  }
}

// dx from dv: a thread owns a cell of 4 x 4 pixels, the first four rows and columns of one tile, and gathers from the up
// to four tiles that cover them, always in the same order.  There is one more row and column of cells than of tiles.
// moves: 1 dv -> 49/144 dx
extern "C" __global__ void winograd_input_backward(const real* __restrict__ dv, real* __restrict__ dx, int64 cells,
                                                   int64 apart, int tiles_high, int tiles_wide, int height, int width,
                                                   int channels, int pad) {
  typedef InputTransposedFirst First;
  typedef InputTransposedLast Last;
  const Grid grid = {cells, tiles_high + 1, tiles_wide + 1, height, width, channels};
  for_tiles(grid, [&](auto pack, int c, int64, int64 image, int row, int column) {
    constexpr int W = decltype(pack)::value;
    real sum[TILE][TILE][W];
    UNROLL_16 for (int p = 0; p < TILE * TILE; ++p) LANES(k) sum[p / TILE][p % TILE][k] = 0;
    add_part<First, First, W>(sum, grid, dv + c, apart, image, row, column);
    add_part<First, Last, W>(sum, grid, dv + c, apart, image, row, column - 1);
    add_part<Last, First, W>(sum, grid, dv + c, apart, image, row - 1, column);
    add_part<Last, Last, W>(sum, grid, dv + c, apart, image, row - 1, column - 1);
    const Patch patch(grid, image, TILE * row - pad, TILE * column - pad, c);
    UNROLL_16 for (int p = 0; p < TILE * TILE; ++p) {
      const int i = p / TILE, j = p % TILE;
      if (!patch.holds(i, j)) continue;
      Out<W> out(dx + patch.at(i, j));
      LANES(k) out[k] = sum[i][j][k];
      out.store();
    }
  });
}

// y (images, height, width, channels) = A^T m A of each tile; what lies beyond the image is dropped.
// moves: 1 m -> 49/144 y
extern "C" __global__ void winograd_output(const real* __restrict__ m, real* __restrict__ y, int64 tiles, int64 apart,
                                           int tiles_high, int tiles_wide, int height, int width, int channels) {
  const Grid grid = {tiles, tiles_high, tiles_wide, height, width, channels};
  for_tiles(grid, [&](auto pack, int c, int64 t, int64 image, int row, int column) {
    constexpr int W = decltype(pack)::value;
    const real* from = m + t * channels + c;
    const Transformed<Output, Output, W> tile([&](int i, int j) { return In<W>(from + (i * POINTS + j) * apart); });
    const Patch patch(grid, image, TILE * row, TILE * column, c);
    tile.store([&](int i, int j) { return Out<W>(y + patch.at(i, j), patch.holds(i, j)); });
  });
}

// dm from dy.
// moves: 49/144 dy -> 1 dm
extern "C" __global__ void winograd_output_backward(const real* __restrict__ dy, real* __restrict__ dm, int64 tiles,
                                                    int64 apart, int tiles_high, int tiles_wide, int height, int width, int channels) {
  const Grid grid = {tiles, tiles_high, tiles_wide, height, width, channels};
  for_tiles(grid, [&](auto pack, int c, int64 t, int64 image, int row, int column) {
    constexpr int W = decltype(pack)::value;
    const Patch patch(grid, image, TILE * row, TILE * column, c);
    const Transformed<OutputTransposed, OutputTransposed, W> tile(
        [&](int i, int j) { return In<W>(dy + patch.at(i, j), patch.holds(i, j)); });
    real* to = dm + t * channels + c;
    tile.store([&](int i, int j) { return Out<W>(to + (i * POINTS + j) * apart); });
  });
}
