"""Other shapes and parts of arrays."""

import numpy as np
import pytest

from minivae import ops
from minivae.check import check_grad
from minivae.tensor import Tensor

CASES = {       # name: (ours, NumPy's, shapes)
    "reshape": (lambda x: ops.reshape(x, (2, -1)), lambda x: x.reshape(2, -1), [(3, 4)]),
    "transpose": (ops.transpose, np.transpose, [(2, 3, 4)]),
    "transpose by axes": (lambda x: ops.transpose(x, (1, -1, 0)), lambda x: x.transpose(1, 2, 0), [(2, 3, 4)]),
    "broadcast_to": (lambda x: ops.broadcast_to(x, (2, 3, 4)), lambda x: np.broadcast_to(x, (2, 3, 4)), [(3, 1)]),
    "broadcast a number": (lambda x: ops.broadcast_to(x, (3,)), lambda x: np.broadcast_to(x, (3,)), [()]),
    "concatenate": (lambda *xs: ops.concatenate(xs, -1), lambda *xs: np.concatenate(xs, -1), [(2, 3), (2, 0), (2, 5)]),
    "stack": (lambda *xs: ops.stack(xs, 1), lambda *xs: np.stack(xs, 1), [(2, 3), (2, 3)]),
    "split": (lambda x: ops.split(x, 3, 1)[1], lambda x: np.split(x, 3, 1)[1], [(2, 6)]),
    "split at": (lambda x: ops.split(x, [1, 4])[1], lambda x: np.split(x, [1, 4])[1], [(6, 2)]),
    "pad": (lambda x: ops.pad(x, [(1, 2), (0, 1)], 3), lambda x: np.pad(x, [(1, 2), (0, 1)], constant_values=3), [(2, 3)]),
    "pad all": (lambda x: ops.pad(x, 1), lambda x: np.pad(x, 1), [(2, 3)]),
}


@pytest.mark.parametrize("name", CASES)
def test_values_and_gradients(device, rng, name):
    ours, numpys, shapes = CASES[name]
    arrays = [np.asarray(rng.standard_normal(shape)) for shape in shapes]
    np.testing.assert_array_equal(ours(*(Tensor(device.from_host(a)) for a in arrays)).numpy(), numpys(*arrays), strict=True)
    report = check_grad(ours, arrays, device=device)
    assert report, report


def test_a_piece_that_nobody_uses_gets_zero(device, rng):
    x = Tensor(device.from_host(rng.standard_normal((6,))), requires_grad=True)
    first, _, last = ops.split(x, 3)
    ops.sum(first * 2 + last).backward()
    np.testing.assert_array_equal(device.to_host(x.grad), [2, 2, 0, 0, 1, 1])


def test_numpys_whole_numbers(device):
    """Wherever a number of pieces, places, an axis or a width is asked for; floats are refused by name."""
    x = Tensor(device.from_host(np.arange(12, dtype=np.float32).reshape(3, 4)))
    two = np.int64(2)
    for one, other in ((ops.split(x, two, np.int8(1)), ops.split(x, 2, 1)), (ops.split(x, np.array([1, 2])), ops.split(x, [1, 2]))):
        for a, b in zip(one, other, strict=True):
            np.testing.assert_array_equal(a.numpy(), b.numpy())
    np.testing.assert_array_equal(ops.pad(x, two).numpy(), ops.pad(x, 2).numpy())
    np.testing.assert_array_equal(ops.concatenate([x, x], np.int64(1)).numpy(), ops.concatenate([x, x], 1).numpy())
    for call, words in ((lambda: ops.split(x, 2.0), "split: 2.0 is no"), (lambda: ops.split(x, [1.5]), "split: 1.5 is no"),
                        (lambda: ops.pad(x, 1.5), "pad: 1.5 is no"), (lambda: ops.split(x, 2, 0.5), "split: 0.5 is no")):
        with pytest.raises(TypeError, match=words):
            call()


def test_misfits_are_named(device):
    x, y = Tensor(device.zeros((2, 3), np.float32)), Tensor(device.zeros((3, 3), np.float32))
    for call, words in ((lambda: ops.reshape(x, (4,)), "reshape: .* another number of elements"),
                        (lambda: ops.transpose(x, (0, 0)), "is no order of the axes"),
                        (lambda: ops.broadcast_to(x, (3, 3)), "does not broadcast to"),
                        (lambda: ops.concatenate([x, y], 1), "differ along another axis than 1"),
                        (lambda: ops.concatenate([]), "at least one array"), (lambda: ops.stack([x, y]), "arrays of one shape"),
                        (lambda: ops.split(x, 2, 1), "does not make 2 equal pieces"),
                        (lambda: ops.split(x, [2, 1], 1), "do not ascend"), (lambda: ops.pad(x, [(1, 1)]), "needs 2 widths")):
        with pytest.raises(ValueError, match=words):
            call()
