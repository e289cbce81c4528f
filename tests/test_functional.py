"""grad, value_and_grad and check_grad as the package offers them."""

import subprocess
import sys

import numpy as np
import pytest

import minivae
from minivae import ops


def test_grad(device, rng):
    """d sum(x^2 y) = (2 x y, x^2); arguments may be arrays or tensors, and a tensor's own gradient is left alone."""
    x, y = rng.standard_normal((3, 4)), rng.standard_normal((3, 4))
    on_device = [device.from_host(v) for v in (x, y)]
    def f(a, b, scale=1.0):
        return ops.sum(a**2 * b) * scale

    np.testing.assert_allclose(device.to_host(minivae.grad(f)(*on_device)), 2 * x * y)
    value, both = minivae.value_and_grad(f, (0, -1))(*on_device, scale=2.0)
    assert float(device.to_host(value)) == pytest.approx(2 * (x**2 * y).sum())
    np.testing.assert_allclose(device.to_host(both[0]), 4 * x * y)
    np.testing.assert_allclose(device.to_host(both[1]), 2 * x**2)
    tensor = minivae.Tensor(on_device[0], requires_grad=True)
    minivae.grad(f)(tensor, on_device[1])
    assert tensor.grad is None
    np.testing.assert_array_equal(device.to_host(minivae.grad(lambda a, b: ops.sum(b))(*on_device)), 0)
    np.testing.assert_array_equal(device.to_host(minivae.grad(lambda a: a)(device.from_host(np.ones(1)))), 1)


def test_misuse_is_named(device):
    x = device.from_host(np.ones(3))
    with pytest.raises(IndexError, match="argnums names argument 1, but there are 1"):
        minivae.grad(lambda a: ops.sum(a), 1)(x)
    with pytest.raises(ValueError, match=r"shape \(3,\)"):
        minivae.grad(lambda a: a * 2)(x)
    with pytest.raises(TypeError, match="returned float, not a Tensor"):
        minivae.grad(lambda a: 1.0)(x)


def test_check_grad_rejects_a_tenth_of_a_percent(device, rng):
    """And names the input and the element, with both numbers."""
    @minivae.op
    def almost(needs, x):
        def backward(dy, into):
            dx = device.to_host(dy)
            dx[1, 2] *= 1.001
            return device.from_host(dx)
        return x.copy(), backward

    inputs = [rng.standard_normal((2, 3)), rng.standard_normal((2, 3))]
    report = minivae.check_grad(lambda a, b: a + almost(b), inputs, device=device)
    assert not report and not report.ok and len(report.mismatches) == 1
    wrong = report.mismatches[0]
    assert (wrong.input, wrong.index) == (1, (1, 2)) and wrong.got == pytest.approx(1.001 * wrong.expected, rel=1e-6)
    assert "wrong at 1 of 12 elements" in str(report) and "(1, 2)" in str(report)
    right = minivae.check_grad(lambda a, b: a * b, inputs, device=device)
    assert right and "gradients are right: 12 elements" in str(right)


def test_check_grad_sees_nan_and_float32(device):
    assert not minivae.check_grad(lambda a: ops.sqrt(a), [np.array([-1.0])], device=device)
    with pytest.raises(TypeError, match="input 0 must be a float64 array, not float32"):
        minivae.check_grad(lambda a: a, [np.ones(2, np.float32)], device=device)


def test_importing_the_package_loads_nothing():
    """The command line starts with it."""
    code = "import sys, minivae; assert 'numpy' not in sys.modules; minivae.Tensor; assert 'numpy' in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        minivae.nothing  # noqa: B018
