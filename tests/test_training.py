"""Training runs: they learn, repeat bit for bit, take no new memory, and stop where they should."""

import csv
import tracemalloc

import numpy as np
import pytest

from minivae import checkpoint, data, evaluate, runs, training
from minivae.errors import MinivaeError, UsageError
from minivae.runs import Run, Settings
from minivae.training import Diverged, Trainer

SMALL = {"hidden": (64, 32), "code": 16, "epochs": 2, "batch_size": 50}


@pytest.fixture
def device(fast_device):
    """Trainings of this size are too slow for the stand-in; test_cuda_path.py has smaller ones."""
    return fast_device


@pytest.fixture(scope="module")
def digits():
    """A tenth of the digits."""
    whole = data.load("digits")
    return data.Dataset("digits", whole.train_images[:400], whole.train_labels[:400], whole.test_images[:100],
                        whole.test_labels[:100])


class Ears:
    """Remembers what a training says."""

    def __init__(self):
        self.epochs = []

    def progress(self, images, cost):
        pass

    def epoch(self, epoch):
        self.epochs.append(epoch)


def _trained(settings, digits, device, run=None):
    trainer, ears = Trainer(settings, digits, device, run), Ears()
    trainer.train(ears)
    return trainer, ears.epochs


def test_a_run_learns_and_leaves_everything(device, digits, tmp_path):
    """The cost falls; the folder holds settings, metrics, checkpoint and pictures; the checkpoint gives the same
    model with the same test cost."""
    settings = Settings(**{**SMALL, "epochs": 8})
    run = Run.create(settings, tmp_path / "run")
    trainer, epochs = _trained(settings, digits, device, run)
    score, passes = trainer.finish()
    training.draw(run, trainer.model, digits, settings.seed)
    assert epochs[-1].train_cost < 0.6 * epochs[0].train_cost and score.total < epochs[0].test.total
    assert score.total == pytest.approx(score.reconstruction + score.kl) and passes.count >= 2
    names = {path.name for path in run.folder.iterdir()}
    assert names == {"settings.toml", "metrics.csv", "checkpoint.safetensors", "source.png", "reconstructions.png", "samples.png"}
    with run.metrics.open() as file:
        rows = list(csv.DictReader(file))
    assert [int(row["epoch"]) for row in rows] == list(range(1, 9))
    assert float(rows[-1]["test_cost"]) == pytest.approx(epochs[-1].test.total, rel=1e-5)
    model, found = Run(run.folder).load(device)
    assert found == settings
    again = evaluate.score(model, trainer.test_images, settings.seed)
    assert again == score
    arrays, facts = checkpoint.load(run.checkpoint)
    assert facts["step"] == trainer.steps and "optimizer.square" in arrays


def test_the_same_run_twice_gives_the_same_bits(device, digits):
    """Parameters after two epochs, costs and statistics: all equal; with another seed they are not."""
    settings = Settings(**SMALL)
    (a, epochs_a), (b, epochs_b) = (_trained(settings, digits, device) for _ in range(2))
    np.testing.assert_array_equal(device.to_host(a.flat.values), device.to_host(b.flat.values))
    assert [(e.train_cost, e.test) for e in epochs_a] == [(e.train_cost, e.test) for e in epochs_b]
    other, _ = _trained(Settings(**SMALL, seed=1), digits, device)
    assert (device.to_host(a.flat.values) != device.to_host(other.flat.values)).any()


def test_the_same_bits_for_one_and_two_threads(cpu, threads, digits):
    values = []
    for count in (1, 2):
        threads(count)
        trainer = Trainer(Settings(batch_size=200), digits, cpu)
        for number in range(3):
            trainer.step(number)
        values.append(cpu.to_host(trainer.flat.values))
    np.testing.assert_array_equal(*values)


def test_no_growth_of_memory_after_the_first_step(device, digits):
    """Neither device memory nor Python's own grows with the steps."""
    trainer = Trainer(Settings(**{**SMALL, "epochs": 4}), digits, device)
    for number in range(2):
        trainer.step(number)
    held = device.bytes_held
    tracemalloc.start()
    for number in range(2, 12):
        trainer.step(number)
    before = tracemalloc.get_traced_memory()[0]
    for number in range(12, 32):
        trainer.step(number)
    grown = tracemalloc.get_traced_memory()[0] - before
    tracemalloc.stop()
    assert device.bytes_held == held
    assert grown < 20_000       # twenty steps; one array of a batch alone has 150 kB


