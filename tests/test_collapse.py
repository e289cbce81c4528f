"""A code that is not used is noticed, once, and not where it is in use or only about to be."""

import json
import warnings
from dataclasses import replace

import numpy as np
import pytest
from data_sets import some_digits

from minivae import VAE, fitting
from minivae.errors import MinivaeWarning
from minivae.latent import ACTIVE
from minivae.ops.batch import DeviceImages
from minivae.runs import Settings, build
from minivae.training.collapse import LOOKED_AT, CollapseWatch, active_units, remedies
from minivae.training.epochs import Epoch
from minivae.training.trainer import Stopped, Trainer

SMALL = {"hidden": (64, 32), "code": 16, "batch_size": 50}


@pytest.fixture(scope="module")
def digits():
    """A tenth of the digits."""
    return some_digits(400, 100)


def test_a_training_that_collapses_says_so_once(cpu, digits):
    """Pixels that may be off by ten times what they can differ: nothing is worth a nat of the code. After the last epoch no
    number is in use, which is said once, with what would help."""
    with pytest.warns(MinivaeWarning) as caught:
        vae = VAE(**SMALL, epochs=12, likelihood="gaussian", sigma=10.0, device=cpu).fit(
            digits.train_images, validation=digits.test_images, progress=False)
    said = [str(warning.message) for warning in caught if "collapsed" in str(warning.message)]
    assert len(said) == 1 and "none of its 16 numbers differs from image to image" in said[0]
    assert "a smaller sigma (10 now)" in said[0] and vae.history[0].active > 0 and vae.history[-1].active == 0
    mu = vae.encode(digits.test_images)
    assert mu.var(axis=0).max() < ACTIVE and np.abs(np.diff(vae.reconstruct(digits.test_images), axis=0)).max() < 0.2


@pytest.mark.parametrize("more", [{}, {"labels": 100}, {"labels": 100, "semi": "m2"}, {"likelihood": "bernoulli"}, {"ema": 0.9}],
                         ids=str)
@pytest.mark.parametrize("epochs", [1, 2])
def test_no_false_alarm(cpu, digits, more, epochs):
    """Short runs of all kinds; how much of the code is in use at the end is among what fitting gives."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        fitted = fitting.train(fitting.prepare({**SMALL, "epochs": epochs, **more}, digits, cpu, lambda text: None),
                               progress=False)
    assert 8 <= fitted.active <= 16


@pytest.mark.parametrize("count", [40, LOOKED_AT + 44])
def test_active_units(device, digits, count):
    """As NumPy says of the means of a sample, of a model one of whose numbers is dead; its mode is left alone."""
    settings = Settings(hidden=(12,), code=3)
    model = build(settings, (8, 8, 1), device)
    images = DeviceImages(digits.train_images[:count, 2:26:3, 2:26:3], device)
    assert active_units(model, images) == 3 and model.training
    gamma = device.to_host(model.heads.norm.gamma.data)
    gamma[1] = 1e-3
    model.heads.norm.gamma.data[...] = device.from_host(gamma)
    model.eval()
    assert active_units(model, images, seed=5) == 2 and not model.training


def test_a_training_that_goes_on_says_no_more(cpu, digits):
    """Stopped after every epoch, with what it goes on with as JSON has it: it says what it says when it is not stopped, once."""
    settings = Settings(**SMALL, epochs=9, likelihood="gaussian", sigma=10.0, learning_rate=0.003)
    whole, stopped = [], []
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        warnings.showwarning = lambda message, *_: whole.append(str(message))
        Trainer(settings, digits, cpu).train()
        warnings.showwarning = lambda message, *_: stopped.append(str(message))
        saved = None
        for step in range(8, 8 * 9 + 1, 8):
            trainer = Trainer(settings, digits, cpu)
            if saved:
                trainer.restore(saved[0], json.loads(json.dumps(saved[1])))
            trainer.stop = lambda trainer=trainer, step=step: trainer.optimizer.steps == step
            with pytest.raises(Stopped):
                trainer.train()
            saved = trainer.state()
    assert len(whole) == 1 and "has collapsed" in whole[0] and stopped == whole


def _told(settings, *active):
    """The epochs after which a watch warns of so many active numbers."""
    watch, told = CollapseWatch(settings), []
    for number, count in enumerate(active, 1):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            watch.epoch(Epoch(number, number, 1.0, None, 1.0, 1.0, count))
        told += [number] * len(caught)
    return told


def test_when_it_is_said():
    """After two epochs in a row, or the last; not while beta still rises; once."""
    settings = Settings(epochs=6)
    assert _told(settings, 0, 0, 0, 0) == [2] and _told(settings, 0, 3, 0, 2, 0, 1) == []
    assert _told(settings, 3, 3, 3, 3, 3, 0) == [6] and _told(replace(settings, epochs=1), 0) == [1]
    assert _told(replace(settings, kl_warm_up=2.5), 0, 0, 0, 0) == [4]
    assert _told(replace(settings, kl_warm_up=2.5), 0, 0, 1, 0, 2, 1) == []


@pytest.mark.parametrize(("more", "words"), [
    ({}, "a KL warm-up (10 epochs, say), free bits (0.05, say), the gaussian likelihood with a small sigma (0.1, say) or a "
         "smaller learning rate (0.001 now)"),
    ({"beta": 4.0, "kl_warm_up": 3.0, "free_bits": 0.1, "likelihood": "bernoulli"},
     "a smaller beta (4 now), a longer KL warm-up (3 epochs now) or a smaller learning rate (0.001 now)"),
    ({"samples": 5, "likelihood": "gaussian"}, "a fixed, small sigma (0.1, say) or a smaller learning rate (0.001 now)")], ids=str)
def test_remedies_are_such_as_are_not_taken_yet(more, words):
    assert remedies(Settings(**more)) == words
