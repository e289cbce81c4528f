"""minivae.VAE: arrays in, arrays out, the same numbers as the library and the command line give."""

import copy
import pickle
from dataclasses import fields

import numpy as np
import pytest
from click.testing import CliRunner
from estimators import SMALL, digits, labelled, vae  # noqa: F401  (fixtures)
from PIL import Image

from minivae import checkpoint, data, estimator, fitting
from minivae.cli import cli
from minivae.data.reading import NAMES as READING
from minivae.errors import MinivaeError, UsageError
from minivae.estimator import VAE
from minivae.evaluation import evaluate
from minivae.ops.batch import DeviceImages
from minivae.pictures import grids
from minivae.runs import Run, Settings
from minivae.terminal import report
from minivae.training.trainer import Trainer


def _same(one, two):
    np.testing.assert_array_equal(one, two, strict=True)


# ---- the same numbers ----

def test_a_fit_is_a_training(fast_device, digits):
    """Weights, history and score are those of a Trainer with these settings, bit for bit; a second fit gives them again."""
    vae = VAE(**SMALL, device=fast_device)
    settings = fitting.settings_for({**SMALL, "data": "arrays"}, len(digits.train_images))
    trainer = Trainer(settings, digits, fast_device)
    trainer.train(report.Silence())
    score, _ = trainer.finish()
    for _ in range(2):
        assert vae.fit(digits.train_images, validation=digits.test_images, progress=False) is vae
        for one, two in zip(vae.model.state_dict().values(), trainer.model.state_dict().values(), strict=True):
            _same(fast_device.to_host(one), fast_device.to_host(two))
        assert [(e.train_cost, e.test) for e in vae.history] == [(e.train_cost, e.test) for e in trainer.history]
        assert vae.score(digits.test_images) == score
    assert vae.score(digits.test_images, seed=1) != score
    assert vae.settings == settings


def test_defaults_are_those_of_the_command_line(digits, tmp_path, monkeypatch):
    """What is not said is settled in the same place: an epoch with nothing else said leaves the same settings."""
    monkeypatch.setattr(data, "load", lambda name, *_, **__: digits)
    done = CliRunner().invoke(cli, ["train", "--epochs", "1", "--optimizer", "adam", "--device", "cpu", "--out",
                                    str(tmp_path / "run")])
    assert done.exit_code == 0, done.output
    ours = VAE(epochs=1, optimizer="adam", device="cpu").fit(digits.train_images, progress=False)
    theirs = VAE.load(tmp_path / "run", "cpu")
    assert ours.settings == Settings(**{**vars(theirs.settings), "data": "arrays"})
    _same(ours.encode(digits.test_images), theirs.encode(digits.test_images))


def test_shapes_and_kinds_of_arrays(vae, digits):
    """uint8, floats of the same values, and bools; with or without channels, or flat: the same results, reconstructions in
    X's own shape."""
    X = digits.test_images
    mu, sigma = vae.encode(X, sigma=True)
    assert mu.shape == sigma.shape == (30, 6) and mu.dtype == sigma.dtype == np.float32 and sigma.min() > 0
    again = vae.reconstruct(X)
    assert again.shape == X.shape and again.dtype == np.float32 and 0 <= again.min() <= again.max() <= 1
    for other in (X[..., 0], X.reshape(30, -1), X / np.float32(255), X / 255, (X[..., 0] / 255).tolist()):
        _same(vae.encode(other), mu)
        _same(vae.reconstruct(other), again.reshape(np.shape(other)))
    _same(vae.encode(X > 99), vae.encode((X > 99).astype(np.uint8) * np.uint8(255)))
    images = vae.decode(mu)
    assert images.shape == (30, 28, 28, 1)
    np.testing.assert_allclose(images, again, atol=1e-6)
    assert vae.sample(7).shape == (7, 28, 28, 1)
    _same(vae.sample(7, seed=3), vae.sample(7, seed=3))
    assert (vae.sample(7, seed=3) != vae.sample(7, seed=4)).any()


def test_training_on_floats_is_training_on_bytes(digits):
    """Of the same values; and floats between two bytes are not quantized: they train, encode and cost otherwise."""
    X, V = digits.train_images, digits.test_images
    one, two, three = (VAE(**SMALL, device="cpu", image_shape=(28, 28)).fit(x, progress=False)
                       for x in (X, X.reshape(100, 784) / 255, X * 0.999 / 255))
    _same(one.encode(V), two.encode(V))
    assert (one.encode(V) != three.encode(V)).any()
    assert (one.encode(V / 255 * 0.999) != one.encode(V)).any() and one.score(V / 255 * 0.999) != one.score(V)


