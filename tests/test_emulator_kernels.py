"""Real kernels in the emulator: right, silent, and no more memory touched than they say."""

from itertools import pairwise

import emulator
import numpy as np
import pytest

from minivae import kernels
from minivae.work import Work, columns, elements, geometry, pixels


def launch_real(stem, name, work, *arguments, dtype=np.float32):
    module = emulator.Module(kernels.source(stem), kernels.cuda_options(np.dtype(dtype)))
    grid, block = geometry(work, True, np.dtype(dtype).itemsize)
    function = module.function(name)
    assert len(arguments) == len(kernels.signatures(stem)[name])
    function.launch((*grid, 1), (*block, 1), [a.tobytes() for a in arguments])
    return function.counters


@pytest.mark.parametrize("n", [1, 5, 1000, 4099])
def test_a_sum_through_shuffles_and_barriers(memory, rng, n):
    x = rng.standard_normal(n).astype(np.float32)
    y = memory.fresh(4)
    counted = launch_real("arithmetic", "sum", Work("blocks", 1), np.uint64(memory(x)), np.uint64(y), np.int64(n),
                          np.float32(2))
    np.testing.assert_allclose(emulator.fetch(y, 1, np.float32)[0], 2 * x.sum(dtype=np.float64), rtol=1e-5, atol=1e-4)
    assert counted.distinct_read == 4 * n and counted.bytes_written == 4


@pytest.mark.parametrize(("n", "rows"), [(64, 9), (30, 300), (3, 1)])
def test_batch_norm(memory, rng, n, rows):
    x = rng.standard_normal((rows, n)).astype(np.float32)
    gamma, beta = rng.standard_normal((2, n)).astype(np.float32)
    y, moments, partial = memory.fresh(x.nbytes), memory.fresh(8 * n), memory.fresh(4)
    launch_real("batch_norm", "batch_norm_forward", columns(n, 1), *map(np.uint64, (
        memory(x), partial, memory(gamma), memory(beta), y, moments)), np.int64(rows), np.int32(n), np.int32(0),
        np.float32(1e-5), np.int32(1), np.int32(0))
    xhat = (x - x.mean(0, dtype=np.float64)) / np.sqrt(x.var(0, dtype=np.float64) + 1e-5)
    found = emulator.fetch(y, rows * n, np.float32).reshape(x.shape)
    np.testing.assert_allclose(found, np.maximum(xhat * gamma + beta, 0), atol=2e-5)


@pytest.mark.parametrize(("n", "rows"), [(33, 100), (200, 3), (64, 9)])
def test_batch_norm_backward_in_place(memory, rng, n, rows):
    """dx may be dy: threads that have no columns once read, for nothing, what others were writing."""
    x, dy = rng.standard_normal((2, rows, n)).astype(np.float32)
    gamma, beta = rng.standard_normal((2, n)).astype(np.float32)
    moments = np.stack([x.mean(0) - x[0], x.var(0)])
    at, dgamma, dbeta = memory(dy), memory.fresh(4 * n), memory.fresh(4 * n)
    counted = launch_real("batch_norm", "batch_norm_backward", columns(n, 1), *map(np.uint64, (
        at, memory(x), memory(moments), memory(gamma), memory(beta), memory.fresh(4), at, dgamma, dbeta)), np.int64(rows),
        np.int32(n), np.int32(0), np.float32(1e-5), np.int32(0), np.int32(0))
    xhat, rstd = (x - x.mean(0, dtype=np.float64)) / np.sqrt(x.var(0) + 1e-5), 1 / np.sqrt(x.var(0) + 1e-5)
    expected = gamma * rstd * (dy - dy.mean(0) - xhat * (dy * xhat).mean(0))
    np.testing.assert_allclose(emulator.fetch(at, rows * n, np.float32).reshape(x.shape), expected, atol=5e-5, rtol=1e-4)
    np.testing.assert_allclose(emulator.fetch(dgamma, n, np.float32), (dy * xhat).sum(0), atol=1e-4, rtol=1e-4)
    assert counted.distinct_written == x.nbytes + 8 * n


@pytest.mark.parametrize("n", [7, 5000])
def test_adam(memory, rng, n):
    p, g, m = rng.standard_normal((3, n)).astype(np.float32)
    v = rng.random(n).astype(np.float32)
    partial = np.float32([(g.astype(np.float64) ** 2).sum()])
    at = [memory(a) for a in (p, g, m, v, partial)]
    numbers = np.float32([np.inf, np.inf, 0, 0.9, 0.1, 0.99, 0.01, 1e-8, 1e-2 / 0.5, 0, 1 / 0.25, 0])
    counted = launch_real("optimizer_adam", "adam", elements(n), *map(np.uint64, at), np.int64(n), np.int32(1), *numbers)
    m = 0.9 * m + 0.1 * g
    v = 0.99 * v + 0.01 * g * g
    expected = p - 1e-2 / 0.5 * m / (np.sqrt(v / 0.25) + 1e-8)
    np.testing.assert_allclose(emulator.fetch(at[0], n, np.float32), expected, rtol=1e-4, atol=1e-5)
    assert counted.distinct_read == 16 * n + 4 and counted.distinct_written == 12 * n
    assert counted.arguments[:5] == ((True, True), (True, False), (True, True), (True, True), (True, False))


@pytest.mark.parametrize(("channels", "kernel", "stride", "pad"), [(4, 3, 1, 1), (3, 3, 2, 1), (1, 5, 1, 0)])
def test_im2col(memory, rng, channels, kernel, stride, pad):
    images, height, width = 2, 7, 6
    x = rng.standard_normal((images, height, width, channels)).astype(np.float32)
    out_height, out_width = (height + 2 * pad - kernel) // stride + 1, (width + 2 * pad - kernel) // stride + 1
    padded = np.pad(x, ((0, 0), (pad, pad), (pad, pad), (0, 0)))
    expected = np.stack([padded[:, i * stride:i * stride + kernel, j * stride:j * stride + kernel]
                         for i in range(out_height) for j in range(out_width)], 1)
    rows, columns_at = images * out_height * out_width, memory.fresh(expected.nbytes)
    counted = launch_real("conv", "im2col", pixels(rows, kernel * channels), np.uint64(memory(x)), np.uint64(columns_at),
                          np.int64(rows), *np.int32([height, width, channels, kernel, kernel, stride, pad, out_height,
                                                     out_width]))
    np.testing.assert_array_equal(emulator.fetch(columns_at, expected.size, np.float32), expected.ravel())
    assert counted.bytes_written == counted.distinct_written == expected.nbytes


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("stem", kernels.stems())
def test_every_kernel_file_compiles_for_the_emulator(stem, dtype):
    """And calls nothing that works on memory unwatched."""
    module = emulator.Module(kernels.source(stem), kernels.cuda_options(np.dtype(dtype)))
    assert set(module.names) == set(kernels.signatures(stem))
    ends = sorted((start, start + size) for start, size in module.shared)
    assert all(start - end >= 512 for (_, end), (start, _) in pairwise(ends))      # a guard between shared arrays
    assert ends or stem not in ("arithmetic", "batch_norm")
