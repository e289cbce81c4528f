"""Comparisons, elementwise: against NumPy's."""

import operator

import numpy as np
import pytest

from minivae import ops
from minivae.device import cpu as cpu_device
from minivae.tensor import Tensor

COMPARISONS = {"less": operator.lt, "less_equal": operator.le, "greater": operator.gt, "greater_equal": operator.ge,
               "equal": operator.eq, "not_equal": operator.ne}
PAIRS = [((3, 5), (3, 5)), ((3, 5), (5,)), ((3, 1), (3, 5)), ((), (4,)), ((), ()), ((2, 1, 3, 1), (4, 1, 5)), ((0, 3), (3,)),
         ((6, 1), (1, 130)), ((2, 1, 3, 1, 2, 1), (1, 4, 1, 2, 1, 3)), ((1003,), (1003,)), ((2, 8192), (2, 1))]
FEW = np.array([-1, -0.0, 0.0, 1, 2, np.nan, np.inf, -np.inf])       # so few that many are equal


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", COMPARISONS)
def test_arrays(device, rng, name, dtype):
    """As operators and as functions; NaN is not even equal to itself."""
    compare = COMPARISONS[name]
    for shapes in PAIRS:
        a, b = (np.asarray(rng.choice(FEW, shape), dtype) for shape in shapes)
        x, y = (Tensor(device.from_host(v)) for v in (a, b))
        for found in (compare(x, y), getattr(ops, name)(x, y), compare(x, y.data)):
            assert isinstance(found, Tensor) and found.dtype == np.bool_
            np.testing.assert_array_equal(found.numpy(), compare(a, b), strict=True)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", COMPARISONS)
def test_numbers(device, rng, name, dtype):
    """On either side, in the array's precision: 0.1 is what float32 has of it."""
    compare = COMPARISONS[name]
    a = rng.choice([*FEW, 0.1], (7, 19)).astype(dtype)
    x = Tensor(device.from_host(a))
    for number in (0, 1.0, 0.1, np.float32(2), np.nan, np.inf):
        plain = dtype(number)
        np.testing.assert_array_equal(compare(x, number).numpy(), compare(a, plain), strict=True)
        np.testing.assert_array_equal(compare(number, x).numpy(), compare(plain, a), strict=True)
        np.testing.assert_array_equal(getattr(ops, name)(number, x).numpy(), compare(plain, a), strict=True)
    if not device.cuda:
        np.testing.assert_array_equal(compare(a[0], x).numpy(), compare(a[0], a))


def test_a_condition(device, rng):
    """Where takes it; a comparison itself has no gradient and records nothing."""
    a = rng.standard_normal((4, 9))
    x = Tensor(device.from_host(a), requires_grad=True)
    holds = x > 0.25
    assert not holds.requires_grad and holds._source is None
    ops.sum(ops.where(holds, x * 3, -1.0)).backward()
    np.testing.assert_array_equal(device.to_host(x.grad), np.where(a > 0.25, 3.0, 0.0))
    with pytest.raises(IndexError, match="index: cannot take .*whole numbers"):
        x[holds]
    with pytest.raises(TypeError, match="ops.where"):
        x[holds] = 0.0


def test_truth(device):
    """Of one element its own; of several none, as NumPy has it: `if a == b` never is silently true."""
    x = Tensor(device.from_host(np.float32([[2]])))
    assert x == 2 and not x != 2 and bool(x) and not Tensor(device.zeros((), np.float32))
    with pytest.raises(ValueError, match=r"of shape \(2,\) is neither true nor false; take .numpy\(\).all\(\) or .any\(\)"):
        bool(Tensor(device.zeros((2,), np.float32)) == 0)
    with pytest.raises(ValueError, match=r"of shape \(0,\) is neither"):
        bool(Tensor(device.zeros((0,), np.float32)))


def test_tensors_are_keys_by_identity(cpu):
    """Equal numbers do not make two tensors one: sets, dicts and `in` for the very tensor work whatever the shapes."""
    x, y = (Tensor(cpu.zeros((3,), np.float32)) for _ in range(2))
    assert len({x, y}) == 2 and {x: 1, y: 2}[y] == 2 and hash(x) == hash(x) != hash(y)
    assert x in [x, y] and x in {x} and y not in {x}


def test_what_is_no_number_is_not_equal(cpu):
    x = Tensor(cpu.zeros((3,), np.float32))
    assert (x == None) is False and (x != "x") is True      # noqa: E711  (what is tested)
    with pytest.raises(TypeError, match="not supported between instances"):
        x < "x"


def test_misfits_are_named(device):
    a, b = (Tensor(device.zeros((n,), np.float32)) for n in (2, 3))
    with pytest.raises(ValueError, match=r"less: shapes \(2,\) and \(3,\) do not go together"):
        a < b
    with pytest.raises(TypeError, match="equal: inputs of float32 and float64; nothing is promoted silently"):
        a == Tensor(device.zeros((2,), np.float64))


def test_mixed_devices_are_named(simt):
    with pytest.raises(TypeError, match="greater: inputs on cpu and cuda:0"):
        Tensor(simt.zeros((2,), np.float32)) > Tensor(cpu_device().zeros((2,), np.float32))
