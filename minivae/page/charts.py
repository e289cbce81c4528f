"""Charts as SVG that takes its colours and its font from the page: lines over epochs, bars, points."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np
from markupsafe import Markup, escape

from minivae.page.history import thinned
from minivae.page.scale import Scale, fitting, in_words

WIDTH, HEIGHT = 400, 250
LEFT, RIGHT, TOP, BOTTOM = 48, 10, 10, 36       # what axes take of it
TALL = (480, 400)       # of the chart of bars, which stands beside that of points
SIDE = 520              # of the chart of points
MOST_POINTS = 400       # of a line
MOST_TITLES = 100       # of a line, that say their number where the pointer is
DOTS = 30               # points of a line, up to which each is marked
LEAST_BAR = 0.7         # of a bar, so that one of 0 is seen
COLOURS = 10            # of classes, in the page's style: c0, c1, ...
TEXT = 17               # pixels of a class's name among the points
LABELLED = 20           # classes, up to which their names stand among the points, where they lie apart:
APART = 0.25            # of the points' variance, at least, is between the classes


class Line(NamedTuple):
    """Points of a chart of lines; `style` is a class of the page's style."""

    name: str
    style: str
    points: list[tuple[float, float]]


def lines(title: str, series: Sequence[Line], *, unit: str, epochs: int) -> Markup:
    """Lines over the epochs 1 .. epochs."""
    values = [value for line in series for _, value in line.points]
    x = fitting([1, max(epochs, 1)], LEFT, WIDTH - RIGHT, ticks=6, logarithmic=False, whole=True)
    y = fitting(values, HEIGHT - BOTTOM, TOP)
    parts = [_axes(x, y, "epoch", f"{unit}, logarithmic" if y.logarithmic else unit)]
    for line in series:
        points = [(x(a), y(b)) for a, b in thinned(line.points, MOST_POINTS)]
        parts.append(Markup('<polyline class="line {}" points="{}"/>').format(
            line.style, " ".join(f"{a:.1f},{b:.1f}" for a, b in points)))
        if len(points) <= DOTS:
            parts += [Markup('<circle class="dot {}" cx="{:.1f}" cy="{:.1f}" r="2.5"/>').format(line.style, a, b)
                      for a, b in points]
    for line in series:
        parts += [Markup('<circle class="hit" cx="{:.1f}" cy="{:.1f}" r="7"><title>{}</title></circle>').format(
            x(epoch), y(value), f"epoch {epoch:,.0f}: {line.name} {in_words(value)}")
            for epoch, value in thinned(line.points, MOST_TITLES)]
    ends = "; ".join(f"{line.name} {in_words(line.points[-1][1])} after epoch {line.points[-1][0]:,.0f}" for line in series
                     if line.points)
    return _svg(WIDTH, HEIGHT, f"{title} over the epochs, {unit}: {ends}", parts)


def bars(title: str, heights: Sequence[float], names: Sequence[str], marked: Sequence[bool], *, unit: str,
         along: str) -> Markup:
    """A bar for each number, not below 0, those that are marked in colour.

    Args:
        names: of the bars, shown where the pointer is.
        along: what the bars are.
    """
    count = len(heights)
    x = fitting([0, count], LEFT, TALL[0] - RIGHT, logarithmic=False, whole=True)
    y = fitting(heights, TALL[1] - BOTTOM, TOP, zero=True, logarithmic=False)
    parts = [_axes(x, y, along, unit)]
    width = (x(1) - x(0)) if count else 1
    gap = min(2.0, width * 0.2)
    for i, (height, name, mark) in enumerate(zip(heights, names, marked, strict=True)):
        tall = max(y(0) - y(height), LEAST_BAR)
        bar = Markup('<rect class="{}" x="{:.1f}" y="{:.1f}" width="{:.1f}" height="{:.1f}"><title>{}</title></rect>')
        parts.append(bar.format("bar on" if mark else "bar", x(i) + gap / 2, y(0) - tall, width - gap, tall, name))
    return _svg(*TALL, f"{title}, {unit}", parts)


