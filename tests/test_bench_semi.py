"""bench/semi.py: what the baselines are trained on, and what is said of several draws."""

import importlib.util
import json
from pathlib import Path

import numpy as np
import pytest
from data_sets import some_digits

from minivae.runs import Settings


@pytest.fixture
def bench(monkeypatch):
    """The script, on a few digits."""
    folder = Path(__file__).parent.parent / "bench"
    monkeypatch.syspath_prepend(str(folder))
    spec = importlib.util.spec_from_file_location("bench_semi", folder / "semi.py")
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    few = some_digits(100, 30)
    monkeypatch.setattr(script.data, "load", lambda name: few)
    return script


SMALL = {"hidden": (16,), "code": 4, "likelihood": "bernoulli", "labels": 40, "epochs": 1, "batch_size": 20}


@pytest.mark.parametrize("binarize", [False, True])
def test_the_baseline_sees_pixels_as_the_model_does(bench, cpu, monkeypatch, binarize):
    """Black and white where the model's are, drawn anew at every step, and grey where they are not; moved ones, too."""
    seen, forward = [], bench.Classifier.forward
    monkeypatch.setattr(bench.Classifier, "forward", lambda self, x: seen.append(np.array(x)) or forward(self, x))
    settings, digits = Settings(**SMALL, binarize=binarize, shift=1), bench.data.load("digits")
    for moved in (False, True):
        seen.clear()
        assert 0 <= bench.baseline(settings, digits, cpu, 2, 40, 1e-3, moved) <= 1
        assert len(seen) >= 3 and all(set(np.unique(x)) <= {0, 1} for x in seen) == binarize
        assert (np.sort(seen[0].sum(1)) != np.sort(seen[1].sum(1))).any() == (binarize or moved)


def test_draws_side_by_side(bench, tmp_path, capsys):
    """A line a draw and model, means over the draws, and by how much the model is below the baseline, draw by draw."""
    told = [f"{name} = {json.dumps(list(v) if isinstance(v, tuple) else v)}" for name, v in SMALL.items() if name != "labels"]
    told += ["consistency = 10.0", "shift = 1"]
    bench.main(["--labels", "40", "--draws", "2", "--models", "shared", "--baseline-steps", "3", "--device", "cpu", "--json",
                str(tmp_path / "x.json"), *(word for setting in told for word in ("--set", setting))])
    lines, found = capsys.readouterr().out.splitlines(), json.loads((tmp_path / "x.json").read_text())
    assert [line.split()[:3] for line in lines[:6]] == [["draw", str(d), name] for d in (0, 1) for name in ("baseline", "moved", "shared")]
    errors = {name: np.array([draw["error"] for draw in found[name]]) for name in ("baseline", "moved", "shared")}
    off = errors["baseline"] - errors["shared"]
    assert lines[-1].split()[:2] == ["below", f"{off.mean():.2%}"] and len(lines) == 10
    assert all(draw["processor_seconds"] > 0 for draws in (found["baseline"], found["shared"]) for draw in draws)
    assert (found["settings"]["consistency"], found["settings"]["shift"]) == (10.0, 1)
