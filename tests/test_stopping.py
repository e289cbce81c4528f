"""Signals as something to be asked about: what is held, what is not, what is left alone."""

import os
import signal
import threading

import numpy as np
import pytest

from minivae import VAE
from minivae.stopping import Interrupted, Signals


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_held_once(number, code, capfd):
    """The first is noted, the second raised; outside, the first is raised; in the end all is as it was."""
    before = signal.getsignal(number)
    with pytest.raises(Interrupted) as caught, Signals() as signals, signals.held():
        assert not signals.asked()
        os.kill(os.getpid(), number)
        assert signals.asked() and signals.number == number and "once more to leave at once" in capfd.readouterr().err
        os.kill(os.getpid(), number)
    assert caught.value.exit_code == code and isinstance(caught.value, KeyboardInterrupt)
    with pytest.raises(Interrupted), Signals():
        os.kill(os.getpid(), number)
    assert signal.getsignal(number) is before


def test_a_signal_that_nobody_stopped_for():
    """It came with the last step: raised once that is over."""
    done = []
    with pytest.raises(Interrupted), Signals() as signals, signals.held():
        os.kill(os.getpid(), signal.SIGINT)
        done.append("the rest")
    assert done == ["the rest"]


def test_what_is_ignored_stays_ignored():
    """As nohup and `&` of scripts have it."""
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with Signals() as signals:
            os.kill(os.getpid(), signal.SIGHUP)
            assert not signals.asked() and signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)


def test_in_another_thread():
    """Where no handlers can be set, nothing is."""
    found = []

    def work():
        with Signals() as signals, signals.held():
            found.append(signals.asked())

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert found == [False]


def test_fit_from_python_is_interrupted_as_all_python_is(monkeypatch):
    """KeyboardInterrupt reaches the caller, and the VAE is as it was."""
    from minivae.training.trainer import Trainer
    plain = Trainer.step

    def step(self, number):
        if number == 3:
            os.kill(os.getpid(), signal.SIGINT)
        plain(self, number)

    monkeypatch.setattr(Trainer, "step", step)
    vae = VAE(hidden=(4,), code=2, epochs=3, batch_size=5, device="cpu")
    with pytest.raises(KeyboardInterrupt) as caught:
        vae.fit(np.zeros((20, 4, 4), np.uint8), progress=False)
    assert caught.type is KeyboardInterrupt and vae.history == []
