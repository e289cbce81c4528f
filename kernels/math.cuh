// math.cuh - exp, log, sine and cosine that vectorize under any compiler and round alike everywhere.
//
// Branch-free polynomials (Cephes' single precision coefficients, S. Moshier, public domain).  Each
// step is an explicit fma, product or sum that no compiler may contract further, so the float build
// gives the same bits on a CPU and a GPU: the noise of a run does not depend on the device.
// NaN comes out as NaN, exp overflows to infinity and underflows to zero.  The double build, used by
// gradient tests, takes the C library's functions.  Errors, measured over all magnitudes in
// tests/test_math.py: exp 1 ulp, log 1 ulp, sin and cos 1e-7 absolute.
#pragma once

DEVICE double exp_(double x) { return exp(x); }
DEVICE double log_(double x) { return log(x); }
DEVICE double log1p_(double x) { return log1p(x); }
DEVICE double sqrt_(double x) { return sqrt(x); }
DEVICE double fma_(double a, double b, double c) { return fma(a, b, c); }
DEVICE float fma_(float a, float b, float c) { return fmaf(a, b, c); }
DEVICE float sqrt_(float x) { return sqrtf(x); }

DEVICE float exp_(float x) {
  // 2^n * e^r with |r| <= log(2) / 2; n is split in two so that neither power leaves float's range.
  const float c = x < -104.0f ? -104.0f : x > 89.0f ? 89.0f : x;
  const float n = rintf((c == c ? c : 0.0f) * 1.44269504f);
  float r = fmaf(n, -0.693359375f, c);
  r = fmaf(n, 2.12194440e-4f, r);
  float p = fmaf(1.9875691500e-4f, r, 1.3981999507e-3f);
  p = fmaf(p, r, 8.3334519073e-3f);
  p = fmaf(p, r, 4.1665795894e-2f);
  p = fmaf(p, r, 1.6666665459e-1f);
  p = fmaf(p, r, 5.0000001201e-1f);
  const float y = fmaf(p, r * r, r) + 1.0f;
  const int whole = (int)n, half = whole >> 1;
  return y * __int_as_float((half + 127) << 23) * __int_as_float((whole - half + 127) << 23);
}

DEVICE float log_(float x) {
  // x = m * 2^e with sqrt(1/2) <= m < sqrt(2).  Subnormal x counts as zero, as on a GPU with -ftz.
  const uint32 bits = (uint32)__float_as_int(x);
  const int e = (int)(bits - 0x3f3504f3u) >> 23;
  const float n = (float)e;
  const float m = __int_as_float((int)(bits - ((uint32)e << 23))) - 1.0f;
  const float m2 = m * m;
  float p = fmaf(7.0376836292e-2f, m, -1.1514610310e-1f);
  p = fmaf(p, m, 1.1676998740e-1f);
  p = fmaf(p, m, -1.2420140846e-1f);
  p = fmaf(p, m, 1.4249322787e-1f);
  p = fmaf(p, m, -1.6668057665e-1f);
  p = fmaf(p, m, 2.0000714765e-1f);
  p = fmaf(p, m, -2.4999993993e-1f);
  p = fmaf(p, m, 3.3333331174e-1f);
  float y = fmaf(p * m, m2, n * -2.12194440e-4f);
  y = fmaf(-0.5f, m2, y);
  y = fmaf(n, 0.693359375f, m + y);
  const float inf = __int_as_float(0x7f800000);
  const float edge = x >= 1.17549435e-38f ? inf : x >= 0.0f ? -inf : __int_as_float(0x7fc00000);
  return x >= 1.17549435e-38f && x < inf ? y : x != x ? x : edge;
}

// log(1 + x) for 0 <= x <= 1: what rounding 1 + x loses is put back to first order.
DEVICE float log1p_(float x) {
  const float u = 1.0f + x;
  return log_(u) + (x - (u - 1.0f)) / u;
}

struct Pair { float first, second; };

// (sin, cos) of 2 pi t for 0 <= t <= 1.
DEVICE Pair sincos_turns(float t) {
  const float q = rintf(t * 4.0f);                    // the nearest quarter turn
  const float a = fmaf(q, -0.25f, t) * 6.28318531f;   // what is left, |a| <= pi / 4
  const float a2 = a * a;
  float s = fmaf(-1.9515295891e-4f, a2, 8.3321608736e-3f);
  s = fmaf(s, a2, -1.6666654611e-1f);
  s = fmaf(s * a2, a, a);
  float c = fmaf(2.443315711809948e-5f, a2, -1.388731625493765e-3f);
  c = fmaf(c, a2, 4.166664568298827e-2f);
  c = fmaf(c * a2, a2, fmaf(-0.5f, a2, 1.0f));
  const int quarter = (int)q & 3;
  const float p = quarter & 1 ? c : s, r = quarter & 1 ? s : c;
  return {quarter & 2 ? -p : p, quarter == 1 || quarter == 2 ? -r : r};
}

DEVICE real sigmoid_(real x) {
  const real e = exp_(x < 0 ? x : -x);                // e^-|x|: never overflows
  const real s = 1 / (1 + e);
  return x < 0 ? e * s : s;
}

DEVICE real softplus_(real x) { return (x > 0 ? x : x != x ? x : (real)0) + log1p_(exp_(x < 0 ? x : -x)); }

// log softplus(x), given softplus(x): it tends to x where that would underflow.
DEVICE real log_softplus_(real x, real softplus) {
  const real log = log_(softplus);
  return x < -15 ? x : log;
}

DEVICE double tanh_(double x) { return tanh(x); }
DEVICE float tanh_(float x) {
  const float a = x < 0 ? -x : x, x2 = x * x;
  const float far = 1.0f - 2.0f / (exp_(2.0f * a) + 1.0f);
  float p = fmaf(-5.70498872745e-3f, x2, 2.06390887954e-2f);
  p = fmaf(p, x2, -5.37397155531e-2f);
  p = fmaf(p, x2, 1.33314422036e-1f);
  p = fmaf(p, x2, -3.33332819422e-1f);
  const float near = fmaf(p * x2, x, x);
  return a < 0.625f ? near : x < 0 ? -far : far;
}

DEVICE bool finite_(real x) { return x - x == 0; }
