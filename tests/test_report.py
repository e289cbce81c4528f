"""What a person sees of a training: lines, and the bar in a notebook."""

import re
import sys
import types

import pytest
from data_sets import some_digits

from minivae.estimator import VAE
from minivae.training import trainer as training

SMALL = {"hidden": (24, 12), "code": 6, "epochs": 2, "batch_size": 20}


@pytest.fixture(scope="module")
def digits():
    return some_digits(100, 30)


def test_progress(digits, capsys):
    """The lines of the command line; without validation no test cost; none at all with progress=False."""
    VAE(**SMALL, device="cpu").fit(digits.train_images, validation=digits.test_images)
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("device: cpu (") and lines[1].endswith("parameters on 100 images of arrays")
    assert len(lines) == 7 and re.match(r"test cost \d+\.\d\d = .* nats/image, trained in", lines[6])
    assert re.fullmatch(r"\d of the 6 numbers of the code are in use", lines[5])
    VAE(**SMALL, device="cpu").fit(digits.train_images)
    lines = capsys.readouterr().out.splitlines()
    assert re.fullmatch(r" +2/2 +\d+\.\d\d +- +[\d,]+", lines[4]) and lines[6].startswith("trained in")
    VAE(**SMALL, device="cpu").fit(digits.train_images, progress=False)
    assert capsys.readouterr() == ("", "")


def test_the_bar_in_a_notebook(digits, monkeypatch, capsys):
    """Drawn anew in its place below the cell, gone at the end; the lines are printed beside it."""
    seen = []

    class Handle:
        def update(self, what, raw=False):
            seen.append(what if raw else what._repr_mimebundle_((), ())["text/plain"])

    def display(what, display_id):
        assert display_id
        return Handle()

    monkeypatch.setitem(sys.modules, "IPython", types.ModuleType("IPython"))
    monkeypatch.setitem(sys.modules, "IPython.display", types.SimpleNamespace(display=display))
    monkeypatch.setattr("rich.console._is_jupyter", lambda: True)
    monkeypatch.setattr(training, "LOOK_EVERY", 0.0)
    VAE(**SMALL, device="cpu").fit(digits.train_images)
    assert len(seen) == 11 and seen[-1] == {"text/plain": ""}
    assert all("epoch 1/2" in shown and "cost" in shown for shown in seen[:4]) and "epoch 2/2" in seen[4] and "epoch 2/2" in seen[9]
    assert len(capsys.readouterr().out.splitlines()) == 7
