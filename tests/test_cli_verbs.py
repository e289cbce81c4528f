"""The verbs over a trained run, as a person uses them: walks, codes, decoded images, reconstructions of given images."""

import numpy as np
import pytest
from command_line import ROOT, minivae
from data_sets import idx
from PIL import Image

from minivae import data, latent
from minivae.cli import chosen
from minivae.estimator import VAE
from minivae.pictures import walks


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Where two short trainings were made: plain, of a plain model, and few, of M2 with 200 labels."""
    folder = tmp_path_factory.mktemp("verbs")
    for name, more in (("plain", ()), ("few", ("--labels", 200, "--semi", "m2"))):
        code, _, err = minivae("train", "--epochs", 3, "--hidden", "32,16", "--code", 6, "--likelihood", "bernoulli", *more,
                               "--device", "cpu", "--out", name, cwd=folder)
        assert code == 0, err
    digits = data.load("digits").test_images
    for i in (0, 4):
        Image.fromarray(digits[i, ..., 0]).save(folder / f"{i}.png")
    (folder / "three").write_bytes(idx(digits[:3, ..., 0]))
    return folder


@pytest.fixture(scope="module")
def plain(folder):
    return VAE.load(folder / "plain", "cpu")


@pytest.fixture(scope="module")
def few(folder):
    return VAE.load(folder / "few", "cpu")


@pytest.fixture(scope="module")
def digits():
    return data.load("digits").test_images


def run(*arguments, cwd):
    """The output of a command that works and says nothing else."""
    code, out, err = minivae(*arguments, "--device", "cpu", cwd=cwd)
    assert (code, err) == (0, "")
    return out


def refused(*arguments, cwd, code=2):
    """The one line of a command that does not work."""
    got, out, err = minivae(*arguments, "--device", "cpu", cwd=cwd)
    assert (got, out, err.count("\n")) == (code, "", 1) and err.startswith("minivae: ")
    return err


def tiles(path, count, rows=1):
    """The images (rows, count, 28, 28) of a picture, each of which is enlarged to 56 pixels."""
    picture = np.asarray(Image.open(path))
    assert picture.shape == (rows * 58 - 2, count * 58 - 2)
    return np.stack([[picture[58 * r:58 * r + 56:2, 58 * c:58 * c + 56:2] for c in range(count)] for r in range(rows)])


def pixels(images):
    """Images as pictures have them."""
    return np.rint(np.clip(images, 0, 1)[..., 0] * 255).astype(np.uint8)


# ---- walks ----

def test_interpolate(folder, plain, digits, tmp_path):
    """A row from A to B, with both beside it; a file and a number of the data are the same; the arc is another way."""
    out = run("interpolate", folder / "plain", folder / "0.png", "test:4", "--out", "x.png", cwd=tmp_path)
    assert out == f"10 images between {folder / '0.png'} and test:4 in x.png\n"
    [row] = tiles(tmp_path / "x.png", 12)
    assert np.array_equal(row[1:-1], pixels(plain.interpolate(digits[0], digits[4])))
    assert np.array_equal(row[0], digits[0, ..., 0]) and np.array_equal(row[-1], digits[4, ..., 0])
    run("interpolate", folder / "plain", "#0", folder / "4.png", "--out", "y.png", cwd=tmp_path)
    assert (tmp_path / "x.png").read_bytes() == (tmp_path / "y.png").read_bytes()
    run("interpolate", folder / "plain", "test:0", "test:4", "--spherical", "--steps", 3, "--out", "z.png", cwd=tmp_path)
    [row] = tiles(tmp_path / "z.png", 5)
    assert np.array_equal(row[1:-1], pixels(plain.interpolate(digits[0], digits[4], 3, spherical=True)))


@pytest.mark.parametrize("ending", ["gif", "webp"])
def test_an_animation_goes_there_and_back(folder, plain, digits, tmp_path, ending):
    """Each frame is one image, large enough to see."""
    run("interpolate", folder / "plain", "test:0", "test:4", "--steps", 5, "--out", f"x.{ending}", cwd=tmp_path)
    images = pixels(plain.interpolate(digits[0], digits[4], 5))
    with Image.open(tmp_path / f"x.{ending}") as read:
        assert (read.n_frames, read.size) == (8, (224, 224))
        for i, place in enumerate([0, 1, 2, 3, 4, 3, 2, 1]):
            read.seek(i)
            assert np.array_equal(np.asarray(read.convert("L"))[::8, ::8], images[place])


def test_interpolate_between_classes(folder, few, digits, tmp_path):
    """From A's most probable class to B's, or under one."""
    run("interpolate", folder / "few", "test:0", "test:4", "--out", "x.png", cwd=tmp_path)
    run("interpolate", folder / "few", "test:0", "test:4", "--label", 3, "--out", "y.png", cwd=tmp_path)
    one, two = tiles(tmp_path / "x.png", 12)[0], tiles(tmp_path / "y.png", 12)[0]
    ends = few.reconstruct(digits[[0, 4]])
    assert np.array_equal(one[[1, -2]], pixels(ends)) and not np.array_equal(one[1:-1], two[1:-1])
    assert np.array_equal(two[1], pixels(few.decode(few.encode(digits[:1]), 3))[0])


def test_traverse(folder, plain, digits, tmp_path):
    """A row for each of the most active numbers; or those that are named, from an image's code."""
    out = run("traverse", folder / "plain", "--count", 2, "--out", "x.png", cwd=tmp_path)
    order = latent.by_activity(plain.encode(digits))[0]
    assert out == f"numbers {order[0]}, {order[1]} of the code, from -3 to 3, in x.png\n"
    rows = tiles(tmp_path / "x.png", 11, rows=2)
    assert np.array_equal(rows, pixels(walks.traversal(plain.model, None, order[:2], np.linspace(-3, 3, 11))))
    assert np.array_equal(rows[0, 5], rows[1, 5])       # the prior's mean itself
    run("traverse", folder / "plain", folder / "4.png", "--units", "5,0,1", "--range", 2, "--steps", 4, "--out", "y.png",
        cwd=tmp_path)
    expected = walks.traversal(plain.model, digits[4], (5, 0, 1), np.linspace(-2, 2, 4))
    assert np.array_equal(tiles(tmp_path / "y.png", 4, rows=3), pixels(expected))


