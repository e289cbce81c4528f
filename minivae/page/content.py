"""From a run's facts and its model's looks to what the template shows: figures, charts, rows of pictures, tables."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import PurePath

import numpy as np
from markupsafe import Markup

from minivae.latent import ACTIVE
from minivae.page import charts, codes, facts
from minivae.page.charts import Line
from minivae.page.facts import Facts
from minivae.page.history import column, thinned
from minivae.page.looks import SMALL, STEPS, VALUES, Looks
from minivae.page.scale import in_words
from minivae.page.tiles import tiles

BUDGET = 1_900_000      # bytes of all pictures, shared out:
SHARES = {"samples": 0.24, "pairs": 0.2, "walks": 0.16, "traverses": 0.12, "extremes": 0.08, "styles": 0.1, "transfer": 0.1}
PAIRS, EXTREMES = (32, 16), (8, 4)      # of images of the size SMALL and less, and of larger ones
BARS = 64               # numbers of the code that have a bar
ROWS = 40               # of the table of epochs
SHOWN_CLASSES = 30      # in the legend of the map
LONGEST_NAME, LONGEST_VALUE, LONGEST_WORDS = 40, 80, 400    # letters of a class's name, a setting's value, what stands about
WITHOUT = {"labels": "none", "sigma": "learned", "label_kl": "the model's"}     # what None means, of settings
MINUTE, HOUR = 60, 3600


@dataclass(frozen=True)
class Strip:
    """A row of pictures.

    Attributes:
        label, note: before it.
        tiles: addresses of the pictures.
        framed: the indices of those that are no model's.
        alt: what they show, in words.
    """

    label: str
    note: str
    tiles: list[str]
    alt: str
    framed: tuple[int, ...] = ()


@dataclass(frozen=True)
class Pair:
    """An image over its reconstruction, as addresses, and what is to be said of it."""

    source: str
    made: str
    caption: str = ""


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
            "which": "test images" if looks.held_out else "training images", **_pictures(looks), **_space(looks)}


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
    count = f"{known.train_count:,} images" if known.train_count is not None else "images"
    return (f"{arch} variational autoencoder with {known.parameters:,} parameters, on {count} of {_cut(data, LONGEST_NAME)}, "
            f"{height}\u00a0×\u00a0{width}, {kind}")


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
        found.append(("training time", duration(known.seconds), f"{known.epoch:,} epochs" if known.epoch != 1 else "1 epoch"))
    if (speed := known.images_per_second) is not None:
        found.append(("speed", f"{speed:,.0f}", "images per second"))
    return found


def _charts(known: Facts) -> dict:
    """Of the columns that have numbers."""
    cost = _chart(known, "Cost", "Of an image: reconstruction + KL, the negative of the evidence lower bound. Lower is better.",
                  {"train_cost": ("training", "train"), "test_cost": ("test", "test")})
    parts = [_chart(known, "Reconstruction", "What the decoder misses of an image that it knows the code of.",
                    {"test_reconstruction": ("test", "test")}),
             _chart(known, "KL", "What the codes tell of the images: how far they are from the prior.", {"test_kl": ("test", "test")})]
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
        return _cut(",".join(map(str, value)) or "–", LONGEST_VALUE)
    return f"{value:g}" if isinstance(value, float) else _cut(str(value), LONGEST_VALUE)


def _about(known: Facts) -> list[tuple[str, str]]:
    images = [f"{count:,} {what}" for count, what in ((known.train_count, "to train on"), (known.test_count, "to test with"))
              if count is not None]
    found = [(what, _cut(words, LONGEST_WORDS)) for what, words in known.surroundings]
    return [("images", ", ".join(images)), *found] if images else found


def _aspect(image_shape: tuple[int, int, int]) -> float:
    """Width over height of the places where images are shown; very long ones get a part of theirs."""
    return min(4.0, max(0.25, image_shape[1] / image_shape[0]))


def _pictures(looks: Looks) -> dict:
    """All rows of pictures, within the budget."""
    budget = {name: int(share * BUDGET) for name, share in SHARES.items()}
    found: dict = dict.fromkeys(("shown_pairs", "best", "worst", "walks", "traverses"))
    found |= {"samples": tiles(looks.samples, budget["samples"]), "styles": _by_class(looks, looks.styles, budget["styles"]),
              "transfer": _by_class(looks, looks.transfer, budget["transfer"])}
    if looks.coded is None:
        return found
    pairs, extremes = (small if max(looks.coded.images.shape[1:3]) <= SMALL else large
                       for small, large in (PAIRS, EXTREMES))
    found["shown_pairs"] = _pairs(looks, np.arange(len(looks.coded.cost))[:pairs], budget["pairs"])
    ranks = np.argsort(np.nan_to_num(looks.coded.cost, nan=np.inf), kind="stable")
    extremes = min(extremes, len(ranks) // 2)
    found["best"] = _pairs(looks, ranks[:extremes], budget["extremes"] // 2, costs=True)
    found["worst"] = _pairs(looks, ranks[::-1][:extremes], budget["extremes"] // 2, costs=True)
    found["walks"] = _rows([np.concatenate([walk.ends[:1], walk.steps, walk.ends[1:]]) for walk in looks.walks], budget["walks"],
                           [("", "", "from one image to another")] * len(looks.walks), framed=(0, STEPS + 1))
    kl = looks.coded.kl
    found["traverses"] = _rows([t.steps for t in looks.traverses], budget["traverses"],
                               [(f"{t.unit}", f"KL {in_words(kl[t.unit], 2)}", f"number {t.unit} of the code from −3 to 3")
                                for t in looks.traverses])
    return found


def _pairs(looks: Looks, chosen: np.ndarray, budget: int, costs: bool = False) -> list[Pair]:
    if not len(chosen):
        return []
    coded = looks.coded
    drawn = tiles(np.concatenate([coded.images[chosen], coded.made[chosen]]), budget)
    captions = [in_words(float(coded.cost[i]), 3) if costs else "" for i in chosen]
    return [Pair(*three) for three in zip(drawn[:len(chosen)], drawn[len(chosen):], captions, strict=True)]


def _rows(images: list[np.ndarray], budget: int, words: list[tuple[str, str, str]], framed: tuple[int, ...] = ()) -> list[Strip]:
    """Strips of as many pictures each; words are (label, note, alt) of each."""
    if not images:
        return []
    drawn, width = tiles(np.concatenate(images), budget), len(images[0])
    return [Strip(label, note, drawn[i * width:(i + 1) * width], alt, framed) for i, (label, note, alt) in enumerate(words)]


def _by_class(looks: Looks, images: np.ndarray | None, budget: int) -> dict | None:
    """Rows with a class a column; the images that come before those have no class."""
    if images is None or not len(images):
        return None
    classes = min(looks.styles.shape[1], images.shape[1])
    before = images.shape[1] - classes
    return {"rows": _rows(list(images), budget, [("", "", "one style in every class")] * len(images), tuple(range(before))),
            "names": [""] * before + [_name(looks, label) for label in range(classes)]}


def _space(looks: Looks) -> dict:
    """The map of the codes, and how far each of their numbers is in use."""
    if looks.coded is None:
        return {"map": None}
    places, axes, share = codes.flat(looks.coded, looks.order)
    labels = looks.labels
    present = [] if labels is None else [label for label in np.unique(labels).tolist() if label >= 0]
    names = {label: _name(looks, label) for label in present}
    shown = charts.points(f"A map of the codes of {len(places):,} images", places, labels, names, axes=axes,
                          alike=looks.coded.mu.shape[1] > 1)
    order = looks.order[:BARS].tolist()
    kl = np.nan_to_num(looks.coded.kl)
    order = sorted(order, key=lambda unit: -kl[unit])
    units = charts.bars("KL of the numbers of the code", [float(kl[unit]) for unit in order],
                        [f"number {unit}: KL {in_words(float(kl[unit]), 3)} nats, variance {in_words(float(looks.variance[unit]), 3)}"
                         for unit in order], [bool(looks.variance[unit] > ACTIVE) for unit in order], unit="nats",
                        along="numbers of the code, largest first")
    rest = float(kl.sum() - kl[order].sum())
    return {"map": shown, "map_share": share, "map_count": len(places), "map_axes": axes,
            "legend": [(charts.style_of(label), name) for label, name in names.items()][:SHOWN_CLASSES],
            "legend_left_out": max(0, len(names) - SHOWN_CLASSES), "units": units, "active": looks.active,
            "code": len(kl), "bars": len(order), "rest": in_words(rest, 2), "limit": ACTIVE}


def _name(looks: Looks, label: int) -> str:
    return _cut(looks.names[label] if label < len(looks.names) else str(label), LONGEST_NAME)


def _cut(text: str, longest: int) -> str:
    """A text of at most so many letters: of a longer one the first and the last."""
    half = (longest - 1) // 2
    return text if len(text) <= longest else f"{text[:half]}…{text[-half:]}"
