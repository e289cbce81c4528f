// philox.cuh - Philox4x32-10 (Salmon et al. 2011, "Parallel random numbers: as easy as 1, 2, 3").
// Counter-based: the same key and counter give the same four words on every device, in any order.
#pragma once

struct Words { uint32 a, b, c, d; };

DEVICE Words philox(Words n, uint32 key_low, uint32 key_high) {
  UNROLL for (int round = 0; round < 10; ++round) {
    const uint32 high_a = __umulhi(0xD2511F53u, n.a), low_a = 0xD2511F53u * n.a;
    const uint32 high_c = __umulhi(0xCD9E8D57u, n.c), low_c = 0xCD9E8D57u * n.c;
    n = {high_c ^ n.b ^ key_low, low_c, high_a ^ n.d ^ key_high, low_a};
    key_low += 0x9E3779B9u;
    key_high += 0xBB67AE85u;
  }
  return n;
}

// Box & Muller 1958: two standard normals from two words.  Uniforms are (word + 1/2) / 2^32, so the
// logarithm's argument is never 0.  Always in float32: the float64 build sees the same noise.
DEVICE Pair box_muller(uint32 radius_word, uint32 angle_word) {
  const float u = fmaf((float)radius_word, 2.3283064365386963e-10f, 1.1641532182693481e-10f);
  const float t = (float)angle_word * 2.3283064365386963e-10f;
  const float radius = sqrtf(-2.0f * log_(u));
  const Pair turned = sincos_turns(t);
  return {radius * turned.second, radius * turned.first};
}

// Which draw of a run: noise is keyed by (seed; step, example, element) and never stored.
struct NoiseKey { uint64 seed; uint32 step, stream; };

// The four words of elements 4 quad .. 4 quad + 3 of an example.
DEVICE Words words_of(const NoiseKey& key, uint32 example, uint32 quad) {
  return philox({quad, example, key.step, key.stream}, (uint32)key.seed, (uint32)(key.seed >> 32));
}

// The random words of elements first .. first + W - 1 of an example.
template <int W> struct Uniform {
  uint32 word[W];
  DEVICE Uniform(const NoiseKey& key, uint32 example, int64 first) {
    if constexpr (W < 4) {
      const Words w = words_of(key, example, (uint32)(first / 4));
      LANES(k) {      // selections, not an index: one known only at run time would put the words into memory
        const int lane = (int)(first + k) & 3;
        word[k] = lane < 2 ? (lane == 0 ? w.a : w.b) : (lane == 2 ? w.c : w.d);
      }
    } else {
      UNROLL for (int q = 0; q < W / 4; ++q) {
        const Words w = words_of(key, example, (uint32)(first / 4 + q));
        word[4 * q] = w.a; word[4 * q + 1] = w.b; word[4 * q + 2] = w.c; word[4 * q + 3] = w.d;
      }
    }
  }
};

// The noise of elements first .. first + W - 1 of an example.  Four neighbours share a Philox call:
// a thread that owns a whole pack makes it once.
template <int W> struct Noise {
  float eps[W];
  DEVICE Noise(const NoiseKey& key, uint32 example, int64 first) {
    constexpr int QUADS = W < 4 ? 1 : W / 4;
    uint32 radius_word[2 * QUADS], angle_word[2 * QUADS];
    float even[2 * QUADS], odd[2 * QUADS];
    UNROLL for (int q = 0; q < QUADS; ++q) {
      const Words w = words_of(key, example, (uint32)first / 4 + q);
      radius_word[2 * q] = w.a; angle_word[2 * q] = w.b;
      radius_word[2 * q + 1] = w.c; angle_word[2 * q + 1] = w.d;
    }
    UNROLL for (int p = 0; p < 2 * QUADS; ++p) {
      const Pair normal = box_muller(radius_word[p], angle_word[p]);
      even[p] = normal.first;
      odd[p] = normal.second;
    }
    if constexpr (W < 4) {
      LANES(k) {      // selections, not indices: an index known only at run time would put the arrays into memory
        const int lane = (int)(first + k) & 3;
        const float e = lane < 2 ? even[0] : even[1], o = lane < 2 ? odd[0] : odd[1];
        eps[k] = lane & 1 ? o : e;
      }
    } else {
      UNROLL for (int p = 0; p < 2 * QUADS; ++p) { eps[2 * p] = even[p]; eps[2 * p + 1] = odd[p]; }
    }
  }
  DEVICE real operator[](int k) const { return (real)eps[k]; }
};
