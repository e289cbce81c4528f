"""The measurement behind `minivae bench`: its numbers fit each other. No time is right or wrong."""

import json

import numpy as np
import pytest

from minivae import trace
from minivae.bench import iterations, timing
from minivae.errors import UsageError

BATCH = 4


@pytest.fixture(autouse=True)
def quick(monkeypatch, few_digits):
    """Few images, no pauses."""
    monkeypatch.setattr(iterations.data, "load", lambda name: few_digits)
    monkeypatch.setattr(timing, "PAUSE", 0)


def test_all_numbers(fast_device):
    """Every number is there, is what follows from the others, and survives JSON."""
    report = iterations.measure(("ff", "conv"), fast_device, batch_size=BATCH, repeat=2, profiled=True)
    assert json.loads(json.dumps(report)) == {**report, "settings": json.loads(json.dumps(report["settings"]))}
    assert report["device"] == fast_device.describe() and report["repeat"] == 2
    ff, conv = report["architectures"]["ff"], report["architectures"]["conv"]
    for n in (ff, conv):
        ms, products = n["ms"]["median"], n["products_ms"]["median"]
        assert n["batch_size"] == BATCH and len(n["ms"]["samples"]) == len(n["products_ms"]["samples"]) == 2
        assert n["ms"]["p10"] <= ms <= n["ms"]["p90"] and n["examples_per_s"] == pytest.approx(BATCH / ms * 1e3)
        assert n["gflop_per_s"] == pytest.approx(n["gflop"] / ms * 1e3)
        assert n["products_gflop_per_s"] == pytest.approx(n["products_gflop"] / products * 1e3)
        assert n["launches"] > 20 and n["products"] > 15
    assert (ff["parameters"], ff["gflop"]) == (1_892_384, ff["products_gflop"])     # dense layers are products
    assert report["conv/ff"]["gflop"] == pytest.approx(conv["gflop"] / ff["gflop"])
    ratios = np.divide(conv["ms"]["samples"], ff["ms"]["samples"])
    assert report["conv/ff"]["ms"]["samples"] == pytest.approx(ratios.tolist())
    for arch, n in report["architectures"].items():
        _check_profile(report["profiles"][arch], n)
    assert trace.active is None


def _check_profile(profile, numbers):
    """Rows and the rest sum up to the whole; the launches are all there, and the arithmetic."""
    rows = profile["rows"]
    assert sum(row["ms"] for row in rows) + profile["outside_ms"] == pytest.approx(profile["ms"])
    assert [row["ms"] for row in rows] == sorted((row["ms"] for row in rows), reverse=True)
    assert sum(row["launches"] for row in rows) == numbers["launches"]
    assert sum(row["products"] for row in rows) == numbers["products"]
    named = {(row["operation"], row["phase"]): row for row in rows}
    assert len(named) == len(rows)
    assert {"linear", "batch_norm", "gather_batch", "rmsprop_nesterov"} <= {name for name, _ in named}
    assert named["linear", "forward"]["calls"] == named["linear", "backward"]["calls"] > 0
    gflop = sum(row["gflop_per_s"] * row["ms"] / 1e3 for row in rows if row["gflop_per_s"])
    assert gflop == pytest.approx(numbers["gflop"])


def test_one_architecture_alone_is_compared_with_none(cpu):
    report = iterations.measure(("ff",), cpu, batch_size=BATCH, repeat=1)
    assert report["architectures"].keys() == {"ff"} and "conv/ff" not in report and "profiles" not in report


def test_working_memory(cpu):
    """Parameters, gradients, three arrays of the optimizer, and what a batch of so many takes; no data set. It does
    not depend on what was measured before."""
    def measured(*archs, size=16):
        dataset = iterations.data.load("digits")
        subjects = [iterations.Subject(iterations.endless(arch, size), dataset, cpu) for arch in archs]
        return [subject.working_bytes for subject in subjects]

    ff, conv = measured("ff", "conv")
    assert measured("conv", "ff") == [conv, ff] and measured("ff") == [ff]
    [twice] = measured("ff", size=32)
    parameters = 1_892_384 * 4
    assert 5 * parameters < ff < twice < 5.5 * parameters
    assert conv > 5 * 7_111_554 * 4


def test_batch_sizes_that_cannot_be(cpu):
    """Said before anything is built."""
    for size, words in ((65, "take at most 64"), (1, "must be at least 2"), (0, "--batch-size is 0")):
        with pytest.raises(UsageError, match=words):
            iterations.measure(("conv", "ff"), cpu, batch_size=size)
