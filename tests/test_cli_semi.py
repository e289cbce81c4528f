"""The command line of semi-supervised models, as a person uses it."""

import json
import re

import numpy as np
import pytest
from command_line import minivae
from data_sets import idx
from PIL import Image

from minivae import VAE, data
from minivae.pictures import grids


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A short training with labels: (its run folder, its output)."""
    folder = tmp_path_factory.mktemp("semi")
    code, out, err = minivae("train", "--labels", 200, "--label-weight", 100, "--label-kl", 0.5, "--likelihood", "bernoulli",
                             "--epochs", 2, "--consistency", 10, "--shift", 1, "--mirror", "--erase", 5, "--hidden", "64,32", "--code", 8, "--device", "cpu", "--out", "run", cwd=folder)
    assert code == 0, err
    return folder / "run", out


def test_train(run):
    """The error of every epoch and of the end; options reach the settings; the pictures of styles are there."""
    path, out = run
    lines = out.splitlines()
    assert lines[2].endswith("images/s  test error") and re.search(r"  [\d,]+ +\d+\.\d\d%$", lines[3])
    assert re.search(r"KL \d+\.\d\d nats/image, test error \d+\.\d\d%, trained in", lines[-1])
    text = (path / "settings.toml").read_text()
    for line in ("labels = 200", 'semi = "shared"', "label_weight = 100.0", "label_kl = 0.5", "consistency = 10.0", "shift = 1", "mirror = true", "erase = 5"):
        assert line + "\n" in text
    assert (path / "metrics.csv").read_text().splitlines()[0].endswith(",test_error")
    assert all((path / f"{name}.png").exists() for name in ("grid", "transfer", "samples", "reconstructions", "source"))


def test_switches_of_a_config_can_be_turned_off(run):
    """Options that are given win, those without a value, too."""
    path, _ = run
    code, _, err = minivae("train", "--config", "run", "--consistency", 0, "--shift", 0, "--erase", 0, "--no-mirror", "--epochs", 1,
                           "--device", "cpu", "--out", "plain", cwd=path.parent)
    assert code == 0, err
    text = (path.parent / "plain" / "settings.toml").read_text()
    assert "mirror = false\n" in text and "labels = 200\n" in text


def test_sample_of_a_label(run, tmp_path):
    """Samples of one label are all of that class, as the model's own classifier sees most of them; without --label they
    are the picture that training left."""
    path, _ = run
    code, out, err = minivae("sample", path, "--label", 1, "--count", 4, "--out", "ones.png", "--device", "cpu", cwd=tmp_path)
    assert code == 0 and "4 samples in ones.png" in out, err
    code, _, _ = minivae("sample", path, "--out", "all.png", "--device", "cpu", cwd=tmp_path)
    assert code == 0 and (tmp_path / "all.png").read_bytes() == (path / "samples.png").read_bytes()
    code, _, err = minivae("sample", path, "--label", 10, "--out", "x.png", "--device", "cpu", cwd=tmp_path)
    assert code == 2 and "label 10 is none of the model's classes 0 to 9" in err and err.count("\n") == 1


def test_classify(run, tmp_path):
    """A line an image, of pictures and IDX files alike; the file has all probabilities."""
    path, _ = run
    images = data.load("digits").test_images[:3]
    Image.fromarray(images[0, ..., 0]).save(tmp_path / "one.png")
    (tmp_path / "three").write_bytes(idx(images[..., 0]))
    code, out, err = minivae("classify", path, "one.png", "three", "test:0", "--json", "c.json", "--device", "cpu", cwd=tmp_path)
    assert (code, err) == (0, "")
    lines = [line.split() for line in out.splitlines()]
    assert [line[0] for line in lines] == ["one.png", "three[0]", "three[1]", "three[2]", "test:0"]
    assert lines[0][1:] == lines[1][1:] == lines[4][1:]
    found = json.loads((tmp_path / "c.json").read_text())
    for line, entry in zip(lines, found, strict=True):
        assert entry["image"] == line[0] and entry["class"] == int(line[1]) == np.argmax(entry["probabilities"])
        assert max(entry["probabilities"]) == pytest.approx(float(line[2]), abs=5e-5)
        assert sum(entry["probabilities"]) == pytest.approx(1)


def test_transfer(run, tmp_path):
    """A row an image: itself, then its code in every class; the same picture as from Python, from pictures and IDX files
    alike, and the one that training left where it is of the same images."""
    path, _ = run
    dataset = data.load("digits")
    images = dataset.test_images[np.unique(dataset.test_labels, return_index=True)[1]]
    (tmp_path / "ten").write_bytes(idx(images[..., 0]))
    code, out, err = minivae("transfer", path, "ten", "--out", "ten.png", "--device", "cpu", cwd=tmp_path)
    assert (code, err) == (0, "") and out == "10 images in 10 classes in ten.png\n"
    assert (tmp_path / "ten.png").read_bytes() == (path / "transfer.png").read_bytes()
    Image.fromarray(images[7, ..., 0]).save(tmp_path / "seven.png")
    code, out, err = minivae("transfer", path, "seven.png", "--out", "one.png", "--device", "cpu", cwd=tmp_path)
    assert (code, err) == (0, "") and out == "1 image in 10 classes in one.png\n"
    made = VAE.load(path, "cpu").transfer(images[7:8])
    assert made.shape == (1, 10, 28, 28, 1)
    row = np.concatenate([images[7:8] / np.float32(255), made[0]])
    np.testing.assert_array_equal(np.asarray(Image.open(tmp_path / "one.png")), np.asarray(grids.grid(row, columns=11)))


def test_what_cannot_be_transferred(run, tmp_path):
    """One line each, and no picture is left."""
    path, _ = run
    (tmp_path / "many").write_bytes(idx(np.zeros((910, 28, 28), np.uint8)))
    (tmp_path / "one").write_bytes(idx(np.zeros((1, 28, 28), np.uint8)))
    for name, out, code, words in (("many", "x.png", 2, "there are 910 images, but a picture can have 909 rows"),
                                   ("no.png", "x.png", 1, "No such file"),
                                   ("one", "x.jpg", 2, "is not named so")):
        got, said, err = minivae("transfer", path, name, "--out", out, "--device", "cpu", cwd=tmp_path)
        assert (got, said) == (code, "") and words in err and err.count("\n") == 1 and not (tmp_path / out).exists()


def test_what_cannot_be_classified(run, tmp_path):
    """One line each, and no file is left."""
    path, _ = run
    (tmp_path / "narrow").write_bytes(idx(np.zeros((2, 28, 20), np.uint8)))
    (tmp_path / "text.png").write_text("no picture")
    for name, code, words in (("narrow", 2, "holds images of 28 x 20 x 1"), ("text.png", 1, "is no picture"),
                              ("no.png", 1, "No such file")):
        got, out, err = minivae("classify", path, name, "--json", "c.json", "--device", "cpu", cwd=tmp_path)
        assert (got, out) == (code, "") and words in err and err.count("\n") == 1 and not (tmp_path / "c.json").exists()


def test_a_run_without_labels_knows_no_classes(tmp_path):
    code, _, err = minivae("train", "--epochs", 1, "--hidden", "8", "--code", 2, "--device", "cpu", "--out", "plain",
                           cwd=tmp_path)
    assert code == 0 and not (tmp_path / "plain/grid.png").exists(), err
    Image.new("L", (28, 28)).save(tmp_path / "x.png")
    for arguments in (["sample", "plain", "--label", 1], ["classify", "plain", "x.png"],
                      ["transfer", "plain", "x.png"]):
        code, _, err = minivae(*arguments, "--device", "cpu", cwd=tmp_path)
        assert code == 2 and "knows of no classes" in err and "trained without --labels" in err and err.count("\n") == 1
