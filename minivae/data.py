"""Data sets: the built-in digits, MNIST, Fashion-MNIST, or a folder of MNIST-style IDX files."""

from __future__ import annotations

import difflib
import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from minivae import compiler
from minivae.errors import MinivaeError, UsageError
from minivae.idx import broken, read_idx

DEFAULT = "digits"
ARRAYS = "arrays"        # the name of a set that came from Python, not by a name or from a folder
DIGITS_FOLDER = Path(__file__).parent / "digits"
DIGITS_TRAIN = 4_000

# In the order in which `_from_files` takes them.
STEMS = (
    "train-images-idx3-ubyte",
    "train-labels-idx1-ubyte",
    "t10k-images-idx3-ubyte",
    "t10k-labels-idx1-ubyte",
)


@dataclass(frozen=True)
class Source:
    """Where a named data set comes from.

    `address` ends in a slash; `sha256` holds the hex digests of the four gzipped files in the order of
    STEMS; `package` is the Debian package that puts them into `package_folder`, where there is one.
    """

    address: str
    sha256: tuple[str, str, str, str]
    package: str | None = None
    package_folder: Path | None = None


SOURCES = {
    "fashion-mnist": Source(
        "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
        (
            "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84",
            "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845",
            "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073",
            "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5",
        ),
        package="dataset-fashion-mnist",
        package_folder=Path("/usr/share/datasets/fashion-mnist"),
    ),
    "mnist": Source(
        "https://storage.googleapis.com/cvdf-datasets/mnist/",
        (
            "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
            "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c",
            "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
            "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6",
        ),
    ),
}

NAMES = (DEFAULT, *SOURCES)  # what `load` knows by name


@dataclass(frozen=True, eq=False)
class Dataset:
    """Images and their labels, split into train and test.

    Images are (N, H, W, C), C-contiguous, uint8 from files, of ARRAYS also float32 in [0, 1]; labels are whole numbers (N,), of
    ARRAYS -1 where there is none, or None for no labels at all. Train and test images have the
    same H, W and C. `name` is the name or the path that the set was loaded by.
    """

    name: str
    train_images: np.ndarray
    train_labels: np.ndarray | None
    test_images: np.ndarray
    test_labels: np.ndarray | None

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """(H, W, C) of every image."""
        return self.train_images.shape[1:]


def load(name: str | os.PathLike = DEFAULT) -> Dataset:
    """Load a data set by its name (see NAMES) or by the path of a folder of four IDX files.

    A known name wins over a folder that is called the same; write `./mnist` for the folder. What is not
    built in is looked for in the cache folder (see `cache_folder`) and where Debian's package puts it,
    if there is one; else it is downloaded into the cache folder.

    Raises:
        UsageError: an unknown name, or a folder that lacks files.
        MinivaeError: files that are broken or disagree, or a download that failed.
    """
    name = os.fspath(name)
    if name == DEFAULT:
        return _digits()
    if name in SOURCES:
        return _from_files(name, _find(name))
    path = os.path.expanduser(name)
    if name and os.path.isdir(path):
        return _from_files(name, _complete(Path(path)))
    raise _unknown(name)


def cache_folder(name: str) -> Path:
    """The folder where the downloaded files of the data set `name` lie; it need not exist."""
    return compiler.cache_folder() / "data" / name


def _digits() -> Dataset:
    images_path = DIGITS_FOLDER / "mnist5k-images-idx3-ubyte.gz"
    labels_path = DIGITS_FOLDER / "mnist5k-labels-idx1-ubyte.gz"
    images, labels = _read_pair(images_path, labels_path)
    train, test = slice(None, DIGITS_TRAIN), slice(DIGITS_TRAIN, None)
    return Dataset(DEFAULT, images[train], labels[train], images[test], labels[test])


def _from_files(name: str, paths: list[Path]) -> Dataset:
    train_images, train_labels = _read_pair(paths[0], paths[1])
    test_images, test_labels = _read_pair(paths[2], paths[3])
    if train_images.shape[1:] != test_images.shape[1:]:
        sizes = ["{} x {}".format(*images.shape[1:3]) for images in (train_images, test_images)]
        raise MinivaeError(f"{paths[0]} holds images of {sizes[0]} and {paths[2]} of {sizes[1]}; "
                           "use train and test files of the same data set")
    return Dataset(name, train_images, train_labels, test_images, test_labels)


def _read_pair(images_path: Path, labels_path: Path) -> tuple[np.ndarray, np.ndarray]:
    images, labels = read_idx(images_path), read_idx(labels_path)
    for path, array, rank, what in (
        (images_path, images, 3, "images: count, height, width"),
        (labels_path, labels, 1, "labels: count"),
    ):
        if array.ndim != rank:
            raise broken(path, f"{array.ndim}-dimensional data", f"{rank} ({what})")
    if len(images) != len(labels):
        raise MinivaeError(f"{images_path} holds {len(images)} images and {labels_path} {len(labels)} "
                           "labels; use two files of the same data set")
    return images[..., np.newaxis], labels


def _unknown(name: str) -> UsageError:
    if os.path.exists(os.path.expanduser(name)):
        return UsageError(f"{name!r} is a file, not a folder: name the folder that holds it")
    close = difflib.get_close_matches(name.lower(), NAMES, n=1, cutoff=0.5)
    hint = f" (did you mean {close[0]!r}?)" if close else ""
    return UsageError(f"no data set {name!r}{hint}: choose {', '.join(NAMES)}, "
                      "or the path of a folder that holds four IDX files")


def _present(folder: Path) -> dict[str, Path]:
    found = {}
    for stem in STEMS:
        for path in (folder / stem, folder / f"{stem}.gz"):
            if os.path.isfile(path):  # unlike Path.is_file, False where it may not look
                found.setdefault(stem, path)
    return found


def _complete(folder: Path) -> list[Path]:
    found = _present(folder)
    missing = [f"{stem}[.gz]" for stem in STEMS if stem not in found]
    if missing:
        raise UsageError(f"the folder {folder} lacks {', '.join(missing)}: put the files there")
    return list(found.values())


def _find(name: str) -> list[Path]:
    """The paths of the four files of a named set, in the order of STEMS."""
    for place in filter(None, (cache_folder(name), SOURCES[name].package_folder)):
        found = _present(place)
        if len(found) == len(STEMS):
            return list(found.values())
    return _download(name, cache_folder(name))


def _download(name: str, folder: Path) -> list[Path]:
    """Fetch into `folder` what it lacks; an earlier run may have got some of the files."""
    from minivae.download import fetch      # the network's modules, a third of the start-up, only where needed
    source, present = SOURCES[name], _present(folder)
    for stem, sha256 in zip(STEMS, source.sha256, strict=True):
        if stem in present:
            continue
        try:
            fetch(f"{source.address}{stem}.gz", folder / f"{stem}.gz", sha256)
        except MinivaeError as error:
            package = f"install Debian's package {source.package}, " if source.package else ""
            raise MinivaeError(f"{error}; {package}put the four IDX files of {name} into {folder} "
                               f"(MINIVAE_CACHE moves it), or use --data {DEFAULT}") from error
    return _complete(folder)
