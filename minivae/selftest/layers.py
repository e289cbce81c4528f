"""What the self-test runs for the kernels of layers; see cases.py."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from minivae.ops.batch_norm import ACTIVATIONS, EPSILON
from minivae.selftest.case import EXACT, Case, Draw, Out, by, kernel
from minivae.work import columns, elements, pixels, rows


def _batch_norm(draw: Draw) -> Iterator[Case]:
    for count, cols, cut, fixed in ((37, 13, 0, 0), (150, 64, 0, 0), (150, 13, 3, 0), (211, 64, 3, 0), (37, 64, 1, 1)):
        shape, across = by(count, cols), columns(cols, max(cut, 1))
        x, dy = draw.normal(count, cols), draw.normal(count, cols)
        gamma, beta = draw.positive(cols), draw.normal(cols)
        moments = np.stack([0.1 * draw.normal(cols), draw.positive(cols)]).astype(np.float32).astype(np.float64)
        partial_moments = np.tile(moments, (max(cut, 1), 1, 1))
        sums = draw.normal(max(cut, 1), 2, cols)
        if cut > 1:
            yield kernel("batch_norm_moments", shape, across, x, Out((cut, 2, cols)), count, cols)
        if not fixed:
            yield kernel("batch_norm_merge", shape, columns(cols, 1), x, partial_moments, moments, count, cols, cut, 100)
        for act in ACTIVATIONS.values():
            yield kernel("batch_norm_forward", shape, across, x, partial_moments, gamma, beta, Out((count, cols)),
                         Out((2, cols)), count, cols, cut, EPSILON, act, fixed)
            if cut:
                yield kernel("batch_norm_backward_sums", shape, across, dy, x, moments, gamma, beta, Out((cut, 2, cols)),
                             count, cols, EPSILON, act, fixed)
            yield kernel("batch_norm_backward", shape, across, dy, x, moments, gamma, beta, sums, Out((count, cols)),
                         Out((cols,)), Out((cols,)), count, cols, cut, EPSILON, act, fixed)


def _batch_norm_joint(draw: Draw) -> Iterator[Case]:
    for count, cols, cut, size in ((37, 13, 0, 3), (211, 64, 3, 2)):
        shape, across, x = by(count, cols), columns(cols, 1), draw.normal(count, cols)
        partial = np.stack([0.1 * draw.normal(max(cut, 1), cols), draw.positive(max(cut, 1), cols)], 1)
        yield kernel("batch_norm_summary", shape, across, x, partial, Out((3, cols)), count, cols, cut)
        summaries = np.stack([draw.normal(size, cols), 0.1 * draw.normal(size, cols), draw.positive(size, cols)], 1)
        yield kernel("batch_norm_join", by(size, cols), across, x, summaries, Out((1, 2, cols)), cols, 10, size)


def _batch_norm_pool(draw: Draw) -> Iterator[Case]:
    for images, height, width, cols, size, cut, fixed in ((2, 3, 4, 5, 3, 2, 0), (2, 4, 4, 16, 2, 2, 0), (1, 2, 2, 64, 2, 1, 1)):
        shape, across = by(images, height * size, width * size, cols), columns(cols, cut)
        windows, count = images * height * width, images * height * width * size * size
        x, dy, gamma, beta = draw.normal(count, cols), draw.normal(windows, cols), draw.positive(cols), draw.normal(cols)
        moments = np.stack([0.1 * draw.normal(cols), draw.positive(cols)]).astype(np.float32).astype(np.float64)
        xhat, chosen = draw.normal(windows, cols), draw.whole(size * size, windows, cols, dtype=np.uint8)
        small = Out((windows, cols))
        for act in ACTIVATIONS.values():
            yield kernel("batch_norm_pool_forward", shape, across, x, np.tile(moments, (cut, 1, 1)), gamma, beta, small, small,
                         Out((windows, cols), np.uint8), Out((2, cols)), count, cols, cut, width, size, EPSILON, act, fixed)
            yield kernel("batch_norm_pool_backward_sums", shape, across, dy, xhat, gamma, beta, Out((cut, 2, cols)), windows,
                         cols, act)
            yield kernel("batch_norm_pool_backward", shape, across, dy, xhat, chosen, x, moments, gamma, beta,
                         draw.normal(cut, 2, cols), Out((count, cols)), Out((cols,)), Out((cols,)), count, cols, cut, width,
                         size, EPSILON, act, fixed)


def _conv(draw: Draw) -> Iterator[Case]:
    for images, height, width, channels, stride in ((3, 7, 5, 3, 2), (2, 8, 8, 16, 1)):
        high, wide = ((size + 2 - 3) // stride + 1 for size in (height, width))
        shape, count = by(images, height, width, channels), images * high * wide
        sizes = (height, width, channels, 3, 3, stride, 1, high, wide)
        taps = 9 * channels
        yield kernel("im2col", shape, pixels(count, 3 * channels), draw.normal(images, height, width, channels),
                     Out((count, taps)), count, *sizes, allowed=EXACT)
        count = images * height * width
        yield kernel("col2im", shape, pixels(count, channels), draw.normal(images * high * wide, taps),
                     Out((images, height, width, channels)), count, *sizes)


def _conv_direct(draw: Draw) -> Iterator[Case]:
    for images, height, width, channels, outputs, stride in ((3, 7, 5, 3, 5, 2), (4, 8, 8, 1, 64, 1)):
        high, wide = ((size + 2 - 3) // stride + 1 for size in (height, width))
        shape, places, taps, slabs = by(images, height, width, channels), images * high * wide, 9 * channels, 3
        x, sizes = draw.normal(images, height, width, channels), (height, width, channels, 3, 3, stride, 1, high, wide)
        yield kernel("conv_direct_forward", shape, pixels(places, outputs), x, draw.normal(taps, outputs),
                     Out((places, outputs)), places, outputs, *sizes)
        yield kernel("conv_direct_weights", shape, columns(outputs, slabs), x, draw.normal(places, outputs),
                     Out((slabs, taps, outputs)), places, outputs, *sizes)
        yield kernel("conv_direct_merge", by(slabs, taps * outputs), elements(taps * outputs),
                     draw.normal(slabs, taps * outputs), Out((taps * outputs,)), slabs, taps * outputs)


def _distort(draw: Draw) -> Iterator[Case]:
    for images, height, width, channels in ((9, 7, 5, 3), (6, 8, 9, 1), (5, 6, 6, 8)):
        shape = (images, height, width, channels)
        yield kernel("distort", by(*shape), pixels(images * height * width, channels), draw.normal(*shape),
                     draw.whole(1000, images, dtype=np.int32), Out(shape), *shape, 2, 1, 3, 2**63 + 5, 3, 32)


def _dropout(draw: Draw) -> Iterator[Case]:
    for count, cols in ((9, 35), (16, 64)):
        yield kernel("dropout", by(count, cols), rows(count, cols), draw.normal(count, cols),
                     draw.whole(1000, count, dtype=np.int32), Out((count, cols)), count, cols, 3 << 30, 1.25,
                     2**63 + 5, 3, 300)


def _linear(draw: Draw) -> Iterator[Case]:
    for count, cols in ((9, 35), (16, 64)):
        bias, y = draw.positive(cols), draw.positive(count, cols)
        yield kernel("add_bias", by(count, cols), rows(count, cols), bias, y, count, cols)


def _pool(draw: Draw) -> Iterator[Case]:
    for images, height, width, channels, size in ((2, 3, 4, 5, 3), (2, 4, 4, 16, 2)):
        shape, count = by(images, height * size, width * size, channels), images * height * width
        work, sizes = pixels(count, channels), (count, width, channels, size)
        small, large = (images, height, width, channels), (images, height * size, width * size, channels)
        yield kernel("max_pool", shape, work, draw.normal(*large), Out(small), Out(small, np.uint8), *sizes, allowed=EXACT)
        yield kernel("max_pool_backward", shape, work, draw.normal(*small), draw.whole(size * size, *small, dtype=np.uint8),
                     Out(large), *sizes, allowed=EXACT)
        yield kernel("average_pool", shape, work, draw.normal(*large), Out(small), *sizes)
        yield kernel("average_pool_backward", shape, work, draw.normal(*small), Out(large), *sizes)
        yield kernel("upsample", shape, work, draw.normal(*small), Out(large), *sizes, allowed=EXACT)
        yield kernel("upsample_backward", shape, work, draw.normal(*large), Out(small), *sizes, allowed=EXACT)


def _winograd(draw: Draw) -> Iterator[Case]:
    for images, height, width, channels, pad in ((3, 5, 4, 3, 1), (2, 8, 8, 16, 1), (2, 6, 7, 8, 0)):
        shape, pairs = by(images, height, width, channels), channels * channels
        out_high, out_wide = height + 2 * pad - 2, width + 2 * pad - 2
        high, wide = -(-out_high // 4), -(-out_wide // 4)
        tiles, cells = images * high * wide, images * (high + 1) * (wide + 1)
        image, out, tiled = (images, height, width, channels), (images, out_high, out_wide, channels), (36, tiles, channels)
        apart = tiles * channels
        from_image, from_out = (apart, high, wide, height, width, channels, pad), (apart, high, wide, out_high, out_wide, channels)
        yield kernel("winograd_weights", by(3, 3, pairs), elements(pairs), draw.normal(9, pairs), Out((36, pairs)), pairs)
        yield kernel("winograd_weights_backward", by(36, pairs), elements(pairs), draw.normal(36, pairs), Out((9, pairs)),
                     pairs)
        yield kernel("winograd_input", shape, pixels(tiles, channels), draw.normal(*image), Out(tiled), tiles, *from_image)
        yield kernel("winograd_input_backward", shape, pixels(cells, channels), draw.normal(*tiled), Out(image), cells,
                     *from_image)
        yield kernel("winograd_output", shape, pixels(tiles, channels), draw.normal(*tiled), Out(out), tiles, *from_out)
        yield kernel("winograd_output_backward", shape, pixels(tiles, channels), draw.normal(*out), Out(tiled), tiles,
                     *from_out)


LAYERS = (_batch_norm, _batch_norm_joint, _batch_norm_pool, _conv, _conv_direct, _distort, _dropout,
          _linear, _pool, _winograd)
