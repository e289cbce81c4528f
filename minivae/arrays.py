"""Arrays as people have them, checked and in the one form that the library works on."""

from __future__ import annotations

import math

import numpy as np

from minivae.errors import UsageError

CLASSES_READ = 1_000_000    # that labels may tell apart, whether they are trained with or not
CLASSES_TRAINED = 100_000   # that a model can know of: an output for each, and a row of so many numbers for every label
AT_ONCE = 1 << 12       # images that are checked at a time


def images(values, shape: tuple[int, ...] | None = None, name: str = "X") -> np.ndarray:
    """Images as (count, height, width, channels), uint8 as they are and floats in [0, 1] as float32.

    Args:
        values: an array, or what NumPy makes one of: (count, height, width), (count, height, width, channels), or where
            `shape` is given (count, pixels); of uint8, floats in [0, 1], or bools (True is white).
        shape: (height, width) or (height, width, channels) of every image; None for any.
        name: what errors call the array.

    Raises:
        TypeError: numbers of another kind, or an array on a GPU.
        UsageError: another shape, no images, NaN, or floats outside of [0, 1].
    """
    array = _on_host(values, name)
    if array.dtype == np.bool_:
        array = array.astype(np.uint8) * np.uint8(255)
    if array.dtype != np.uint8 and array.dtype.kind != "f":
        raise TypeError(f"{name} is of {array.dtype}, but must be of uint8 from 0 to 255 or of floats from 0 to 1; whole "
                        f"numbers from 0 to 255 become so with {name}.astype('uint8')")
    array = _in_shape(array, image_shape(shape) if shape is not None else None, name)
    if array.size == 0:
        raise UsageError(f"{name} is empty, of shape {array.shape}: give at least one image of at least one pixel")
    if array.dtype == np.uint8:
        return array
    _check_finite(array, name, "image")
    least, most = array.min(), array.max()
    if least < 0 or most > 1:
        fix = f"{name} / {most:.9g}" if least >= 0 else f"({name} - {name}.min()) / ({name}.max() - {name}.min())"
        raise UsageError(f"{name} has numbers from {least:.9g} to {most:.9g}, but floats must lie in [0, 1]: scale them, as "
                         f"with {fix}")
    return array.astype(np.float32, copy=False)


def image_shape(shape: tuple[int, ...]) -> tuple[int, int, int]:
    """(height, width, channels) of that, or of (height, width).

    Raises:
        UsageError: anything else.
    """
    sizes = tuple(shape) if isinstance(shape, (tuple, list)) else (shape,)
    if len(sizes) not in (2, 3) or not all(isinstance(s, (int, np.integer)) and s > 0 for s in sizes):
        raise UsageError(f"image_shape is {shape!r}, but must be (height, width) or (height, width, channels), each at "
                         "least 1")
    return tuple(int(size) for size in (*sizes, 1)[:3])


def codes(values, width: int, name: str = "Z") -> np.ndarray:
    """Codes as float32 (count, width).

    Raises:
        TypeError: no real numbers, or an array on a GPU.
        UsageError: another shape, no codes, NaN or infinities.
    """
    array = _on_host(values, name)
    if array.dtype.kind not in "fiu":
        raise TypeError(f"{name} is of {array.dtype}, but codes are real numbers")
    if array.ndim != 2 or array.shape[1] != width or len(array) == 0:
        raise UsageError(f"{name} is of shape {array.shape}, but codes of this model are (count, {width}), at least one; a "
                         f"single code is {name}[None]")
    _check_finite(array, name, "code")
    return array.astype(np.float32, copy=False)


