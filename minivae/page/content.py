"""From a run's facts and its model's looks to what the template shows: figures, charts, tables, and the galleries."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import PurePath

import numpy as np
from markupsafe import Markup

from minivae.latent import ACTIVE, is_active
from minivae.page import charts, codes, facts
from minivae.page.charts import Line
from minivae.page.facts import Facts
from minivae.page.galleries import LONGEST_NAME, class_name, pictures, shortened
from minivae.page.history import LARGEST, column, thinned
from minivae.page.looks import SMALL, VALUES, Looks
from minivae.page.scale import in_words

BARS = 64               # numbers of the code that have a bar
ROWS = 40               # of the table of epochs
SHOWN_CLASSES = 30      # in the legend of the map
LONGEST_VALUE, LONGEST_WORDS = 80, 400      # letters of a setting's value, and of what stands about
WITHOUT = {"labels": "none", "sigma": "learned", "label_kl": "the model's"}     # what None means, of settings
MINUTE, HOUR = 60, 3600


@dataclass(frozen=True)
class Chart:
    """A chart with its legend: (style, name, last value) of each line."""

    title: str
    note: str
    svg: Markup
    legend: list[tuple[str, str, str]]


def content(known: Facts, looks: Looks) -> dict:
    """All that the template needs, but for what is told of the page itself."""
    return {"facts": known, "lead": _lead(known), "state": _state(known), "figures": _figures(known, looks),
            **_charts(known), "table": _table(known), "settings": _settings(known), "about": _about(known),
            "aspect": _aspect(known.image_shape), "small": max(known.image_shape[:2]) <= SMALL,
            "steps": [in_words(value) for value in VALUES],
            "which": "test images" if looks.held_out else "training images", **pictures(looks), **_space(looks)}


def duration(seconds: float) -> str:
    """A time for people."""
    if seconds < MINUTE:
        return f"{seconds:.1f} s" if seconds < 10 else f"{seconds:.0f} s"
    if seconds < HOUR:
        return f"{seconds // MINUTE:.0f} min {seconds % MINUTE:.0f} s"
    return f"{seconds // HOUR:,.0f} h {seconds % HOUR // MINUTE:.0f} min"


def _lead(known: Facts) -> str:
    height, width, channels = known.image_shape
    kind = {1: "grey", 3: "colour"}.get(channels, f"{channels} channels")
    arch = {"ff": "Feed-forward", "conv": "Convolutional"}.get(known.settings.arch, known.settings.arch)
    data = PurePath(known.settings.data).name or known.settings.data
    images = f"{known.train_count:,} images" if known.train_count is not None else "images"
    return (f"{arch} variational autoencoder with {known.parameters:,} parameters, on {images} of "
            f"{shortened(data, LONGEST_NAME)}, {height}\u00a0×\u00a0{width}, {kind}")


def _state(known: Facts) -> tuple[str, str]:
    """(word, more words) of how far the run is."""
    of = f"epoch {known.epoch:,} of {known.settings.epochs:,}"
    if known.state == facts.TRAINING:
        return "training", of + (f", about {duration(known.left)} left" if known.left else "")
    if known.state == facts.STOPPED:
        return "stopped", f"after {of}"
    return (known.state, of) if known.state == facts.FINISHED else ("saved model", "")


def _figures(known: Facts, looks: Looks) -> list[tuple[str, str, str]]:
    """(what, number, unit) of the numbers that matter most."""
    found, test = [], known.test
    if test:
        found += [("test cost", f"{test.total:,.2f}", "nats per image"), ("reconstruction", f"{test.reconstruction:,.2f}",
                  "its part, nats"), ("KL", f"{test.kl:,.2f}", "its part, nats")]
        if test.error is not None:
            found.append(("test error", f"{test.error:.2%}", "of the classes"))
    elif (train := known.last("train_cost")) is not None:
        found.append(("training cost", f"{train:,.2f}", "nats per image"))
    if looks.coded is not None:
        found.append(("active units", f"{looks.active:,}", f"of {len(looks.order):,} in a code"))
    if known.seconds is not None:
        epochs = "1 epoch" if known.epoch == 1 else f"{known.epoch:,} epochs"
        found.append(("training time", duration(known.seconds), epochs))
    if (speed := known.images_per_second) is not None:
        found.append(("speed", f"{speed:,.0f}", "images per second"))
    return found


def _charts(known: Facts) -> dict:
    """Of the columns that have numbers."""
    cost = _chart(known, "Cost", "Of an image: reconstruction + KL, the negative of the evidence lower bound. Lower is "
                  "better.", {"train_cost": ("training", "train"), "test_cost": ("test", "test")})
    parts = [_chart(known, "Reconstruction", "What the decoder misses of an image that it knows the code of.",
                    {"test_reconstruction": ("test", "test")}),
             _chart(known, "KL", "What the codes tell of the images: how far they are from the prior.",
                    {"test_kl": ("test", "test")})]
    error = _chart(known, "Error", "The share of the test images whose most probable class is not theirs.",
                   {"test_error": ("test", "test")}, unit="%", factor=100)
    return {"charts": [chart for chart in (cost, *parts) if chart], "error": error}


def _chart(known: Facts, title: str, note: str, columns: dict[str, tuple[str, str]], unit: str = "nats",
           factor: float = 1) -> Chart | None:
    """Of columns, each with its line's name and style; None where there is nothing in them."""
    series = [Line(name, style, [(epoch, value * factor) for epoch, value in points])
              for key, (name, style) in columns.items() if (points := column(known.rows, key))]
    if not series:
        return None
    return Chart(title, note, charts.lines(title, series, unit=unit, epochs=known.epoch),
                 [(line.style, line.name, in_words(line.points[-1][1]) + ("%" if unit == "%" else "")) for line in series])


