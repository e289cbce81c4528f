"""Finding, downloading and loading data sets: what is right comes through, what is wrong is named."""

import dataclasses
import functools
import gzip
import hashlib
import http.server
import threading

import numpy as np
import pytest
from test_idx import idx, message

from minivae import data, files
from minivae.data import download
from minivae.data.idx import read_idx
from minivae.errors import MinivaeError, UsageError
from minivae.host import compiler


def write_set(folder, train=6, test=4, size=(5, 3), zipped=True, replace=None):
    """Write four small IDX files; `replace` maps a stem to other contents (None: left out)."""
    folder.mkdir(parents=True, exist_ok=True)
    contents = {
        "train-images-idx3-ubyte": idx((train, *size)),
        "train-labels-idx1-ubyte": idx((train,)),
        "t10k-images-idx3-ubyte": idx((test, *size)),
        "t10k-labels-idx1-ubyte": idx((test,)),
    } | (replace or {})
    for stem, content in contents.items():
        if content is not None and zipped:
            (folder / f"{stem}.gz").write_bytes(gzip.compress(content, mtime=0))
        elif content is not None:
            (folder / stem).write_bytes(content)
    return folder


@pytest.fixture
def alone(tmp_path, monkeypatch):
    """No data set is to be found but in this cache folder, and nothing answers downloads."""
    monkeypatch.setenv("MINIVAE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("no_proxy", "*")
    for name, source in list(data.SOURCES.items()):
        # Port 0 can never be connected to, so no test can reach the true addresses.
        lone = dataclasses.replace(source, address="http://127.0.0.1:0/", package_folder=None)
        monkeypatch.setitem(data.SOURCES, name, lone)
    return tmp_path / "cache" / "data"


# --- errors ---------------------------------------------------------------------------------


def test_errors_are_one_line_and_have_exit_codes():
    assert str(MinivaeError("a\nb\r\nc")) == "a b c"
    assert (MinivaeError.exit_code, UsageError.exit_code) == (1, 2)
    assert issubclass(UsageError, MinivaeError)


# --- the built-in digits --------------------------------------------------------------------


def test_the_digits_have_their_shapes_and_are_balanced():
    digits = data.load()
    assert digits.name == "digits" and digits.image_shape == (28, 28, 1)
    assert digits.train_images.shape == (4000, 28, 28, 1)
    assert digits.test_images.shape == (1000, 28, 28, 1)
    for array in (digits.train_images, digits.test_images):
        assert array.dtype == np.uint8 and array.flags.c_contiguous
        assert array.min() == 0 and array.max() == 255
    assert digits.train_labels.dtype == digits.test_labels.dtype == np.uint8
    assert np.bincount(digits.train_labels).tolist() == [400] * 10
    assert np.bincount(digits.test_labels).tolist() == [100] * 10


def test_the_digits_split_is_the_first_4000_and_the_last_1000_with_none_in_both():
    digits = data.load("digits")
    images = read_idx(data.DIGITS_FOLDER / "mnist5k-images-idx3-ubyte.gz")
    assert np.array_equal(digits.train_images[..., 0], images[:4000])
    assert np.array_equal(digits.test_images[..., 0], images[4000:])
    train = {image.tobytes() for image in digits.train_images}
    assert not train & {image.tobytes() for image in digits.test_images}


# --- folders and names ----------------------------------------------------------------------


@pytest.mark.parametrize("zipped", [False, True])
def test_a_folder_is_loaded_by_its_path(tmp_path, zipped):
    folder = write_set(tmp_path / "set", zipped=zipped)
    loaded = data.load(str(folder))
    assert loaded.name == str(folder) and loaded.image_shape == (5, 3, 1)
    assert loaded.train_images.shape == (6, 5, 3, 1) and loaded.test_images.shape == (4, 5, 3, 1)
    assert loaded.train_labels.tolist() == [*range(6)]
    assert loaded.test_labels.tolist() == [*range(4)]
    assert loaded.train_images[1, 0, 2, 0] == 17
    assert loaded.train_images.flags.c_contiguous


def test_a_folder_that_lacks_files_is_refused_by_their_names(tmp_path):
    replace = {"t10k-labels-idx1-ubyte": None, "train-images-idx3-ubyte": None}
    text = message(UsageError, data.load, write_set(tmp_path / "set", replace=replace))
    assert "train-images-idx3-ubyte" in text and "t10k-labels-idx1-ubyte" in text
    assert "train-labels" not in text and "t10k-images" not in text


@pytest.mark.parametrize(
    ("name", "closest"),
    [("digit", "'digits'"), ("MNIST", "'mnist'"), ("fashion", "'fashion-mnist'")],
)
def test_an_unknown_name_is_answered_with_the_closest(tmp_path, monkeypatch, name, closest):
    monkeypatch.chdir(tmp_path)
    text = message(UsageError, data.load, name)
    assert f"did you mean {closest}" in text
    for known in data.NAMES:
        assert known in text


def test_a_name_that_is_like_none_gets_the_names_and_no_guess(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("", "qqq", "no/such/folder", "nul\0byte"):
        text = message(UsageError, data.load, name)
        assert "did you mean" not in text and "digits, fashion-mnist, mnist" in text


def test_a_file_in_place_of_a_folder_is_named_as_such(tmp_path):
    path = tmp_path / "file"
    path.touch()
    assert "a file of no kind that is read: name a folder" in message(UsageError, data.load, path)


def test_images_and_labels_that_disagree_in_number_are_named(tmp_path):
    folder = write_set(tmp_path / "set", replace={"t10k-labels-idx1-ubyte": idx((9,))})
    text = message(MinivaeError, data.load, folder)
    for part in ("t10k-images-idx3-ubyte", "4 images", "t10k-labels-idx1-ubyte", "9 labels"):
        assert part in text


def test_train_and_test_images_of_different_size_are_named(tmp_path):
    folder = write_set(tmp_path / "set", replace={"t10k-images-idx3-ubyte": idx((4, 3, 5))})
    text = message(MinivaeError, data.load, folder)
    assert "5 x 3" in text and "3 x 5" in text


@pytest.mark.parametrize(
    ("stem", "shape", "expected"),
    [
        ("train-images-idx3-ubyte", (6, 15), "2-dimensional data, expected 3"),
        ("train-images-idx3-ubyte", (6, 5, 3, 1), "4-dimensional data, expected 3"),
        ("t10k-labels-idx1-ubyte", (4, 1), "2-dimensional data, expected 1"),
    ],
)
def test_files_of_the_wrong_rank_are_named(tmp_path, stem, shape, expected):
    folder = write_set(tmp_path / "set", replace={stem: idx(shape)})
    text = message(MinivaeError, data.load, folder)
    assert stem in text and expected in text


# --- where a named set is looked for --------------------------------------------------------


def test_the_cache_comes_before_the_package(alone, tmp_path, monkeypatch):
    package = write_set(tmp_path / "package", train=11)
    lone = dataclasses.replace(data.SOURCES["fashion-mnist"], package_folder=package)
    monkeypatch.setitem(data.SOURCES, "fashion-mnist", lone)
    loaded = data.load("fashion-mnist")
    assert len(loaded.train_images) == 11 and loaded.name == "fashion-mnist"
    write_set(alone / "fashion-mnist", train=12)
    assert len(data.load("fashion-mnist").train_images) == 12


def test_half_a_set_in_the_cache_does_not_hide_the_package(alone, tmp_path, monkeypatch):
    package = write_set(tmp_path / "package", train=11)
    lone = dataclasses.replace(data.SOURCES["fashion-mnist"], package_folder=package)
    monkeypatch.setitem(data.SOURCES, "fashion-mnist", lone)
    write_set(alone / "fashion-mnist", replace={"t10k-labels-idx1-ubyte": None})
    assert len(data.load("fashion-mnist").train_images) == 11


def test_data_lies_beside_the_kernels_in_the_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("MINIVAE_CACHE", str(tmp_path))
    assert data.cache_folder("mnist") == tmp_path / "data" / "mnist"
    monkeypatch.delenv("MINIVAE_CACHE")
    assert data.cache_folder("mnist") == compiler.cache_folder() / "data" / "mnist"


def test_only_fashion_mnist_has_a_package():
    assert {name for name, source in data.SOURCES.items() if source.package_folder} == {"fashion-mnist"}
    assert all(bool(source.package) == bool(source.package_folder) for source in data.SOURCES.values())


def test_fashion_mnist_from_the_package_is_whole(tmp_path, monkeypatch):
    if not data.SOURCES["fashion-mnist"].package_folder.is_dir():
        pytest.skip("Debian's package dataset-fashion-mnist is not installed")
    monkeypatch.setenv("MINIVAE_CACHE", str(tmp_path))
    fashion = data.load("fashion-mnist")
    assert fashion.train_images.shape == (60000, 28, 28, 1)
    assert fashion.test_images.shape == (10000, 28, 28, 1)
    assert np.bincount(fashion.train_labels).tolist() == [6000] * 10
    assert np.bincount(fashion.test_labels).tolist() == [1000] * 10
    assert not list(tmp_path.iterdir())


# --- downloads ------------------------------------------------------------------------------


class Quiet(http.server.SimpleHTTPRequestHandler):
    """Serves a folder and notes what was asked for."""

    def log_message(self, *args):
        self.server.asked.append(self.path)


@pytest.fixture
def served(alone, tmp_path, monkeypatch):
    """A small mnist behind a local server; gives (server, its folder, the cache folder)."""
    folder = write_set(tmp_path / "served", train=8)
    handler = functools.partial(Quiet, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        server.asked = []
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        sums = [hashlib.sha256((folder / f"{s}.gz").read_bytes()).hexdigest() for s in data.STEMS]
        address = f"http://127.0.0.1:{server.server_port}/"
        monkeypatch.setitem(data.SOURCES, "mnist", data.Source(address, tuple(sums)))
        yield server, folder, alone / "mnist"
        server.shutdown()


def listing(folder):
    return sorted(path.name for path in folder.iterdir())


def test_a_download_fills_the_cache_once_and_says_so(served, capsys):
    server, folder, cache = served
    assert len(data.load("mnist").train_images) == 8
    assert listing(cache) == listing(folder)
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.count("downloading http://127.0.0.1") == 4 and str(cache) in printed.err
    data.load("mnist")
    assert len(server.asked) == 4 and capsys.readouterr().err == ""


def test_a_later_run_goes_on_with_the_files_it_lacks(served):
    server, folder, cache = served
    write_set(cache, train=8, replace={"t10k-images-idx3-ubyte": None})
    data.load("mnist")
    assert len(server.asked) == 1 and "t10k-images" in server.asked[0]


def test_a_wrong_hash_is_refused_and_leaves_nothing(served):
    _, folder, cache = served
    with open(folder / "train-images-idx3-ubyte.gz", "ab") as out:
        out.write(b"x")
    text = message(MinivaeError, data.load, "mnist")
    for part in ("train-images-idx3-ubyte.gz", "SHA-256", str(cache), "--data digits"):
        assert part in text
    assert listing(cache) == []


def test_a_download_that_is_too_large_is_broken_off(served, monkeypatch):
    monkeypatch.setattr(download, "LIMIT", 10)
    assert "larger than 10 bytes" in message(MinivaeError, data.load, "mnist")
    assert listing(served[2]) == []


def test_a_download_that_breaks_off_leaves_nothing(served, monkeypatch):
    def half(self):
        self.send_response(200)
        self.send_header("Content-Length", "1000")
        self.end_headers()
        self.wfile.write(b"x" * 10)

    monkeypatch.setattr(Quiet, "do_GET", half)
    assert "train-images-idx3-ubyte.gz" in message(MinivaeError, data.load, "mnist")
    assert listing(served[2]) == []


def test_a_full_disk_leaves_nothing_and_is_named(served, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(files.os, "replace", full)
    text = message(MinivaeError, data.load, "mnist")
    assert "No space left" in text and "MINIVAE_CACHE" in text
    assert listing(served[2]) == []


def test_a_file_that_the_server_lacks_is_named(served):
    (served[1] / "train-labels-idx1-ubyte.gz").unlink()
    text = message(MinivaeError, data.load, "mnist")
    assert "train-labels-idx1-ubyte.gz" in text and "not found" in text.lower()
    assert listing(served[2]) == ["train-images-idx3-ubyte.gz"]


def test_a_server_that_does_not_speak_http_is_an_error_like_any_other(served, monkeypatch):
    monkeypatch.setattr(Quiet, "do_GET", lambda self: self.wfile.write(b"nonsense\r\n"))
    assert "nonsense" in message(MinivaeError, data.load, "mnist")
    assert listing(served[2]) == []


def test_without_a_server_the_alternatives_are_named(alone):
    text = message(MinivaeError, data.load, "fashion-mnist")
    for part in ("dataset-fashion-mnist", str(alone / "fashion-mnist"), "--data digits"):
        assert part in text
    assert "Debian" not in message(MinivaeError, data.load, "mnist")
    assert listing(alone / "fashion-mnist") == []


def test_a_cache_that_cannot_be_made_is_named(served, tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setenv("MINIVAE_CACHE", str(tmp_path / "file"))
    text = message(MinivaeError, data.load, "mnist")
    assert str(tmp_path / "file") in text and "MINIVAE_CACHE" in text
    assert served[0].asked == []


def test_the_true_addresses_have_whole_hashes():
    for source in data.SOURCES.values():
        assert source.address.startswith("http") and source.address.endswith("/")
        assert len(set(source.sha256)) == 4
        assert all(len(bytes.fromhex(digest)) == 32 for digest in source.sha256)