def labels(values, count: int, name: str = "y") -> np.ndarray:
    """Labels of `count` images as int64 (count,): classes from 0 on, -1 for an image without one.

    Raises:
        TypeError: no whole numbers.
        UsageError: another number of labels, one below -1, or CLASSES_READ and more.
    """
    array = _on_host(values, name)
    huge = array.dtype.kind == "O" and array.size and all(isinstance(value, int) for value in array.flat)
    if array.dtype.kind not in "iu" and not huge:
        raise TypeError(f"{name} is of {array.dtype}, but labels are whole numbers, with -1 for none")
    if array.shape != (count,):
        raise UsageError(f"{name} is of shape {array.shape}, but must have a label for each of {count} images, -1 for none")
    if count and array.min() < -1:
        raise UsageError(f"{name} holds {array.min()}, but labels are classes from 0 on, or -1 for none")
    if count and array.max() >= CLASSES_READ:
        raise UsageError(f"{name} holds {array.max()}, but labels are classes from 0 to {CLASSES_READ - 1:,} at "
                         f"most, of which a model can know of 0 to {CLASSES_TRAINED - 1:,}: number the classes from 0 on")
    return array.astype(np.int64)


def known_labels(values, count: int, name: str = "y") -> np.ndarray:
    """Labels of `count` images, every one of which has a class; see labels().

    Raises:
        TypeError: no whole numbers.
        UsageError: as for labels(), or -1 among them.
    """
    found = labels(values, count, name)
    if found.min() < 0:
        raise UsageError(f"{name} has -1 for none, but here every image needs its label")
    return found


def images_and_labels(validation):
    """What an estimator takes as `validation` as two: images, and their labels or None for each that is not given. A list is
    a pair where its second entry is flat and its first is not, which no images are.

    Raises:
        UsageError: a tuple that is no pair.
    """
    if isinstance(validation, tuple) and len(validation) != 2:
        raise UsageError(f"validation has {len(validation)} entries, but must be images, or a pair of images and their "
                         "labels")
    if isinstance(validation, tuple) or (isinstance(validation, list) and len(validation) == 2
                                         and np.ndim(validation[1]) == 1 < np.ndim(validation[0])):
        return validation
    return validation, None


def _on_host(values, name: str) -> np.ndarray:
    if not isinstance(values, np.ndarray) and hasattr(values, "__cuda_array_interface__"):
        raise TypeError(f"{name} is an array on a GPU, of {type(values).__module__}, but must be one of NumPy: copy it to "
                        "the host, as with cupy.asnumpy")
    try:
        return np.asarray(values)
    except ValueError:      # lists of several lengths
        raise UsageError(f"{name} is no array: its entries are of several shapes; give all of them one") from None


def _in_shape(array: np.ndarray, shape: tuple[int, int, int] | None, name: str) -> np.ndarray:
    """The array as (count, height, width, channels)."""
    if shape is not None and array.ndim == 2 and array.shape[1] == math.prod(shape):
        return array.reshape(-1, *shape)
    whole = array[..., np.newaxis] if array.ndim == 3 else array
    if whole.ndim == 4 and shape in (None, whole.shape[1:]):
        return whole
    if shape is None:
        raise UsageError(f"{name} is of shape {array.shape}, but must be (count, height, width), (count, height, width, "
                         "channels), or (count, pixels) of a VAE with image_shape=(height, width)")
    height, width, channels = shape
    grey = f"(count, {height}, {width}), " if channels == 1 else ""
    one = f"; a single image is {name}[None]" if array.shape in (shape, shape[:2]) else ""
    raise UsageError(f"{name} is of shape {array.shape}, but must be {grey}(count, {height}, {width}, {channels}) or "
                     f"(count, {math.prod(shape)}){one}")


def _check_finite(array: np.ndarray, name: str, what: str) -> None:
    """Raises:
        UsageError: NaN or infinities, and where the first is."""
    for start in range(0, len(array), AT_ONCE):     # the whole may be a map of more than memory holds
        bad = ~np.isfinite(array[start:start + AT_ONCE]).reshape(min(AT_ONCE, len(array) - start), -1).all(1)
        if not bad.any():
            continue
        first = start + int(bad.argmax())
        raise UsageError(f"{name} holds NaN or infinite numbers, the first in {what} {first}: replace them or leave such "
                         f"{what}s out")
