"""The products of a step made again: the same ones, on matrices that lie to each other as they did."""

import numpy as np
import pytest

from minivae.bench.iterations import endless
from minivae.bench.replay import ALIGNMENT, Products, regions
from minivae.trace import Operand, recording
from minivae.training.trainer import Trainer


def _distances(operands):
    """From each operand to each other one within reach, in bytes: how they lie to each other."""
    at = np.array([o.address for o in operands])
    apart = at[:, None] - at
    sizes = np.array([4 * np.prod(o.shape) for o in operands])
    return np.where((apart >= 0) & (apart < sizes), apart, -1)


@pytest.mark.parametrize("arch", ["ff", "conv"])
def test_the_products_of_a_step(fast_device, few_digits, arch):
    """Shapes, layouts and accumulation; what shared memory shares it again; what is written is never read."""
    trainer = Trainer(endless(arch, 16), few_digits, fast_device)
    with recording() as step:
        trainer.step(0)
    products = Products(step.products, fast_device)
    with recording() as again:
        products.step()
    assert len(again.products) == len(step.products) == len(again.calls)
    for p, q in zip(step.products, again.products, strict=True):
        assert [o[1:] for o in (p.a, p.b, p.out)] == [o[1:] for o in (q.a, q.b, q.out)]
        assert (p.accumulate, p.dtype) == (q.accumulate, q.dtype)
    sides = [[[o for p in record.products for o in side(p)] for record in (step, again)]
             for side in (lambda p: (p.a, p.b), lambda p: (p.out,))]
    for before, after in sides:
        np.testing.assert_array_equal(_distances(before), _distances(after))
    read, written = ([(o.address, o.address + 4 * np.prod(o.shape)) for o in after] for _, after in sides)
    assert all(a_end <= b or b_end <= a for a, a_end in read for b, b_end in written)
    for _ in range(20):
        products.step()
    assert all(np.isfinite(fast_device.to_host(out)).all() for _, _, out, _ in products.calls)


def test_rows_that_do_not_touch_each_other(fast_device, rng):
    """Views of a part of each row keep their layout, and the part."""
    wide = fast_device.from_host(rng.standard_normal((4, 10)).astype(np.float32))
    with recording() as record:
        fast_device.matmul(wide[:, 2:7], wide[:, :5].T)
    products = Products(record.products, fast_device)
    with recording() as again:
        products.step()
    assert [again.products[0].a.strides, again.products[0].b.strides] == [(40, 4), (4, 40)]
    assert again.products[0].a.address - again.products[0].b.address == 8


def test_regions():
    """What overlaps is one region, aligned; what does not stays apart."""
    a = Operand(10 * ALIGNMENT + 64, (4, 8), (32, 4))       # 128 bytes
    inside = Operand(10 * ALIGNMENT + 128, (2, 4), (32, 4))
    behind = Operand(10 * ALIGNMENT + 176, (8,), (4,))
    apart = Operand(12 * ALIGNMENT, (3,), (4,))
    start = 10 * ALIGNMENT
    assert regions([apart, a, inside, behind, a], 4) == [(start, start + 208), (12 * ALIGNMENT, 12 * ALIGNMENT + 12)]
