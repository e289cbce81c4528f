"""Convolutions and transposed convolutions: values, gradients, and that one transposes the other."""

import numpy as np
import pytest
from convolutions import cost_of, reference, reference_transpose

from minivae import ops
from minivae.check import directional_error
from minivae.tensor import Tensor

# images, height, width, channels, outputs, kernel height, kernel width, stride, pad
CASES = [(1, 1, 1, 1, 1, 1, 1, 1, 0), (2, 5, 7, 3, 4, 3, 3, 1, 1), (1, 6, 5, 1, 2, 5, 5, 1, 2), (3, 8, 8, 4, 5, 3, 3, 2, 1),
         (2, 9, 7, 2, 3, 2, 3, 3, 0), (5, 4, 4, 8, 8, 1, 1, 1, 0), (2, 7, 7, 33, 3, 3, 3, 1, 1), (9, 6, 6, 5, 4, 3, 5, 2, 2)]


@pytest.mark.usefixtures("pieces")
@pytest.mark.parametrize(("dtype", "tolerance"), [(np.float32, 1e-5), (np.float64, 1e-12)])
@pytest.mark.parametrize("case", CASES, ids=str)
def test_conv2d(device, rng, case, dtype, tolerance):
    n, h, width, c, o, kh, kw, stride, pad = case
    x, w = rng.standard_normal((n, h, width, c)).astype(dtype), rng.standard_normal((kh, kw, c, o)).astype(dtype)
    y = ops.conv2d(device.from_host(x), device.from_host(w), stride=stride, pad=pad)
    np.testing.assert_allclose(device.to_host(y.data), reference(x, w, stride, pad), rtol=tolerance, atol=tolerance * 20)


@pytest.mark.usefixtures("pieces")
@pytest.mark.parametrize("case", CASES, ids=str)
def test_gradient_of_conv2d(device, rng, case):
    n, h, width, c, o, kh, kw, stride, pad = case
    inputs = [rng.standard_normal((n, h, width, c)), rng.standard_normal((kh, kw, c, o))]
    cost = cost_of(device, rng, reference(*inputs, stride, pad).shape)
    assert directional_error(lambda x, w: cost(ops.conv2d(x, w, stride=stride, pad=pad)), inputs, device=device) < 1e-6


TRANSPOSED = [(case, extra) for case in CASES for extra in (0, case[7] - 1) if extra or case[7] == 1 or case[0] > 1]


@pytest.mark.usefixtures("pieces")
@pytest.mark.parametrize(("case", "extra"), TRANSPOSED, ids=str)
def test_conv2d_transpose(device, rng, case, extra):
    """Values and gradient, with the smallest output and with one that a stride leaves room in."""
    n, h, width, c, o, kh, kw, stride, pad = case
    x, w = rng.standard_normal((n, h, width, c)), rng.standard_normal((kh, kw, c, o))
    out = tuple((size - 1) * stride + k - 2 * pad + extra for size, k in ((h, kh), (width, kw)))
    if min(out) < 1:
        pytest.skip("no output is left of so small an image")
    y = ops.conv2d_transpose(device.from_host(x), device.from_host(w), stride=stride, pad=pad, out_shape=out)
    expected = reference_transpose(x, w, stride, pad, out)
    np.testing.assert_allclose(device.to_host(y.data), expected, rtol=1e-11, atol=1e-11)
    cost = cost_of(device, rng, expected.shape)
    assert directional_error(lambda a, b: cost(ops.conv2d_transpose(a, b, stride=stride, pad=pad, out_shape=out)), [x, w],
                             device=device) < 1e-6


