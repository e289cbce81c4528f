"""The command line, as a person uses it: trainings, pictures, evaluations."""

import json
import os
import re
import shutil

import numpy as np
import pytest
from command_line import LAST, minivae
from data_sets import idx
from PIL import Image

from minivae.cli.entry import COMMANDS, cli


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A short training from the command line: (folder it ran in, its output)."""
    folder = tmp_path_factory.mktemp("train")
    code, out, err = minivae("train", "--epochs", 1, "--hidden", "64,32", "--code", 8, "--device", "cpu", cwd=folder)
    assert code == 0, err
    return folder, out


def test_train(run):
    """The device, a line an epoch, the last line in the words agreed on, and a whole run folder."""
    folder, out = run
    lines = out.splitlines()
    assert lines[0].startswith("device: cpu (") and "4,000 images of digits; into runs/digits-ff-1" in lines[1]
    assert re.match(r"\s*1/1 +\d+\.\d\d +\d+\.\d\d = +\d+\.\d\d \+ \d+\.\d\d +[\d,]+$", lines[3])
    total, reconstruction, kl = map(float, LAST.match(lines[-1]).groups())
    assert total == pytest.approx(reconstruction + kl, abs=0.011)
    pictures = {name: Image.open(folder / "runs/digits-ff-1" / f"{name}.png") for name in ("source", "reconstructions", "samples")}
    assert all(np.asarray(p).std() > 20 for p in pictures.values())
    assert {path.name for path in (folder / "runs/digits-ff-1/checkpoints").iterdir()} == {"step-00000040.safetensors",
                                                                                         "best.safetensors"}


def test_whatever_uses_a_model_takes_any_of_its_checkpoints():
    """Every command with a RUN has --checkpoint, as docs/runs.md says."""
    found = {name: {option for parameter in cli.get_command(None, name).params for option in (parameter.name, *parameter.opts)}
             for name in COMMANDS}
    using = {name for name, names in found.items() if names & {"run", "runs"}}
    assert {"sample", "eval", "report", "serve"} < using and using == {name for name in using if "--checkpoint" in found[name]}


def test_sample_and_reconstruct_make_the_same_pictures_again(run):
    folder, _ = run
    path = folder / "runs/digits-ff-1"
    for verb, name in (("sample", "samples.png"), ("reconstruct", "reconstructions.png")):
        code, out, err = minivae(verb, path, "--out", f"{verb}.png", "--device", "cpu", cwd=folder)
        assert code == 0 and f"in {verb}.png" in out, err
        assert (folder / f"{verb}.png").read_bytes() == (path / name).read_bytes()
    code, out, err = minivae("reconstruct", path, "--count", 1001, "--out", "many.png", "--device", "cpu", cwd=folder)
    assert (code, out) == (2, "") and "--count is 1001, but digits has 1000 test images; take at most 1000" in err
    assert not (folder / "many.png").exists()
    code, _, _ = minivae("sample", path, "--count", 3, "--seed", 5, "--out", "few.png", "--device", "cpu", cwd=folder)
    assert code == 0 and (folder / "few.png").read_bytes() != (folder / "sample.png").read_bytes()


def test_eval(run):
    """A table in 80 columns, the same numbers in the run folder; the bound is the last line of the training, and the same
    seed gives the same numbers."""
    folder, trained = run
    path = folder / "runs/digits-ff-1"
    code, out, err = minivae("eval", path, "--importance", 20, "--device", "cpu", cwd=folder, COLUMNS="80")
    assert (code, err) == (0, "") and max(map(len, out.splitlines()[1:14])) <= 80
    report = json.loads((path / "eval.json").read_text())
    assert -report["elbo"]["mean"] == pytest.approx(float(LAST.match(trained.splitlines()[-1])[1]), abs=0.0051)
    assert report["nll"]["mean"] < -report["elbo"]["mean"] and report["images"] == 1000 and report["code"] == 8
    assert re.search(rf"unnormalized NLL, 20 samples +│ +{report['nll']['mean']:.2f} │ +{report['nll']['standard_error']:.2f} ", out)
    assert "Unnormalized: the squared error lacks" in out and "448.73 an image" in out
    for name in ("one.json", "two.json"):
        code, _, err = minivae("eval", path, "--importance", 3, "--split", "train", "--limit", 50, "--seed", 5, "--json", name,
                               "--device", "cpu", cwd=folder)
        assert code == 0, err
    one, two = (json.loads((folder / name).read_text()) for name in ("one.json", "two.json"))
    assert {**one, "seconds": 0} == {**two, "seconds": 0} and (one["split"], one["images"], one["seed"]) == ("train", 50, 5)
    for wrong, status, words in ((["--data", "no/such"], 2, "no/such"), (["--importance", "-1"], 2, "--importance"),
                                 (["--limit", "0"], 2, "--limit"), (["--limit", "1001"], 2, "take at most 1000"), (["--json", "."], 1, "no regular file")):
        (path / "eval.json").write_text("old")
        code, out, err = minivae("eval", path, "--device", "cpu", *wrong, cwd=folder)
        assert code == status and words in err and err.count("\n") == 1 and "Traceback" not in err
        assert (path / "eval.json").read_text() == "old"


def test_every_option_of_the_optimizer_reaches_the_run(tmp_path):
    """Into settings.toml; the rate that is not given is the one that is listed."""
    code, _, err = minivae("train", "--epochs", 1, "--hidden", "16", "--code", 4, "--device", "cpu", "--optimizer", "adamw",
                           "--schedule", "one-cycle", "--warm-up", 0.5, "--rescale", 3, "--clip", 0.5, "--weight-decay", 0.1,
                           "--ema", 0.9, "--out", "x", cwd=tmp_path)
    assert code == 0, err
    text = (tmp_path / "x/settings.toml").read_text()
    for line in ('optimizer = "adamw"', "learning_rate = 0.03", 'schedule = "one-cycle"', "warm_up = 0.5", "rescale = 3.0",
                 "clip = 0.5", "weight_decay = 0.1", "ema = 0.9"):
        assert line + "\n" in text
    code, _, err = minivae("sample", "x", "--count", 1, "--device", "cpu", cwd=tmp_path)
    assert code == 0, err


def test_an_out_folder_in_use_is_refused(run):
    folder, _ = run
    before = sorted(p.name for p in folder.rglob("*"))
    code, _, err = minivae("train", "--epochs", 1, "--out", "runs/digits-ff-1", cwd=folder)
    assert code == 2 and "already holds a run; name a new folder with --out" in err
    assert sorted(p.name for p in folder.rglob("*")) == before


def test_pictures_go_where_pictures_belong(run, tmp_path):
    """Neither a device nor a checkpoint is overwritten; a link is followed."""
    folder, _ = run
    path = folder / "runs/digits-ff-1"
    for out, words in ((path / "checkpoints/best.safetensors", "ends in .png"), ("/dev/null", "ends in .png"), ("x.jpg", "ends in .png")):
        code, _, err = minivae("sample", path, "--count", 1, "--out", out, "--device", "cpu", cwd=tmp_path)
        assert code == 2 and words in err and len(err.splitlines()) == 1
    os.mkfifo(tmp_path / "pipe.png")
    code, _, err = minivae("sample", path, "--count", 1, "--out", "pipe.png", "--device", "cpu", cwd=tmp_path)
    assert code == 1 and "no regular file" in err
    (tmp_path / "target.png").write_text("")
    (tmp_path / "link.png").symlink_to("target.png")
    code, _, err = minivae("sample", path, "--count", 1, "--out", "link.png", "--device", "cpu", cwd=tmp_path)
    assert code == 0 and (tmp_path / "link.png").is_symlink() and (tmp_path / "target.png").stat().st_size > 100


def test_settings_that_are_not_the_checkpoints(run, tmp_path):
    folder, _ = run
    copy = tmp_path / "copy"
    shutil.copytree(folder / "runs/digits-ff-1", copy)
    text = (copy / "settings.toml").read_text()
    (copy / "settings.toml").write_text(text.replace("code = 8", "code = 9"))
    code, _, err = minivae("sample", copy, "--device", "cpu", cwd=tmp_path)
    assert code == 1 and "code was 8; put that back" in err and "Traceback" not in err


def test_first_start_compiles_and_says_so(tmp_path):
    """With an empty cache the kernels are built, once; the second start says nothing of it."""
    arguments = ["train", "--epochs", 1, "--hidden", "16", "--code", 2, "--batch-size", "2000", "--device", "cpu"]
    said = [minivae(*arguments, cwd=tmp_path, MINIVAE_CACHE=str(tmp_path / "cache"))[2] for _ in range(2)]
    assert "compiling" in said[0] and "once" in said[0] and "compiling" not in said[1]


def test_a_corrupt_checkpoint(run, tmp_path):
    folder, _ = run
    copy = tmp_path / "copy"
    shutil.copytree(folder / "runs/digits-ff-1", copy)
    path = copy / "checkpoints/step-00000040.safetensors"
    content = bytearray(path.read_bytes())
    content[-5] ^= 1
    path.write_bytes(content)
    code, _, err = minivae("sample", copy, "--device", "cpu", cwd=tmp_path)
    assert code == 1 and "checksum" in err and "Traceback" not in err


def test_a_folder_of_ones_own(tmp_path, rng):
    """--data PATH with images of another size and few of them: trains with a batch that fits, and samples."""
    for part, count in (("train", 60), ("t10k", 20)):
        (tmp_path / f"{part}-images-idx3-ubyte").write_bytes(idx(rng.integers(0, 256, (count, 6, 7), np.uint8)))
        (tmp_path / f"{part}-labels-idx1-ubyte").write_bytes(idx(rng.integers(0, 3, count, np.uint8)))
    code, out, err = minivae("train", "--data", tmp_path, "--epochs", 2, "--hidden", "8", "--code", 2, "--device", "cpu",
                             cwd=tmp_path)
    assert code == 0, err
    assert LAST.match(out.splitlines()[-1])
    [folder] = (tmp_path / "runs").iterdir()
    code, out, err = minivae("reconstruct", folder, "--out", "x.png", "--device", "cpu", cwd=tmp_path)
    assert code == 0 and out.startswith("20 images and their reconstructions"), err
    (tmp_path / "t10k-labels-idx1-ubyte").write_bytes(idx(np.zeros(19, np.uint8)))
    code, _, err = minivae("train", "--data", tmp_path, cwd=tmp_path)
    assert code == 1 and "20" in err and "19" in err and "Traceback" not in err


def test_train_the_convolutional_model(tmp_path):
    """--arch conv with sizes of one's own: trains, saves, and samples again from the checkpoint."""
    code, out, err = minivae("train", "--arch", "conv", "--channels", "4,8", "--hidden", "16", "--code", 4, "--epochs", 1,
                             "--batch-size", 500, "--out", "run", "--device", "cpu", cwd=tmp_path)
    assert code == 0, err
    assert LAST.match(out.splitlines()[-1])
    picture = (tmp_path / "run/samples.png").read_bytes()
    code, _, err = minivae("sample", "run", "--device", "cpu", cwd=tmp_path)
    assert code == 0 and (tmp_path / "run/samples.png").read_bytes() == picture, err
