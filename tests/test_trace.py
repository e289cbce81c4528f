"""Traces: the arithmetic they count, the launches and products they list, and that they leave nothing behind."""

import numpy as np
import pytest

from minivae import ops, trace
from minivae.bench.iterations import endless
from minivae.kernels import launch
from minivae.tensor import Tensor, no_grad, op
from minivae.trace import BACKWARD, FORWARD, Operation, recording
from minivae.training.trainer import Trainer
from minivae.work import elements


def _traced(operation, device, rng, shapes, wanted, **settings):
    """The trace of a forward and a backward pass; `wanted` says which inputs need a gradient."""
    inputs = [Tensor(device.from_host(rng.standard_normal(shape).astype(np.float32)), requires_grad=want)
              for shape, want in zip(shapes, wanted, strict=True)]
    with recording() as record:
        ops.mean(operation(*inputs, **settings)).backward()
    return record


BILINEAR = [  # operation, shapes, settings, multiplications and additions of one forward pass
    (ops.linear, [(5, 7), (7, 3)], {}, 2 * 5 * 7 * 3),
    (ops.conv2d, [(2, 6, 5, 3), (3, 3, 3, 4)], {"pad": 1}, 2 * (2 * 6 * 5) * (3 * 3 * 3) * 4),
    (ops.conv2d, [(2, 7, 9, 3), (3, 3, 3, 4)], {"stride": 2}, 2 * (2 * 3 * 4) * (3 * 3 * 3) * 4),
    (ops.conv2d_transpose, [(2, 3, 5, 4), (3, 3, 4, 2)], {"stride": 2, "pad": 1, "out_shape": (6, 10)},
     2 * (2 * 3 * 5) * 4 * (3 * 3 * 2)),
]


@pytest.mark.parametrize("wanted", [(True, True), (False, True), (True, False)], ids=str)
@pytest.mark.parametrize(("operation", "shapes", "settings", "flops"), BILINEAR,
                         ids=lambda value: getattr(value, "__name__", None))
def test_flops_of_an_operation_and_its_gradients(device, rng, operation, shapes, settings, flops, wanted):
    """The forward pass takes what its definition says, and each gradient that is needed as much again."""
    record = _traced(operation, device, rng, shapes, wanted, **settings)
    name = operation.__name__
    assert [o for o in record.operations if o.name == name] == [
        Operation(name, FORWARD, flops), Operation(name, BACKWARD, sum(wanted) * flops)]
    assert record.flops == (1 + sum(wanted)) * flops


def test_without_gradients_the_forward_pass_alone_counts(device, rng):
    x, w = (device.from_host(rng.standard_normal(shape)) for shape in ((5, 7), (7, 3)))
    with recording() as record, no_grad():
        ops.linear(Tensor(x, requires_grad=True), Tensor(w, requires_grad=True))
    assert record.operations == [Operation("linear", FORWARD, 210)] and record.flops == 210


def test_products_as_they_were_made(device, rng):
    """Shapes, layout, place in memory, accumulation, arithmetic; whom they served."""
    x, w = (device.from_host(rng.standard_normal(shape).astype(np.float32)) for shape in ((5, 7), (7, 3)))
    with recording() as record:
        y = device.matmul(x, w)
        device.matmul(x.T, y, out=w, accumulate=True)
    forward, back = record.products
    assert forward.a == (device.address_of(x), (5, 7), (28, 4)) and back.a == (device.address_of(x), (7, 5), (4, 28))
    assert forward.b == back.out == (device.address_of(w), (7, 3), (12, 4))
    assert forward.out == back.b == (device.address_of(y), (5, 3), (12, 4))
    assert (forward.accumulate, back.accumulate) == (False, True) and forward.flops == back.flops == 210
    assert [(c.operation, c.phase, c.kernel) for c in record.calls] == [("matmul", "", "matmul")] * 2
    assert record.launches == 0 and forward.dtype == np.float32


