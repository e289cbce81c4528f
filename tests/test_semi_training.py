"""Trainings with labels."""

import csv
import json
from dataclasses import replace

import numpy as np
import pytest
from data_sets import some_digits
from PIL import Image

from minivae import apply, checkpoint, ops
from minivae.errors import UsageError
from minivae.evaluation import evaluate
from minivae.ops.reparameterize import Noise
from minivae.pictures import drawing
from minivae.runs import Run, Settings
from minivae.terminal.report import Silence
from minivae.training.trainer import Trainer
from minivae.training.weighting import weights_at

SMALL = {"hidden": (64, 32), "code": 8, "epochs": 4, "batch_size": 50, "likelihood": "bernoulli", "labels": 100,
         "label_weight": 30.0}


@pytest.fixture
def device(fast_device):
    return fast_device


@pytest.fixture(scope="module")
def digits():
    return some_digits(800, 200)


@pytest.mark.parametrize("semi", ["shared", "m2"])
def test_a_run_learns_and_leaves_everything(device, digits, tmp_path, semi):
    """Cost and error fall; the folder holds the error of every epoch and the pictures of styles; the checkpoint gives the
    same model with the same error."""
    settings = Settings(**SMALL, semi=semi)
    run = Run.create(settings, tmp_path / "run")
    trainer = Trainer(settings, digits, device, run)
    trainer.train(Silence())
    score, _ = trainer.finish()
    drawing.all_of(run, trainer.model, digits, settings.seed)
    assert trainer.history[-1].train_cost < trainer.history[0].train_cost
    assert score.error < 0.5 and score.error == (apply.classify(trainer.model, digits.test_images).argmax(1)
                                                 != digits.test_labels).mean()
    with run.metrics.open() as file:
        assert float(list(csv.DictReader(file))[-1]["test_error"]) == pytest.approx(trainer.history[-1].test.error)
    for name in ("source", "reconstructions", "samples", "grid", "transfer"):
        assert np.asarray(Image.open(run.folder / f"{name}.png")).std() > 20
    model, found = Run(run.folder).load(device)
    assert found == settings and model.classes == 10
    assert evaluate.score(model, trainer.test_images, settings.seed, digits.test_labels) == score


@pytest.mark.parametrize("labels", [0, 800])
@pytest.mark.parametrize("semi", ["shared", "m2"])
def test_no_labels_and_all(device, digits, labels, semi):
    """Both limits train; with all labels the error is small."""
    trainer = Trainer(Settings(**{**SMALL, "labels": labels, "semi": semi}), digits, device)
    trainer.train(Silence())
    assert trainer.history[-1].train_cost < trainer.history[0].train_cost
    assert labels == 0 or trainer.finish()[0].error < 0.25


@pytest.mark.parametrize("semi", ["shared", "m2"])
def test_the_same_run_twice_gives_the_same_bits(device, digits, semi):
    """And another seed labels other images."""
    trainers = [Trainer(Settings(**{**SMALL, "semi": semi, "seed": seed}), digits, device) for seed in (1, 1, 2)]
    for trainer in trainers:
        for number in range(3):
            trainer.step(number)
    one, two, other = (device.to_host(trainer.flat.values) for trainer in trainers)
    np.testing.assert_array_equal(one, two)
    assert (one != other).any()


@pytest.mark.parametrize("semi", ["shared", "m2"])
def test_no_growth_of_memory_after_the_first_steps(device, digits, semi):
    trainer = Trainer(Settings(**{**SMALL, "semi": semi}), digits, device)
    for number in range(3):
        trainer.step(number)
    held = device.bytes_held
    for number in range(3, 15):
        trainer.step(number)
    assert device.bytes_held == held


def test_goes_on_where_it_was_saved(device, digits, tmp_path):
    """The same parameters, bit for bit, as a training that was not stopped."""
    settings = Settings(**SMALL)
    trainer, again = (Trainer(settings, digits, device) for _ in range(2))
    for number in range(6):
        if number == 3:
            checkpoint.save(tmp_path / "saved.safetensors", *trainer.state())
            assert again.restore(*checkpoint.load(tmp_path / "saved.safetensors")) == 3
        trainer.step(number)
    for number in range(3, 6):
        again.step(number)
    np.testing.assert_array_equal(device.to_host(trainer.flat.values), device.to_host(again.flat.values))


