"""Training runs: they learn, repeat bit for bit, take no new memory, and stop where they should."""

import csv
import tracemalloc

import numpy as np
import pytest
from data_sets import some_digits

from minivae import checkpoint, data, runs
from minivae.cli.options import RATES
from minivae.errors import MinivaeError, MinivaeWarning, UsageError
from minivae.evaluation import evaluate
from minivae.nn import Flat
from minivae.optim import OPTIMIZERS
from minivae.pictures import drawing
from minivae.runs import Run, Settings
from minivae.terminal.report import Silence
from minivae.training import trainer as training
from minivae.training.trainer import Diverged, Trainer

SMALL = {"hidden": (64, 32), "code": 16, "epochs": 2, "batch_size": 50}


@pytest.fixture
def device(fast_device):
    """Trainings of this size are too slow for the stand-in; test_cuda_path.py has smaller ones."""
    return fast_device


@pytest.fixture(scope="module")
def digits():
    """A tenth of the digits."""
    return some_digits(400, 100)


def _trained(settings, digits, device, run=None):
    trainer = Trainer(settings, digits, device, run)
    trainer.train(Silence())
    return trainer, trainer.history


def test_a_run_learns_and_leaves_everything(device, digits, tmp_path):
    """The cost falls; the folder holds settings, metrics, checkpoint and pictures; the checkpoint gives the same
    model with the same test cost."""
    settings = Settings(**{**SMALL, "epochs": 8})
    run = Run.create(settings, tmp_path / "run")
    trainer, epochs = _trained(settings, digits, device, run)
    score, passes = trainer.finish()
    drawing.all_of(run, trainer.model, digits, settings.seed)
    assert epochs[-1].train_cost < 0.6 * epochs[0].train_cost and score.total < epochs[0].test.total
    assert score.total == pytest.approx(score.reconstruction + score.kl) and passes.count >= 2
    run.release()
    names = {path.relative_to(run.folder).as_posix() for path in run.folder.rglob("*")}
    assert names == {"settings.toml", "metrics.csv", "source.png", "reconstructions.png", "samples.png", "checkpoints",
                     "checkpoints/step-00000008.safetensors", "checkpoints/step-00000064.safetensors", "checkpoints/best.safetensors"}
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


@pytest.mark.parametrize("likelihood", ["squared-error", "bernoulli"])
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_every_optimizer_and_likelihood_learns(device, digits, optimizer, likelihood):
    """At the rate that the command line takes."""
    rate = RATES[optimizer]
    settings = Settings(**{**SMALL, "epochs": 3}, optimizer=optimizer, likelihood=likelihood, learning_rate=rate)
    _, epochs = _trained(settings, digits, device)
    assert epochs[2].train_cost < epochs[1].train_cost < epochs[0].train_cost


@pytest.mark.parametrize("other", [{"optimizer": "nadam", "ema": 0.9}, {"schedule": "plateau"}], ids=str)
def test_goes_on_where_it_was_saved(device, digits, tmp_path, other):
    """A training that is restored from the first epoch's checkpoint makes the second as the one that was not stopped:
    the same parameters, state, average and test cost, bit for bit."""
    settings, saved = Settings(**{**SMALL, **other}), []
    trainer = Trainer(settings, digits, device)
    for epoch in range(2):
        trainer._begin_epoch()
        for number in range(8 * epoch, 8 * epoch + 8):
            trainer.step(number)
        trainer.schedule.observe(trainer._score(8))
        if epoch == 0:
            checkpoint.save(tmp_path / "saved.safetensors", *trainer.state())
            saved = checkpoint.load(tmp_path / "saved.safetensors")
    again = Trainer(settings, digits, device)
    assert again.restore(*saved) == 8
    again._begin_epoch()
    for number in range(8, 16):
        again.step(number)
    again.schedule.observe(again._score(8))
    for theirs, ours in ((trainer.flat.values, again.flat.values),
                         *zip(trainer.optimizer.state.values(), again.optimizer.state.values(), strict=True)):
        np.testing.assert_array_equal(device.to_host(ours), device.to_host(theirs))
    assert again.schedule.facts() == trainer.schedule.facts() and again.optimizer.facts() == trainer.optimizer.facts()
    assert again.finish() == trainer.finish()


def test_the_average_is_what_is_kept(device, digits, tmp_path):
    """With --ema the checkpoint's model is the average of the weights, and the test cost is the average's; the training
    itself is as without."""
    settings = Settings(**{**SMALL, "ema": 0.8})
    run = Run.create(settings, tmp_path / "run")
    trainer, epochs = _trained(settings, digits, device, run)
    plain, plain_epochs = _trained(Settings(**SMALL), digits, device)
    np.testing.assert_array_equal(device.to_host(trainer.flat.values), device.to_host(plain.flat.values))
    assert [e.train_cost for e in epochs] == [e.train_cost for e in plain_epochs]
    assert epochs[-1].test != plain_epochs[-1].test
    average = device.to_host(trainer.average.values).copy()
    score, _ = trainer.finish()
    model, _ = run.load(device)
    assert evaluate.score(model, trainer.test_images, settings.seed) == score
    np.testing.assert_array_equal(device.to_host(Flat(model, device).values), average)
    with pytest.raises(MinivaeError, match="saved with another --ema"):
        Trainer(Settings(**SMALL), digits, device).restore(*checkpoint.load(run.checkpoint))