def test_nothing_is_read_back_inside_a_step(device, digits, monkeypatch):
    """Within a step neither to_host nor from_host is called: a GPU would have to wait."""
    trainer = Trainer(Settings(**SMALL), digits, device)
    trainer.step(0)

    def forbidden(*_):
        raise AssertionError("a copy between host and device inside a training step")

    class OnDevice(np.ndarray):
        """Like an array on a GPU: its values are not to be had for nothing."""

        __float__ = __int__ = __bool__ = __index__ = item = tolist = forbidden

    with monkeypatch.context() as patch:
        for name in ("to_host", "from_host"):
            patch.setattr(type(device), name, forbidden)
        if device.name == "cpu":
            plain = type(device).empty
            patch.setattr(type(device), "empty", lambda self, shape, dtype: plain(self, shape, dtype).view(OnDevice))
        trainer.step(1)
        with pytest.raises(AssertionError):
            device.to_host(trainer.flat.values)


@pytest.mark.parametrize("optimizer", ["sgd", "adam", "rmsprop"])
@pytest.mark.parametrize("likelihood", ["squared-error", "bernoulli"])
def test_every_optimizer_and_likelihood_learns(device, digits, optimizer, likelihood):
    rate = 1e-4 if optimizer == "sgd" else 1e-3
    settings = Settings(**{**SMALL, "epochs": 3}, optimizer=optimizer, likelihood=likelihood, learning_rate=rate)
    _, epochs = _trained(settings, digits, device)
    assert epochs[2].train_cost < epochs[1].train_cost < epochs[0].train_cost


def test_a_cost_that_is_not_finite_stops_the_run(device, digits, tmp_path):
    """The step, the likely cause and the checkpoint are named, and the checkpoint stays as it was."""
    settings = Settings(**SMALL)
    run = Run.create(settings, tmp_path / "run")
    trainer, _ = _trained(settings, digits, device, run)
    before = run.checkpoint.read_bytes()
    assert trainer.steps_an_epoch == 8
    fresh, real_step = Trainer(settings, digits, device, run), Trainer.step

    def step(self, number):
        if number == 11:
            self.model.heads.norm.beta.data[...] = np.nan
        real_step(self, number)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Trainer, "step", step)
        with pytest.raises(Diverged, match=r"not finite at step 12 \(epoch 2\).*0.001 is probably too large, try "
                                           r"--learning-rate 0.0001; the last good checkpoint stays in .*run") as caught:
            fresh.train(Ears())
    assert caught.value.exit_code == 1
    assert checkpoint.load(run.checkpoint)[1]["epoch"] == 1 and len(run.checkpoint.read_bytes()) == len(before)


@pytest.mark.parametrize(("settings", "words"), [
    ({"batch_size": 401}, "--batch-size is 401, but digits has 400 training images; take at most 400"),
    ({"batch_size": 1}, "--batch-size is 1, but must be at least 2"), ({"epochs": 0}, "--epochs is 0"),
    ({"code": 0}, "--code is 0"), ({"seed": -1}, "--seed is -1"), ({"seed": 2**64}, "--seed is .*below 2\\^64"), ({"learning_rate": -0.1}, "--learning-rate is -0.1"),
    ({"learning_rate": float("nan")}, "--learning-rate is nan"), ({"hidden": (3, -1)}, "layer sizes are 3,-1")])
def test_impossible_settings_are_named(cpu, digits, settings, words):
    with pytest.raises(UsageError, match=words):
        Trainer(Settings(**{**SMALL, **settings}), digits, cpu)


def test_run_folders(tmp_path, monkeypatch):
    """Numbered by default; a folder in use is refused; settings come back as they were."""
    monkeypatch.chdir(tmp_path)
    settings = Settings(data="some/where", hidden=(3, 4), learning_rate=0.5)
    a, b = Run.create(settings), Run.create(settings)
    assert [r.folder.as_posix() for r in (a, b)] == ["runs/where-ff-1", "runs/where-ff-2"]
    assert a.settings() == settings
    with pytest.raises(UsageError, match="already holds a run; name a new folder with --out"):
        Run.create(settings, a.folder)
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "letter").write_text("dear")
    with pytest.raises(UsageError, match="already holds other files"):
        Run.create(settings, tmp_path / "full")
    with pytest.raises(MinivaeError, match="cannot make the run folder"):
        Run.create(settings, tmp_path / "full" / "letter")
    with pytest.raises(UsageError, match="there is no run in"):
        Run(tmp_path / "nowhere").settings()
    (a.folder / "settings.toml").write_text("arch = ")
    with pytest.raises(MinivaeError, match="settings.toml cannot be used"):
        a.settings()
    for text, words in (('colour = "blue"', "unknown settings colour"), ("hidden = 3", "hidden = 3 is no tuple"),
                        ('hidden = ["x"]', "hidden = .'x',. is no tuple"), ('arch = "gan"', "arch = 'gan' is none of ff"),
                        ('code = "x"', "code = 'x' is no int"), ("code = true", "code = True is no int")):
        (b.folder / "settings.toml").write_text(text)
        with pytest.raises(MinivaeError, match=words):
            b.settings()


def test_defaults_of_the_settings_fit_each_other():
    assert runs.Settings().schedule in training.SCHEDULES
    for schedule in training.SCHEDULES.values():
        assert schedule(0.0) == 1.0 and 0 <= schedule(1.0) <= 1.0
