"""Trainings that explode: they go back and learn, repeat bit for bit, also when stopped and resumed, and give up in the end."""

import json
import math
import warnings

import numpy as np
import pytest
from data_sets import some_digits

from minivae import VAE
from minivae.errors import MinivaeWarning
from minivae.runs import Run, Settings
from minivae.runs.journal import Journal
from minivae.runs.metrics import Metrics
from minivae.terminal.report import Silence
from minivae.training.recovery import FAR, LESS, TIMES, Diverged, Recovery
from minivae.training.trainer import Stopped, Trainer

SMALL = {"hidden": (64, 32), "code": 16, "batch_size": 50, "epochs": 4}
WILD = {**SMALL, "optimizer": "sgd", "learning_rate": 10.0, "kl_warm_up": 5 / 6}      # explodes in its first epoch, then in its second


@pytest.fixture(scope="module")
def digits():
    """A tenth of the digits: eight steps an epoch."""
    return some_digits(400, 100)


@pytest.fixture
def device(fast_device):
    return fast_device


def _state(trainer):
    """All that training changes, on the host."""
    device = trainer.device
    return [device.to_host(a) for a in (trainer.flat.values, *trainer.optimizer.state.values(),
                                        *([trainer.average.values] if trainer.average else []))]


def _trained(trainer):
    """What a training warned of."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        trainer.train(Silence())
    return [str(warning.message) for warning in caught if issubclass(warning.category, MinivaeWarning)]


def test_a_training_that_explodes_goes_back_and_learns(device, digits, tmp_path):
    """A rate that is far too large, really: it goes back, twice where this was written, says so, and then learns; metrics.csv
    has the epochs that were kept, each once."""
    run = Run.create(Settings(**WILD), tmp_path / "run")
    trainer = Trainer(Settings(**WILD), digits, device, run)
    said = _trained(trainer)
    times, factor = trainer.recovery.times, trainer.recovery.factor
    assert 1 <= times == len(said) <= TIMES and factor == math.prod([LESS] * times)
    assert " cost was " in said[0] and "(epoch 1): the training goes back to where it was after step 0 and on with " \
        "0.3 of its learning rate, 1 of 3 times" in said[0]
    assert trainer.optimizer.lr == 10.0 * trainer.schedule.factor(31) * factor
    costs = [epoch.train_cost for epoch in trainer.history]
    assert [epoch.number for epoch in trainer.history] == [1, 2, 3, 4] and costs[3] < costs[2] < 0.8 * costs[0]
    rows = Metrics(run.metrics).rows()
    assert [row["epoch"] for row in rows] == [1, 2, 3, 4] and [row["step"] for row in rows] == [8, 16, 24, 32]
    assert trainer.finish()[0].total < costs[0]


def test_it_repeats(device, digits):
    a, b = (Trainer(Settings(**WILD, ema=0.9), digits, device) for _ in range(2))
    assert _trained(a) == _trained(b)
    for one, two in zip(_state(a), _state(b), strict=True):
        np.testing.assert_array_equal(one, two)


@pytest.mark.parametrize("more", [{}, {"optimizer": "nadam", "ema": 0.9, "schedule": "plateau"}], ids=str)
def test_watching_changes_nothing(device, digits, more):
    """Where nothing explodes, the bits are those of the steps alone."""
    watched, alone = (Trainer(Settings(**{**SMALL, **more}), digits, device) for _ in range(2))
    assert _trained(watched) == []
    for number in range(32):
        alone.step(number)
        if number % 8 == 7:
            alone.schedule.observe(watched.history[number // 8].train_cost)
    for one, two in zip(_state(watched), _state(alone), strict=True):
        np.testing.assert_array_equal(one, two)


def test_no_checkpoint_is_left_of_an_explosion(device, digits, tmp_path):
    """With one after every step, those of steps that came to nothing go: what is there is always a good state, or on the way
    from one with the rate that holds now."""
    run = Run.create(Settings(**WILD), tmp_path / "run")
    trainer, there = Trainer(Settings(**WILD), digits, device), []
    trainer.journal = Journal(run, save_every=0)
    trainer.stop = lambda: bool(there.append((trainer.optimizer.steps, run.checkpoints.steps())))
    assert _trained(trainer)
    assert sum(later[0] < earlier[0] for earlier, later in zip(there, there[1:])) == trainer.recovery.times
    for made, steps in there:
        assert max(steps, default=0) < made or not steps
    assert Run(run.folder).state()[1]["recovery"]["times"] == trainer.recovery.times
    assert not list(run.checkpoints.folder.glob("*.old"))


@pytest.mark.parametrize("more", [{}, {"ema": 0.9, "schedule": "plateau"}], ids=str)
@pytest.mark.parametrize("asked", [1, 5, 8, 9, 12, 20, 25, 28, 32, 33, 40])
def test_stopped_and_resumed_around_explosions(device, digits, asked, more):
    """Stopped after so many steps, those that came to nothing among them: before, between and after the two explosions,
    within an epoch that is about to explode, too. What goes on has the bits of what was not stopped."""
    settings = Settings(**WILD, **more)
    whole = Trainer(settings, digits, device)
    said, made = _trained(whole), []
    assert said

    def stop():
        made.append(1)
        return len(made) >= asked

    first = Trainer(settings, digits, device)
    first.stop = stop
    with pytest.raises(Stopped), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        first.train(Silence())
    arrays, facts = first.state()
    second = Trainer(settings, digits, device)
    second.restore({name: value.copy() for name, value in arrays.items()}, json.loads(json.dumps(facts)))
    assert first.recovery.times + len(_trained(second)) == len(said)
    assert second.recovery.factor == whole.recovery.factor
    for one, two in zip(_state(whole), _state(second), strict=True):
        np.testing.assert_array_equal(one, two)
    for one, two in zip(whole.history[::-1], second.history[::-1]):
        assert (one.number, one.train_cost, one.test) == (two.number, two.train_cost, two.test)
    assert whole.finish() == second.finish()


def test_it_gives_up(device, digits):
    """After three times: what was tried is said, and a rate that is smaller still."""
    trainer = Trainer(Settings(**{**WILD, "learning_rate": 1000.0}), digits, device)
    with pytest.warns(MinivaeWarning), pytest.raises(Diverged, match=(
            r"also after going back 3 times, at last to 0.027 of the learning rate: a learning rate of 1000 is probably too large, "
            r"try --learning-rate 2.7; no checkpoint had been written yet")):
        trainer.train(Silence())
    assert trainer.recovery.times == TIMES


def test_parameters_that_break_in_the_last_step_of_an_epoch(device, digits, monkeypatch):
    """The costs do not know of it yet: such a state is none to go back to."""
    real, broken = Trainer.step, []

    def step(self, number):
        real(self, number)
        if number == 15 and not broken:
            broken.append(1)
            self.flat.values[...] = np.nan

    trainer = Trainer(Settings(**SMALL), digits, device)
    with monkeypatch.context() as patch:
        patch.setattr(Trainer, "step", step)
        said = _trained(trainer)
    assert len(said) == 1 and "not finite at step 16 (epoch 2)" in said[0] and "after step 8 and on with 0.3" in said[0]
    assert len(trainer.history) == 4 and np.isfinite(_state(trainer)[0]).all()


def test_from_python(cpu, digits):
    """A warning, and a VAE that has learned."""
    with pytest.warns(MinivaeWarning) as caught:
        vae = VAE(**WILD, device=cpu).fit(digits.train_images, progress=False)
    assert "goes back to where it was after step 0" in str(caught[0].message)
    assert vae.history[-1].train_cost < 0.8 * vae.history[0].train_cost


def _recovery(*costs):
    recovery = Recovery(lambda: None)
    for cost in costs:
        recovery.observe(cost)
    return recovery


def test_what_an_explosion_is():
    """Far above the lowest cost by the size of the largest: of costs that are positive, negative or change their sign."""
    assert not _recovery().exploded(1e30)       # nothing is known yet
    for costs, limit in (((200.0,), 2200.0), ((200.0, 50.0), 2050.0), ((500.0, -1500.0), 13_500.0), ((-10.0, -20.0), 180.0)):
        recovery = _recovery(*costs)
        assert min(costs) + FAR * max(map(abs, costs)) == limit
        assert not recovery.exploded(limit - 1) and recovery.exploded(limit + 1) and recovery.exploded(math.inf)