def test_traverse_under_a_class_as_an_animation(folder, few, digits, tmp_path):
    """A tile for each number; of an image's own class, or another, and class 0 where there is no image."""
    own = int(few.classify(digits[4:5])[0])
    cases = (((), None, 0), (("test:4",), digits[4], own), (("test:4", "--label", 3), digits[4], 3))
    for i, (more, x, label) in enumerate(cases):
        run("traverse", folder / "few", *more, "--units", "0,1,2", "--steps", 2, "--out", f"{i}.gif", cwd=tmp_path)
        images = pixels(walks.traversal(few.model, x, (0, 1, 2), np.array([-3, 3]), label))
        with Image.open(tmp_path / f"{i}.gif") as read:
            assert (read.n_frames, read.size) == (2, (114, 114))
            for value in range(2):
                read.seek(value)
                frame = np.asarray(read.convert("L"))
                assert np.array_equal(frame[:56:2, :56:2], images[0, value])
                assert np.array_equal(frame[58::2, :56:2], images[2, value])


def test_the_most_active_are_as_many_as_there_are(folder, plain, digits, tmp_path):
    """Without --count, those that are active."""
    active = int(latent.is_active(latent.by_activity(plain.encode(digits))[1]).sum())
    out = run("traverse", folder / "plain", "--out", "x.png", cwd=tmp_path)
    assert 0 < active <= 6 and out.count(",") == active + 1


def test_a_code_that_says_nothing(tmp_path):
    """Where no number is active, that is said; named ones are drawn all the same."""
    code, _, err = minivae("train", "--epochs", 1, "--hidden", 8, "--code", 2, "--device", "cpu", "--out", "x", cwd=tmp_path)
    assert code == 0, err
    vae = VAE.load(tmp_path / "x", "cpu")
    for name, parameter in vae.model.named_parameters():
        if name == "heads.norm.gamma":
            parameter.data[...] = 0         # every mean code is the same
    vae.save(tmp_path / "x", overwrite=True)
    assert "no number of the codes of x is active" in refused("traverse", "x", cwd=tmp_path, code=1)
    run("traverse", "x", "--units", 1, cwd=tmp_path)
    assert (tmp_path / "x/traversal.png").exists()


# ---- codes ----

def test_encode(folder, plain, digits, tmp_path):
    """Names, means and deviations of pictures, files of many and numbers of the data, in their order."""
    out = run("encode", folder / "plain", "test:9", "three", folder / "4.png", "train:1", cwd=folder)
    assert out == f"6 codes of 6 numbers in {folder / 'plain/codes.npz'}\n"
    found = np.load(folder / "plain/codes.npz", allow_pickle=False)
    images = np.concatenate([digits[[9, 0, 1, 2, 4]], data.load("digits").train_images[1:2]])
    mu, sigma = plain.encode(images, sigma=True)
    assert found["names"].tolist() == ["test:9", "three[0]", "three[1]", "three[2]", str(folder / "4.png"), "train:1"]
    np.testing.assert_array_equal(found["mu"], mu, strict=True)
    np.testing.assert_array_equal(found["sigma"], sigma, strict=True)
    assert sorted(found) == ["mu", "names", "sigma"]