@pytest.mark.parametrize("kind", [np.uint8, np.float32])
def test_thread_by_thread(simt, digits, kind):
    """A whole fit on the GPU's side: it learns, and what it saves of itself a CPU reads the same within rounding."""
    X = digits.train_images[:32, 2:26:3, 2:26:3, 0]
    X = X if kind == np.uint8 else X / np.float32(255)
    vae = VAE(hidden=(8,), code=2, epochs=2, batch_size=16, device=simt).fit(X, validation=X[:8], progress=False)
    assert vae.history[1].train_cost < vae.history[0].train_cost
    assert vae.encode(X).shape == (32, 2) and vae.sample(3).shape == (3, 8, 8, 1) and vae.reconstruct(X).shape == (32, 8, 8)
    assert vae.score(X[:8]) == pytest.approx(evaluate.score(vae.model, DeviceImages(X[:8, ..., None], simt)))


def test_batches_do_not_show(vae, digits, monkeypatch):
    """More images than fit a batch: the same within rounding, an image's draw of the code is its own."""
    V = digits.test_images
    whole = vae.encode(V), vae.reconstruct(V), vae.sample(9), vae.score(V)
    monkeypatch.setattr(evaluate, "BATCH", 7)
    monkeypatch.setattr(evaluate, "FEWEST", 1)
    assert evaluate.batch_size(vae.model) == 7
    parts = vae.encode(V), vae.reconstruct(V), vae.sample(9), vae.score(V)
    for one, two in zip(whole[:3], parts[:3], strict=True):
        np.testing.assert_allclose(one, two, atol=1e-5)
    assert parts[3][:3] == pytest.approx(whole[3][:3], rel=1e-6)


def test_the_score_of_every_image(vae, digits):
    """Its mean is the score; total is the sum of the parts; noise costs more than digits."""
    each, mean = vae.score(digits.test_images, each=True), vae.score(digits.test_images)
    assert each.total.shape == (30,) and each.error is None and mean.error is None
    _same(each.total, each.reconstruction + each.kl)
    assert [part.mean() for part in each[:3]] == pytest.approx(mean[:3], rel=1e-5)
    noise = np.random.default_rng(0).random((30, 28, 28))
    assert vae.score(noise, each=True).total.mean() > 1.5 * mean.total


def test_binarized_models_take_grey_images(digits):
    """Drawn black or white, always alike; what is black and white already is taken as it is."""
    vae = VAE(**SMALL, likelihood="bernoulli", binarize=True, device="cpu").fit(digits.train_images, progress=False)
    _same(vae.encode(digits.test_images), vae.encode(digits.test_images / 255))
    black = digits.test_images > 99
    _same(vae.reconstruct(black), vae.reconstruct(black.astype(float)))
    assert vae.model.likelihood.discrete and 0 <= vae.sample(4).min()


# ---- files and the command line ----

def test_save_and_load(vae, digits, tmp_path):
    """Bit for bit, as often as it is saved and loaded again; a folder in use is kept unless one says so."""
    vae.save(tmp_path / "run")
    again = VAE.load(tmp_path / "run", "cpu")
    assert again.settings == vae.settings and again.history == []
    for call in (lambda v: v.encode(digits.test_images), lambda v: v.sample(5),
                 lambda v: np.array(v.score(digits.test_images)[:3])):
        _same(call(again), call(vae))
    again.save(tmp_path / "copy")
    assert (tmp_path / "copy/settings.toml").read_text() == (tmp_path / "run/settings.toml").read_text()
    (arrays, facts), (copied, facts_again) = (checkpoint.load(Run(tmp_path / name).checkpoint) for name in ("run", "copy"))
    assert facts == facts_again and arrays.keys() == copied.keys()
    for name, array in arrays.items():
        _same(array, copied[name])
    with pytest.raises(UsageError, match="already holds a run; name a new folder, or replace a run with overwrite=True"):
        vae.save(tmp_path / "run")
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes.txt").write_text("x")
    with pytest.raises(UsageError, match="already holds other files"):
        vae.save(tmp_path / "mine", overwrite=True)
    for name in ("metrics.csv", "eval.json"):
        (tmp_path / "run" / name).write_text("of another model")
    with pytest.raises(UsageError, match="the path is empty"):
        vae.save("")
    other = VAE(**{**SMALL, "code": 3}, device="cpu").fit(digits.train_images, progress=False)
    other.save(tmp_path / "run", overwrite=True)
    assert VAE.load(tmp_path / "run", "cpu").encode(digits.test_images).shape == (30, 3)
    assert {p.name for p in (tmp_path / "run").iterdir()} == {"settings.toml", "checkpoint.safetensors"}
    refitted = again.fit(digits.train_images, validation=digits.test_images, progress=False)
    _same(refitted.encode(digits.test_images), vae.encode(digits.test_images))


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda vae: pickle.loads(pickle.dumps(vae))], ids=["deepcopy", "pickle"])
def test_copies(labelled, digits, copied):
    """A copy gives the same, has the same arguments and history, and is its own: what is trained into one is not in the
    other. An untrained one is copied, too."""
    images = digits.test_images
    twin, before = copied(labelled), labelled.encode(images)
    assert twin.model.class_names == ()
    twin.model.class_names = tuple("abcdefghij")
    assert copied(twin).model.class_names == tuple("abcdefghij") and labelled.model.class_names == ()
    assert twin.settings == labelled.settings and twin.history == labelled.history and twin.device == "cpu"
    _same(twin.encode(images), before)
    _same(twin.classify(images, probabilities=True), labelled.classify(images, probabilities=True))
    assert twin.score(images, digits.test_labels) == labelled.score(images, digits.test_labels)
    twin.model.heads.weight.data[...] = 0
    _same(labelled.encode(images), before)
    with pytest.raises(UsageError, match="not trained yet"):
        copied(VAE(code=3)).model
    assert copied(VAE(code=3)) is not None and copied(VAE(code=3, image_shape=(4, 4))).image_shape == (4, 4, 1)


