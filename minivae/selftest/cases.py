"""What the self-test runs: for every kernel arguments of an odd shape, which leave every kind of remainder, and of whole
packs, which a GPU moves as vectors; then the products and copies that a device does itself. Those of layers are in
layers.py.

A kernel without a case fails a test: add one beside its like.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import numpy as np

from minivae.device import Device
from minivae.selftest.case import EXACT, Case, Draw, Out, by, kernel
from minivae.selftest.layers import LAYERS
from minivae.work import blocks, elements, pixels, rows

SEED = 20


def cases() -> Iterator[Case]:
    """All of them; the arguments are drawn anew each time, and are the same each time."""
    for of in (_arithmetic, _batch, _binary, _compare, _importance, _loss, _optimizer, _reductions, _reparameterize, _softmax,
               _take, _unary, *LAYERS, _device):
        yield from of(Draw(SEED))


# ---- one function a kernel file ----

def _arithmetic(draw: Draw) -> Iterator[Case]:
    for n in (1003, 4096):
        a, b = draw.positive(n), draw.positive(n)
        yield kernel("add", f"{n}", elements(n), a, b, Out((n,)), n)
        yield kernel("fill", f"{n}", elements(n), a[:1], Out((n,)), n, 0.5)
        yield kernel("sum", f"{n}", blocks(1), a, Out((1,)), n, 1 / 1024)
        yield kernel("sum", f"{n}", blocks(3), a, Out((3,)), n, 1.0, total=True)
        yield kernel("keep_score", f"{n}", blocks(1), a, b, np.array([2.0, 3.0, -1.0]), n, 7)


def _batch(draw: Draw) -> Iterator[Case]:
    for count, size, width in ((150, 50, 35), (300, 64, 784)):
        images = draw.whole(256, count, width, dtype=np.uint8)
        for name, kept in (("gather_batch", images), ("gather_batch_real", draw.unit(count, width))):
            for shuffle in (0, 1):
                yield kernel(name, by(size, width), rows(size, width), kept, Out((size, width)), Out((size,), np.int32),
                             count - 3, size, width, 3, 11, 2**40 + 3, 5, shuffle, 7, shuffle, 2**63 + 5, 3, 16)
        example = draw.whole(2**31, size, dtype=np.int32)
        for name, kept in (("place_batch", images[:size]), ("place_batch_real", draw.unit(size, width))):
            for binary in (0, 1):
                yield kernel(name, by(size, width), rows(size, width), kept, example, Out((size, width)), size, width, binary,
                             2**63 + 5, 3, 16)


def _binary(draw: Draw) -> Iterator[Case]:
    for n, count, cols in ((1003, 7, 13), (4096, 8, 64)):
        a, b, mask = draw.positive(n), draw.positive(n), draw.whole(2, n, dtype=np.uint8)
        for kind in range(7):
            yield kernel("binary", f"{n}", elements(n), a, b, Out((n,)), n, kind)
            yield kernel("binary_backward", f"{n}", elements(n), draw.normal(n), a, b, Out((n,)), Out((n,)), n, 1, 1, kind)
            # (count, cols) by a row, by a column and by both at once
            for sizes, steps in (((count, cols), (0, 0, cols, 0, 0, 0, 1, 1)), ((count, cols), (0, 0, cols, 0, 0, 1, 1, 0)),
                                 ((count, 1), (0, 0, 1, 0, 0, 0, 0, 1))):
                shape = by(count, cols)
                operands = (draw.positive(*sizes), draw.positive(max(count, cols)), Out((count, cols)))
                where = (count, cols, 1, count, *steps)
                yield kernel("binary_broadcast", shape, rows(count, cols), *operands, *where, kind)
                yield kernel("binary_broadcast_backward", shape, rows(count, cols), draw.normal(count, cols), *operands,
                             Out((count, cols)), *where, 1, 1, kind)
        yield kernel("choose", f"{n}", elements(n), mask, a, b, Out((n,)), n, allowed=EXACT)
        yield kernel("choose_backward", f"{n}", elements(n), mask, a, Out((n,)), Out((n,)), n, allowed=EXACT)


def _compare(draw: Draw) -> Iterator[Case]:
    for n, count, cols in ((1003, 7, 13), (4096, 8, 64)):
        a, b = (draw.whole(3, n, dtype=np.int32).astype(np.float64) for _ in range(2))      # every third pair is equal
        for kind in range(6):
            out = Out((n,), np.uint8)
            yield kernel("compare", f"{n}", elements(n), a, b, out, n, kind, allowed=EXACT)
            yield kernel("compare_number", f"{n}", elements(n), a, out, n, 1.0, kind, allowed=EXACT)
            yield kernel("compare_broadcast", by(count, cols), rows(count, cols), a[:count * cols], b[:cols],
                         Out((count, cols), np.uint8), count, cols, 1, count, 0, 0, cols, 0, 0, 0, 1, 1, kind, allowed=EXACT)


def _importance(draw: Draw) -> Iterator[Case]:
    for images, samples, codes in ((3, 301, 13), (2, 512, 8)):
        shape, drawn = by(images, samples, codes), images * samples
        heads, example = draw.normal(images, 2 * codes), draw.whole(1000, images, dtype=np.int32)
        yield kernel("importance_sample", shape, elements(drawn * codes), heads, example, Out((drawn, codes)), Out((drawn,)),
                     images, samples, codes, 2**63 + 5, 3, 3)
        work, state = rows(images, 256), np.abs(draw.normal(images, 4))
        cost, ratio = draw.normal(drawn), draw.normal(drawn)
        # One state after the other: what rounding left out of a sum is not the same number in another precision.
        for seen in (0, 256):
            yield kernel("importance_merge", shape, work, cost, ratio, state.copy(), images, samples, seen)


def _loss(draw: Draw) -> Iterator[Case]:
    for count, width, repeat in ((9, 35, 3), (16, 784, 4)):
        shape, work = by(count, width), rows(count, width)
        y, x = draw.normal(count, width), draw.unit(count, width)
        for name in ("squared_error", "bernoulli"):
            yield kernel(name, shape, work, y, x, Out((count,)), Out((count, width)), count, width, 1, 0.125)
            yield kernel(name, f"{shape}, {repeat} rows to one of x", work, y, x[:count // repeat], Out((count,)),
                         Out((count, width)), count, width, repeat, 0.125)
            yield kernel(f"{name}_value", shape, work, y, x, Out((count,)), count, width, 1)
            yield kernel(f"{name}_value", f"{shape}, {repeat} rows to one of x", work, y, x[:count // repeat], Out((count,)),
                         count, width, repeat)
        yield kernel("rescale_rows", shape, work, y, draw.positive(count), count, width, 0.125)


def _optimizer(draw: Draw) -> Iterator[Case]:
    for n, parts in ((1003, 3), (4096, 4)):
        shape = f"{n}"
        p, g, m, average = (draw.normal(n) for _ in range(4))
        square = (average**2 + draw.positive(n)).astype(np.float32).astype(np.float64)
        change, norms = draw.positive(n), 10 * draw.positive(parts)
        around = n, parts, 2.0, 0.05, 0.01      # limit, clip, weight decay
        yield kernel("squared_norm", shape, blocks(parts), g, Out((parts,)), n, total=True)
        yield kernel("moving_average", shape, elements(n), average, p, n, 0.125)
        betas, rates = (0.9, 0.1, 0.999, 0.001), (0.1, 0.02, 1.25, 0.01)
        for name, state, numbers in (
                ("sgd", (), (0.1,)), ("sgd_momentum", (m,), (0.1, 0.9)), ("sgd_nesterov", (m,), (0.1, 0.9)),
                ("adagrad", (square,), (0.1, 1e-3)), ("adadelta", (square, change), (0.1, 0.95, 0.05, 1e-3)),
                ("rmsprop", (square,), (0.1, 0.9, 0.1, 1e-3)),
                ("rmsprop_centred", (square, average), (0.1, 0.9, 0.1, 1e-2)),
                ("rmsprop_momentum", (m, square, average), (0.1, 0.9, 0.9, 0.1, 1e-2)),
                ("rmsprop_nesterov", (m, square, average), (0.1, 0.9, 0.9, 1e-4)),
                ("adam", (m, square), (*betas, 1e-8, *rates)),
                ("amsgrad", (m, square, change), (*betas, 1e-8, 0.1, 1.25)),
                ("adamax", (m, change), (0.9, 0.1, 0.999, 1e-8, 0.1)),
                ("lion", (m,), (0.1, *betas, 0.01))):
            yield kernel(name, shape, elements(n), p, g, *state, norms, *around, *numbers)
        cut = n // 32 * 16      # two tensors, the second of two pieces
        pieces = np.array([(0, 16, 0, 1), (16, cut, 1, 3), (cut, n, 1, 3)], np.int64)
        yield kernel("lamb_means", shape, blocks(3), p, g, m, square, pieces, norms, Out((3, 2)), parts, 2.0, 0.05, *betas,
                     1e-3, 1.5, 1.25, 0.01)
        yield kernel("lamb_update", shape, blocks(3), p, m, square, pieces, 10 * draw.positive(3, 2), 0.1, 1e-3, 1.5, 1.25,
                     0.01)


def _reductions(draw: Draw) -> Iterator[Case]:
    for count, reduced, cols, parts, part in ((5, 133, 13, 3, 64), (4, 256, 64, 4, 64)):
        x = draw.normal(count, reduced)
        yield kernel("sum_rows", by(count, reduced), rows(count * parts, part), draw.positive(count, reduced),
                     Out((count, parts)), count, parts, part, reduced, 0.5)
        yield kernel("sum_columns", by(count, reduced, cols), pixels(count * parts, cols),
                     draw.positive(count, reduced, cols), Out((count, parts, cols)), count, parts, part, reduced, cols, 0.5)
        shape, work, sizes, a_row = by(count, reduced), rows(count, reduced), (count, reduced), Out((count,))
        most, dy = x.max(1), draw.normal(count)
        yield kernel("max_rows", shape, work, x, a_row, *sizes, allowed=EXACT)
        yield kernel("max_rows_backward", shape, work, dy, x, most, Out(x.shape), *sizes, allowed=EXACT)
        yield kernel("variance_rows", shape, work, draw.positive(count, reduced), a_row, a_row, *sizes, 1 / 64)
        yield kernel("variance_rows_backward", shape, work, dy, x, draw.normal(count), Out(x.shape), *sizes, 1 / 64)
        yield kernel("logsumexp_rows", shape, work, x, a_row, *sizes)
        yield kernel("logsumexp_rows_backward", shape, work, dy, x, most, Out(x.shape), *sizes)


def _reparameterize(draw: Draw) -> Iterator[Case]:
    for count, codes, draws in ((9, 13, 3), (16, 64, 1)):
        shape, work = by(count, codes), rows(count, codes)
        noise = (2**63 + 5, 3, 1)
        heads, example = draw.normal(count, 2 * codes), draw.whole(1000, count // draws, dtype=np.int32)
        yield kernel("reparameterize_forward", shape, work, heads, example, Out((count, codes)), Out((count,)), count,
                     codes, draws, *noise)
        yield kernel("reparameterize_backward", shape, work, draw.normal(count, codes), draw.normal(count), heads, example,
                     Out((count, 2 * codes)), count, codes, draws, *noise)
        yield kernel("standard_normal", shape, work, Out((count, codes)), count, codes, 7, *noise)
    for n in (33, 256):
        yield kernel("philox_words", by(n, 4), elements(n), draw.whole(2**32, n, 4, dtype=np.uint32),
                     draw.whole(2**32, n, 2, dtype=np.uint32), Out((n, 4), np.uint32), n, allowed=EXACT)


def _softmax(draw: Draw) -> Iterator[Case]:
    for count, cols in ((9, 35), (16, 784)):
        shape, work, sizes, out, a_row = by(count, cols), rows(count, cols), (count, cols), Out((count, cols)), Out((count,))
        x, dy, p, dcost = draw.normal(count, cols), draw.normal(count, cols), draw.unit(count, cols), draw.positive(count)
        label, every = draw.whole(cols, count, dtype=np.int32), 8 * draw.positive(count)
        for logarithm in (0, 1):
            yield kernel("softmax_forward", shape, work, x, out, *sizes, logarithm)
            yield kernel("softmax_backward", shape, work, dy, p, out, *sizes, logarithm)
        yield kernel("cross_entropy_labels", shape, work, x, label, a_row, a_row, *sizes)
        yield kernel("cross_entropy_labels_backward", shape, work, dcost, x, label, every, out, *sizes)
        yield kernel("cross_entropy", shape, work, x, p, a_row, a_row, a_row, *sizes)
        yield kernel("cross_entropy_backward", shape, work, dcost, x, p, every, every, out, *sizes)


def _take(draw: Draw) -> Iterator[Case]:
    for outer, size, count, inner in ((3, 7, 11, 5), (2, 8, 16, 64)):
        shape, sizes = by(outer, size, inner), (outer, size, count, inner)
        chosen = draw.whole(size, count, dtype=np.int32)
        yield kernel("take", shape, pixels(outer * count, inner), draw.normal(outer, size, inner), chosen,
                     Out((outer, count, inner)), *sizes, allowed=EXACT)
        yield kernel("take_backward", shape, pixels(outer * size, inner), draw.normal(outer, count, inner), chosen,
                     Out((outer, size, inner)), *sizes)


def _unary(draw: Draw) -> Iterator[Case]:
    for n in (1003, 4096):
        for kind in range(19):
            x = draw.positive(n)
            yield kernel("unary", f"{n}", elements(n), x, Out((n,)), n, kind, 0.75, 1.25)
            yield kernel("unary_backward", f"{n}", elements(n), draw.normal(n), x, Out((n,)), n, kind, 0.75, 1.25)


# ---- what a device does itself ----

def _device(draw: Draw) -> Iterator[Case]:
    for m, k, n in ((37, 29, 13), (128, 64, 96)):
        a, b, c, batch = draw.normal(m, k), draw.normal(k, n), draw.normal(m, n), draw.normal(16, m, k)
        yield Case("matmul", f"{by(m, k)} by {by(k, n)}", partial(_matmul, a, b))
        yield Case("matmul, transposed", f"{by(k, m)} by {by(n, k)}", partial(_matmul, a.T, b.T, transposed=True))
        yield Case("matmul, of a batch", f"{by(16, m, k)} by {by(16, k, n)}",
                   partial(_matmul, batch, draw.normal(16, k, n)))
        yield Case("matmul, accumulated", f"{by(m, k)} by {by(k, n)}", partial(_matmul, a, b, onto=c))
        yield Case("copy, transposed", by(16, m, k), partial(_copy, batch), EXACT)


def _matmul(a, b, device: Device, dtype, *, transposed: bool = False, onto=None) -> list[np.ndarray]:
    a, b = (device.from_host(np.ascontiguousarray(x, dtype)) for x in (a, b))
    if transposed:
        a, b = a.T, b.T
    if onto is None:
        return [device.to_host(device.matmul(a, b))]
    return [device.to_host(device.matmul(a, b, out=device.from_host(onto.astype(dtype)), accumulate=True))]


def _copy(batch, device: Device, dtype) -> list[np.ndarray]:
    source = device.from_host(batch.astype(dtype))
    target = device.empty(source.shape[::-1], dtype)
    target[...] = source.transpose(2, 1, 0)
    return [device.to_host(target)]