def test_encode_draws_codes(folder, tmp_path):
    """Of the distribution that mu and sigma say; the same seed gives the same."""
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        run("encode", folder / "plain", "test", "--sample", "--seed", seed, "--out", f"{name}.npz", cwd=tmp_path)
    a, b, c = (np.load(tmp_path / f"{name}.npz") for name in "abc")
    assert np.array_equal(a["z"], b["z"]) and not np.array_equal(a["z"], c["z"]) and len(a["names"]) == 1000
    eps = (a["z"] - a["mu"]) / a["sigma"]
    assert abs(eps.mean()) < 0.05 and abs(eps.std() - 1) < 0.05 and a["names"][7] == "test:7"


def test_decode(folder, plain, digits, tmp_path):
    """What was encoded: as a picture, as arrays, as a folder of pictures, as an animation; draws before means."""
    run("encode", folder / "plain", "test:0", "test:4", "test:9", "--out", "c.npz", cwd=tmp_path)
    expected = plain.reconstruct(digits[[0, 4, 9]])
    for out in ("x.png", "x.npz", "folder/", "x.gif"):
        assert run("decode", folder / "plain", "c.npz", "--out", out, cwd=tmp_path) == f"3 decoded images in {out}\n"
    np.testing.assert_array_equal(np.load(tmp_path / "x.npz")["images"], expected, strict=True)
    picture = np.asarray(Image.open(tmp_path / "x.png"))
    assert picture.shape == (114, 114) and np.array_equal(picture[58::2, :56:2], pixels(expected)[2])
    assert sorted(p.name for p in (tmp_path / "folder").iterdir()) == ["0.png", "1.png", "2.png"]
    assert np.array_equal(np.asarray(Image.open(tmp_path / "folder/1.png")), pixels(expected)[1])
    with Image.open(tmp_path / "x.gif") as read:
        assert read.n_frames == 4
    run("encode", folder / "plain", "test:0", "--sample", "--out", "z.npz", cwd=tmp_path)
    run("decode", folder / "plain", "z.npz", "--out", "z-images.npz", cwd=tmp_path)
    z = np.load(tmp_path / "z.npz")["z"]
    np.testing.assert_array_equal(np.load(tmp_path / "z-images.npz")["images"], plain.decode(z), strict=True)


def test_decode_under_a_class(folder, few, digits, tmp_path):
    """Each code's most probable, or one for all; an array alone needs one."""
    run("encode", folder / "few", "test:0", "test:4", "--out", "c.npz", cwd=tmp_path)
    mu = np.load(tmp_path / "c.npz")["mu"]
    np.save(tmp_path / "mu.npy", mu)
    run("decode", folder / "few", "c.npz", "--out", "x.npz", cwd=tmp_path)
    np.testing.assert_array_equal(np.load(tmp_path / "x.npz")["images"], few.reconstruct(digits[[0, 4]]), strict=True)
    run("decode", folder / "few", "mu.npy", "--label", 3, "--out", "y.npz", cwd=tmp_path)
    np.testing.assert_array_equal(np.load(tmp_path / "y.npz")["images"], few.decode(mu, 3), strict=True)
    assert "holds no probabilities of classes" in refused("decode", folder / "few", "mu.npy", "--out", "z.npz", cwd=tmp_path)
    np.savez(tmp_path / "odd.npz", mu=mu, probabilities=np.ones((2, 3), np.float32))
    said = refused("decode", folder / "few", "odd.npz", cwd=tmp_path)
    assert "probabilities of shape (2, 3), but its codes need (2, 10)" in said


def test_reconstruct_images_of_ones_own(folder, plain, digits, tmp_path):
    """Over their reconstructions, in the order of the names."""
    out = run("reconstruct", folder / "plain", folder / "4.png", "test:0", "--out", "x.png", cwd=tmp_path)
    assert out == "2 images and their reconstructions in x.png\n"
    rows = tiles(tmp_path / "x.png", 2, rows=2)
    assert np.array_equal(rows[0], digits[[4, 0], ..., 0])
    assert np.array_equal(rows[1], pixels(plain.reconstruct(digits[[4, 0]])))
    Image.new("RGB", (40, 90), "white").save(tmp_path / "tall.png")         # any size and colour
    run("reconstruct", folder / "plain", "tall.png", "--out", "y.png", cwd=tmp_path)
    assert (tiles(tmp_path / "y.png", 1, rows=2)[0] == 255).all()


