"""The pictures of a page in the groups that they are shown in, of a bounded number of bytes all together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from minivae.page.looks import SMALL, STEPS, Looks
from minivae.page.scale import in_words
from minivae.page.tiles import tiles

BUDGET = 1_900_000      # bytes of all pictures, shared out:
SHARES = {"samples": 0.24, "pairs": 0.2, "walks": 0.16, "traverses": 0.12, "extremes": 0.08, "styles": 0.1, "transfer": 0.1}
PAIRS, EXTREMES = (32, 16), (8, 4)      # of images of the size SMALL and less, and of larger ones
LONGEST_NAME = 40       # letters of a class's name


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


def pictures(looks: Looks) -> dict:
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
    walks = [np.concatenate([walk.ends[:1], walk.steps, walk.ends[1:]]) for walk in looks.walks]
    found["walks"] = _rows(walks, budget["walks"], [("", "", "from one image to another")] * len(walks), (0, STEPS + 1))
    kl = looks.coded.kl
    found["traverses"] = _rows([t.steps for t in looks.traverses], budget["traverses"],
                               [(f"{t.unit}", f"KL {kl[t.unit]:.2f}", f"number {t.unit} of the code from −3 to 3")
                                for t in looks.traverses])
    return found


def _pairs(looks: Looks, chosen: np.ndarray, budget: int, costs: bool = False) -> list[Pair]:
    if not len(chosen):
        return []
    coded = looks.coded
    drawn = tiles(np.concatenate([coded.images[chosen], coded.made[chosen]]), budget)
    captions = [in_words(float(coded.cost[i]), 3) if costs else "" for i in chosen]
    return [Pair(*three) for three in zip(drawn[:len(chosen)], drawn[len(chosen):], captions, strict=True)]


def _rows(images: list[np.ndarray], budget: int, words: list[tuple[str, str, str]],
          framed: tuple[int, ...] = ()) -> list[Strip]:
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
            "names": [""] * before + [class_name(looks.class_names, label) for label in range(classes)]}


def class_name(names: Sequence[str], label: int) -> str:
    """The name of a class, or its number where it has none."""
    return shortened(names[label] if label < len(names) else str(label), LONGEST_NAME)


def shortened(text: str, longest: int) -> str:
    """A text of at most so many letters: of a longer one the first and the last."""
    half = (longest - 1) // 2
    return text if len(text) <= longest else f"{text[:half]}…{text[-half:]}"
