"""Whatever holds images, by its name or its path, as a data set."""

from __future__ import annotations

import difflib
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from minivae.data import array_files, idx_files, kinds, listing, named, pictures
from minivae.data.dataset import Dataset
from minivae.data.finding import shown
from minivae.data.picture import is_named_so
from minivae.data.reading import FOLDERS, OF_A_SPLIT, OF_PICTURES, Reading, refuse
from minivae.errors import MinivaeError, UsageError

TABLES = (".csv", ".tsv")


def load(name: str | os.PathLike = named.DEFAULT, reading: Reading = Reading(),
         say: Callable[[str], None] = lambda line: None) -> Dataset:
    """Load a data set by its name (see NAMES) or by a path: of a folder of four IDX files, of a folder of pictures, of an
    .npz, .npy or IDX file, or of a CSV table of pictures.

    A known name wins over a folder that is called the same; write `./mnist` for the folder.

    Args:
        reading: how files become images.
        say: is told what was left to the data, and which pictures could not be read.

    Raises:
        UsageError: an unknown name, a folder without images, or a reading that does not go with the data.
        MinivaeError: files that are broken or disagree, or a download that failed.
    """
    name = os.fspath(name)
    if name in named.NAMES:
        refuse(reading, OF_PICTURES | OF_A_SPLIT, f"{name} has images of its own size and a split of its own")
        return named.load(name)
    path = os.path.expanduser(name)
    if not name or "\0" in name or not os.path.lexists(path):
        raise _unknown(name)
    if shown(name) != name:
        raise UsageError(f"the name {shown(name)} has characters that no settings can hold: rename it, or give a link to it")
    return _folder(name, path, reading, say) if os.path.isdir(path) else _file(name, path, reading, say)


def _folder(name: str, path: str, reading: Reading, say) -> Dataset:
    found = idx_files.present(Path(path))
    if found:
        refuse(reading, OF_PICTURES | OF_A_SPLIT, f"{name} holds IDX files, with images of one size and a split of their own")
        return idx_files.from_four(name, idx_files.complete(Path(path)))
    return pictures.load(name, listing.of_folder(path, reading.labels_from), reading, say)


def _file(name: str, path: str, reading: Reading, say) -> Dataset:
    if not os.path.isfile(path):
        raise UsageError(f"{name!r} is no regular file, nor a folder: name one")
    if path.lower().endswith(TABLES):
        refuse(reading, {"labels_from": OF_PICTURES["labels_from"]}, f"the labels are in {name} itself")
        return pictures.load(name, listing.of_table(path), reading, say)
    kind = _kind(path)
    if kind is None:
        alone = "a single picture: name the folder that holds it" if is_named_so(path) else (
            "a file of no kind that is read: name a folder of pictures, a CSV table of them, an .npz, .npy or IDX file")
        raise UsageError(f"{name!r} is {alone}")
    refuse(reading, OF_PICTURES, f"the images of {name} have a size and colours already")
    if kind != kinds.IDX:
        return array_files.load(name, path, kind, reading, say)
    images = idx_files.read_images(path)
    return array_files.held_out(Dataset(name, images, None, images[:0], None), reading, say)


def _kind(path: str) -> str | None:
    try:
        return kinds.kind_of(path)
    except OSError as error:
        raise MinivaeError(f"{path} cannot be read ({error.strerror or error}): name a file that you may read") from error


def _unknown(name: str) -> UsageError:
    close = difflib.get_close_matches(name.lower(), named.NAMES, n=1, cutoff=0.5)
    hint = f" (did you mean {close[0]!r}?)" if close else ""
    return UsageError(f"no data set {name!r}{hint}: choose {', '.join(named.NAMES)}, or the path of a folder of pictures, of a "
                      "folder that holds four IDX files, or of an .npz, .npy, IDX or CSV file")


def absolute(name: str, reading: Reading) -> tuple[str, Reading]:
    """The name and the reading as they can be used from any folder."""
    if name not in named.NAMES:
        name = str(Path(os.path.expanduser(name)).resolve())
    if reading.labels_from != FOLDERS:
        reading = replace(reading, labels_from=str(Path(reading.labels_from).resolve()))
    return name, reading


def fitting(name: str, reading: Reading, image_shape: tuple[int, int, int], own: bool) -> Reading:
    """How the images of a data set come to the shape that a trained model takes.

    Args:
        reading: of the data that it was trained on.
        own: whether those are the ones.
    """
    if own:
        return reading
    path = os.path.expanduser(name)
    of_pictures = path.lower().endswith(TABLES) or (os.path.isdir(path) and not idx_files.present(Path(path)))
    if name in named.NAMES or not of_pictures:
        return Reading()
    height, width, channels = image_shape
    return Reading(size=(height, width), fit=reading.fit, colour="grey" if channels == 1 else "colour")
