"""The checker of gradients: for every operation it accepts the right gradient, and rejects one that is 0.1% wrong."""

import numpy as np
import pytest
from gradients import make_wrong
from operation_graph import RULES, Graph
from random_graphs import seeded_graphs

from minivae import ops
from minivae.check import Report, check_grad
from minivae.device import cpu

TOLERANCE = 1e-5        # check_grad's own
NOT_TINY = 0.05         # the largest gradient of each input
MOST = 150              # elements, all of which are looked at


def _report(graph: Graph, wrong: int | None = None, one_element: bool = False, tolerance: float = TOLERANCE) -> Report:
    """Of one operation; the gradient of its leaf operand of that number is made wrong."""
    def f(*leaves):
        nodes = graph.in_ours(leaves, cpu())
        made = nodes[graph.ends[0]]
        if wrong is not None and made.requires_grad:
            make_wrong(made, wrong, one_element=one_element)
        return graph.outcome_of(nodes)

    return check_grad(f, graph.leaves(), tolerance=tolerance)


def _leaf_operands(graph: Graph) -> list[int]:
    """Which leaf each operand is, constants left out; before the only operation each step makes one node."""
    leaves = [number for number, step in enumerate(graph.steps) if step.rule == "leaf"]
    return [leaves.index(i) for i in graph.operations[0].inputs if i in leaves]


def _gradients(graph: Graph) -> list[dict]:
    """{index: derivative} for each leaf: all count as mismatches of a tolerance below 0."""
    found = [{} for _ in graph.leaves()]
    for m in _report(graph, tolerance=-1.0).mismatches:
        found[m.input][m.index] = m.expected
    return found


def _alone(name: str) -> tuple[Graph, list[dict]]:
    """A graph of that operation alone, whose operands all differ and have gradients that are not tiny; and these."""
    for graph in seeded_graphs(name, 100, most=1):
        sizes = [a.size for a in graph.leaves()]
        each_once = sorted(_leaf_operands(graph)) == list(range(len(sizes)))
        if len(graph.operations) == 1 and each_once and 1 < sum(sizes) <= MOST:
            gradients = _gradients(graph)
            if all(max(map(abs, g.values())) > NOT_TINY for g in gradients):
                return graph, gradients
    raise AssertionError(f"no graph of {name} alone has gradients to make wrong")


@pytest.mark.parametrize("name", RULES)
def test_a_tenth_of_a_percent_is_rejected(name):
    """For each operand: all of its gradient wrong, then one element. The report has the operand, the elements, and both
    numbers; the right gradient is accepted."""
    graph, gradients = _alone(name)
    count = sum(map(len, gradients))
    assert str(_report(graph)).startswith(f"gradients are right: {count} elements")
    for number, leaf in enumerate(_leaf_operands(graph)):
        largest = max(map(abs, gradients[leaf].values()))
        report = _report(graph, number)
        assert not report and report.worst == pytest.approx(1e-3, rel=0.01)
        assert {m.input for m in report.mismatches} == {leaf}
        assert {m.index for m in report.mismatches} >= {i for i, g in gradients[leaf].items() if abs(g) > 0.02 * largest}
        for m in report.mismatches:
            assert m.expected == gradients[leaf][m.index]
            assert m.got == pytest.approx(1.001 * m.expected, abs=1e-7 * largest)
        first, text = report.mismatches[0], str(report)
        assert f"gradients are wrong at {len(report.mismatches)} of {count} elements" in text
        assert text.split("\n")[2] == f"{leaf:>5}  {str(first.index):<16} {first.expected:>14.7g} {first.got:>14.7g}"

        report = _report(graph, number, one_element=True)
        only, = report.mismatches
        assert only.input == leaf
        if len(gradients) == 1 and name != "broadcast_to":      # else what is wrong may be one part of a sum
            assert abs(only.expected) == pytest.approx(largest)
            assert only.got == pytest.approx(1.001 * only.expected, rel=1e-6)


def test_a_derivative_of_zero_is_right():
    """Of functions that do not depend on their input but by rounding, which difference quotients make large."""
    x = np.random.default_rng(0).uniform(-2, 2, (3, 1))
    for f in (lambda t: 1e3 * ops.softmax(t, axis=1), lambda t: 100 * (t - t) + 77.7, lambda t: 1e3 * (t * t / t / t)):
        report = check_grad(f, [x])
        assert report, report
