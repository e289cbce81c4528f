"""Scales, numbers in words, charts as SVG, and pictures of a bounded size."""

import base64
import io
import re
import xml.etree.ElementTree as xml

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as some
from PIL import Image

from minivae.page import charts, history, tiles
from minivae.page.charts import Line
from minivae.page.scale import fitting, in_words

NUMBERS = some.floats(-history.LARGEST, history.LARGEST)


@given(some.lists(NUMBERS, max_size=8), some.booleans(), some.sampled_from([None, False]), some.booleans())
def test_every_number_has_its_place_between_the_ends(values, zero, logarithmic, whole):
    """In the numbers' order; the marks are between the ends as well, and neither too many nor out of order."""
    values = sorted(abs(v) for v in values) if zero else sorted(values)
    scale = fitting(values, 10, 300, zero=zero, logarithmic=logarithmic, whole=whole)
    places = [scale(value) for value in values]
    assert places == sorted(places) and all(9.99 <= place <= 300.01 for place in places)
    marks = [scale(tick) for tick in scale.ticks]
    assert marks == sorted(marks) and all(9.9 <= mark <= 300.1 for mark in marks) and len(marks) <= 12


@pytest.mark.parametrize(("values", "options", "ticks"), [
    ([0, 10], {}, [0, 2.5, 5, 7.5, 10]), ([47.2, 281], {}, [50, 100, 200]), ([44.9, 55.8], {}, [45, 47.5, 50, 52.5, 55]),
    ([-3, 3], {}, [-2, 0, 2]), ([1, 60], {"ticks": 6, "logarithmic": False, "whole": True}, [10, 20, 30, 40, 50, 60]),
    ([1, 2], {"logarithmic": False, "whole": True}, [1, 2]), ([1, 1], {"logarithmic": False, "whole": True}, [1]),
    ([0.0004, 0.0009], {"zero": True}, [0, 0.0002, 0.0004, 0.0006, 0.0008]),
    ([1e-3, 10], {}, [0.001, 0.005, 0.02, 0.1, 0.5, 2, 10]),
])
def test_the_marks_are_round_numbers(values, options, ticks):
    """Some five, of 1, 2, 2.5 and 5 times powers of ten."""
    assert list(fitting(values, 0, 100, **options).ticks) == pytest.approx(ticks)


@pytest.mark.parametrize(("value", "digits", "words"), [
    (0, 4, "0"), (48.2312, 4, "48.23"), (-0.5, 4, "−0.5"), (1234567.8, 4, "1,234,568"), (2.669, 2, "2.7"),
    (1e-9, 4, "1e−09"), (0.00012, 3, "0.00012"), (999.96, 4, "1,000"), (100, 3, "100"), (1e12, 4, "1e+12"),
])
def test_numbers_in_words(value, digits, words):
    """As many digits as are asked for, commas between thousands, a true minus."""
    assert in_words(value, digits) == words


def test_a_line_goes_through_its_points():
    """As the axes' own marks are placed: the number that an axis names is where the line has that number."""
    drawn = charts.lines("T", [Line("a", "test", [(1, 10.0), (2, 20.0), (3, 30.0)])], unit="nats", epochs=3)
    root = xml.fromstring(str(drawn))
    at = [tuple(map(float, place.split(","))) for place in root.find("polyline").get("points").split()]
    texts = {text.text: text for text in root.findall("text") if text.get("class") == "tick"}
    assert [float(texts[n].get("x")) for n in "123"] == pytest.approx([x for x, _ in at])
    assert [float(texts[n].get("y")) for n in ("10", "20", "30")] == pytest.approx([y for _, y in at], abs=0.06)
    assert [t.text for t in root.iter("title")] == ["epoch 1: a 10", "epoch 2: a 20", "epoch 3: a 30"]
    assert root.get("aria-label") == "T over the epochs, nats: a 30 after epoch 3"


def test_a_long_training_has_a_short_line():
    """However many epochs: the first and the last among a bounded number of points."""
    points = [(epoch, 1000 / epoch) for epoch in range(1, 100_001)]
    drawn = str(charts.lines("T", [Line("a", "test", points)], unit="nats", epochs=100_000))
    assert len(drawn) < 40_000 and "epoch 1: a 1,000" in drawn and "epoch 100,000: a 0.01" in drawn
    thinned = history.thinned(points, 7)
    assert len(thinned) == 7 and thinned[0] == points[0] and thinned[-1] == points[-1]
    assert history.thinned(points[:3], 7) == points[:3]