@pytest.mark.parametrize(("settings", "words"), [
    ({"labels": 5}, "--labels is 5, but must be 0 or from 10"), ({"labels": 801}, "to 800"),
    ({"label_weight": -1.0}, "--label-weight is -1"), ({"label_kl": float("nan")}, "--label-kl is nan"),
    ({"consistency": -1.0}, "--consistency is -1"),
    ({"consistency": 1.0}, "where it is changed: say how it is, with --shift, --mirror or --erase"),
    ({"consistency": 1.0, "mirror": True, "labels": 0}, "learns from labels: give --labels, at least one"),
    ({"consistency": 1.0, "shift": 28}, "--shift is 28, but images of 28 x 28 can be shifted by 0 to 27"),
    ({"consistency": 1.0, "mirror": True, "labels": None, "label_weight": 500.0}, "--consistency is about a classifier, which learns from labels: give --labels"),
    ({"consistency": 1.0, "erase": 28}, "--erase is 28, but images of 28 x 28 can be erased in squares of 0 to 27"),
    ({"erase": -1}, "--erase is -1"), ({"erase": 3}, "say what --consistency is about"),
    ({"mirror": True}, "say what --consistency is about"), ({"shift": 2}, "say what --consistency is about"),
    ({"semi": "m3"}, "--semi is m3, but must be one of shared, m2"), ({"labels": None, "semi": "m3"}, "--semi is m3"),
    ({"labels": None, "semi": "m2", "label_weight": 500.0}, "--semi is m2, but there are no labels: give --labels"),
    ({"labels": None}, "--label-weight is 30"), ({"labels": None, "label_weight": 500.0, "label_kl": 0.0}, "--label-kl is 0")])
def test_impossible_settings_are_named(cpu, digits, settings, words):
    with pytest.raises(UsageError, match=words):
        Trainer(Settings(**{**SMALL, **settings}), digits, cpu)


def test_consistency_rises_over_the_first_epoch(cpu, digits):
    """From a step's share to the whole, and stays; it makes predictions that moved images keep more often."""
    settings = Settings(**SMALL, consistency=100.0, shift=2)
    other = weights_at(replace(settings, mirror=True, erase=5), 0, 16)
    assert (other.shift, other.mirror, other.erase) == (2, True, 5)
    trainer = Trainer(settings, digits, cpu)
    weights = [weights_at(trainer.settings, n, trainer.steps_an_epoch) for n in (0, 7, 15, 16, 60)]
    assert [each.consistency for each in weights] == [6.25, 50, 100, 100, 100] and weights[0][-3:] == (2, False, 0)
    kept = []
    for one in (trainer, Trainer(Settings(**SMALL), digits, cpu)):
        one.train(Silence())
        one.finish()
        x, example = one.test_images.batch(0, 200)
        moved = ops.distort(x, example, Noise(7, 7), image_shape=digits.image_shape, shift=2)
        kept.append((one.model.classify(x).argmax(1) == one.model.classify(moved).argmax(1)).mean())
    assert kept[0] > kept[1] + 0.05


def test_settings_go_into_the_run_folder_and_come_back(tmp_path):
    settings = Settings(**SMALL, label_kl=0.5, consistency=3.0, shift=2, mirror=True, erase=5, semi="m2")
    run = Run.create(settings, tmp_path / "run")
    assert run.settings() == settings and "labels = 100" in (run.folder / "settings.toml").read_text()
    assert json.dumps(run.settings().labels) == "100"


@pytest.mark.parametrize(("labels", "chosen"), [([-1, 2, 2, -1, 0], [4, 1]), ([-1] * 12, range(10)), ([1, 1], [0])])
def test_which_images_are_shown_in_every_class(labels, chosen):
    """One of each class; an image without a label is of none."""
    assert drawing.one_of_each(np.array(labels)).tolist() == list(chosen)