def test_launches_are_filed_under_the_operation_that_makes_them(device, rng):
    """An operation within another too; outside of all, under the kernel's own name; an empty launch is none."""
    @op
    def outer(needs, x):
        launch("add", elements(x.size), x, x, x, x.size)
        inner = ops.add(x, x).data
        launch("add", elements(x.size), x, x, x, x.size)
        return inner, lambda dy, into: dy

    x = device.zeros((6,), np.float32)
    with recording() as record:
        outer(x)
        launch("fill", elements(6), x, device.zeros((6,), np.float32), 6, 0.5)
        launch("add", elements(0), x[:0], x[:0], x[:0], 0)
    assert [(c.operation, c.phase, c.kernel) for c in record.calls] == [
        ("outer", FORWARD, "add"), ("add", FORWARD, "add"), ("outer", FORWARD, "add"), ("fill", "", "fill")]
    assert record.launches == 4 and record.calls[0].began is None
    assert record.calls[0].arguments == ((6, 4), (6, 4), (6, 4), 6) and record.calls[3].arguments == ((6, 4), (6, 4), 6, 0.5)


def test_a_clock_is_read_before_and_after_each_call(device):
    x = device.zeros((4, 4), np.float32)
    with recording(device) as record:
        device.matmul(x, x)
        launch("fill", elements(16), x, device.zeros((16,), np.float32), 16, 0.5)
    assert all(device.milliseconds(call.began, call.ended) > 0 for call in record.calls) and len(record.calls) == 2


FF = [(784, 512), (512, 512), (512, 256), (256, 768), (384, 256), (256, 512), (512, 512), (512, 784)]
DENSE = [(7 * 7 * 128, 512), (512, 1024), (512, 7 * 7 * 128)]
CONV = [(28 * 28, 9, 64), (14 * 14, 9 * 64, 128), *DENSE, (7 * 7, 128, 9 * 64), (14 * 14, 64, 9)]


def _step_flops(layers):
    """Of one example: three products a layer, two for the first, whose input needs no gradient."""
    return sum(2 * int(np.prod(layer)) * (3 - (number == 0)) for number, layer in enumerate(layers))


def test_the_arithmetic_of_both_architectures(cpu, few_digits):
    """A step of four examples, traced, is what the layers' sizes say; at the usual sizes 10.50 and 19.53 GFLOP."""
    found = {}
    for arch, layers in (("ff", FF), ("conv", CONV)):
        trainer = Trainer(endless(arch, 4), few_digits, cpu)
        with recording() as record:
            trainer.step(0)
        found[arch] = record.flops
        assert record.flops == 4 * _step_flops(layers)
    ff, conv = found["ff"] / 4 * 1000 / 1e9, found["conv"] / 4 * 128 / 1e9
    assert (round(ff, 2), round(conv, 2), round(conv / ff, 2)) == (10.50, 19.53, 1.86)


@pytest.mark.parametrize("arch", ["ff", "conv"])
def test_every_step_does_the_same(fast_device, few_digits, arch):
    """The same operations, launches and products from step to step; a trace changes no bit of the result."""
    traced, plain = (Trainer(endless(arch, 4), few_digits, fast_device) for _ in range(2))
    records = []
    for number in range(3):
        plain.step(number)
        with recording() as record:
            traced.step(number)
        records.append(([c[:3] for c in record.calls], record.operations, [p.out.shape for p in record.products]))
    assert records[0] == records[1] == records[2]
    assert record.launches + len(record.products) == len(record.calls) > 40
    np.testing.assert_array_equal(*(fast_device.to_host(t.flat.values) for t in (traced, plain)))


def test_nothing_is_left_behind(device):
    """Off outside of the context, after an exception too; two traces at once are refused."""
    @op(flops=lambda x: 1)
    def failing(needs, x):
        raise KeyError("within")

    x = device.zeros((4, 4), np.float32)
    with pytest.raises(KeyError, match="within"), recording() as record:
        failing(x)
    assert trace.active is None and record.operations == [Operation("failing", FORWARD, 1)]
    device.matmul(x, x)
    launch("fill", elements(16), x, device.zeros((16,), np.float32), 16, 0.5)
    assert record.calls == []
    with recording() as record:
        with pytest.raises(RuntimeError, match="running already"), recording():
            pass
        assert trace.active is record
    assert trace.active is None
    assert trace.under("any", FORWARD, 1, len) is len