@pytest.mark.parametrize("case", CASES, ids=str)
def test_one_is_the_others_transpose(device, rng, case):
    """<conv(x), y> = <x, conv_transpose(y)> with the kernel's inputs and outputs exchanged."""
    n, h, width, c, o, kh, kw, stride, pad = case
    x, w = rng.standard_normal((n, h, width, c)), rng.standard_normal((kh, kw, c, o))
    forward = device.to_host(ops.conv2d(device.from_host(x), device.from_host(w), stride=stride, pad=pad).data)
    y = rng.standard_normal(forward.shape)
    back = ops.conv2d_transpose(device.from_host(y), device.from_host(w.transpose(0, 1, 3, 2).copy()), stride=stride, pad=pad,
                                out_shape=(h, width))
    assert (forward * y).sum() == pytest.approx((x * device.to_host(back.data)).sum(), rel=1e-10)


@pytest.mark.parametrize("case", [(2, 7, 7, 3, 4), (1, 1, 1, 1, 1), (3, 5, 4, 8, 2)], ids=str)
def test_upsample_and_convolve_is_a_transposed_convolution(device, rng, case):
    """Perforated upsampling by 2 and a "same" 3 x 3 convolution give the numbers of one transposed convolution of
    stride 2 with the flipped kernel, at a quarter of the arithmetic."""
    n, h, width, c, o = case
    x, w = device.from_host(rng.standard_normal((n, h, width, c))), rng.standard_normal((3, 3, c, o))
    slow = ops.conv2d(ops.upsample2d(x, size=2), device.from_host(w), pad=1)
    fast = ops.conv2d_transpose(x, device.from_host(w[::-1, ::-1].copy()), stride=2, pad=1, out_shape=(2 * h, 2 * width))
    np.testing.assert_allclose(device.to_host(fast.data), device.to_host(slow.data), rtol=1e-11, atol=1e-11)


def test_misfits_are_named(device):
    x, w = device.zeros((2, 5, 5, 3), np.float32), device.zeros((3, 3, 3, 4), np.float32)
    for f in (ops.conv2d, ops.conv2d_transpose):
        with pytest.raises(ValueError, match=rf"{f.__name__}: x \(2, 5, 5, 3\) and w \(3, 3, 4, 3\) do not fit"):
            f(x, device.zeros((3, 3, 4, 3), np.float32))
        with pytest.raises(ValueError, match="do not fit"):
            f(device.zeros((2, 5), np.float32), w)
        with pytest.raises(ValueError, match="stride 0"):
            f(x, w, stride=0)
        for empty in ((2, 0, 5, 3), (2, 5, 5, 0)):
            with pytest.raises(ValueError, match="all but the images at least 1"):
                f(device.zeros(empty, np.float32), device.zeros((3, 3, empty[3], 4), np.float32), pad=2)
    with pytest.raises(ValueError, match=r"a kernel of \(7, 7\) is larger than an image of \(5, 5\)"):
        ops.conv2d(x, device.zeros((7, 7, 3, 4), np.float32))
    with pytest.raises(ValueError, match="has no room for"):
        ops.conv2d_transpose(x, w, out_shape=(4, 4))


@pytest.mark.parametrize("f", [ops.conv2d, ops.conv2d_transpose])
@pytest.mark.parametrize("shape", [(1, 16), (16, 1), (16, 16), (8, 4)], ids=str)
def test_no_images_give_no_gradient(device, f, shape):
    """Of an empty batch: an empty result, and weights whose gradient is zero, whatever the memory held before."""
    dirty = [device.empty((36, *shape), np.float64), device.empty((3, 3, *shape), np.float64), device.empty((9, *shape), np.float64)]
    for array in dirty:
        array.fill(123)
    del dirty, array
    x = Tensor(device.zeros((0, 8, 8, shape[0]), np.float64), requires_grad=True)
    w = Tensor(device.zeros((3, 3, *shape), np.float64), requires_grad=True)
    w.data.fill(1)
    y = f(x, w, pad=1)
    assert y.shape == (0, 8, 8, shape[1])
    dx, dw = y._source[0].backward(y.data, (None, None))     # a cost cannot be taken of nothing
    assert dx.shape == x.shape and not device.to_host(dw).any()
