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
struct InputTransposed {
  template <int STEP> DEVICE static void axis(real* v) {
    const real a = v[0], b = v[STEP], c = v[2 * STEP], d = v[3 * STEP];
    v[0] = a; v[STEP] = b - c + d; v[2 * STEP] = b + c - a; v[3 * STEP] = -d;
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

// A 4 x 4 tile of packs.
template <int W> struct Tile {
  real at[16][W];

  // Transforms all columns, then all rows; what a transform needs less than four of leaves the others unused.
  template <class Transform> DEVICE void transform() {
    LANES(k) {
      real v[16];
      UNROLL_16 for (int i = 0; i < 16; ++i) v[i] = at[i][k];
      UNROLL_16 for (int i = 0; i < 4; ++i) Transform::template axis<4>(v + i);
      UNROLL_16 for (int i = 0; i < 4; ++i) Transform::template axis<1>(v + 4 * i);
      UNROLL_16 for (int i = 0; i < 16; ++i) at[i][k] = v[i];
    }
  }
  DEVICE void clear() { UNROLL_16 for (int i = 0; i < 16; ++i) LANES(k) at[i][k] = 0; }
  DEVICE void load(int i, const real* from) { const In<W> in(from); LANES(k) at[i][k] = in[k]; }
  DEVICE void store(int i, real* to) const { Out<W> out(to); LANES(k) out[k] = at[i][k]; out.store(); }
  // From and to the 16 matrices, `apart` elements from one to the next.
  DEVICE void load_all(const real* from, int64 apart) { UNROLL_16 for (int i = 0; i < 16; ++i) load(i, from + i * apart); }
  DEVICE void store_all(real* to, int64 apart) const { UNROLL_16 for (int i = 0; i < 16; ++i) store(i, to + i * apart); }
};

// Calls body(Int<W>, i) for packs i .. of `count` channel pairs; each tap's weights begin `count` after the last's.
template <class Body> DEVICE void for_taps(int64 count, Body body) {
  for_packs(count, (int64)blockIdx.x * blockDim.x + threadIdx.x, (int64)gridDim.x * blockDim.x, count % WIDTH == 0, body);
}

// The weights of all channel pairs, `count` numbers a tap: u = G w G^T, (16, count).
extern "C" __global__ void winograd_weights(const real* __restrict__ w, real* __restrict__ u, int64 count) {
  for_taps(count, [&](auto pack, int64 i) {
    Tile<decltype(pack)::value> tile;
    tile.clear();
    UNROLL_16 for (int tap = 0; tap < 9; ++tap) tile.load(tap / 3 * 4 + tap % 3, w + tap * count + i);
    tile.template transform<Weights>();
    tile.store_all(u + i, count);
  });
}

// dw from du.
extern "C" __global__ void winograd_weights_backward(const real* __restrict__ du, real* __restrict__ dw, int64 count) {
  for_taps(count, [&](auto pack, int64 i) {
    Tile<decltype(pack)::value> tile;
    tile.load_all(du + i, count);
    tile.template transform<WeightsTransposed>();
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
extern "C" __global__ void winograd_input(const real* __restrict__ x, real* __restrict__ v, int64 tiles, int tiles_high,
                                          int tiles_wide, int height, int width, int channels, int pad) {
  const Grid grid = {tiles, tiles_high, tiles_wide, height, width, channels};
  for_tiles(grid, [&](auto pack, int c, int64 t, int64 image, int row, int column) {
    Tile<decltype(pack)::value> tile;
    tile.clear();
    UNROLL_16 for (int i = 0; i < 16; ++i) {
      const int h = 2 * row - pad + i / 4, w = 2 * column - pad + i % 4;
      if (h >= 0 && h < height && w >= 0 && w < width)
        tile.load(i, x + ((image * height + h) * width + w) * channels + c);
    }
    tile.template transform<Input>();
    tile.store_all(v + t * channels + c, tiles * channels);
  });
}

// dx from dv: a thread owns 2 x 2 pixels, the first quarter of one tile, and gathers from the up to four tiles that
// cover them, always in the same order.  The grid has one more row and column than there are tiles.
extern "C" __global__ void winograd_input_backward(const real* __restrict__ dv, real* __restrict__ dx, int64 cells,
                                                   int tiles_high, int tiles_wide, int height, int width, int channels,
                                                   int pad) {
  const Grid grid = {cells, tiles_high + 1, tiles_wide + 1, height, width, channels};
  const int64 apart = cells / ((tiles_high + 1) * (tiles_wide + 1)) * tiles_high * tiles_wide * channels;
  for_tiles(grid, [&](auto pack, int c, int64, int64 image, int row, int column) {
    constexpr int W = decltype(pack)::value;
    real sum[4][W];
    UNROLL_16 for (int p = 0; p < 4; ++p) LANES(k) sum[p][k] = 0;
    UNROLL_16 for (int up = 0; up < 2; ++up)
      UNROLL_16 for (int left = 0; left < 2; ++left) {
        const int r = row - up, s = column - left;
        if (r < 0 || r >= tiles_high || s < 0 || s >= tiles_wide) continue;
        Tile<W> tile;
        tile.load_all(dv + ((image * tiles_high + r) * tiles_wide + s) * channels + c, apart);
        tile.template transform<InputTransposed>();
        UNROLL_16 for (int p = 0; p < 4; ++p) {
          const real* from = tile.at[(2 * up + p / 2) * 4 + 2 * left + p % 2];
          LANES(k) sum[p][k] += from[k];
        }
      }
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
extern "C" __global__ void winograd_output(const real* __restrict__ m, real* __restrict__ y, int64 tiles, int tiles_high,
                                           int tiles_wide, int height, int width, int channels) {
  const Grid grid = {tiles, tiles_high, tiles_wide, height, width, channels};
  for_tiles(grid, [&](auto pack, int c, int64 t, int64 image, int row, int column) {
    Tile<decltype(pack)::value> tile;
    tile.load_all(m + t * channels + c, tiles * channels);
    tile.template transform<Output>();
    UNROLL_16 for (int p = 0; p < 4; ++p) {
      const int h = 2 * row + p / 2, w = 2 * column + p % 2;
      if (h < height && w < width) tile.store(p / 2 * 4 + p % 2, y + ((image * height + h) * width + w) * channels + c);
    }
  });
}

// dm from dy.
extern "C" __global__ void winograd_output_backward(const real* __restrict__ dy, real* __restrict__ dm, int64 tiles,
                                                    int tiles_high, int tiles_wide, int height, int width, int channels) {
  const Grid grid = {tiles, tiles_high, tiles_wide, height, width, channels};
  for_tiles(grid, [&](auto pack, int c, int64 t, int64 image, int row, int column) {
    Tile<decltype(pack)::value> tile;
    tile.clear();
    UNROLL_16 for (int p = 0; p < 4; ++p) {
      const int h = 2 * row + p / 2, w = 2 * column + p % 2;
      if (h < height && w < width) tile.load(p / 2 * 4 + p % 2, dy + ((image * height + h) * width + w) * channels + c);
    }
    tile.template transform<OutputTransposed>();
    tile.store_all(dm + t * channels + c, tiles * channels);
  });
}
