"""Data sets that are known by name: the built-in digits, MNIST, Fashion-MNIST."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from minivae.data import idx_files
from minivae.data.dataset import Dataset
from minivae.data.idx_files import STEMS
from minivae.errors import MinivaeError
from minivae.host import compiler

DEFAULT = "digits"
DIGITS_FOLDER = Path(__file__).parents[1] / "digits"
DIGITS_TRAIN = 4_000


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


def load(name: str) -> Dataset:
    """The data set of that name, one of NAMES.

    What is not built in is looked for in the cache folder (see `cache_folder`) and where Debian's package puts it, if there
    is one; else it is downloaded into the cache folder.

    Raises:
        MinivaeError: files that are broken or disagree, or a download that failed.
    """
    return _digits() if name == DEFAULT else idx_files.from_four(name, _find(name))


def cache_folder(name: str) -> Path:
    """The folder where the downloaded files of the data set `name` lie; it need not exist."""
    return compiler.cache_folder() / "data" / name


def _digits() -> Dataset:
    images_path = DIGITS_FOLDER / "mnist5k-images-idx3-ubyte.gz"
    labels_path = DIGITS_FOLDER / "mnist5k-labels-idx1-ubyte.gz"
    images, labels = idx_files.read_pair(images_path, labels_path)
    train, test = slice(None, DIGITS_TRAIN), slice(DIGITS_TRAIN, None)
    return Dataset(DEFAULT, images[train], labels[train], images[test], labels[test])


def _find(name: str) -> list[Path]:
    """The paths of the four files of a named set, in the order of STEMS."""
    for place in filter(None, (cache_folder(name), SOURCES[name].package_folder)):
        found = idx_files.present(place)
        if len(found) == len(STEMS):
            return list(found.values())
    return _download(name, cache_folder(name))


def _download(name: str, folder: Path) -> list[Path]:
    """Fetch into `folder` what it lacks; an earlier run may have got some of the files."""
    from minivae.data.download import fetch      # the network's modules, a third of the start-up, only where needed
    source, present = SOURCES[name], idx_files.present(folder)
    for stem, sha256 in zip(STEMS, source.sha256, strict=True):
        if stem in present:
            continue
        try:
            fetch(f"{source.address}{stem}.gz", folder / f"{stem}.gz", sha256)
        except MinivaeError as error:
            package = f"install Debian's package {source.package}, " if source.package else ""
            raise MinivaeError(f"{error}; {package}put the four IDX files of {name} into {folder} "
                               f"(MINIVAE_CACHE moves it), or use --data {DEFAULT}") from error
    return idx_files.complete(folder)
