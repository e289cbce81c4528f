"""The command line on people's own data: one command trains on a folder of pictures, and the others find them again."""

import json
import re
import tomllib

import numpy as np
import pytest
from command_line import LAST, minivae
from PIL import Image
from picture_files import folder_of, smooth

SMALL = ("--epochs", 2, "--hidden", "16", "--code", 4, "--device", "cpu")


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A run on a folder of pictures with labels, one of which cannot be read: (folder it ran in, output)."""
    folder = tmp_path_factory.mktemp("pictures")
    folder_of(folder / "pets", np.random.default_rng(3), each=30, size=(20, 30))
    (folder / "pets" / "cat" / "bad.png").write_bytes(b"x")
    code, out, err = minivae("train", "pets", "--labels", 20, "--size", 16, "--skip-share", 0.05, *SMALL, cwd=folder)
    assert code == 0, err
    return folder, out


def test_train_on_a_folder(trained):
    """What was made of the pictures is said, with the file that could not be read; all of it is in the settings."""
    folder, out = trained
    lines = out.splitlines()
    assert lines[0].startswith("pictures: 16 x 16 in colour, cropped at the centre")
    assert lines[1] == "54 to train on, 6 held out to test with, by --split-seed 0; 2 classes from folders"
    assert lines[2:4] == ["1 cannot be read and is left out:", "  cat/bad.png: no picture of a kind that is read here, or damaged"]
    assert LAST.match(re.sub(", test error [0-9.]+%", "", lines[-1]))
    run = folder / "runs/pets-ff-1"
    settings = tomllib.loads((run / "settings.toml").read_text())
    assert settings["data"] == str(folder / "pets") and settings["size"] == [16, 16] and settings["colour"] == "colour"
    assert (run / "skipped.txt").read_text().startswith("cat/bad.png: no picture")


def test_what_needs_no_pictures_is_looked_at_first(trained):
    """Settings and a folder that cannot be are refused before the pictures are read, which are none at all here."""
    folder, _ = trained
    (folder / "none").mkdir(exist_ok=True)
    (folder / "none" / "bad.png").write_bytes(b"x")
    for arguments, words in ((["--epochs", 0], "--epochs is 0"), (["--learning-rate", "nan"], "--learning-rate is nan"),
                             (["--out", "runs/pets-ff-1"], "runs/pets-ff-1 already holds a run; name a new folder with --out"),
                             (["--shift", -1], "--shift is -1"),
                             (["--size", 4096, "--hidden", "1000000", "--device", "cpu"], "--size is 4096,4096, but the layer "
                              "that takes such pictures would have 16,777,216,000,000 weights or more: with")):
        code, out, err = minivae("train", "none", *arguments, cwd=folder)
        assert (code, out) == (2, "") and err.startswith(f"minivae: {words}")


def test_other_commands_find_the_pictures_again(trained, tmp_path):
    """From another folder; the test images are the same; nothing is decoded again."""
    folder, _ = trained
    run = folder / "runs/pets-ff-1"
    code, out, err = minivae("reconstruct", run, "--out", "x.png", "--device", "cpu", cwd=tmp_path)
    assert (code, err) == (0, "") and (tmp_path / "x.png").read_bytes() == (run / "reconstructions.png").read_bytes()
    code, out, err = minivae("eval", run, "--device", "cpu", cwd=tmp_path)
    assert (code, err) == (0, "") and "6 test images" in out


def test_classes_have_names(trained, tmp_path, rng):
    """Pictures of any size and colour, and folders of them; the class is told by its name."""
    folder, _ = trained
    Image.fromarray(smooth(rng, 40, 90)).save(tmp_path / "wide.jpg")
    Image.fromarray(smooth(rng, 7, 7, 1)[..., 0]).save(tmp_path / "small.png")
    code, out, err = minivae("classify", folder / "runs/pets-ff-1", ".", "wide.jpg", "--device", "cpu", cwd=tmp_path)
    assert code == 0, err
    lines = [line.split() for line in out.splitlines()]
    assert [line[0] for line in lines] == ["./small.png", "./wide.jpg", "wide.jpg"]
    assert {line[1] for line in lines} <= {"cat", "dog"} and lines[1][1:] == lines[2][1:]


def test_classes_by_their_names(trained, tmp_path):
    """--label takes the name of a class for its number; of one that is not there the error lists those that are."""
    folder, _ = trained
    run = folder / "runs/pets-ff-1"
    for label in ("dog", 1, "cat"):
        code, _, err = minivae("sample", run, "--label", label, "--count", 4, "--out", f"{label}.png", "--device", "cpu",
                               cwd=tmp_path)
        assert (code, err) == (0, "")
    dog, one, cat = ((tmp_path / f"{label}.png").read_bytes() for label in ("dog", 1, "cat"))
    assert dog == one != cat
    for label in ("bird", -1, 2):
        code, _, err = minivae("sample", run, "--label", label, "--device", "cpu", cwd=tmp_path)
        assert (code, err) == (2, f"minivae: --label {label} is none of the model's classes 0 to 1: cat, dog\n")


def test_other_pictures_come_to_the_models_shape(trained, tmp_path, rng):
    folder, _ = trained
    folder_of(tmp_path / "others", rng, each=10, size=(9, 9), channels=1)
    code, out, err = minivae("eval", folder / "runs/pets-ff-1", "--data", "others", "--json", "x.json", "--device", "cpu",
                             cwd=tmp_path)
    assert code == 0 and "2 test images of others" in out, err


def test_classes_of_other_data_go_by_their_names(trained, tmp_path, rng):
    """The error is the same whether other data have a class more, which is said, in front of the model's own, or not; what
    is not called as any class of the model has no label."""
    folder, _ = trained
    for name, classes in (("two", ("cat", "dog")), ("three", ("ant", "cat", "dog")), ("none", ("x", "y"))):
        for part in ("train", "test"):
            folder_of(tmp_path / name / part, np.random.default_rng(5), classes=("cat", "dog"), each=15, size=(16, 16))
            for old, new in zip(("dog", "cat"), ("y", "x"), strict=True) if name == "none" else ():
                (tmp_path / name / part / old).rename(tmp_path / name / part / new)
            if "ant" in classes:
                folder_of(tmp_path / name / part, rng, classes=("ant",), each=5, size=(16, 16))
    found = {}
    for name, words in (("two", ""), ("three", "knows of no class ant: those images of three"), ("none", "knows of no class x, y")):
        code, _, err = minivae("eval", folder / "runs/pets-ff-1", "--data", name, "--importance", 0, "--json", f"{name}.json",
                               "--device", "cpu", cwd=tmp_path)
        assert code == 0 and words in err and err.count("\n") <= 5 and ("knows" in err) == bool(words), err
        found[name] = json.loads((tmp_path / f"{name}.json").read_text())
    assert found["two"]["images"] == 30 and found["three"]["images"] == 35
    assert found["two"]["classification_error"] == found["three"]["classification_error"]
    assert "classification_error" not in found["none"]


def test_a_runs_own_data_by_another_path(trained, tmp_path):
    """Are its own, and read as they were; where they have changed since, that is said."""
    folder, _ = trained
    run = folder / "runs/pets-ff-1"
    code, _, err = minivae("encode", run, "test", "--data", "pets", "--out", tmp_path / "a.npz", "--device", "cpu", cwd=folder)
    assert (code, err) == (0, "")
    code, _, err = minivae("encode", run, "test", "--out", tmp_path / "b.npz", "--device", "cpu", cwd=tmp_path)
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()
    added = folder / "pets" / "dog" / "new.png"
    try:
        Image.new("RGB", (16, 16)).save(added)
        code, _, err = minivae("encode", run, "test", "--out", tmp_path / "c.npz", "--device", "cpu", cwd=tmp_path)
    finally:
        added.unlink()
    assert code == 0 and "pets holds other images or labels than those that" in err and err.count("\n") == 2, err


def test_labels_that_are_no_class(trained, tmp_path):
    """However large: one line."""
    folder, _ = trained
    np.savez(tmp_path / "z.npz", z=np.zeros((2, 4)))
    for verb in (["sample"], ["decode", tmp_path / "z.npz"], ["interpolate", "test:0", "test:1"], ["traverse"]):
        code, _, err = minivae(verb[0], folder / "runs/pets-ff-1", *verb[1:], "--label", 10**20, "--device", "cpu", cwd=tmp_path)
        assert code == 2 and f"label {10**20} is none of the model's classes 0 to 1" in err and err.count("\n") == 1


def test_the_settings_of_a_run_with_other_data(trained, tmp_path, rng):
    """How its pictures were read does not go along; for its own it does."""
    folder, _ = trained
    config = folder / "runs/pets-ff-1"
    np.savez(tmp_path / "a.npz", X=rng.random((30, 4, 4)), y=np.arange(30) % 2)
    code, out, err = minivae("train", tmp_path / "a.npz", "--config", config, "--batch-size", 9, "--device", "cpu", "--out", "run",
                             cwd=tmp_path)
    assert code == 0, err
    settings = tomllib.loads((tmp_path / "run/settings.toml").read_text())
    assert settings["size"] == [] and settings["skip_share"] == 0.01 and settings["labels"] == 20
    code, out, err = minivae("train", "pets", "--config", config, "--device", "cpu", "--out", tmp_path / "own", cwd=folder)
    assert code == 0 and tomllib.loads((tmp_path / "own/settings.toml").read_text())["size"] == [16, 16], err


@pytest.mark.parametrize(("arrays", "options", "words"), [
    ({"X": np.zeros((8, 4, 4, 4), np.uint8)}, (), "have 4 channels, but a run draws pictures, of 1 (grey) or 3 (colour)"),
    ({"X": np.zeros((8, 4, 4), np.uint8), "y": np.full(8, 999_999)}, ("--labels", 8),
     "up to 999999, but a model can know of the classes 0 to 99,999")])
def test_arrays_that_cannot_be_trained_on(tmp_path, arrays, options, words):
    """Refused before anything is trained or allocated."""
    np.savez(tmp_path / "a.npz", **arrays)
    code, out, err = minivae("train", "a.npz", *options, *SMALL, "--batch-size", 4, "--out", "run", cwd=tmp_path)
    assert code == 2 and words in err and err.count("\n") == 1 and not (tmp_path / "run").exists()


def test_arrays_and_no_test_images(tmp_path, rng):
    """--test-share 0 trains on all; the pictures then show training images; eval says what is missing."""
    np.savez(tmp_path / "a.npz", X=rng.random((40, 4, 4)).astype(np.float32))
    code, out, err = minivae("train", "--data", "a.npz", "--test-share", 0, *SMALL, "--out", "run", cwd=tmp_path)
    assert code == 0 and "on 40 images of" in out and (tmp_path / "run/reconstructions.png").exists(), err
    for verb, words in (("reconstruct", "has no test images"), ("eval", "has no test images: name others with --data")):
        code, _, err = minivae(verb, "run", "--device", "cpu", cwd=tmp_path)
        assert code == 2 and words in err and err.count("\n") == 1
    code, _, err = minivae("eval", "run", "--split", "train", "--device", "cpu", cwd=tmp_path)
    assert code == 0, err


def test_a_split_seed_is_not_the_seed(tmp_path, rng):
    """Another --seed has the same test images, in the same order."""
    folder_of(tmp_path / "p", rng, each=20, size=(8, 8))
    for seed in (0, 1):
        code, _, err = minivae("train", "p", "--seed", seed, *SMALL, "--out", f"s{seed}", cwd=tmp_path)
        assert code == 0, err
    assert (tmp_path / "s0/source.png").read_bytes() == (tmp_path / "s1/source.png").read_bytes()
    assert (tmp_path / "s0/samples.png").read_bytes() != (tmp_path / "s1/samples.png").read_bytes()


def test_settings_and_runs_that_go_on(tmp_path, rng):
    """The settings of a run on pictures repeat it from anywhere; a run that goes on finds the same images."""
    folder_of(tmp_path / "p", rng, each=20, size=(70, 80))
    (tmp_path / "else").mkdir()
    runs = [tmp_path / name for name in ("one", "two", "three")]
    options = ("--hidden", "16", "--code", 4, "--device", "cpu", "--schedule", "constant", "--kl-warm-up", 0)
    for arguments, cwd in ((["p", "--fit", "pad", "--grey", "--epochs", 2, *options, "--out", runs[0]], tmp_path),
                           (["--config", runs[0] / "settings.toml", "--device", "cpu", "--out", runs[1]], tmp_path / "else"),
                           (["p", "--fit", "pad", "--grey", "--epochs", 1, *options, "--out", runs[2]], tmp_path),
                           (["--resume", runs[2], "--epochs", 2, "--device", "cpu"], tmp_path / "else")):
        code, out, err = minivae("train", *arguments, cwd=cwd)
        assert code == 0, err
    assert len({(run / "samples.png").read_bytes() for run in runs}) == 1
    assert len({(run / "reconstructions.png").read_bytes() for run in runs}) == 1
    (tmp_path / "p").rename(tmp_path / "moved")
    folder_of(tmp_path / "q", rng, each=20, size=(70, 80))
    for arguments, code, words in (
            (["reconstruct", runs[2]], 2, f"the data of {runs[2]} are no longer in {tmp_path / 'p'}: name the place "),
            (["train", "--resume", runs[2], "--epochs", 3], 2, "with --data"),
            (["train", "--config", runs[2], "--out", "a"], 2, f"{runs[2]} says that the data are in {tmp_path / 'p'}, but there is "
             f"nothing: write their new place into {runs[2]}/settings.toml, or name it with --data, and beside it how they"),
            (["train", "--config", runs[2], "--data", "nowhere", "--out", "a"], 2, "no data set 'nowhere'"),
            (["train", "--config", runs[2], "--data", "moved", "--fit", "pad", "--grey", "--out", "a"], 0, ""),
            (["train", "--resume", runs[2], "--epochs", 3, "--data", "q"], 1, "q holds other images or labels than those that"),
            (["train", "--resume", runs[2], "--epochs", 3, "--data", "moved"], 0, ""), (["reconstruct", runs[2]], 0, "")):
        got, out, err = minivae(*arguments, "--device", "cpu", cwd=tmp_path)
        assert got == code and words in err and "Traceback" not in err, err


@pytest.mark.parametrize(("arguments", "code", "words"), [
    (["p", "--data", "q"], 2, "PATH is p and --data is q"), (["p", "--fit", "x"], 2, "--fit"), (["p", "--size", "0"], 2, "--size is 0"),
    (["p", "--size", "1,2,3"], 2, "--size is 1,2,3"), (["p", "--size", "x"], 2, "no list of sizes"),
    (["p", "--labels-from", "no.csv"], 1, "no.csv cannot be read"), (["p", "--test-share", "2"], 2, "--test-share is 2"),
    (["p", "--labels", "4"], 2, "has no labels"), (["empty"], 2, "has no pictures"), (["one"], 2, "too few training images in"),
    (["bad"], 1, "none of the 1 pictures can be read, such as a.png"), (["--size", "8"], 2, "digits has images of its own size"),
    (["p", "--arch", "conv", "--size", "30,47"], 2, "--size is 30,47, but each of the 2 --channels halves height and width: take --size "
     "32,48, or fewer --channels"), (["p", "--arch", "conv", "--size", "9", "--channels", "2,2,2,2,2,2"], 2, "take --arch ff"),
    (["p/a.png"], 2, "a single picture"), (["p", "--split-seed", "-1"], 2, "--split-seed is -1")])
def test_what_is_refused(tmp_path, rng, arguments, code, words):
    """One line, no trace, no run."""
    for name, count in (("p", 6), ("one", 1), ("empty", 0)):
        (tmp_path / name).mkdir()
        for i in range(count):
            Image.fromarray(smooth(rng)).save(tmp_path / name / f"{'abcdef'[i]}.png")
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad" / "a.png").write_bytes(b"x")
    got, _, err = minivae("train", *arguments, *SMALL, cwd=tmp_path)
    lines = [line for line in err.splitlines() if not line.endswith(" ...")]
    assert got == code and len(lines) == 1 and words in lines[0] and "Traceback" not in err
    assert not (tmp_path / "runs").exists()
