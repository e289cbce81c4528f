// winograd.cu - 3 x 3 convolutions of stride 1 by minimal filtering, F(2 x 2, 3 x 3): a tile of 2 x 2 outputs takes 16
// multiplications a channel pair instead of 36 (Winograd 1980; Lavin & Gray 2016, section 4.1).
//   y = A^T [(G w G^T) . (B^T x B)] A, the products over channels in between being 16 matrix products:
//   transformed images (16, tiles, inputs) times transformed kernels (16, inputs, outputs) is (16, tiles, outputs).
// Each *_backward kernel is the transpose of the linear map of its name.  Transforms only add and halve, so float32
// loses about one digit in a thousand sums to them.
// Images are channels last; tile t of an image is at row t / tiles_wide, column t % tiles_wide of its grid, and covers
// 4 x 4 of the padded inputs from (2 row, 2 column) on.  A thread owns a pack of channels of a tile.
// Bytes moved per tile and channel, of sizeof(real): input 16 reads (4 from memory, 12 from the cache) + 16 writes, its
// backward pass 64 reads (16 from memory) + 4 writes; output 16 + 4, backward 4 + 16; weights 9 + 16, backward 16 + 9.
#include "portable.cuh"
#include "math.cuh"
#include "image.cuh"

// One axis of a transform, on four numbers STEP apart: B^T (4 -> 4), A^T (4 -> 2), G (3 -> 4), and their transposes.
struct Input {
  template <int STEP> DEVICE static void axis(real* v) {
    const real a = v[0], b = v[STEP], c = v[2 * STEP], d = v[3 * STEP];
    v[0] = a - c; v[STEP] = b + c; v[2 * STEP] = c - b; v[3 * STEP] = b - d;
  }
};
template <int HALF> struct InputTransposed {      // the first two of the four results, or the last two
  template <int STEP> DEVICE static void axis(real* v) {
    const real a = v[0], b = v[STEP], c = v[2 * STEP], d = v[3 * STEP];
    v[0] = HALF ? b + c - a : a; v[STEP] = HALF ? -d : b - c + d;
  }
};
struct Output {
  template <int STEP> DEVICE static void axis(real* v) {
    const real a = v[0], b = v[STEP], c = v[2 * STEP], d = v[3 * STEP];
    v[0] = a + b + c; v[STEP] = b - c - d;
  }
};
struct OutputTransposed {
  template <int STEP> DEVICE static void axis(real* v) {
    const real a = v[0], b = v[STEP];
    v[STEP] = a + b; v[2 * STEP] = a - b; v[3 * STEP] = -b;
  }
};
struct Weights {
  template <int STEP> DEVICE static void axis(real* v) {
    const real a = v[0], b = v[STEP], c = v[2 * STEP];
    v[STEP] = (real)0.5 * (a + b + c); v[2 * STEP] = (real)0.5 * (a - b + c); v[3 * STEP] = c;
  }
};
struct WeightsTransposed {
  template <int STEP> DEVICE static void axis(real* v) {
    const real a = v[0], b = v[STEP], c = v[2 * STEP], d = v[3 * STEP];
    v[0] = a + (real)0.5 * (b + c); v[STEP] = (real)0.5 * (b - c); v[2 * STEP] = (real)0.5 * (b + c) + d;
  }
};

#define SIXTEEN(f) f(0), f(1), f(2), f(3), f(4), f(5), f(6), f(7), f(8), f(9), f(10), f(11), f(12), f(13), f(14), f(15)

// A tile's packs in the 16 matrices, `apart` elements from one to the next: to be read, and to be written.
template <int W> struct Reads {
  In<W> pack[16];
#define AT(i) In<W>(from + i * apart)
  DEVICE Reads(const real* from, int64 apart) : pack{SIXTEEN(AT)} {}
#undef AT
  DEVICE real operator()(int i, int k) const { return pack[i][k]; }
};
template <int W> struct Writes {
  Out<W> pack[16];
#define AT(i) Out<W>(to + i * apart)
  DEVICE Writes(real* to, int64 apart) : pack{SIXTEEN(AT)} {}
#undef AT
  DEVICE real& operator()(int i, int k) { return pack[i][k]; }
  DEVICE void store() { UNROLL_16 for (int i = 0; i < 16; ++i) pack[i].store(); }
};

// A tile's packs at hand.
template <int W> struct Tile {
  real at[16][W];
  DEVICE real operator()(int i, int k) const { return at[i][k]; }
  DEVICE real& operator()(int i, int k) { return at[i][k]; }
  // Takes pack i from memory, or zeros.
  DEVICE void load(int i, const real* from, bool there = true) {
    if (there) { const In<W> in(from); LANES(k) at[i][k] = in[k]; }
    else LANES(k) at[i][k] = 0;
  }
  DEVICE void store(int i, real* to) const { Out<W> out(to); LANES(k) out[k] = at[i][k]; out.store(); }
};

