"""What `minivae eval` measures, on a small model, against NumPy."""

import json
import re

import numpy as np
import pytest

from minivae import apply
from minivae.errors import MinivaeError
from minivae.evaluation import evaluate, importance, measures
from minivae.evaluation.measures import Subject, measure
from minivae.models import build
from minivae.ops.batch import DeviceImages
from minivae.ops.reparameterize import EVALUATE, Noise
from minivae.terminal import evaluation


def _subject(device, images=40, **options):
    settings = options.pop("settings", {"likelihood": "bernoulli", "binarize": True})
    model = build("ff", (4, 3, 1), device, hidden=(7, 6), code=5, **settings)
    numbers = np.random.default_rng(1).integers(0, 256, (images, 4, 3, 1), np.uint8)
    shown = DeviceImages(numbers, device, binarize=model.likelihood.discrete)
    evaluate.fix_statistics(model, shown)
    return Subject(model, shown, **options)


def test_all_numbers(device):
    """Every number equals its definition in NumPy, and survives JSON."""
    subject = _subject(device, samples=20, seed=3, limit=30)
    report = measure(subject)
    assert json.loads(json.dumps(report, allow_nan=False)) == report
    model, host = subject.model, device.to_host
    x, example = subject.images.batch(0, 30, Noise(3, 0, EVALUATE))
    cost = model.cost(x, example, Noise(3, 0, EVALUATE))
    parts = [host(part).astype(np.float64) for part in (cost.reconstruction, cost.kl)]
    for name, values in (("elbo", -parts[0] - parts[1]), ("reconstruction", parts[0]), ("kl", parts[1]),
                         ("nll", importance.estimate(model, subject.images, 20, seed=3, limit=30).nll)):
        assert report[name]["mean"] == pytest.approx(values.mean(), rel=1e-6)
        assert report[name]["standard_error"] == pytest.approx(values.std(ddof=1) / np.sqrt(30), rel=1e-4)
    assert report["elbo_bits_per_dimension"] == pytest.approx(-report["elbo"]["mean"] / (12 * np.log(2)))
    assert report["nll_bits_per_dimension"] == pytest.approx(report["nll"]["mean"] / (12 * np.log(2)))
    mu = host(model.encode(x).data)[:, :5]
    assert (report["active_units"], report["code"]) == ((mu.var(0) > 0.01).sum(), 5)
    y = model.reconstruct(x).reshape(30, 12)
    assert report["squared_error"] == pytest.approx(((host(x) - y) ** 2).mean(), rel=1e-5)
    assert 1 <= report["effective_samples"]["least"] <= report["effective_samples"]["median"] <= 20
    assert (report["images"], report["importance_samples"], report["caveat"]) == (30, 20, None)
    assert report["seconds"]["all"] == pytest.approx(sum(report["seconds"][m.__name__] for m in measures.MEASURES))


def test_units_that_are_not_used_are_not_counted(cpu):
    """A number whose mean hardly depends on the image is inactive."""
    subject = _subject(cpu)
    norm = subject.model.heads.norm
    assert measures.active_units(subject)["active_units"] == 5      # normalized: of variance 1
    norm.gamma.data[1:4] = 0.09, 0.11, 0.0
    assert measures.active_units(subject)["active_units"] == 3


@pytest.mark.parametrize(("settings", "words"), [
    ({"likelihood": "squared-error"}, r"or 6\.87 an image"), ({"likelihood": "bernoulli"}, "the pixels are grey"),
    ({"likelihood": "gaussian"}, None), ({"likelihood": "bernoulli", "binarize": True}, None)])
def test_what_is_no_density_is_said(cpu, settings, words):
    """And bits per dimension are only said of probabilities."""
    report = {**measure(_subject(cpu, settings=settings, samples=3)), "split": "test", "data": "digits"}
    labels, notes = [row[0] for row in evaluation.rows(report)], evaluation.notes(report)
    assert ("nll_bits_per_dimension" in report) == ("-ELBO" in labels) == settings.get("binarize", False)
    if words is None:
        assert report["caveat"] is None and "NLL, 3 samples" in labels and len(notes) == 2
    else:
        assert "unnormalized NLL, 3 samples" in labels and notes[-1].startswith("Unnormalized: ")
        assert re.search(words, notes[-1])


def test_no_samples_no_likelihood(cpu):
    report = {**measure(_subject(cpu)), "split": "test", "data": "digits"}
    assert "nll" not in report and not [row for row in evaluation.rows(report) if "NLL" in row[0]]


def test_one_image_has_no_standard_error(cpu):
    report = {**measure(_subject(cpu, limit=1, samples=2)), "split": "test", "data": "digits"}
    assert report["nll"]["standard_error"] is None and evaluation.rows(report)[0][2] == ""


def test_numbers_that_are_not_finite_are_refused(cpu):
    """One line that says what to do."""
    subject = _subject(cpu, samples=2)
    subject.model.decoder[0].weight.data[0] = np.nan
    with pytest.raises(MinivaeError, match="the bound of 40 of 40 images is no finite number .* smaller --learning-rate"):
        measure(subject)
    with pytest.raises(MinivaeError, match="the importance-sampled likelihood of 40 of 40"):
        measures.likelihood(subject)


@pytest.mark.parametrize("semi", ["shared", "m2"])
def test_classification_error(cpu, rng, semi):
    """Of a model with classes, beside its labels; its likelihood is sampled like any other's, and what its bound is not is
    said."""
    images, labels = rng.integers(0, 256, (40, 4, 3, 1), np.uint8), rng.integers(0, 3, 40).astype(np.uint8)
    model = build("ff", (4, 3, 1), cpu, hidden=(7, 6), code=5, classes=3, semi=semi)
    shown = DeviceImages(images, cpu)
    evaluate.fix_statistics(model, shown)
    report = measure(Subject(model, shown, labels=labels[:30], limit=30))
    share = (apply.classify(model, images[:30]).argmax(1) != labels[:30]).mean()
    assert report["classification_error"]["mean"] == pytest.approx(share) and 0 < share < 1
    assert "nll" not in report and report["active_units"] <= 5
    told = []
    sampled = measure(Subject(model, shown, samples=5, limit=30, progress=told.append))
    assert sampled["nll"]["mean"] == importance.estimate(model, shown, 5, limit=30).nll.mean()
    assert sum(told) == 30 * 5 * model.draws
    notes = " ".join(evaluation.notes({**sampled, "split": "test", "data": "digits"}))
    assert "summed out" in notes and ("decodes predicted probabilities" in notes) == (semi == "shared")