# ---- what is refused ----

REFUSED = [
    (["interpolate", "plain", "test:0", "test:1000"], 2, "test:1000 is not there: digits has 1000 test images"),
    (["interpolate", "plain", "test:0", "three"], 2, "three holds 3 images, but one is needed: name one, such as test:0"),
    (["interpolate", "plain", "test:0", "train"], 2, "train holds 4000 images, but one is needed"),
    (["interpolate", "plain", "test:0", "no.png"], 1, "no.png cannot be read"),
    (["interpolate", "plain", "test:0"], 2, "Missing argument 'B'"),
    (["interpolate", "plain", "#1", "#2", "--steps", 1], 2, "--steps"),
    (["interpolate", "plain", "#1", "#2", "--out", "x.jpg"], 2, "ends in .png, .gif or .webp"),
    (["interpolate", "plain", "#1", "#2", "--label", 1], 2, "knows of no classes"),
    (["interpolate", "few", "#1", "#2", "--label", 10], 2, "label 10 is none of the model's classes 0 to 9"),
    (["interpolate", "nowhere", "#1", "#2"], 2, "there is no run in nowhere"),
    (["interpolate", "plain", "#1", "#2", "--data", "no/such"], 2, "no/such"),
    (["traverse", "plain", "--units", "6"], 2, "number 6 of a code of 6: take 0 to 5"),
    (["traverse", "plain", "--units", "a"], 2, "no list of sizes"),
    (["traverse", "plain", "--units", "1", "--count", "2"], 2, "leave one out"),
    (["traverse", "plain", "--count", 7], 2, "--count is 7, but a code of plain has 6 numbers"),
    (["traverse", "plain", "--range", 0], 2, "--range"), (["traverse", "plain", "--range", "nan"], 2, "--range"),
    (["traverse", "plain", "--label", 2], 2, "knows of no classes"),
    (["encode", "plain", "#1", "--out", "x.txt"], 2, "choose a name that ends in .npz"),
    (["encode", "plain"], 2, "Missing argument"), (["encode", "plain", "#1", "--out", "no/x.npz"], 1, "cannot write"),
    (["encode", "plain", ""], 2, "the name is empty"), (["decode", "plain", "three"], 1, "three cannot be read as codes"),
    (["decode", "plain", "no.npz"], 1, "No such file"),
    (["decode", "plain", "wide.npz"], 2, "an array of shape (2, 9), but codes of this model are (count, 6)"),
    (["decode", "plain", "nan.npz"], 2, "nan.npz holds NaN"),
    (["decode", "plain", "good.npz", "--out", "x.jpg"], 2, "or end it in / for a folder"),
    (["decode", "plain", "good.npz", "--out", "plain"], 2, "already holds other files"),
    (["decode", "plain", "good.npz", "--label", 1], 2, "knows of no classes"),
    (["decode", "few", "good.npz", "--label", 10**20], 2, f"label {10**20} is none of the model's classes 0 to 9"),
    (["sample", "few", "--label", 10**20], 2, f"label {10**20} is none of the model's classes 0 to 9"),
    (["decode", "plain", "many.npz", "--out", "x.gif"], 2, "many.npz holds 1001 codes, but a .gif file can show 1000"),
    (["decode", "plain", "many.npz", "--out", "x.webp"], 2, "but a .webp file can show 1000: take --out with a name"),
    (["encode", "plain", "three", "--data", "no/such"], 2, "--data is no/such, but no image of a data set is named"),
    (["reconstruct", "plain", "three", "--data", "digits"], 2, "--data is digits, but no image of a data set is named"),
    (["interpolate", "plain", "0.png", "4.png", "--data", "digits"], 2, "--data is digits, but no image of a data set"),
    (["traverse", "plain", "0.png", "--units", "1", "--data", "digits"], 2, "--data is digits, but no image of a data set"),
    (["encode", "plain", "test:" + "9" * 18], 2, "is not there: digits has 1000"),
    (["reconstruct", "plain", "#1", "--count", 2], 2, "leave one out"),
    (["reconstruct", "plain", "narrow"], 2, "narrow holds images of 28 x 20 x 1"),
]


