"""The tape: order, accumulation, broadcasting, freeing, depth, errors."""

import gc
import weakref

import numpy as np
import pytest

from minivae import ops
from minivae.check import directional_error
from minivae.device import device_of
from minivae.nn import Flat, Module, Parameter
from minivae.optim import LAMB, SGD, Average
from minivae.tensor import Tensor, no_grad, op


def by_numpy(function, *arrays):
    """A function of NumPy arrays, of arrays on any device."""
    device = device_of(arrays[0])
    return device.from_host(np.asarray(function(*map(device.to_host, arrays))))


def times(array, factor):
    return by_numpy(lambda a: a * factor, array)


@op
def double(needs, x):
    return times(x, 2), lambda dy, into: times(dy, 2)


@op
def broadcast_add(needs, a, b):
    """NumPy's a + b; its backward pass leaves it to the engine to undo the broadcasting."""
    return by_numpy(np.add, a, b), lambda dy, into: (dy, dy)


@op
def wrong(needs, x):
    return times(x, 3.0), lambda dy, into: times(dy, 3.003)


def _leaf(device, values, dtype=np.float64):
    return Tensor(device.from_host(np.asarray(values, dtype)), requires_grad=True)


def _host(device, tensor):
    return device.to_host(tensor.grad)


def test_a_tensor_used_twice_adds_its_gradients(device):
    """y = mean(2x + x) has the gradient 3 / n."""
    x = _leaf(device, [1.0, 2.0, 4.0])
    ops.mean(ops.add(double(x), x)).backward()
    np.testing.assert_allclose(_host(device, x), 1.0)


def test_gradients_of_two_backward_passes_add_up_until_cleared(device):
    x = _leaf(device, [1.0, 2.0])
    ops.mean(double(x)).backward()
    ops.mean(double(x)).backward()
    np.testing.assert_allclose(_host(device, x), 2.0)
    x.clear_grad()
    assert x.grad is None
    ops.mean(double(x)).backward()
    np.testing.assert_allclose(_host(device, x), 1.0)


def test_diamond(device):
    """Each node runs once, after all that use it: 2^20 paths take 20 steps."""
    x = _leaf(device, [1.0])
    y = x
    for _ in range(20):
        y = ops.add(y, y)
    ops.mean(y).backward()
    np.testing.assert_allclose(_host(device, x), 2.0**20)


@pytest.mark.parametrize(("a", "b"), [((3, 4), (4,)), ((3, 4), (1, 4)), ((3, 4), (3, 1)), ((2, 3, 4), (3, 1)),
                                      ((1,), (5,)), ((3, 1), (1, 4)), ((2, 2), ())])
def test_broadcasting_is_undone(device, rng, a, b):
    """Gradients have the inputs' shapes and are right."""
    @op
    def mean_of(needs, x):
        return by_numpy(np.mean, x).reshape(1), lambda dy, into: by_numpy(lambda d: np.full(x.shape, d[0] / x.size), dy)

    error = directional_error(lambda x, y: mean_of(broadcast_add(x, y)), [rng.standard_normal(a), rng.standard_normal(b)],
                              device=device)
    assert error < 1e-6


def test_an_op_may_overwrite_the_gradient_it_gets(device):
    """Two inputs that are given the same gradient do not see each other's changes to it."""
    @op
    def spoils(needs, x):
        def backward(dy, into):
            dy[...] = times(dy, 10)
            return dy
        return times(x, 10), backward

    x = _leaf(device, [1.0, 2.0])
    ops.mean(broadcast_add(spoils(x), spoils(x))).backward()
    np.testing.assert_allclose(_host(device, x), 10.0)


def test_chain_of_20000(cpu):
    """Neither the backward pass nor the end of an unused graph recurses."""
    x = _leaf(cpu, [1.0])
    y = x
    for _ in range(20_000):
        y = ops.add(y, ops.mean(x))
    ops.mean(y).backward()
    np.testing.assert_allclose(_host(cpu, x), 20_001.0)
    unused = x
    for _ in range(20_000):
        unused = ops.mean(unused)
    del unused