// to = from with all columns transformed, then all rows; with less than four numbers along an axis the others are unused.
template <int W, class Transform, class From, class To> DEVICE void transform(const From& from, To& to) {
  LANES(k) {
    real v[16];
    UNROLL_16 for (int i = 0; i < 16; ++i) v[i] = from(i, k);
    UNROLL_16 for (int i = 0; i < 4; ++i) Transform::template axis<4>(v + i);
    UNROLL_16 for (int i = 0; i < 4; ++i) Transform::template axis<1>(v + 4 * i);
    UNROLL_16 for (int i = 0; i < 16; ++i) to(i, k) = v[i];
  }
}

// Calls body(Int<W>, i) for packs i .. of `count` channel pairs; each tap's weights begin `count` after the last's.
template <class Body> DEVICE void for_taps(int64 count, Body body) {
  for_packs(count, (int64)blockIdx.x * blockDim.x + threadIdx.x, (int64)gridDim.x * blockDim.x, count % WIDTH == 0, body);
}

// The weights of all channel pairs, `count` numbers a tap: u = G w G^T, (16, count).
// moves: 9/16 w -> 1 u
extern "C" __global__ void winograd_weights(const real* __restrict__ w, real* __restrict__ u, int64 count) {
  for_taps(count, [&](auto pack, int64 i) {
    constexpr int W = decltype(pack)::value;
    Tile<W> tile;
    UNROLL_16 for (int p = 0; p < 16; ++p)
      tile.load(p, w + (p / 4 * 3 + p % 4) * count + i, p / 4 < 3 && p % 4 < 3);
    Writes<W> out(u + i, count);
    transform<W, Weights>(tile, out);
    out.store();
  });
}

// dw from du.
// moves: 1 du -> 9/16 dw
extern "C" __global__ void winograd_weights_backward(const real* __restrict__ du, real* __restrict__ dw, int64 count) {
  for_taps(count, [&](auto pack, int64 i) {
    constexpr int W = decltype(pack)::value;
    Tile<W> tile;
    transform<W, WeightsTransposed>(Reads<W>(du + i, count), tile);
    UNROLL_16 for (int tap = 0; tap < 9; ++tap) tile.store(tap / 3 * 4 + tap % 3, dw + tap * count + i);
  });
}

// How images (images, height, width, channels) are cut into tiles; tiles_high * tiles_wide of them an image.
struct Grid { int64 tiles; int tiles_high, tiles_wide, height, width, channels; };

// Calls body(Int<W>, c, t, image, row, column) for each pack of channels of this thread in each tile t of its share.
template <class Body> DEVICE void for_tiles(const Grid& grid, Body body) {
  for_places(grid.tiles, grid.tiles_high, grid.tiles_wide, [&](int64 t, int64 image, int row, int column) {
    for_channels(grid.channels, [&](auto pack, int c) { body(pack, c, t, image, row, column); });
  });
}

// v (16, tiles, channels) = B^T x B of each tile, which begins `pad` above and to the left of its outputs.
// moves: 1/4 x -> 1 v
extern "C" __global__ void winograd_input(const real* __restrict__ x, real* __restrict__ v, int64 tiles, int tiles_high,
                                          int tiles_wide, int height, int width, int channels, int pad) {
  const Grid grid = {tiles, tiles_high, tiles_wide, height, width, channels};
  for_tiles(grid, [&](auto pack, int c, int64 t, int64 image, int row, int column) {
    constexpr int W = decltype(pack)::value;
    Tile<W> tile;
    UNROLL_16 for (int i = 0; i < 16; ++i) {
      const int h = 2 * row - pad + i / 4, w = 2 * column - pad + i % 4;
      tile.load(i, x + ((image * height + h) * width + w) * channels + c, h >= 0 && h < height && w >= 0 && w < width);
    }
    Writes<W> out(v + t * channels + c, tiles * channels);
    transform<W, Input>(tile, out);
    out.store();
  });
}