@pytest.mark.parametrize(("arguments", "code", "words"), REFUSED,
                         ids=lambda a: "-".join(map(str, a)) if isinstance(a, list) else "")
def test_what_is_refused(folder, tmp_path, arguments, code, words):
    """One line, its exit code, nothing written."""
    if not (folder / "good.npz").exists():
        for name, mu in (("good", np.zeros((2, 6))), ("wide", np.zeros((2, 9))), ("nan", np.full((2, 6), np.nan)),
                         ("many", np.zeros((1001, 6)))):
            np.savez(folder / f"{name}.npz", mu=mu)
        (folder / "narrow").write_bytes(idx(np.zeros((3, 28, 20), np.uint8)))
    before = sorted(folder.rglob("*"))
    assert words in refused(*arguments, cwd=folder, code=code)
    assert sorted(folder.rglob("*")) == before


def test_a_run_on_arrays_asks_for_data(tmp_path, digits):
    """test:0 of a run that was trained from Python is of the data that are named."""
    VAE(hidden=(8,), code=2, epochs=1, device="cpu").fit(digits[:100], progress=False).save(tmp_path / "x")
    assert "name images for it with --data" in refused("encode", "x", "test:0", cwd=tmp_path)
    run("encode", "x", "test:0", "--data", "digits", cwd=tmp_path)
    assert np.load(tmp_path / "x/codes.npz")["mu"].shape == (1, 2)


def test_export(folder, tmp_path):
    """Two files, how well they agree, and no second export over the first."""
    pytest.importorskip("onnx")
    pytest.importorskip("onnxruntime")
    lines = run("export", folder / "few", "--out", "onnx", cwd=tmp_path).splitlines()
    assert lines[0] == ("onnx/encoder.onnx: images (count, 28, 28, 1) -> mu (count, 6), sigma (count, 6), probabilities "
                        "(count, 10)")
    assert lines[1] == "onnx/decoder.onnx: codes (count, 6), classes (count, 10) -> images (count, 28, 28, 1)"
    assert lines[2].startswith("opset 17; largest differences in onnxruntime ") and lines[2].count("e-0") == 4
    assert sorted(p.name for p in (tmp_path / "onnx").iterdir()) == ["decoder.onnx", "encoder.onnx"]
    assert "already holds other files: name a new folder" in refused("export", folder / "few", "--out", "onnx", cwd=tmp_path)


def test_export_without_onnx(folder, tmp_path):
    """One line that names the command; nothing is written."""
    code, out, err = minivae("export", folder / "plain", "--out", "onnx", "--device", "cpu", cwd=tmp_path,
                             PYTHONPATH=_without("onnx", tmp_path))
    assert (code, out, err.count("\n")) == (1, "", 1)
    assert "needs the package onnx: " in err and "install onnx onnxruntime" in err
    assert not (tmp_path / "onnx").exists()


def _without(package, folder):
    """A PYTHONPATH under which a package is not to be found."""
    (folder / "sitecustomize.py").write_text(
        "import importlib.util as u\nfound = u.find_spec\n"
        f"u.find_spec = lambda name, *more: None if name == {package!r} else found(name, *more)\n")
    return f"{folder}:{ROOT}"


def test_no_room(folder, tmp_path):
    """Where the disk is full, nothing is left."""
    for arguments in (["encode", folder / "plain", "test", "--out", "x.npz"], ["export", folder / "plain", "--out", "x"],
                      ["interpolate", folder / "plain", "#1", "#2", "--out", "x.gif"]):
        code, _, err = minivae(*arguments, "--device", "cpu", cwd=tmp_path, room=5_000)
        assert (code, err.count("\n")) == (1, 1)
        assert err.startswith(f"minivae: cannot write {tmp_path}/x") and "make room there" in err
        assert not list(tmp_path.iterdir())


def test_a_data_set_is_loaded_once(folder, plain, digits, monkeypatch):
    """Whatever lies between its images' names; all images of a split are what was loaded, not a copy of it."""
    loaded, dataset = [], data.load("digits")
    monkeypatch.setattr(chosen, "images_for", lambda *args: loaded.append(args) or dataset)
    names, found = chosen.images(plain, "plain", ("test:1", str(folder / "0.png"), "train:3"))
    assert names == ["test:1", str(folder / "0.png"), "train:3"] and len(loaded) == 1
    assert np.array_equal(found, [digits[1], digits[0], dataset.train_images[3]])
    names, found = chosen.images(plain, "plain", ("test",))
    assert found is dataset.test_images and names[999] == "test:999" and len(names) == 1000