def test_a_copy_on_a_device_that_was_given(fast_device, digits):
    vae = VAE(**SMALL, device=fast_device).fit(digits.train_images, progress=False)
    twin = copy.deepcopy(vae)
    assert twin.device == fast_device.name and twin.model.device is fast_device
    _same(twin.encode(digits.test_images), vae.encode(digits.test_images))


def test_validation_as_a_list_is_a_pair_or_images(digits):
    """[images, labels] as (images, labels); a list of images stays that."""
    y, few = digits.train_labels.astype(int), digits.test_images[:2, ..., 0]
    fit = VAE(**{**SMALL, "epochs": 1}, device="cpu").fit
    pair = fit(digits.train_images, y, [digits.test_images, digits.test_labels], progress=False).history[0].test
    assert pair == fit(digits.train_images, y, (digits.test_images, digits.test_labels), progress=False).history[0].test
    assert pair.error is not None
    alone = fit(digits.train_images, validation=few, progress=False).history[0].test
    assert alone == fit(digits.train_images, validation=list(few), progress=False).history[0].test


def test_runs_of_a_training_are_loaded(digits, tmp_path, cpu):
    """From the folder that a training wrote; what save() makes of it has the model, but no state to go on training with."""
    run = Run.create(Settings(**SMALL), tmp_path / "run")
    trainer = Trainer(Settings(**SMALL), digits, cpu, run)
    trainer.train(report.Silence())
    score, _ = trainer.finish()
    vae = VAE.load(tmp_path / "run", cpu)
    assert vae.score(digits.test_images) == score
    vae.save(tmp_path / "saved")
    with pytest.raises(MinivaeError, match="no state of a training"):
        Trainer(Settings(**SMALL), digits, cpu).restore(*checkpoint.load(tmp_path / "saved/checkpoint.safetensors"))


def test_the_command_line_draws_what_python_gives(vae, tmp_path):
    """sample and reconstruct, on a saved folder: the pictures of vae.sample and vae.reconstruct."""
    vae.save(tmp_path / "run")
    shown = data.load("digits").test_images[:12]
    for arguments, picture in ((["sample", "--count", "9", "--seed", "4"], grids.square(vae.sample(9, seed=4))),
                               (["reconstruct", "--count", "12", "--data", "digits"],
                                grids.side_by_side(shown, vae.reconstruct(shown), columns=10))):
        verb, *rest = arguments
        done = CliRunner().invoke(cli, [verb, str(tmp_path / "run"), *rest, "--device", "cpu", "--out",
                                        str(tmp_path / "p.png")])
        assert done.exit_code == 0, done.output
        _same(np.asarray(Image.open(tmp_path / "p.png")), np.asarray(picture))
    refused = CliRunner().invoke(cli, ["reconstruct", str(tmp_path / "run"), "--device", "cpu"])
    assert "was trained on arrays, from Python: name images for it with --data" in str(refused.exception)


# ---- labels ----

