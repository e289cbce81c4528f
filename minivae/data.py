"""Data sets: the built-in digits, MNIST, Fashion-MNIST, or a folder of MNIST-style IDX files."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from math import prod
from pathlib import Path

import numpy as np

from minivae.errors import MinivaeError, UsageError

DEFAULT = "digits"
DIGITS_FOLDER = Path(__file__).parent / "digits"
DIGITS_TRAIN = 4_000

# In the order in which `_from_files` takes them.
STEMS = (
    "train-images-idx3-ubyte",
    "train-labels-idx1-ubyte",
    "t10k-images-idx3-ubyte",
    "t10k-labels-idx1-ubyte",
)

MAX_BYTES = 2**31
MAX_DIMENSIONS = 4
CHUNK = 1 << 20
DOWNLOAD_LIMIT = 64 << 20  # the largest file there is has 26 MB
DOWNLOAD_TIMEOUT = 30.0

TYPE_NAMES = {
    0x09: "signed bytes",
    0x0B: "16-bit integers",
    0x0C: "32-bit integers",
    0x0D: "32-bit floats",
    0x0E: "64-bit floats",
}


@dataclass(frozen=True)
class Source:
    """Where a named data set comes from.

    `address` ends in a slash; `sha256` holds the hex digests of the four gzipped files in the
    order of STEMS; `package` is the Debian package that ships them, into `package_folder`.
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

    Images are uint8 (N, H, W, C), C-contiguous; labels are uint8 (N,). Train and test images
    have the same H, W and C. `name` is the name or the path that the set was loaded by.
    """

    name: str
    train_images: np.ndarray
    train_labels: np.ndarray
    test_images: np.ndarray
    test_labels: np.ndarray

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """(H, W, C) of every image."""
        return self.train_images.shape[1:]


def load(name: str | os.PathLike = DEFAULT, folder: str | os.PathLike | None = None) -> Dataset:
    """Load a data set by its name (see NAMES) or by the path of a folder of four IDX files.

    A known name wins over a folder that is called the same; write `./mnist` for the folder.
    `mnist` and `fashion-mnist` are looked for in `folder` (where given), in the cache folder
    (see `cache_folder`) and where Debian's package puts them; else they are downloaded into the
    cache. `folder` goes with these two names only.

    Raises UsageError for an unknown name or a folder that is missing or incomplete, and
    MinivaeError for broken or disagreeing files and for a download that fails.
    """
    name = os.fspath(name)
    if folder is not None and name not in SOURCES:
        raise UsageError(
            f"a data folder goes with {' or '.join(SOURCES)} only, not with {name!r}: leave it out"
        )
    if name == DEFAULT:
        return _digits()
    if name in SOURCES:
        return _from_files(name, _find(name, folder))
    path = os.path.expanduser(name)
    if name and os.path.isdir(path):
        return _from_files(name, _complete(Path(path)))
    raise _unknown(name)


def cache_folder(name: str) -> Path:
    """The folder where the downloaded files of the data set `name` lie; it need not exist.

    The environment variable MINIVAE_CACHE, where set, replaces the user's cache folder.
    """
    base = os.environ.get("MINIVAE_CACHE")
    if not base:
        import platformdirs

        base = platformdirs.user_cache_dir("minivae")
    return Path(os.path.expanduser(base)) / "data" / name


def read_idx(path: str | os.PathLike) -> np.ndarray:
    """Read an IDX file of unsigned bytes, plain or gzipped, as a uint8 array of 1 to 4 dimensions.

    Gzip is told by the file's first bytes, not by its name. Memory stays within about the size
    that the header declares, and within the file's own, whichever is less. Raises MinivaeError
    where the file is missing, unreadable, damaged, of another type, or not as long as it says.
    """
    import gzip
    import zlib

    path = Path(path)
    try:
        with open(path, "rb") as raw:
            zipped = raw.read(2) == b"\x1f\x8b"
            raw.seek(0)
            return _parse_idx(gzip.GzipFile(fileobj=raw) if zipped else raw, path)
    except FileNotFoundError:
        raise MinivaeError(f"{path}: no such file; check the name, or put the file there") from None
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise _broken(path, f"damaged gzip data ({error})", "an intact gzip file") from error
    except OSError as error:
        reason = error.strerror or error
        raise MinivaeError(
            f"{path}: cannot be read ({reason}); check that it is a file that you may read"
        ) from error


def _parse_idx(stream, path: Path) -> np.ndarray:
    magic = _read_up_to(stream, 4)
    if len(magic) < 4:
        raise _broken(path, f"a header cut short after {len(magic)} bytes", "at least 4 bytes")
    if magic[:2] != b"\0\0":
        raise _broken(path, f"the first bytes {magic.hex(' ')}", "00 00 08 (an IDX file)")
    kind, rank = magic[2], magic[3]
    if kind != 0x08:
        found = TYPE_NAMES.get(kind, "an unknown type")
        raise _broken(path, f"IDX type 0x{kind:02x} ({found})", "0x08 (unsigned bytes)")
    if not 1 <= rank <= MAX_DIMENSIONS:
        raise _broken(path, f"{rank} dimensions", f"1 to {MAX_DIMENSIONS}")
    header = _read_up_to(stream, 4 * rank)
    if len(header) < 4 * rank:
        raise _broken(
            path, f"a header cut short after {4 + len(header)} bytes", f"{4 + 4 * rank} bytes"
        )
    shape = tuple(int(size) for size in np.frombuffer(header, ">u4"))
    size, text = prod(shape), " x ".join(map(str, shape))
    if size == 0 or size > MAX_BYTES:
        raise _broken(path, f"a declared size of {text}", f"1 to {MAX_BYTES} bytes in all")
    # One byte more than declared shows that there is more, and makes gzip check its checksum.
    body = _read_up_to(stream, size + 1)
    if len(body) != size:
        found = f"only {len(body)} bytes" if len(body) < size else f"more than {size} bytes"
        raise _broken(path, f"{found} after the header", f"the declared {text} = {size}")
    return np.frombuffer(body, np.uint8).reshape(shape)


def _read_up_to(stream, size: int) -> bytearray:
    # In chunks, as one read of `size` would set aside all that a lying header declares.
    body = bytearray()
    while len(body) < size:
        chunk = stream.read(min(CHUNK, size - len(body)))
        if not chunk:
            break
        body += chunk
    return body


def _broken(path: Path, found: str, expected: str) -> MinivaeError:
    return MinivaeError(
        f"{path}: found {found}, expected {expected}; replace it with an intact copy"
    )


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
        raise MinivaeError(
            f"{paths[0]} holds images of {sizes[0]} and {paths[2]} of {sizes[1]};"
            " use train and test files of the same data set"
        )
    return Dataset(name, train_images, train_labels, test_images, test_labels)


def _read_pair(images_path: Path, labels_path: Path) -> tuple[np.ndarray, np.ndarray]:
    images, labels = read_idx(images_path), read_idx(labels_path)
    for path, array, rank, what in (
        (images_path, images, 3, "images: count, height, width"),
        (labels_path, labels, 1, "labels: count"),
    ):
        if array.ndim != rank:
            raise _broken(path, f"{array.ndim}-dimensional data", f"{rank} ({what})")
    if len(images) != len(labels):
        raise MinivaeError(
            f"{images_path} holds {len(images)} images and {labels_path} {len(labels)} labels;"
            " use two files of the same data set"
        )
    return images[..., np.newaxis], labels


def _unknown(name: str) -> UsageError:
    import difflib

    if os.path.exists(os.path.expanduser(name)):
        return UsageError(f"{name!r} is a file, not a folder: name the folder that holds it")
    close = difflib.get_close_matches(name.lower(), NAMES, n=1, cutoff=0.5)
    hint = f" (did you mean {close[0]!r}?)" if close else ""
    return UsageError(
        f"no data set {name!r}{hint}: choose {', '.join(NAMES)},"
        " or the path of a folder that holds four IDX files"
    )


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


def _find(name: str, folder: str | os.PathLike | None) -> list[Path]:
    """The paths of the four files of a named set, in the order of STEMS."""
    places = [cache_folder(name)]
    if SOURCES[name].package_folder:
        places.append(SOURCES[name].package_folder)
    if folder is not None:
        given = Path(os.path.expanduser(folder))
        if not os.path.isdir(given):
            raise UsageError(f"no folder {given}: name one that exists, or leave it out")
        if _present(given):
            # Half a set is more likely a slip of the user's than a wish to have it downloaded.
            return _complete(given)
    for place in places:
        found = _present(place)
        if len(found) == len(STEMS):
            return list(found.values())
    return _download(name, cache_folder(name))


def _download(name: str, folder: Path) -> list[Path]:
    """Fetch into `folder` what it lacks; an earlier run may have got some of the files."""
    import http.client

    source, present = SOURCES[name], _present(folder)
    for stem, sha256 in zip(STEMS, source.sha256, strict=True):
        if stem in present:
            continue
        url = f"{source.address}{stem}.gz"
        try:
            folder.mkdir(parents=True, exist_ok=True)
            _fetch(url, folder / f"{stem}.gz", sha256)
        except (OSError, http.client.HTTPException, ValueError) as error:
            package = f"install Debian's package {source.package}, " if source.package else ""
            raise MinivaeError(  # urllib wraps the reason in "<urlopen error ...>"
                f"cannot download {url} into {folder} ({getattr(error, 'reason', error)}):"
                f" {package}put the four IDX files of {name} in that folder"
                f" (MINIVAE_CACHE moves it), or use --data {DEFAULT}"
            ) from error
    return _complete(folder)


def _fetch(url: str, target: Path, sha256: str) -> None:
    """Download `url` to `target`; ValueError, and no file, where its digest is not `sha256`."""
    import hashlib
    import urllib.request

    print(f"downloading {url} to {target}", file=sys.stderr)
    aside = target.with_name(f".{os.urandom(8).hex()}.part")
    digest, size = hashlib.sha256(), 0
    try:
        reply = urllib.request.urlopen(url, timeout=DOWNLOAD_TIMEOUT)
        with reply, open(aside, "xb") as out:
            while chunk := reply.read(CHUNK):
                size += len(chunk)
                if size > DOWNLOAD_LIMIT:
                    raise ValueError(f"it is larger than {DOWNLOAD_LIMIT} bytes")
                digest.update(chunk)
                out.write(chunk)
        if digest.hexdigest() != sha256:
            raise ValueError(f"SHA-256 {digest.hexdigest()} of {size} bytes, expected {sha256}")
        os.replace(aside, target)
    finally:
        aside.unlink(missing_ok=True)
