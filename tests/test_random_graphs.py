"""Gradients of random small graphs of operations, against finite differences of the same graphs in plain NumPy."""

import numpy as np
import pytest
import operation_graph
from gradients import make_wrong
from hypothesis import given, seed, settings
from operation_graph import RULES, Graph
from random_graphs import STEP, graphs, seeded_graphs

from minivae import ops
from minivae.check import check_grad
from minivae.tensor import Tensor

# How many graphs with each operation in them; on a GPU and on its emulator few, since their kernels are the CPU's.
GRAPHS, GRAPHS_ON_GPU = 50, 2
WHOLE, FEW_ELEMENTS = 2, 40     # so many of them, that have so few elements in their leaves, are checked at every element
# Finite differences of float64 numbers of order 1 to 30 over 1e-6 leave an error of 1e-10 to 1e-8.
RELATIVE, ABSOLUTE = 1e-7, 1e-8
WITHOUT_RULE = {"operators": "the module that gives Tensors their operators; rules draw those as form='operator'",
                **dict.fromkeys(("equal", "greater", "greater_equal", "less", "less_equal", "not_equal"),
                                "gives bool and has no gradient; see test_compare.py"),
                "batch_mean": "takes a group of processes; alone it is the mean; see test_batch_norm_joint.py",
                "distort": "moves images, of which nothing is differentiated; see test_distort.py"}


def test_every_operation_has_a_rule():
    """A new operation needs one in graph_rules.py, or a reason why not."""
    assert {rule.op for rule in RULES.values()} | set(WITHOUT_RULE) == set(ops.__all__)
    assert len(RULES) * GRAPHS >= 2000


def _leaves(device, arrays) -> list[Tensor]:
    """Every second one with a place for its gradient, as a Parameter has, where nothing of before may be left."""
    leaves = [Tensor(device.from_host(a), requires_grad=True, grad=device.zeros(a.shape, a.dtype) if i % 2 else None)
              for i, a in enumerate(arrays)]
    for leaf in leaves:
        if leaf._grad is not None:
            leaf._grad.fill(np.nan)
    return leaves


def _gradients(device, arrays, leaves) -> list[np.ndarray]:
    return [np.zeros_like(a) if t.grad is None else device.to_host(t.grad) for a, t in zip(arrays, leaves, strict=True)]


def _projections(graph: Graph, gradients) -> np.ndarray:
    """The gradients' elements times those of the graph's random direction."""
    rng = np.random.default_rng(len(graph.steps))
    return np.concatenate([(rng.standard_normal(g.shape) * g).ravel() for g in gradients])


def _allowed(parts: np.ndarray) -> float:
    return RELATIVE * np.abs(parts).sum() + ABSOLUTE


def _excess(graph: Graph, arrays, gradients) -> float:
    """The difference of the two derivatives along a random direction, over what is allowed."""
    rng = np.random.default_rng(len(graph.steps))
    directions = [rng.standard_normal(a.shape) for a in arrays]
    ahead, behind = (graph.cost_in_numpy([a + h * v for a, v in zip(arrays, directions, strict=True)])
                     for h in (STEP, -STEP))
    parts = _projections(graph, gradients)
    return abs(parts.sum() - (ahead - behind) / (2 * STEP)) / _allowed(parts)


def _check_values(graph: Graph, arrays, nodes) -> None:
    for number, (ours, numpys) in enumerate(zip(nodes, graph.in_numpy(arrays), strict=True)):
        if isinstance(ours, Tensor):
            np.testing.assert_allclose(ours.numpy(), numpys, rtol=1e-9, atol=1e-10, strict=True, err_msg=f"node {number}")


def _check(graph: Graph, device) -> None:
    """Values of all nodes, their shapes and dtypes; gradients; and twice as much after a second walk over the graph."""
    arrays = graph.leaves()
    leaves = _leaves(device, arrays)
    nodes = graph.in_ours(leaves, device)
    _check_values(graph, arrays, nodes)
    cost = graph.cost_of(nodes, device)
    cost.backward(retain_graph=True)
    once = _gradients(device, arrays, leaves)
    excess = _excess(graph, arrays, once)
    assert excess <= 1, f"the gradient is {excess:.1f} times further from finite differences than is allowed"
    cost.backward()
    for one, two in zip(once, _gradients(device, arrays, leaves), strict=True):
        np.testing.assert_allclose(two, 2 * one, rtol=1e-8, atol=1e-10)     # added up in another order


@pytest.mark.parametrize("name", RULES)
def test_graphs(device, name):
    """Random graphs with this operation in them; a few of them at every element."""
    count, whole, seen = GRAPHS_ON_GPU if device.cuda else GRAPHS, 0, 0

    @seed(int.from_bytes(name.encode()))
    @settings(max_examples=count, derandomize=True, deadline=None, database=None)
    @given(graphs(name))
    def check(graph: Graph):
        nonlocal seen, whole
        assert any(step.rule == name for step in graph.steps)
        _check(graph, device)
        if whole < WHOLE and not device.cuda and sum(a.size for a in graph.leaves()) <= FEW_ELEMENTS:
            whole += 1
            report = check_grad(lambda *leaves: graph.outcome_of(graph.in_ours(leaves, device)), graph.leaves(), step=STEP)
            assert report, report
        seen += 1

    check()
    assert seen >= count and (device.cuda or whole == WHOLE)


def _right_and_wrong(graph: Graph, name: str, device) -> tuple[list, list]:
    """The gradients of a graph's leaves, and those where the first operation of that name gives one that is 0.1% wrong."""
    arrays, found = graph.leaves(), []
    for wrong in (False, True):
        leaves = _leaves(device, arrays)
        nodes = graph.in_ours(leaves, device)
        if wrong:
            made = next(made for step, made in zip(graph.steps, graph.outputs(nodes), strict=True) if step.rule == name)
            make_wrong(made[0], 0)
        graph.cost_of(nodes, device).backward()
        found.append(_gradients(device, arrays, leaves))
    return found[0], found[1]


@pytest.mark.parametrize("name", RULES)
def test_a_tenth_of_a_percent_is_noticed(cpu, name):
    """In random graphs in which this operation's gradient is 0.1% wrong: wherever that moves the derivative along most
    directions by more than is allowed; along few of them the errors cancel."""
    noticed = []
    for graph in seeded_graphs(name, 12):
        right, wrong = _right_and_wrong(graph, name, cpu)
        moved = np.sqrt(sum(((g - h)**2).sum() for g, h in zip(right, wrong, strict=True)))
        if moved > 10 * _allowed(_projections(graph, right)):
            noticed.append(_excess(graph, graph.leaves(), wrong) > 1)
    assert len(noticed) >= 3 and np.mean(noticed) >= 0.75, noticed


def test_variety():
    """2 to 8 operations, often a node that several of them use, at times constants; and what is printed makes it again."""
    drawn = [graph for name in RULES for graph in seeded_graphs(name, 4)]
    counts = np.array([len(graph.operations) for graph in drawn])
    assert counts.min() >= 2 and set(range(2, 9)) <= set(counts) and (counts > 8).mean() < 0.02
    assert np.mean([max(graph.uses()) > 1 for graph in drawn]) > 0.5
    assert 0.1 < np.mean([any(step.rule == "constant" for step in graph.steps) for graph in drawn]) < 0.9
    for graph in drawn[::10]:
        again = eval(repr(graph), vars(operation_graph))
        assert repr(again) == repr(graph) and again.ends == graph.ends
        assert again.cost_in_numpy(again.leaves()) == graph.cost_in_numpy(graph.leaves())
