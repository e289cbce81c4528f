"""The `moves` lines above the kernels: that all are there and true of what a training step launches."""

from fractions import Fraction

import pytest

from minivae import traffic
from minivae.bench.iterations import endless
from minivae.kernels import signature_of, signatures, stems
from minivae.trace import Extent, recording
from minivae.training.trainer import Trainer

KERNELS = [name for stem in stems() for name in signatures(stem)]


@pytest.mark.parametrize("kernel", KERNELS)
def test_every_kernel_says_what_it_moves(kernel):
    """Every array is named on its side of the arrow: those that the kernel cannot write are read, all others written."""
    parameters, moves = signature_of(kernel), traffic.moves(kernel)
    reads, writes = ({term.name for term in terms} for terms in moves)
    assert {p.name for p in parameters if p.pointer and p.const} <= reads
    assert writes == {p.name for p in parameters if p.pointer and not p.const}
    assert reads <= {p.name for p in parameters if p.pointer}
    assert all(not p.pointer for terms in moves for term in terms for p in parameters if p.name in term.factors)
    assert traffic.bytes_per_element(kernel, "float64") >= traffic.bytes_per_element(kernel, "float32")


@pytest.mark.parametrize("arch", ["ff", "conv"])
def test_shares_are_those_of_a_training_step(cpu, few_digits, arch):
    """The arrays of every launch have the sizes to each other that the numbers before their names say; images that do
    not divide into whole tiles have a quarter more of them."""
    trainer = Trainer(endless(arch, 8), few_digits, cpu)
    with recording() as record:
        trainer.step(0)
    launches = [call for call in record.calls if call.product is None]
    assert len({call.kernel for call in launches}) > 10
    for call in launches:
        given = dict(zip((p.name for p in signature_of(call.kernel)), call.arguments, strict=True))
        terms = [term for terms in traffic.moves(call.kernel) for term in terms if term.share and not term.factors]
        work = [given[term.name].count / float(term.share) for term in terms]
        if call.kernel not in ("im2col", "col2im"):     # theirs also depend on the stride
            assert not work or max(work) <= 1.3 * min(work), call.kernel


def test_bytes_of_a_launch():
    x, small = Extent(1000 * 64, 4), Extent(64, 4)
    partial, moments = Extent(3 * 2 * 64, 4), Extent(128, 4)
    reads, writes = traffic.bytes_of(
        "batch_norm_forward", (x, partial, small, small, x, moments, 1000, 64, 3, 1e-5, 0, 0))
    assert (reads, writes) == (4 * (64_000 + 3 * 2 * 64 + 64 + 64), 4 * (64_000 + 128))
    reads, _ = traffic.bytes_of("batch_norm_forward", (x, x, small, small, x, moments, 1000, 64, 0, 1e-5, 0, 0))
    assert reads == 4 * (64_000 + 64 + 64)      # no slabs: x stands in for what there is not
    images, batch = Extent(10**6, 1), Extent(10 * 784, 4)
    assert traffic.bytes_of("gather_batch", (images, batch, Extent(10, 4), 1275, 10, 784, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0)) == (
        7840, 4 * 7840 + 40)
    assert traffic.bytes_of("rescale_rows", (batch, Extent(10, 4), 10, 784, 0.1)) == (40, 0)


@pytest.mark.parametrize(("kernel", "expected"), [
    ("add", 12), ("rmsprop_nesterov", 36), ("adam", 28), ("gather_batch", 5), ("max_pool", 5.25), ("winograd_weights", 5)])
def test_bytes_of_an_element(kernel, expected):
    assert traffic.bytes_per_element(kernel, "float32") == expected


@pytest.mark.parametrize(("line", "words"), [
    ("", "does not say '// moves"), ("// moves: 1 x ->", "does not say"), ("// moves: 1 x -> 1 z", "names z, no parameter"),
    ("// moves: x[m] -> 1 y", "names m, no parameter"), ("// moves: x+1 -> y", "cannot read 'x\\+1'"),
    ("// moves: 1 x -> ,", "nothing that is written")])
def test_lines_that_say_nothing(line, words):
    text = f'{line}\nextern "C" __global__ void k(const real* x, real* y) {{}}'
    with pytest.raises(ValueError, match=words):
        traffic.read_moves("k", text, ["x", "y"])


def test_a_line_read():
    text = '// moves: 1/4 x, g[2 * n] -> 3 y\nextern "C" __global__ void k(...)'
    assert traffic.read_moves("k", text, ["x", "g", "n", "y"]) == (
        (traffic.Term(Fraction(1, 4), "x", ()), traffic.Term(None, "g", ("2", "n"))), (traffic.Term(Fraction(3), "y", ()),))
    assert traffic.moves("max_pool").words == "1 x -> 1/4 y, 1/4 chosen"
