"""cupy.matmul and cupy.add, by CuPy's rules (cupy/_core/_routines_linalg.pyx): which operands it copies, when the
result goes through a temporary array, and what it counts as. The arithmetic is NumPy's."""

from __future__ import annotations

import cupy
import numpy as np

from strict_cupy import cuda
from strict_cupy.array import empty, overlap, queue, read, write


def matmul(x1, x2, /, out=None):
    for name, operand in (("a", x1), ("b", x2), ("out", out)):
        if not isinstance(operand, cupy.ndarray) and operand is not None:
            raise TypeError(f"Argument '{name}' has incorrect type (expected cupy._core.core._ndarray_base, got "
                            f"{type(operand).__module__}.{type(operand).__name__})")
    if x1.ndim != x2.ndim or x1.ndim not in (2, 3) or x1.dtype != x2.dtype or x1.dtype.kind != "f":
        raise NotImplementedError("the stand-in multiplies matrices, or batches of them, of one floating dtype")
    if x1.shape[-1] != x2.shape[-2]:
        raise ValueError(f"shapes {x1.shape} and {x2.shape} not aligned")
    if x1.shape[:-2] != x2.shape[:-2]:
        raise ValueError("operands could not be broadcast together with remapped shapes")
    shape = (*x1.shape[:-1], x2.shape[-1])
    if out is not None and out.shape != shape:
        raise ValueError("Output array has an invalid size")
    if out is None:
        out = empty(shape, x1.dtype)
    if x1.size == 0 or x2.size == 0:
        out.fill(0)
        return out
    fits = out.flags.c_contiguous and out.dtype == x1.dtype and not overlap(out, x1) and not overlap(out, x2)
    target = out if fits else empty(shape, x1.dtype)
    if x1.ndim == 2 and shape == (1, 1):
        _dot_of_vectors(x1, x2, target)
    else:
        a, b = _as_cublas_takes(x1), _as_cublas_takes(x2)
        if cuda.get_current_stream().is_capturing():
            raise NotImplementedError("calling cuBLAS API during stream capture is currently unsupported")
        queue("product", lambda: write(target, read(a) @ read(b)))
    if target is not out:
        out[...] = target
    return out


def _as_cublas_takes(x):
    """x, or a copy: a batch must be C-contiguous, a single matrix may be transposed too."""
    taken = x.flags.c_contiguous or (x.ndim == 2 and x.flags.f_contiguous)
    return x if taken else x.copy()


def _dot_of_vectors(x1, x2, out) -> None:
    """A product of one element is made without cuBLAS: elementwise product, then a sum."""
    product = empty(x1.size, x1.dtype)
    queue("multiply", lambda: write(product, read(x1).reshape(-1) * read(x2).reshape(-1)))
    queue("sum", lambda: write(out, np.asarray(read(product).sum(dtype=out.dtype)).reshape(out.shape)))


def add(x1, x2, /, out=None):
    operands = (x1, x2, *(() if out is None else (out,)))
    for operand in operands:
        if not isinstance(operand, cupy.ndarray):
            raise TypeError(f"Unsupported type {type(operand)}")
    if len({(x.shape, x.dtype) for x in operands}) > 1:
        raise NotImplementedError("the stand-in adds arrays of one shape and dtype")
    out = empty(x1.shape, x1.dtype) if out is None else out
    if out.size:
        queue("add", lambda: write(out, read(x1) + read(x2)))
    return out
