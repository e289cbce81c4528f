"""Codes in files: what `minivae encode` leaves, and what `minivae decode` takes.

    names           (count,) strings: of the images
    mu, sigma       (count, code) float32: means and standard deviations of their codes
    z               (count, code) float32: draws from those, where they were asked for
    probabilities   (count, classes) float32: of a model that knows of classes

Nothing in such a file is unpickled, and nothing is read whose size is not what its header says.
"""

from __future__ import annotations

import math
import os
import zipfile

import numpy as np

from minivae import arrays, npy
from minivae.errors import MinivaeError, UsageError
from minivae.files import replacing

CODES = ("z", "mu")         # what is decoded, the first that is there
MOST = 2**27                # numbers in an array


def write(path: str | os.PathLike, **values: np.ndarray | None) -> None:
    """Write arrays by name, but those that are None, to `path`, *.npz.

    Raises:
        UsageError: the name has another ending.
        MinivaeError: the file cannot be written; what was there before is then as it was.
    """
    check_name(path)
    with replacing(path) as out:
        np.savez(out, **{name: array for name, array in values.items() if array is not None})


def check_name(path: str | os.PathLike) -> None:
    """Raises:
        UsageError: the name does not end in .npz."""
    if not str(path).lower().endswith(".npz"):
        raise UsageError(f"arrays go into .npz files, and {path} is not named so; choose a name that ends in .npz")


def read(path: str | os.PathLike, width: int) -> tuple[np.ndarray, np.ndarray | None]:
    """Codes from an .npz file of arrays, or from an .npy file of one.

    Args:
        width: numbers in a code of the model that they are for.

    Returns:
        codes: float32 (count, width), `z` where the file has it, else `mu`, or what the .npy file holds.
        probabilities: as the file has them, or None.

    Raises:
        UsageError: codes of another model, or NaN.
        MinivaeError: the file is missing, damaged, or holds no codes.
    """
    codes, probabilities = _arrays(path)
    if codes.ndim != 2 or codes.shape[1] != width or not len(codes):
        raise UsageError(f"{path} holds an array of shape {codes.shape}, but codes of this model are (count, {width}), at least "
                         "one: encode the images with this run")
    return arrays.codes(codes, width, str(path)), probabilities


def _arrays(path: str | os.PathLike) -> tuple[np.ndarray, np.ndarray | None]:
    """The codes and the probabilities of a file, as it has them."""
    try:
        if not zipfile.is_zipfile(path):
            with open(path, "rb") as file:
                return _array(file, os.fstat(file.fileno()).st_size), None
        with zipfile.ZipFile(path) as archive:
            found = {name: _member(archive, f"{name}.npy") for name in (*CODES, "probabilities")
                     if f"{name}.npy" in archive.namelist()}
    except (OSError, *npy.FAULTS) as error:
        why = (error.strerror if isinstance(error, OSError) else None) or npy.shortly(error)
        raise MinivaeError(f"{path} cannot be read as codes ({why}): name what minivae encode left, or "
                           "an .npz file with an array mu or z") from error
    codes = next((found[name] for name in CODES if name in found), None)
    if codes is None:
        raise MinivaeError(f"{path} holds no codes: it needs an array z or mu of shape (count, code), as minivae encode leaves "
                           "it")
    return codes, found.get("probabilities")


def _member(archive: zipfile.ZipFile, name: str) -> np.ndarray:
    entry = archive.getinfo(name)
    with npy.opened(archive, entry) as file:
        return _array(file, entry.file_size)


def _array(file, size: int) -> np.ndarray:
    """The array of real numbers that an .npy file of `size` bytes holds; its header is believed where it fits that size.

    Raises:
        ValueError: another kind of array, or a header that does not fit.
    """
    header = npy.header(file)
    if header.dtype.kind not in "fiu" or math.prod(header.shape) > MOST:
        raise ValueError(f"it holds {header.dtype} of shape {header.shape}, not at most {MOST} real numbers")
    if file.tell() + header.bytes != size:
        raise ValueError(f"its header says an array of {header.dtype} and shape {header.shape}, which is not what follows")
    return npy.body(file, header)