def test_bars_are_as_high_as_their_numbers():
    """In proportion, from the base; those that are marked have a style of their own."""
    drawn = charts.bars("T", [2.0, 1.0, 0.0], ["a", "<b>", "c"], [True, False, False], unit="nats", along="x")
    bars = xml.fromstring(str(drawn)).findall("rect")
    heights = [float(bar.get("height")) for bar in bars]
    assert heights[0] == pytest.approx(2 * heights[1], abs=0.2) and heights[2] == pytest.approx(0.7)
    assert [bar.get("class") for bar in bars] == ["bar on", "bar", "bar"]
    assert [bar[0].text for bar in bars] == ["a", "<b>", "c"]


def test_points_are_coloured_by_label(rng):
    """A path a label, with as many points as it has images; names where the labels lie apart, and none on another."""
    labels = np.repeat([-1, 0, 1, 2, 12], 20)
    places = rng.normal(size=(100, 2)) * 0.1 + labels[:, np.newaxis] * [1.0, 0.0]
    names = {0: "zero", 1: "one", 2: "two", 12: "a long name for twelve"}
    root = xml.fromstring(str(charts.points("T", places, labels, names, axes=("x", "y"), alike=True)))
    paths = {path.get("class"): path.get("d").count("M") for path in root.findall("path")}
    assert paths == {"point none": 20, "point c0": 20, "point c1": 20, "point c2": 20, "point c2 square": 20}
    told = [text for text in root.findall("text") if text.get("class") == "name"]
    assert sorted(text.text for text in told) == ["a long name f…", "one", "two", "zero"]
    mixed = charts.points("T", rng.normal(size=(100, 2)), labels, names, axes=("x", "y"), alike=True)
    assert 'class="name"' not in mixed
    same = charts.points("T", np.zeros((3, 2)), None, {}, axes=("x", "y"), alike=True)
    assert same.count("M") == 3 and not re.search("nan|inf", str(same))


def opened(address):
    return Image.open(io.BytesIO(base64.b64decode(address.removeprefix("data:image/png;base64,"))))


@pytest.mark.parametrize(("shape", "size"), [((28, 28, 1), (28, 28)), ((1, 1, 3), (1, 1)), ((320, 160, 3), (80, 160)),
                                             ((1000, 1, 1), (1, 160))])
def test_a_tile_is_the_image_or_a_smaller_one(shape, size, rng):
    """Pixel for pixel where it is small, floats and bytes alike."""
    images = rng.random((3, *shape)).astype(np.float32)
    found = [opened(address) for address in tiles.tiles(images, 10**7)]
    assert [tile.size for tile in found] == [size] * 3
    if max(shape) <= tiles.LONGEST:
        assert np.array_equal(np.asarray(found[1]).reshape(shape), np.rint(images[1] * 255).astype(np.uint8))
    half = tiles.shrunk(np.full((1, 400, 200, 3), 0.5, np.float32))
    assert half.shape == (1, 160, 80, 3) and (half == 128).all()


@given(count=some.integers(1, 30), height=some.integers(1, 60), width=some.integers(1, 60),
       channels=some.sampled_from([1, 3]), budget=some.integers(6000, 30_000), seed=some.integers(0, 99))
def test_pictures_keep_to_their_budget(count, height, width, channels, budget, seed):
    """Noise, which is as large as it gets; all tiles of a group have one size."""
    images = np.random.default_rng(seed).integers(0, 256, (count, height, width, channels), np.uint8)
    found = tiles.tiles(images, budget)
    assert len(found) == count and sum(map(len, found)) <= budget
    assert len({opened(address).size for address in found}) == 1


def test_names_of_classes_in_one_place_are_put_apart():
    """Also where rounding makes two lines a little less than a line apart: the search for a free one ends."""
    rng = np.random.default_rng(0)
    for _ in range(200):
        places = np.repeat(rng.normal(size=(1, 2)) * [1, 1e3], 10, axis=0) + rng.normal(size=(10, 2)) * 1e-3
        drawn = charts.points("a map", np.concatenate([places, rng.normal(size=(2, 2)) * 5e3]),
                              np.array([*range(10), 0, 1]), {label: f"class {label}" for label in range(10)},
                              axes=("x", "y"), alike=False)
        assert drawn.count('class="name"') == 10