def points(title: str, places: np.ndarray, labels: np.ndarray | None, names: dict[int, str], *, axes: tuple[str, str],
           alike: bool) -> Markup:
    """A map of points, coloured by label.

    Args:
        places: (count, 2), finite.
        labels: (count,), -1 for none; None where none has one.
        names: of the labels.
        axes: what lies along, and up.
        alike: whether both axes have one scale.
    """
    (left, down), (right, up) = places.min(0), places.max(0)
    if alike:
        half = max(right - left, up - down) / 2
        left, right = (left + right) / 2 - half, (left + right) / 2 + half
        down, up = (down + up) / 2 - half, (down + up) / 2 + half
    x = fitting([left, right], LEFT, SIDE - RIGHT, logarithmic=False)
    y = fitting([down, up], SIDE - BOTTOM, SIDE - BOTTOM - (x.end - x.start), logarithmic=False)
    at = [(f"{x(a):.0f}", f"{y(b):.0f}") for a, b in places.tolist()]
    parts = [_axes(x, y, axes[0], axes[1])]
    for style, members in _groups(labels, len(places)):
        path = "".join("M{} {}h0".format(*at[i]) for i in members)
        parts.append(Markup('<path class="point {}" d="{}"/>').format(style, path))
    if labels is not None and len(names) <= LABELLED and _apart(places, labels) > APART:
        parts += _names_among(places, labels, names, x, y)
    return _svg(SIDE, SIDE, title, parts)


def style_of(label: int) -> str:
    """The classes of the page's style that colour a label's points."""
    return "none" if label < 0 else f"c{label % COLOURS}" + (" square" if label // COLOURS % 2 else "")


def _groups(labels: np.ndarray | None, count: int) -> Iterable[tuple[str, list[int]]]:
    """(style, indices) of the points of each label; those of none come first, below the others."""
    if labels is None:
        return [("c0", list(range(count)))]
    return [(style_of(label), np.flatnonzero(labels == label).tolist()) for label in np.unique(labels).tolist()]


def _apart(places: np.ndarray, labels: np.ndarray) -> float:
    """The share of the points' variance that is between the labels' means."""
    own, index, counts = np.unique(labels, return_inverse=True, return_counts=True)
    means = np.stack([np.bincount(index, places[:, axis]) / counts for axis in (0, 1)], axis=1)
    whole = places.var(0).sum()
    return float(means[index].var(0).sum() / whole) if whole > 0 else 0.0


def _names_among(places: np.ndarray, labels: np.ndarray, names: dict[int, str], x: Scale, y: Scale) -> list[Markup]:
    """Each label's name in the middle of its points, moved so that no two names lie on each other."""
    found: list[tuple[float, float, str]] = []
    for label, name in names.items():
        a, b = np.median(places[labels == label], axis=0)
        found.append((x(a), y(b), name if len(name) <= 14 else name[:13] + "…"))
    found.sort(key=lambda place: place[1])
    taken: list[tuple[float, float, float]] = []
    parts = []
    for a, b, name in found:
        half = max(TEXT, len(name) * TEXT * 0.6) / 2
        a = min(max(a, half + 4), SIDE - half - 4)
        # A little less than a line, or a name that was moved by just one would, by rounding, lie on the other still.
        while (over := next((t for t in taken if abs(t[1] - b) < TEXT - 0.5 and abs(t[0] - a) < t[2] + half), None)) is not None:
            b = over[1] + TEXT
        taken.append((a, b, half))
        parts.append(Markup('<text class="name" x="{:.0f}" y="{:.0f}" text-anchor="middle" dy="0.35em">{}</text>').format(
            a, min(b, SIDE - TEXT), name))
    return parts


def _axes(x: Scale, y: Scale, along: str, up: str) -> Markup:
    parts = []
    for tick in y.ticks:
        parts.append(_line("grid", x.start, x.end, y(tick), y(tick)))
        parts.append(Markup('<text class="tick" x="{:.1f}" y="{:.1f}" dy="0.35em" text-anchor="end">{}</text>').format(
            x.start - 6, y(tick), in_words(tick, 3)))
    for tick in x.ticks:
        parts.append(_line("mark", x(tick), x(tick), y.start, y.start + 4))
        parts.append(Markup('<text class="tick" x="{:.1f}" y="{:.1f}" text-anchor="middle">{}</text>').format(
            x(tick), y.start + 16, in_words(tick, 6)))
    parts.append(_line("base", x.start, x.end, y.start, y.start))
    parts.append(Markup('<text class="axis" x="{:.1f}" y="{:.1f}" text-anchor="end">{}</text>').format(
        x.end, y.start + 31, along))
    parts.append(Markup('<text class="axis" x="{:.1f}" y="{:.1f}">{}</text>').format(x.start, y.start + 31, "↑ " + up))
    return Markup("").join(parts)


def _line(style: str, x1: float, x2: float, y1: float, y2: float) -> Markup:
    return Markup('<line class="{}" x1="{:.1f}" x2="{:.1f}" y1="{:.1f}" y2="{:.1f}"/>').format(style, x1, x2, y1, y2)


def _svg(width: int, height: int, title: str, parts: Iterable[Markup]) -> Markup:
    return Markup('<svg viewBox="0 0 {} {}" role="img" aria-label="{}">{}</svg>').format(
        width, height, escape(title), Markup("").join(parts))
