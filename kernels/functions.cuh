// functions.cuh - functions that elementwise kernels share, beyond those of math.cuh.
#pragma once

DEVICE double pow_(double x, double y) { return pow(x, y); }
DEVICE double expm1_(double x) { return expm1(x); }
DEVICE double erfc_(double x) { return erfc(x); }
DEVICE float pow_(float x, float y) { return powf(x, y); }
DEVICE float expm1_(float x) { return expm1f(x); }
DEVICE float erfc_(float x) { return erfcf(x); }

// Of the standard normal distribution.
DEVICE real normal_below(real x) { return (real)0.5 * erfc_(x * (real)-0.70710678118654752); }
DEVICE real normal_density(real x) { return (real)0.39894228040143268 * exp_((real)-0.5 * x * x); }

// The larger and the smaller of two; NaN where either is.
DEVICE real larger(real x, real y) { return x >= y || x != x ? x : y; }
DEVICE real smaller(real x, real y) { return x <= y || x != x ? x : y; }
// How much of the gradient of larger(x, y) goes to x: of equals each gets half.
DEVICE real share_of_larger(real x, real y) { return x > y ? (real)1 : x == y ? (real)0.5 : (real)0; }

DEVICE real nan_() { return (real)__int_as_float(0x7fc00000); }
