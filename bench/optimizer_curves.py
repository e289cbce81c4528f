"""The picture of bench/optimizers.py: cost against epochs, each curve named at its end. Takes matplotlib."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import BinaryIO

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, MaxNLocator, NullLocator, ScalarFormatter
from PIL import Image

SIZE, DPI = (9.0, 5.0), 100     # inches, and pixels of each
HIGHLIGHTED = "rmsprop"         # what `minivae train` takes where nothing is said
FAMILIES = {    # colour to the optimizers that are drawn in it
    "#c8102e": (HIGHLIGHTED,),
    "#e08a7d": ("rmsprop-plain", "rmsprop-centred", "rmsprop-momentum"),
    "#5b8fc7": ("adam", "amsgrad", "adamw", "adamax", "nadam", "radam"),
    "#5f9e6e": ("sgd", "momentum", "nesterov"),
    "#a97fb8": ("adagrad", "adadelta"),
    "#a08a5b": ("lion", "lamb"),
}
HIGHEST = 4.0   # times the lowest cost: what lies above is cut off
FLOOR = 0.9     # times the lowest cost: the axis has the logarithm of what a cost is above that
STEPS = (1, 1.2, 1.5, 2, 2.5, 3, 4, 4.4, 4.6, 5, 6, 7, 8)      # of the cost's axis, times powers of ten
LABEL = 8.5     # points
GAP = 1.4 * LABEL * DPI / 72   # pixels between the middles of two labels


def spaced(wanted: Sequence[float], gap: float, low: float, high: float) -> np.ndarray:
    """Positions at least `gap` apart, in the order of `wanted` and as near to it as can be (least squares), from `low` to
    `high` where there is room for all.

    Args:
        wanted: ascending.
    """
    # Less gap times their number, they only have to ascend: neighbours that do not are pooled at their mean.
    groups: list[tuple[float, int]] = []
    for number, place in enumerate(wanted):
        groups.append((place - gap * number, 1))
        while len(groups) > 1 and groups[-2][0] > groups[-1][0]:
            (last, many), (before, few) = groups.pop(), groups.pop()
            groups.append(((last * many + before * few) / (many + few), many + few))
    free = np.repeat([mean for mean, _ in groups], [count for _, count in groups])
    return np.clip(free, low, max(low, high - gap * (len(free) - 1))) + gap * np.arange(len(free))


def draw(curves: Sequence, epochs: int, file: BinaryIO) -> None:
    """Write the picture as a PNG of a few colours.

    Args:
        curves: each with its optimizer, rate and costs, see optimizers.Curve.
        file: takes the picture's bytes.
    """
    figure = Figure(figsize=SIZE, dpi=DPI)
    axes = figure.add_axes((0.05, 0.1, 0.685, 0.82))
    colours = {name: colour for colour, names in FAMILIES.items() for name in names}
    for curve in curves:
        own = curve.optimizer == HIGHLIGHTED
        axes.plot(range(1, len(curve.costs) + 1), curve.costs, color=colours[curve.optimizer], linewidth=3 if own else 1.2,
                  zorder=3 if own else 2, solid_capstyle="round")
    _axes(axes, curves, epochs)
    _labels(axes, [curve for curve in curves if curve.costs], epochs, colours)
    drawn = io.BytesIO()
    figure.savefig(drawn, format="png")
    Image.open(drawn).convert("RGB").quantize(64).save(file, format="png", optimize=True)


def _axes(axes, curves: Sequence, epochs: int) -> None:
    least = min((min(curve.costs) for curve in curves if curve.costs), default=1.0)
    floor = FLOOR * least
    axes.set_yscale("function", functions=(lambda cost: np.log(np.maximum(cost - floor, 1e-9 * least)),
                                           lambda place: np.exp(place) + floor))
    axes.set_ylim(0.985 * least, HIGHEST * least)
    axes.set_xlim(1, max(epochs, 1.5))
    axes.yaxis.set_major_locator(FixedLocator([step * 10.0**power for power in range(5) for step in STEPS]))
    axes.yaxis.set_major_formatter(ScalarFormatter())
    axes.yaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.grid(color="#e4e4e4", linewidth=0.8)
    axes.set_axisbelow(True)
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    axes.tick_params(length=0, labelcolor="#444444", labelsize=9)
    axes.set_xlabel("epoch", color="#444444")
    axes.set_title("ff on the digits: test cost in nats/image, by optimizer (right: last cost, name, rate)", loc="left",
                   fontsize=10.5, color="#222222")


def _labels(axes, curves: Sequence, epochs: int, colours: dict[str, str]) -> None:
    """Last cost, name and rate of each, right of the axes, with a line from where the curve ends."""
    to_pixels, from_pixels = axes.transData, axes.transData.inverted()
    low, high = (to_pixels.transform((1, y))[1] for y in axes.get_ylim())
    ends = sorted((min(to_pixels.transform((1, curve.costs[-1]))[1], high), curve) for curve in curves)
    places = spaced([end for end, _ in ends], GAP, low, high)
    right = axes.bbox.x1
    for (end, curve), place in zip(ends, places, strict=True):
        own, colour = curve.optimizer == HIGHLIGHTED, colours[curve.optimizer]
        bends = [(right, end), (right + 4, end), (right + 22, place), (right + 26, place)]
        axes.plot(*from_pixels.transform(bends).T, color=colour, linewidth=0.8, clip_on=False, zorder=1)
        last = f"{curve.costs[-1]:.1f}" if len(curve.costs) == epochs else "diverged"
        for text, x, side in ((last, 58, "right"), (curve.optimizer, 64, "left"), (f"{curve.rate:g}", 232, "right")):
            axes.annotate(text, from_pixels.transform((right + x, place)), va="center", ha=side, fontsize=LABEL,
                          color=colour, weight="bold" if own else "normal", annotation_clip=False)