def test_no_gradient_for_what_needs_none(device):
    """An op learns which inputs need a gradient, and the others get none."""
    asked = []

    @op
    def spy(needs, a, b):
        asked.append(needs)
        return by_numpy(np.add, a, b), lambda dy, into: tuple(dy if need else None for need in needs)

    x, constant = _leaf(device, [1.0]), Tensor(device.from_host(np.ones(1)))
    ops.mean(spy(x, constant)).backward()
    spy(constant, constant)
    with no_grad():
        assert spy(x, x)._source is None
    assert asked == [(True, False), (False, False), (False, False)]
    assert constant.grad is None


def test_memory_goes_without_the_garbage_collector(device):
    """No reference cycles: arrays die with the last name, during the backward pass or without one."""
    class Witness:
        pass

    @op
    def held(needs, x):
        witness = Witness()
        alive.append(weakref.ref(witness))
        return times(x, 1.0), lambda dy, into: dy if witness else None

    alive, x = [], _leaf(device, [1.0])
    gc.disable()
    try:
        y = ops.mean(held(held(x)))
        y.backward()
        assert [ref() for ref in alive] == [None, None]
        unused = held(x)
        del unused
        assert alive[-1]() is None
    finally:
        gc.enable()


def test_op_writes_into_the_place_of_a_parameters_gradient(device):
    """`into` names the leaf's own array the first time, so nothing is copied."""
    x = _leaf(device, np.ones((3, 2)))
    w = Tensor(device.from_host(np.ones((2, 2))), requires_grad=True, grad=device.zeros((2, 2), np.float64))
    place = w._grad
    target = device.zeros((3, 2), np.float64)
    ops.mean(ops.squared_error(ops.linear(x, w), target)).backward()
    assert w.grad is place
    once = device.to_host(w.grad).copy()
    ops.mean(ops.squared_error(ops.linear(x, w), target)).backward()
    np.testing.assert_allclose(device.to_host(w.grad), 2 * once)


def test_the_checker_rejects_a_gradient_that_is_a_tenth_of_a_percent_off(device, rng):
    x = rng.standard_normal((5, 3))
    assert 5e-4 < directional_error(lambda t: ops.mean(wrong(t)), [x], device=device) < 2e-3
    assert directional_error(lambda t: ops.mean(double(t)), [x], device=device) < 1e-8


@pytest.mark.parametrize("placed", [False, True])
def test_a_leaf_that_enters_an_op_twice(device, rng, placed):
    """linear(w, w): both gradients count, also where the leaf has a place for its gradient."""
    value, target = rng.standard_normal((3, 3)), rng.standard_normal((3, 3))
    w = Tensor(device.from_host(value), requires_grad=True, grad=device.zeros((3, 3), np.float64) if placed else None)
    ops.mean(ops.squared_error(ops.linear(w, w), device.from_host(target))).backward()
    dy = 2 * (value @ value - target) / 3
    np.testing.assert_allclose(_host(device, w), dy @ value.T + value.T @ dy, rtol=1e-10)


def test_gradients_that_are_views_add_up(device, rng):
    @op
    def transpose(needs, x):
        return x.T.copy(), lambda dy, into: dy.T

    value, target = rng.standard_normal((3, 4)), rng.standard_normal((4, 3))
    x = _leaf(device, value)
    y = ops.add(transpose(x), transpose(x))
    ops.mean(ops.squared_error(y, device.from_host(target))).backward()
    np.testing.assert_allclose(_host(device, x), (2 * (2 * (2 * value.T - target)) / 4).T, rtol=1e-10)


def test_second_backward_is_refused(device):
    cost = ops.mean(double(_leaf(device, [1.0])))
    cost.backward()
    with pytest.raises(RuntimeError, match="freed by an earlier backward"):
        cost.backward()


