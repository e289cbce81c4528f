"""What the command line does with run folders: repeats a run, takes one of its checkpoints, goes on, lists them."""

import json
import os
import re
import shutil
import subprocess
import tomllib

import numpy as np
import pytest
from command_line import minivae
from data_sets import random_set

from minivae import checkpoint, data
from minivae.estimator import VAE
from minivae.runs import Run, Settings, listing
from minivae.runs.versions import git_state

TRAIN = ["train", "--data", "set", "--hidden", 8, "--code", 3, "--batch-size", 10, "--device", "cpu"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder with a small data set and two runs of three epochs on it, `runs/a` and, with an average, `runs/b`."""
    folder = tmp_path_factory.mktemp("runs")
    random_set(folder / "set", 40, 20)
    for name, more in (("a", ["--schedule", "constant"]), ("b", ["--ema", 0.5, "--seed", 7, "--optimizer", "adamw", "--clip", 1])):
        code, _, err = minivae(*TRAIN, "--epochs", 3, *more, "--out", f"runs/{name}", cwd=folder)
        assert (code, err) == (0, "")
    return folder


def _arrays(path):
    return Run(path).checkpoints.load()[0]


def _same(a, b):
    assert a.keys() == b.keys()
    for name, value in a.items():
        np.testing.assert_array_equal(value, b[name])


def test_a_config_repeats_a_run(folder):
    """To the bit; what is given beside it wins, and what a short file leaves out is as always."""
    code, _, err = minivae("train", "--config", "runs/b/settings.toml", "--out", "again", "--device", "cpu", cwd=folder)
    assert (code, err) == (0, "")
    _same(_arrays(folder / "again"), _arrays(folder / "runs/b"))
    assert (folder / "again/settings.toml").read_text() == (folder / "runs/b/settings.toml").read_text()
    code, _, err = minivae("train", "--config", "runs/b", "--seed", 8, "--code", 2, "--out", "other", "--device", "cpu", cwd=folder)
    assert (code, err) == (0, "")
    told = tomllib.loads((folder / "other/settings.toml").read_text())
    assert told == {**tomllib.loads((folder / "runs/b/settings.toml").read_text()), "seed": 8, "code": 2}
    (folder / "short.toml").write_text('data = "set"\nepochs = 1\nhidden = [4]\n')
    assert minivae("train", "--config", "short.toml", "--out", "short", "--device", "cpu", cwd=folder)[0] == 0
    told = Run(folder / "short").settings()
    assert (told.hidden, told.code, told.learning_rate, told.kl_warm_up) == ((4,), 384, 0.003, 1 / 6)


@pytest.mark.parametrize(("text", "words"), [
    ("lerning_rate = 1", "bad.toml cannot be used: unknown settings lerning_rate (did you mean learning_rate?); mend it"),
    ("epochs = 'many'", "epochs = 'many' is no int"), ("epochs =", "Invalid value"), ('arch = "gan"', "is none of ff, conv"),
    ("a = " + "[" * 5000, "cannot be used"), ("batch_size = 41\ndata = 'set'", "take at most 40")])
def test_a_config_that_cannot_be_used(folder, text, words):
    (folder / "bad.toml").write_text(text)
    code, _, err = minivae("train", "--config", "bad.toml", "--out", "bad", "--device", "cpu", cwd=folder)
    assert code in (1, 2) and words in err and err.count("\n") == 1 and not (folder / "bad").exists()


@pytest.mark.parametrize(("arguments", "code", "words"), [
    (["train", "--resume", "nowhere"], 2, "there is no run in nowhere"),
    (["train", "--resume", "runs/a", "--out", "x"], 2, "leave out --out"),
    (["train", "--resume", "runs/a", "--config", "runs/b"], 2, "leave out --config"),
    (["train", "--resume", "runs/a", "--learning-rate", "0.5"], 2, "--learning-rate is 0.5, but the run in runs/a has 0.003"),
    (["train", "--resume", "runs/b", "--epochs", 5], 2, "--epochs is 5, but the schedule cosine was laid out over 3"),
    (["train", "--resume", "runs/a", "--epochs", 2], 2, "--epochs is 2, but 3 were made already: take at least 3"),
    (["train", "--config", "nowhere"], 2, "there is no file nowhere"), (["train", "--keep", 0], 2, "--keep"),
    (["sample", "runs/a", "--checkpoint", "11"], 2, "there is no checkpoint 11 in runs/a/checkpoints: take one of 12, 4, best, last"),
    (["runs", "nowhere"], 2, "there is no folder nowhere")])
def test_bad_arguments(folder, arguments, code, words):
    got, _, err = minivae(*arguments, "--device", "cpu", cwd=folder) if arguments[0] != "runs" else minivae(*arguments, cwd=folder)
    assert got == code and words in err and err.count("\n") == 1 and err.startswith("minivae: ")


def test_a_run_in_use(folder):
    """Neither a second training nor a model saved from Python gets in; reading is free."""
    run = Run(folder / "runs/a")
    run.lock()
    code, _, err = minivae("train", "--resume", "runs/a", "--epochs", 9, cwd=folder)
    assert code == 1 and f"runs/a is in use by process {os.getpid()} on " in err
    assert minivae("sample", "runs/a", "--count", 1, "--device", "cpu", "--out", "x.png", cwd=folder)[0] == 0
    code, _, err = minivae("runs", "--json", "runs.json", cwd=folder)
    assert [found["state"] for found in json.loads((folder / "runs.json").read_text())] == ["running", "finished"]
    run.release()


def test_more_epochs_and_pictures_that_are_missing(folder):
    """A finished run says so, and draws what is not there; with more epochs it is the longer run."""
    shutil.copytree(folder / "runs/a", folder / "more")
    picture = (folder / "more/samples.png").read_bytes()
    (folder / "more/samples.png").unlink()
    for drawn in ("pictures in more\n", ""):
        code, out, err = minivae("train", "--resume", "more", "--device", "cpu", cwd=folder)
        assert (code, err) == (0, "") and out.startswith("more is finished: 3 of 3 epochs") and out.endswith(drawn)
    assert (folder / "more/samples.png").read_bytes() == picture and "take a larger --epochs for more\n" in out
    code, out, err = minivae("train", "--resume", "runs/b", "--device", "cpu", cwd=folder)
    assert (code, err) == (0, "") and out.startswith("runs/b is finished: 3 of 3 epochs; its schedule, cosine, ends there; for more "
                                                     "train anew, such as `minivae train --config runs/b --epochs 6`\n")
    kl_warm_up = Run(folder / "more").settings().kl_warm_up
    code, out, err = minivae("train", "--resume", "more", "--epochs", 5, "--device", "cpu", cwd=folder)
    assert (code, err) == (0, "") and " 4/5 " in out and " 3/5 " not in out
    (folder / "long.toml").write_text(f"kl_warm_up = {kl_warm_up}")
    code, _, err = minivae(*TRAIN, "--epochs", 5, "--schedule", "constant", "--config", "long.toml", "--out", "long", cwd=folder)
    assert (code, err) == (0, "")
    _same(_arrays(folder / "more"), _arrays(folder / "long"))
    assert [entry["step"] for entry in json.loads((folder / "more/versions.json").read_text())] == [0, 12]


def test_other_versions_are_said(folder):
    """Kernels that are not those of before: the run goes on, but not with the same bits for sure."""
    shutil.copytree(folder / "runs/a", folder / "kernels")
    [told] = json.loads((folder / "kernels/versions.json").read_text())
    assert told.keys() == {"started", "step", "minivae", "python", "numpy", "device", "kernels", "git"}
    (folder / "kernels/versions.json").write_text(json.dumps([{**told, "kernels": "others"}]))
    code, out, err = minivae("train", "--resume", "kernels", "--epochs", 4, "--device", "cpu", cwd=folder)
    assert (code, err) == (0, "") and "begun with another version of kernels (see kernels/versions.json): it goes on, but" in out


def test_git_state(tmp_path):
    """None without a repository or a commit; then the commit, and whether what git knows was changed."""
    def git(*arguments):
        return subprocess.run(["git", *arguments], cwd=tmp_path, check=True, capture_output=True, text=True).stdout.strip()

    if shutil.which("git") is None:
        pytest.skip("there is no git")
    assert git_state(tmp_path) is None and git_state(tmp_path / "nowhere") is None
    git("init", "-q")
    assert git_state(tmp_path) is None
    (tmp_path / "x").write_text("1")
    git("add", "x")
    git("-c", "user.name=a", "-c", "user.email=a@b", "commit", "-q", "-m", "x")
    commit = git("rev-parse", "HEAD")
    (tmp_path / "run").mkdir()
    assert git_state(tmp_path) == {"commit": commit, "dirty": False}
    (tmp_path / "x").write_text("2")
    assert git_state(tmp_path) == {"commit": commit, "dirty": True}


def test_the_list_of_runs(folder, tmp_path):
    """States and figures of all there are; damage is named below the table, and nothing of it is a trace."""
    for name in ("finished", "interrupted", "cut", "settings", "facts", "older", "metrics"):
        shutil.copytree(folder / "runs/a", tmp_path / "runs" / name)
    (tmp_path / "runs/empty").mkdir()
    VAE.load(folder / "runs/a", "cpu").save(tmp_path / "runs/saved")
    (tmp_path / "runs/interrupted/checkpoints/step-00000012.safetensors").unlink()
    for path in (tmp_path / "runs/cut/checkpoints").iterdir():
        path.write_bytes(path.read_bytes()[:90])
    (tmp_path / "runs/settings/settings.toml").write_bytes(b"\xff\xfe = [")
    for path in (tmp_path / "runs/facts/checkpoints").glob("step-*"):
        checkpoint.save(path, {"x": np.ones(1)}, {"settings": 5, "image_shape": "square"})
    run = Run(tmp_path / "runs/older")
    arrays, facts = run.checkpoints.load()
    checkpoint.save(run.checkpoints.single, arrays, {k: v for k, v in facts.items() if k not in ("finished", "best")})
    run.checkpoints.forget_training()
    (tmp_path / "runs/metrics/metrics.csv").write_bytes(
        b"epoch,step\nnan,inf,1,2,3,4,5,6\n1e999,4,,,,,,\n\0\xff,,,,,,,\n3,9,1e999,nan,2,3,inf,1\n")
    for width in (80, 200):
        code, out, err = minivae("runs", "--json", "runs.json", cwd=tmp_path, COLUMNS=str(width))
        table = out.splitlines()[:12]
        assert (code, err) == (0, "") and len(out.splitlines()) == 3 + 8 + 1 + 3 + (width == 80) and max(map(len, table)) <= width
        assert re.search(r"runs/finished .*finished +3/3 +\d+\.\d\d = \d+\.\d\d \+ \d+\.\d\d", out)
        assert ("images/s" in table[1]) == (width == 200) != ("\nno room for: images/s" in out)
    found = {os.path.basename(run["folder"]): run for run in json.loads((tmp_path / "runs.json").read_text())}
    states = {name: run["state"] for name, run in found.items()}
    assert states == {"finished": "finished", "interrupted": "interrupted", "cut": "damaged", "settings": "damaged",
                      "facts": "damaged", "older": "finished", "metrics": "finished", "saved": "model"}
    good, lines = found["finished"], (tmp_path / "runs/finished/metrics.csv").read_text().splitlines()
    assert (good["epochs"], good["epochs_done"], good["arch"], good["problem"]) == (3, 3, "ff", None)
    _, facts = Run(tmp_path / "runs/finished").checkpoints.load()
    assert good["test"] == facts["test_cost"] and good["best"] == facts["best"]
    assert good["images_per_second"] == float(lines[-1].split(",")[6]) and good["changed"].startswith("20")
    assert all(f"runs/{name}: " in out for name in ("cut", "settings", "facts"))
    code, out, _ = minivae("runs", "runs/finished", cwd=tmp_path, COLUMNS="200")
    assert code == 0 and len(out.splitlines()) == 5
    code, out, _ = minivae("runs", "runs/empty", cwd=tmp_path)
    assert (code, out) == (0, "there are no runs in runs/empty yet; minivae train makes one\n")


def test_best_between_checkpoints(folder, tmp_path):
    """A run that goes on has its best epoch in the metrics before a checkpoint says so; without test images the cost is that of
    the training, and marked."""
    shutil.copytree(folder / "runs/a", tmp_path / "run")
    run = Run(tmp_path / "run")
    told = listing.figures(run)["best"]
    text = run.metrics.read_text()
    run.metrics.write_text(text + "4,16,9,8.5,8,0.5,100,1\n")
    assert listing.figures(run)["best"] == {"cost": 8.5, "epoch": 4} != told
    run.metrics.write_text(text + "4,16,9,,,,100,1\n")
    assert listing.figures(run)["best"] == told
    run.metrics.write_text(text.splitlines()[0] + "\n4,16,9,,,,100,1\n5,20,8,,,,100,1\n")
    run.checkpoints.forget_training()
    assert listing.figures(run)["best"] == {"cost": 8.0, "epoch": 5, "of": "training"}
    code, out, err = minivae("runs", "run", cwd=tmp_path)
    assert (code, err) == (0, "") and "8.00 (5, training)" in out


def test_a_table_names_its_runs_without_its_ending(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "g.csv").write_text("file,label\n")
    (tmp_path / "v1.2").mkdir()
    for name, expected in (("g.csv", "g-ff-1"), ("v1.2", "v1.2-ff-1"), ("digits", "digits-ff-1")):
        assert Run.create(Settings(data=str(tmp_path / name))).folder.name == expected


def test_best_is_the_lowest_cost(folder):
    """Its test cost is that of metrics.csv's lowest line or of the finished model, and sample takes it."""
    run = Run(folder / "runs/b")
    facts = run.checkpoints.load()[1]
    costs = [float(line.split(",")[3]) for line in run.metrics.read_text().splitlines()[1:]]
    assert facts["best"]["cost"] == pytest.approx(min(*costs, facts["test_cost"]["total"]), rel=1e-5)
    X = data.load(str(folder / "set")).test_images
    assert VAE.load(run.folder, "cpu", "best").score(X, seed=7).total == pytest.approx(facts["best"]["cost"], rel=1e-5)
    pictures = []
    for which in ("best", "4"):
        code, _, err = minivae("sample", "runs/b", "--checkpoint", which, "--out", "x.png", "--device", "cpu", cwd=folder)
        assert (code, err) == (0, "")
        pictures.append((folder / "x.png").read_bytes())
    assert pictures[0] != pictures[1]


@pytest.mark.parametrize("name", ["smile \U0001f600", "quote \" back \\", "line\u2028", "tab\t", "del\x7f"])
def test_any_name_comes_back_from_the_settings(tmp_path, name):
    run = Run.create(Settings(data=name), tmp_path / "run")
    assert run.settings().data == name
