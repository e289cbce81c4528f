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
import zlib

import numpy as np

from minivae import arrays
from minivae.errors import MinivaeError, UsageError
from minivae.files import replacing

CODES = ("z", "mu")         # what is decoded, the first that is there
MOST = 2**27                # numbers in an array
FAULTS = (OSError, ValueError, EOFError, KeyError, NotImplementedError, RuntimeError, zipfile.BadZipFile, zlib.error)


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
    except FAULTS as error:
        why = (error.strerror if isinstance(error, OSError) else None) or error or type(error).__name__
        raise MinivaeError(f"{path} cannot be read as codes ({' '.join(str(why).split())}): name what minivae encode left, or "
                           "an .npz file with an array mu or z") from error
    codes = next((found[name] for name in CODES if name in found), None)
    if codes is None:
        raise MinivaeError(f"{path} holds no codes: it needs an array z or mu of shape (count, code), as minivae encode leaves "
                           "it")
    return codes, found.get("probabilities")


def _member(archive: zipfile.ZipFile, name: str) -> np.ndarray:
    with archive.open(name) as file:
        return _array(file, archive.getinfo(name).file_size)


def _array(file, size: int) -> np.ndarray:
    """The array of real numbers that an .npy file of `size` bytes holds; its header is believed where it fits that size.

    Raises:
        ValueError: another kind of array, or a header that does not fit.
    """
    shape, fortran, dtype = _header(file)
    count = math.prod(shape)
    if dtype.kind not in "fiu" or not 0 <= count <= MOST:
        raise ValueError(f"it holds {dtype} of shape {shape}, not at most {MOST} real numbers")
    if file.tell() + count * dtype.itemsize != size:
        raise ValueError(f"its header says an array of {dtype} and shape {shape}, which is not what follows")
    return np.frombuffer(file.read(count * dtype.itemsize), dtype).reshape(shape, order="F" if fortran else "C")


def _header(file) -> tuple[tuple[int, ...], bool, np.dtype]:
    """(shape, whether columns come first, dtype) of an .npy file, which is then at its numbers."""
    try:
        version = np.lib.format.read_magic(file)
        read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        return read(file)
    except Exception as error:      # a damaged header is parsed as Python's literals: there is no list of what that raises
        raise ValueError("it has no header of an array") from error