def test_backward_of_many_elements_is_refused(device):
    with pytest.raises(ValueError, match=r"shape \(2,\); take a mean or a sum"):
        double(_leaf(device, [1.0, 2.0])).backward()


def test_backward_without_a_graph_is_refused(device):
    with pytest.raises(RuntimeError, match="no operation on a tensor that requires a gradient"):
        Tensor(device.zeros((1,), np.float64)).backward()


def test_gradient_of_the_wrong_shape_is_named(device):
    @op
    def bad(needs, x):
        return x, lambda dy, into: dy[:1]

    with pytest.raises(ValueError, match=r"bad: its backward pass gave a gradient of shape \(1,\).*input 0 of shape \(3,\)"):
        ops.mean(bad(_leaf(device, [1.0, 2.0, 3.0]))).backward()


# ---- more than one backward pass, and what may go wrong ----

def test_a_retained_graph_goes_back_again(device, rng):
    """Gradients of three passes add up: those through a loss, whose closure holds its gradient, and through batch norm."""
    x, target = _leaf(device, rng.standard_normal((4, 3))), device.from_host(rng.standard_normal((4, 3)))
    gamma, beta = _leaf(device, np.ones(3)), _leaf(device, np.zeros(3))
    cost = ops.sum(ops.squared_error(ops.batch_norm(ops.tanh(x), gamma, beta), target))
    cost.backward(retain_graph=True)
    once = _host(device, x).copy()
    cost.backward(retain_graph=True)
    cost.backward()
    np.testing.assert_allclose(_host(device, x), 3 * once, rtol=1e-12)
    with pytest.raises(RuntimeError, match=r"freed by an earlier backward\(\).*retain_graph=True"):
        cost.backward()


def test_backward_from_a_gradient(device, rng):
    """It is copied, and may be a tensor or an array; another shape or dtype is refused."""
    x, given = _leaf(device, [1.0, 2.0, 3.0]), device.from_host(np.array([1.0, 10.0, 100.0]))
    (x * 2).backward(given)
    (x * 2).backward(Tensor(given))
    np.testing.assert_array_equal(_host(device, x), [4, 40, 400])
    np.testing.assert_array_equal(device.to_host(given), [1, 10, 100])
    with pytest.raises(ValueError, match=r"a gradient of shape \(1,\) for a tensor of shape \(3,\)"):
        (x * 2).backward(device.from_host(np.ones(1)))
    with pytest.raises(TypeError, match="backward: inputs of float32 and float64"):
        (x * 2).backward(device.from_host(np.ones(3, np.float32)))


def test_detach(device):
    """The same memory, no gradient."""
    x = _leaf(device, [3.0])
    (x * x.detach()).backward()
    assert x.detach().data is x.data and not x.detach().requires_grad
    np.testing.assert_array_equal(_host(device, x), [3])


def test_an_overwritten_number_that_backward_needs_is_noticed(device):
    """Through assign, [...] =, a detached tensor and a reshaped one; what the operation does not need may change."""
    def change_data(x):
        x.assign(5.0)

    def change_part(x):
        x[1:] = 5.0

    def change_detached(x):
        x.detach().assign(device.from_host(np.zeros(3)))

    def change_reshaped(x):
        with no_grad():
            ops.reshape(x, (3, 1)).assign(1.0)

    for change in (change_data, change_part, change_detached, change_reshaped):
        x = _leaf(device, [1.0, 2.0, 3.0])
        y = ops.sum(x * x)
        change(x)
        with pytest.raises(RuntimeError, match="numbers that multiply needs were overwritten in place after it ran"):
            y.backward()
        ops.sum(x * x).backward()
        np.testing.assert_allclose(_host(device, x), 2 * device.to_host(x.data))
    x, w, b = _leaf(device, [[1.0, 2.0, 3.0]]), _leaf(device, [[1.0], [2.0], [3.0]]), _leaf(device, [0.0])
    y = ops.sum(ops.linear(x, w, b))        # its backward pass holds no array, but another backward pass that does
    x.assign(0.0)
    with pytest.raises(RuntimeError, match="numbers that linear_with_bias needs were overwritten"):
        y.backward()
    x = _leaf(device, [1.0, 2.0, 3.0])
    y = ops.sum(x + x)
    x.assign(0.0)
    y.backward()
    np.testing.assert_array_equal(_host(device, x), 2)