def test_runs_from_before_the_newer_settings(device, digits, tmp_path):
    """Neither their settings.toml nor their checkpoint knows of weight decay and the like."""
    run = Run.create(Settings(**SMALL), tmp_path / "run")
    trainer, _ = _trained(Settings(**SMALL), digits, device, run)
    newer = ("warm_up", "rescale", "clip", "weight_decay", "ema")
    arrays, facts = checkpoint.load(run.checkpoint)
    facts["settings"] = {k: v for k, v in facts["settings"].items() if k not in newer}
    checkpoint.save(run.checkpoint, arrays, facts)
    lines = (run.folder / "settings.toml").read_text().splitlines(keepends=True)
    (run.folder / "settings.toml").write_text("".join(line for line in lines if not line.startswith(newer)))
    assert run.load(device)[1] == Settings(**SMALL)


def _by_older_names(arrays):
    return {name.replace("encoder.down.", "down.").replace("encoder.dense.", "encoder.").replace("decoder.up.", "up.")
            .replace("decoder.dense.", "decoder."): value for name, value in arrays.items()}


def test_convolutional_runs_from_before_its_networks(cpu, tmp_path):
    """Their checkpoints name the layers of all networks in a row."""
    settings = Settings(arch="conv", hidden=(6,), code=3, channels=(2, 4))
    run, model = Run.create(settings, tmp_path / "run"), runs.build(settings, (8, 8, 1), cpu)
    run.save(model, settings)
    arrays, facts = checkpoint.load(run.checkpoint)
    older = _by_older_names(arrays)
    assert {"down.0.weight", "encoder.0.weight", "decoder.weight", "up.1.weight", "heads.weight"} <= older.keys()
    checkpoint.save(run.checkpoint, older, facts)
    state = run.load(cpu)[0].state_dict()
    assert state.keys() == arrays.keys()
    for name, value in arrays.items():
        np.testing.assert_array_equal(state[name], value)


def test_goes_on_from_a_convolutional_run_from_before_its_networks(cpu, digits, tmp_path):
    """Its older names are understood there, too: parameters and the optimizer's state are the run's bits."""
    small = data.Dataset("tiny", digits.train_images[:40, 2:26:3, 2:26:3], digits.train_labels[:40],
                         digits.test_images[:10, 2:26:3, 2:26:3], digits.test_labels[:10])
    settings = Settings(arch="conv", hidden=(6,), code=3, channels=(2, 4), epochs=1, batch_size=20)
    run = Run.create(settings, tmp_path / "run")
    trained, again = Trainer(settings, small, cpu, run), Trainer(settings, small, cpu)
    trained.train(Silence())
    trained.finish()
    arrays, facts = checkpoint.load(run.checkpoint)
    assert again.restore(_by_older_names(arrays), facts) == 2
    np.testing.assert_array_equal(again.flat.values, trained.flat.values)
    for name, value in trained.optimizer.state.items():
        np.testing.assert_array_equal(again.optimizer.state[name], value)


def test_a_cost_that_is_not_finite_stops_the_run(device, digits, tmp_path):
    """The step, the likely cause and the checkpoint are named, and the checkpoint stays as it was."""
    settings = Settings(**SMALL)
    run = Run.create(settings, tmp_path / "run")
    trainer, _ = _trained(settings, digits, device, run)
    assert trainer.steps_an_epoch == 8
    fresh, real_step = Trainer(settings, digits, device, run), Trainer.step

    def step(self, number):
        if number == 11:
            self.model.heads.norm.beta.data[...] = np.nan
        real_step(self, number)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Trainer, "step", step)
        with pytest.warns(MinivaeWarning, match="goes back to where it was after step 8"), pytest.raises(
                Diverged, match=r"not finite at step 12 \(epoch 2\), also after going back 3 times.*0.001 is probably too large, try "
                                r"--learning-rate 2.7e-06; the last good checkpoint stays in .*run") as caught:
            fresh.train(Silence())
    assert caught.value.exit_code == 1
    assert checkpoint.load(run.checkpoint)[1]["epoch"] == 1


@pytest.mark.parametrize(("settings", "words"), [
    ({"batch_size": 401}, "--batch-size is 401, but there are 400 training images in digits; take at most 400"),
    ({"batch_size": 1}, "--batch-size is 1, but must be at least 2"), ({"epochs": 0}, "--epochs is 0"),
    ({"code": 0}, "--code is 0"), ({"seed": -1}, "--seed is -1"), ({"seed": 2**64}, "--seed is .*below 2\\^64"), ({"learning_rate": -0.1}, "--learning-rate is -0.1"),
    ({"learning_rate": float("nan")}, "--learning-rate is nan"), ({"optimizer": "newton"}, "--optimizer is newton, but must be one of sgd, "),
    ({"schedule": "linear"}, "--schedule is linear, but must be one of constant, step"), ({"rescale": -1}, r"--rescale is -1, but must be 0 \(no "),
    ({"clip": float("inf")}, "--clip is inf"), ({"weight_decay": float("nan")}, "--weight-decay is nan"), ({"ema": 1}, "--ema is 1, but must be 0"),
    ({"warm_up": 3}, "--warm-up is 3 epochs, but there are only 2"), ({"hidden": (3, -1)}, "--hidden is 3,-1")])
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
    for text, words in (('flavour = "sweet"', "unknown settings flavour"), ("hidden = 3", "hidden = 3 is no tuple"),
                        ('hidden = ["x"]', "hidden = .'x',. is no tuple"), ('arch = "gan"', "arch = 'gan' is none of ff"),
                        ('code = "x"', "code = 'x' is no int"), ("code = true", "code = True is no int")):
        (b.folder / "settings.toml").write_text(text)
        with pytest.raises(MinivaeError, match=words):
            b.settings()


def test_defaults_of_the_settings_fit_each_other():
    assert runs.Settings().schedule in training.SCHEDULES