def test_labels(labelled, digits, tmp_path, cpu):
    """-1 withholds a label; the model classifies, before and after it was saved, and the error is counted against labels."""
    X, y = digits.test_images, digits.test_labels
    found, p = labelled.classify(X), labelled.classify(X, probabilities=True)
    assert found.shape == (30,) and p.shape == (30, 10) and labelled.settings.labels == 50
    np.testing.assert_allclose(p.sum(1), 1, rtol=1e-5)
    _same(found, p.argmax(1))
    score = labelled.score(X, y)
    assert score.error == pytest.approx((found != y).mean()) and score == labelled.history[-1].test._replace(
        total=score.total, reconstruction=score.reconstruction, kl=score.kl, error=score.error)
    _same(labelled.score(X, y, each=True).error, found != y)
    assert labelled.score(X).error is None
    labelled.save(tmp_path / "run")
    _same(VAE.load(tmp_path / "run", cpu).classify(X, probabilities=True), p)


def test_samples_and_codes_of_a_class(labelled, digits):
    """One class for all or one for each; samples without one have the classes in turn."""
    turns = labelled.sample(12)
    for label in (0, 7):
        np.testing.assert_allclose(labelled.sample(12, label)[label], turns[label], atol=1e-6)
    _same(labelled.sample(12, np.arange(12) % 10), turns)
    Z, classes = labelled.encode(digits.test_images), labelled.classify(digits.test_images)
    np.testing.assert_allclose(labelled.decode(Z, classes), labelled.reconstruct(digits.test_images), atol=1e-6)
    with pytest.raises(UsageError, match="decodes a code under a class: take one from 0 to 9"):
        labelled.decode(Z)
    with pytest.raises(UsageError, match="label 10 is none of the model's classes 0 to 9"):
        labelled.sample(3, 10)
    for label in (10**20, -1, 0.5, True, "x"):
        with pytest.raises(UsageError, match=f"label {label!r} is none of the model's classes 0 to 9"):
            labelled.sample(3, label)
    _same(labelled.sample(3, np.array(7)), labelled.sample(3, 7))
    with pytest.raises(UsageError, match=r"label is of shape \(2,\)"):
        labelled.sample(3, [1, 2])


def test_interpolate(vae, labelled, digits):
    """From one reconstruction to the other, of images of any kind; between classes, or under one."""
    a, b = digits.test_images[:2]
    images, pair = vae.interpolate(a, b, 7), digits.test_images[:2]
    assert images.shape == (7, 28, 28, 1)
    np.testing.assert_allclose(images[[0, -1]], vae.reconstruct(pair), atol=1e-6)
    np.testing.assert_allclose(images[3], vae.decode(vae.encode(pair).mean(0, keepdims=True))[0], atol=1e-6)
    np.testing.assert_allclose(vae.interpolate(a.reshape(784), b / 255, 7), images, atol=1e-6)
    assert np.abs(vae.interpolate(a, b, 7, spherical=True) - images)[3].max() > 1e-4
    np.testing.assert_allclose(labelled.interpolate(a, b)[[0, -1]], labelled.reconstruct(pair), atol=1e-6)
    held = labelled.interpolate(a, b, 4, label=3)
    np.testing.assert_allclose(held[[0, -1]], labelled.decode(labelled.encode(pair), 3), atol=1e-6)
    with pytest.raises(UsageError, match="label 0.5 is none of the model's classes 0 to 9"):
        labelled.interpolate(a, b, label=0.5)
    with pytest.raises(UsageError, match="label 10 is none of the model's classes"):
        labelled.interpolate(a, b, label=10)


@pytest.mark.parametrize("semi", ["shared", "m2"])
def test_all_labels_are_those_of_the_command_line(digits, cpu, semi):
    """A fit with every label is a Trainer with --labels of that number."""
    settings = Settings(**SMALL, labels=100, semi=semi, label_weight=2.0)
    trainer = Trainer(settings, digits, cpu)
    trainer.train(report.Silence())
    vae = VAE(**SMALL, semi=semi, label_weight=2.0, device=cpu)
    vae.fit(digits.train_images, digits.train_labels, digits.test_images, progress=False)
    assert [e.train_cost for e in vae.history] == [e.train_cost for e in trainer.history]
    assert vae.history[0].test.error is None and trainer.history[0].test.error is not None


def test_every_setting_is_an_argument():
    """But for the data, how files of it are read, and the number of labels, which fit's arrays say, and what is about several
    processes."""
    others = {"data", "labels", "local_bn", *READING}
    assert {f.name for f in fields(VAE)} - set(estimator.OWN) == {f.name for f in fields(Settings)} - others
