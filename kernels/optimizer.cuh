// optimizer.cuh - what every optimizer does to the gradient before it uses it, in this order:
//   rescaled to a global norm of at most `limit`; where the norm is not finite, 0.1 * parameter takes the gradient's
//   place, which shrinks the parameters towards zero instead of breaking them (`parts` = 0: no norm was taken, and
//   the gradient is used as it is);
//   clipped to +-`clip`, element by element;
//   weight_decay * parameter added (coupled weight decay: the gradient of weight_decay / 2 |parameters|^2).
// Infinity stands for no limit and no clipping.  The norm never leaves the device.  NaN goes through all of it.
#pragma once

struct Gradient {
  real factor, shrink;              // g * factor, or shrink * parameter if > 0
  real clip, weight_decay;
  // Of an element whose gradient is g and whose value is p.
  DEVICE real of(real g, real p) const {
    const real scaled = shrink > 0 ? shrink * p : g * factor;
    const real clipped = scaled > clip ? clip : scaled < -clip ? -clip : scaled;
    return clipped + weight_decay * p;
  }
};

// partial: the parts of squared_norm.  All threads of the block must call it.
DEVICE Gradient gradient(const real* partial, int parts, real limit, real clip, real weight_decay) {
  real total = 0;
  for (int b = threadIdx.x; b < parts; b += blockDim.x) total += partial[b];
  const real norm = sqrt_(block_sum(total));
  if (!finite_(norm)) return {0, (real)0.1, clip, weight_decay};
  return {norm > limit ? limit / norm : (real)1, 0, clip, weight_decay};
}