def _table(known: Facts) -> dict | None:
    """The epochs' numbers, of a few epochs where they are many."""
    names = list(dict.fromkeys(name for row in known.rows for name in row))
    rows = thinned(known.rows, ROWS)
    return {"names": [name.replace("_", " ") for name in names], "left_out": len(known.rows) - len(rows),
            "rows": [[in_words(row[name], 5) if name in row else "–" for name in names] for row in rows]} if rows else None


def _settings(known: Facts) -> list[tuple[str, str, str | None]]:
    """(option, value, the value where nothing is said if it is another), those that are not the usual ones first."""
    settings = known.settings
    count = known.train_count if known.train_count is not None else settings.batch_size
    unusual = facts.changed(settings, count)
    found = [(f"--{name.replace('_', '-')}", _value(name, getattr(settings, name)),
              _value(name, unusual[name]) if name in unusual else None) for name in facts.in_play(settings)]
    return sorted(found, key=lambda setting: setting[2] is None)


def _value(name: str, value: object) -> str:
    if value is None:
        return WITHOUT.get(name, "the optimizer's")
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, tuple):
        return shortened(",".join(map(str, value)) or "–", LONGEST_VALUE)
    return f"{value:g}" if isinstance(value, float) else shortened(str(value), LONGEST_VALUE)


def _about(known: Facts) -> list[tuple[str, str]]:
    images = [f"{count:,} {what}" for count, what in ((known.train_count, "to train on"), (known.test_count, "to test with"))
              if count is not None]
    found = [(what, shortened(words, LONGEST_WORDS)) for what, words in known.surroundings]
    return [("images", ", ".join(images)), *found] if images else found


def _aspect(image_shape: tuple[int, int, int]) -> float:
    """Width over height of the places where images are shown; very long ones get a part of theirs."""
    return min(4.0, max(0.25, image_shape[1] / image_shape[0]))


def _space(looks: Looks) -> dict:
    """The map of the codes, and how far each of their numbers is in use."""
    if looks.coded is None:
        return {"map": None}
    places, axes, share = codes.flat(looks.coded, looks.order)
    labels = looks.labels
    present = [] if labels is None else [label for label in np.unique(labels).tolist() if label >= 0]
    names = {label: class_name(looks.names, label) for label in present}
    shown = charts.points(f"A map of the codes of {len(places):,} images", places, labels, names, axes=axes,
                          alike=looks.coded.mu.shape[1] > 1)
    kl, variance = (np.clip(np.nan_to_num(numbers), -LARGEST, LARGEST).tolist()
                    for numbers in (looks.coded.kl, looks.variance))
    order = sorted(looks.order[:BARS].tolist(), key=lambda unit: -kl[unit])
    words = [f"number {unit}: KL {in_words(kl[unit], 3)} nats, variance {in_words(variance[unit], 3)}" for unit in order]
    units = charts.bars("KL of the numbers of the code", [kl[unit] for unit in order], words,
                        is_active(looks.variance[order]).tolist(), unit="nats",
                        along="numbers of the code, largest first")
    rest = sum(kl) - sum(kl[unit] for unit in order)
    return {"map": shown, "map_share": share, "map_count": len(places), "map_of": codes.MOST if len(kl) > codes.MOST else None,
            "legend": [(charts.style_of(label), name) for label, name in names.items()][:SHOWN_CLASSES],
            "legend_left_out": max(0, len(names) - SHOWN_CLASSES), "units": units, "active": looks.active,
            "code": len(kl), "bars": len(order), "rest": in_words(rest, 2), "limit": ACTIVE}