// Adds to sum the 2 x 2 pixels that the tile at (row, column) has in its lower half (UNDER) and right half (RIGHT).
template <int UNDER, int RIGHT, int W>
DEVICE void add_quarter(real (&sum)[4][W], const real* dv, int64 image, int row, int column, int tiles_high, int tiles_wide,
                        int channels, int64 apart) {
  if (row < 0 || row >= tiles_high || column < 0 || column >= tiles_wide) return;
  const real* from = dv + ((image * tiles_high + row) * tiles_wide + column) * channels;
  const Reads<W> in(from, apart);
  LANES(k) {
    real v[16];
    UNROLL_16 for (int i = 0; i < 16; ++i) v[i] = in(i, k);
    UNROLL_16 for (int i = 0; i < 4; ++i) InputTransposed<UNDER>::template axis<4>(v + i);
    UNROLL_16 for (int i = 0; i < 2; ++i) InputTransposed<RIGHT>::template axis<1>(v + 4 * i);
    UNROLL_16 for (int p = 0; p < 4; ++p) sum[p][k] += v[p / 2 * 4 + p % 2];
  }
}

// dx from dv: a thread owns 2 x 2 pixels, the first quarter of one tile, and gathers from the up to four tiles that
// cover them, always in the same order.  The grid has one more row and column than there are tiles.
// moves: 1 dv -> 1/4 dx
extern "C" __global__ void winograd_input_backward(const real* __restrict__ dv, real* __restrict__ dx, int64 cells,
                                                   int tiles_high, int tiles_wide, int height, int width, int channels,
                                                   int pad) {
  const Grid grid = {cells, tiles_high + 1, tiles_wide + 1, height, width, channels};
  const int64 apart = cells / ((tiles_high + 1) * (tiles_wide + 1)) * tiles_high * tiles_wide * channels;
  for_tiles(grid, [&](auto pack, int c, int64, int64 image, int row, int column) {
    constexpr int W = decltype(pack)::value;
    real sum[4][W];
    UNROLL_16 for (int p = 0; p < 4; ++p) LANES(k) sum[p][k] = 0;
    add_quarter<0, 0, W>(sum, dv + c, image, row, column, tiles_high, tiles_wide, channels, apart);
    add_quarter<0, 1, W>(sum, dv + c, image, row, column - 1, tiles_high, tiles_wide, channels, apart);
    add_quarter<1, 0, W>(sum, dv + c, image, row - 1, column, tiles_high, tiles_wide, channels, apart);
    add_quarter<1, 1, W>(sum, dv + c, image, row - 1, column - 1, tiles_high, tiles_wide, channels, apart);
    UNROLL_16 for (int p = 0; p < 4; ++p) {
      const int h = 2 * row - pad + p / 2, w = 2 * column - pad + p % 2;
      if (h < 0 || h >= height || w < 0 || w >= width) continue;
      Out<W> out(dx + ((image * height + h) * width + w) * channels + c);
      LANES(k) out[k] = sum[p][k];
      out.store();
    }
  });
}

// y (images, height, width, channels) = A^T m A of each tile; what lies beyond the image is dropped.
// moves: 1 m -> 1/4 y
extern "C" __global__ void winograd_output(const real* __restrict__ m, real* __restrict__ y, int64 tiles, int tiles_high,
                                           int tiles_wide, int height, int width, int channels) {
  const Grid grid = {tiles, tiles_high, tiles_wide, height, width, channels};
  for_tiles(grid, [&](auto pack, int c, int64 t, int64 image, int row, int column) {
    constexpr int W = decltype(pack)::value;
    Tile<W> tile;
    transform<W, Output>(Reads<W>(m + t * channels + c, tiles * channels), tile);
    UNROLL_16 for (int p = 0; p < 4; ++p) {
      const int h = 2 * row + p / 2, w = 2 * column + p % 2;
      if (h < height && w < width) tile.store(p / 2 * 4 + p % 2, y + ((image * height + h) * width + w) * channels + c);
    }
  });
}

// dm from dy.
// moves: 1/4 dy -> 1 dm
extern "C" __global__ void winograd_output_backward(const real* __restrict__ dy, real* __restrict__ dm, int64 tiles,
                                                    int tiles_high, int tiles_wide, int height, int width, int channels) {
  const Grid grid = {tiles, tiles_high, tiles_wide, height, width, channels};
  for_tiles(grid, [&](auto pack, int c, int64 t, int64 image, int row, int column) {
    constexpr int W = decltype(pack)::value;
    Tile<W> tile;
    UNROLL_16 for (int p = 0; p < 16; ++p) {
      const int h = 2 * row + p / 4, w = 2 * column + p % 4;
      tile.load(p, dy + ((image * height + h) * width + w) * channels + c, p / 4 < 2 && p % 4 < 2 && h < height && w < width);
    }
    Writes<W> out(dm + t * channels + c, tiles * channels);
    transform<W, OutputTransposed>(tile, out);
    out.store();
  });
}
