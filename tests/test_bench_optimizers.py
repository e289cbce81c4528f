"""bench/optimizers.py: every optimizer is trained alike, the table is sorted, the picture is a picture of its size."""

import importlib.util
import io
import json
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image


@pytest.fixture
def bench(monkeypatch, few_digits):
    """The script beside the package, on few digits. By its path, since these tests have an optimizers.py too."""
    folder = Path(__file__).parent.parent / "bench"
    monkeypatch.syspath_prepend(str(folder))
    spec = importlib.util.spec_from_file_location("bench_optimizers", folder / "optimizers.py")
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    monkeypatch.setattr(script.data, "load", lambda name: few_digits)
    return script


def _called(bench, *arguments):
    return CliRunner().invoke(bench.main, [*map(str, arguments), "--device", "cpu"])


def test_two_optimizers(bench, tmp_path):
    """The costs in the table are those in the file, the lowest comes first, and a seed gives the same again."""
    chosen = ("--epochs", 1, "--optimizer", "sgd", "--optimizer", "rmsprop", "--optimizer", "sgd", "--json")
    result = _called(bench, *chosen, tmp_path / "a.json")
    assert result.exit_code == 0, result.output
    found = json.loads((tmp_path / "a.json").read_text())
    curves = found["curves"]
    assert found["epochs"] == 1 and sorted(c["optimizer"] for c in curves) == ["rmsprop", "sgd"]
    assert [len(c["costs"]) for c in curves] == [1, 1] and 0 < curves[0]["costs"][0] < curves[1]["costs"][0]
    for c in curves:
        assert c["rate"] == bench.RATES[c["optimizer"]] and c["seconds"] > 0
    rows = [line.split()[1:6:2] for line in result.output.splitlines() if "│" in line]
    assert rows == [[c["optimizer"], f"{c['rate']:g}", f"{c['costs'][0]:.2f}"] for c in curves]
    assert _called(bench, *chosen, tmp_path / "b.json").exit_code == 0
    again = json.loads((tmp_path / "b.json").read_text())["curves"]
    assert [c["costs"] for c in again] == [c["costs"] for c in curves]


def test_what_diverged_comes_last(bench, few_digits, cpu, monkeypatch):
    """Its curve ends where it was still finite, and the table says so."""
    monkeypatch.setitem(bench.RATES, "sgd", 1e30)
    broken = bench.curve("sgd", 2, 0, few_digits, cpu)
    assert broken.costs == [] and broken.rate == 1e30
    curves = [broken, bench.Curve("adam", 1e-3, [9.0], 1.0), bench.Curve("lion", 1e-3, [5.0, 3.0], 1.0),
              bench.Curve("lamb", 1e-3, [4.0, 2.0], 1.0)]
    ranked = bench.ranked(curves)
    assert [c.optimizer for c in ranked] == ["lamb", "lion", "adam", "sgd"]
    table = bench.table(ranked, 2)
    assert [list(column.cells) for column in table.columns[2:4]] == [["4.00", "5.00", "9.00", "diverged"],
                                                                     ["2.00", "3.00", "diverged", "diverged"]]


def test_without_matplotlib(bench, tmp_path, monkeypatch):
    """One line that names the fix, before anything is trained."""
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    monkeypatch.delitem(sys.modules, "optimizer_curves", raising=False)
    monkeypatch.setattr(bench, "curve", None)
    result = _called(bench, "--out", tmp_path / "x.png")
    assert result.exit_code == 1 and "pip install matplotlib" in result.output and len(result.output.splitlines()) == 1
    assert not list(tmp_path.iterdir())


@pytest.fixture
def drawing(bench):
    pytest.importorskip("matplotlib", reason="the picture takes matplotlib, which minivae does not need")
    return bench.drawing()


def test_the_picture(bench, drawing, rng):
    """All optimizers, some of which end at the same cost, above what is shown, or early, fit into it."""
    curves = [bench.Curve(name, 1e-3, list(40 + 300 * rng.random() * np.exp(-np.arange(20))), 1.0)
              for name in bench.OPTIMIZERS]
    curves[0] = bench.Curve("sgd", 1e-3, [1e9] * 20, 1.0)
    curves[1] = bench.Curve("momentum", 1e-3, [50.0] * 3, 1.0)
    curves[2] = bench.Curve("nesterov", 1e-3, [], 0.0)
    assert sorted(name for names in drawing.FAMILIES.values() for name in names) == sorted(bench.OPTIMIZERS)
    file = io.BytesIO()
    drawing.draw(curves, 20, file)
    picture = Image.open(file)
    assert picture.size == (900, 500) and picture.format == "PNG" and len(file.getvalue()) < 60_000
    one = io.BytesIO()
    drawing.draw([SimpleNamespace(optimizer="rmsprop", rate=1, costs=[3.0])], 1, one)
    assert one.getvalue() != file.getvalue()


def test_labels_keep_apart(drawing, rng):
    """By the gap, in their order, and where they want to be if there is room."""
    np.testing.assert_allclose(drawing.spaced([0, 10, 20], 5, 0, 100), [0, 10, 20])
    np.testing.assert_allclose(drawing.spaced([50, 50], 10, 0, 100), [45, 55])
    np.testing.assert_allclose(drawing.spaced([0, 0, 0], 10, 0, 100), [0, 10, 20])
    for _ in range(50):
        places = drawing.spaced(np.sort(rng.random(17) * 100), 5, 0, 100)
        assert (np.diff(places) > 5 - 1e-9).all() and places[0] >= 0 and places[-1] <= 100 + 1e-9