class _Biased(Module):
    """(x w + b)^2, where w is needed to go back to x."""

    def __init__(self, device):
        self.w, self.b = (Parameter(device.from_host(np.full(shape, 0.5))) for shape in ((3, 2), (2,)))

    def forward(self, x):
        return ops.sum(ops.linear(x, self.w, self.b) ** 2)


def _average_step(model, flat):
    average = Average(flat, 0.9)
    average.swap()


def _average_in_use(model, flat):
    with Average(flat, 0.9).in_use():
        pass


@pytest.mark.parametrize("change", [
    lambda model, flat: SGD(flat, lr=0.1).step(), lambda model, flat: LAMB(flat).step(), _average_step, _average_in_use,
    lambda model, flat: model.load_state_dict({name: array.copy() for name, array in model.state_dict().items()}),
    lambda model, flat: model.w.assign(0.0)], ids=["SGD", "LAMB", "swap", "in_use", "load_state_dict", "assign"])
def test_parameters_that_changed_in_place_are_noticed(device, change):
    """Between two backward passes through one graph: whoever writes parameters says so. A new pass runs."""
    model, x = _Biased(device), _leaf(device, np.ones((4, 3)))
    flat = Flat(model, device, np.float64)
    cost = model(x)
    cost.backward(retain_graph=True)
    change(model, flat)
    with pytest.raises(RuntimeError, match="numbers that linear_with_bias needs were overwritten in place after it ran"):
        cost.backward()
    model(x).backward()


def test_moved_parameters_are_where_they_were_for_backward(device):
    """A graph of before Flat moved them goes back with the old numbers, and its gradients arrive at the new place."""
    model, x = _Biased(device), _leaf(device, np.ones((4, 3)))
    cost = model(x)
    flat = Flat(model, device, np.float64)
    SGD(flat, lr=0.1).step()
    cost.backward()
    np.testing.assert_allclose(_host(device, x), 2 * 2 * 2 * 0.5)
    np.testing.assert_allclose(device.to_host(flat.grads)[:6], 4 * 2 * 2)


@pytest.mark.parametrize("data", [[1.0, 2.0], 1.0, np.float32(1), None, (np.zeros(2, np.float32),)], ids=str)
def test_what_is_no_array_makes_no_tensor(data):
    with pytest.raises(TypeError, match=f"array on a device, not of {type(data).__name__}: give numpy.array"):
        Tensor(data)


def test_what_cannot_be_assigned(device):
    x = _leaf(device, [1.0, 2.0])
    with pytest.raises(RuntimeError, match="is the result of multiply"):
        (x * x).assign(1.0)
    with pytest.raises(TypeError, match="assign: inputs of float32 and float64"):
        x.assign(device.from_host(np.ones(2, np.float32)))


def test_an_error_on_the_way_leaves_a_retained_graph_whole(device):
    """A closure that fails once: the next pass starts from nothing."""
    fails = [True]

    @op
    def fragile(needs, x):
        def backward(dy, into):
            if fails.pop():
                raise ArithmeticError
            return dy
        return times(x, 1.0), backward

    x = _leaf(device, [1.0])
    a = x * 2
    y = fragile(a) + a * 3
    with pytest.raises(ArithmeticError):
        y.backward(retain_graph=True)
    x.clear_grad()
    fails.append(False)
    y.backward()
    np.testing.assert_array_equal(_host(device, x), 8)
