"""Data sets of pictures: found, decoded once into the cache, split."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from dataclasses import replace
from itertools import chain
from math import prod

import numpy as np

from minivae.data import cache, split, survey
from minivae.data.dataset import Dataset
from minivae.data.decoding import CRASHES, each
from minivae.data.finding import shown
from minivae.data.listing import Listing
from minivae.data.reading import OF_A_SPLIT, Reading, refuse
from minivae.data.table import numbered
from minivae.errors import MinivaeError

NAMED = 10          # unreadable files that are named on the terminal
ENOUGH = 1000       # pictures that tell how many are unreadable
SAID = 10**9        # bytes of decoded pictures from which on it is said how many they are
FITTED = {"crop": "cropped at the centre", "pad": "padded", "stretch": "stretched"}


def load(name: str, listing: Listing, reading: Reading, say: Callable[[str], None]) -> Dataset:
    """The data set of a listing.

    Args:
        name: what it is called.
        say: is told what was left to the data, and what could not be read.

    Raises:
        UsageError: the reading asks for a split, but the folders have one.
        MinivaeError: too many pictures cannot be read, or the cache cannot be written.
    """
    if listing.test is not None:
        refuse(reading, OF_A_SPLIT, f"{shown(name)} has folders of its own to train on and to test with")
    files_key = listing.key()
    reading, why = _resolved(listing, reading, files_key)
    order = _order(listing, reading.split_seed)
    stored = _stored(listing, order, reading, files_key, say)
    skipped = sorted({*listing.refused, *((shown(name), reason) for name, reason in stored.unread)})
    _check_share(skipped, len(listing.files) + len(listing.refused), reading.skip_share)
    lost = {name for name, _ in stored.unread}
    kept = [i for i in order if listing.files[i].name not in lost] if lost else order
    dataset = _dataset(name, listing, reading, stored.images, kept, tuple(skipped))
    for line in chain(_described(dataset, listing, why), _named(skipped)):
        say(line)
    return dataset


def _resolved(listing: Listing, reading: Reading, key: str) -> tuple[Reading, str]:
    """The reading with what was left to the data, and the words for why."""
    if reading.size and reading.colour:
        return reading, ""
    found = survey.look_at(listing.paths, key)
    if not found.seen:
        raise MinivaeError(f"none of the {len(listing.files):,} pictures can be read, such as {shown(listing.files[0].name)}: "
                           f"{found.trouble}")
    size, why = survey.suggested(found)
    colour = "grey" if found.grey else "colour"
    reasons = ([] if reading.size else [f"{why}; --size for another"]) + (
        [] if reading.colour else ["all are grey" if found.grey else "not all are grey; --grey makes them so"])
    return replace(reading, size=reading.size or size, colour=reading.colour or colour), "; ".join(reasons)


def _order(listing: Listing, seed: int) -> list[int]:
    """The pictures as they lie in the cache: those to train on, then those that may be held out."""
    names = [file.name for file in listing.files]
    order = split.order(names, listing.labels, seed)
    if listing.test is None:
        return order
    return [i for i in order if not listing.test[i]] + [i for i in order if listing.test[i]]


def _stored(listing: Listing, order: list[int], reading: Reading, files_key: str, say) -> cache.Stored:
    """The decoded pictures, from the cache or into it."""
    shape = (*reading.size, 1 if reading.colour == "grey" else 3)
    path = cache.folder() / f"{cache.key(files_key, repr((shape, reading.fit)), np.array(order, np.int64).tobytes())}.images"
    try:
        stored = cache.load(path)
    except cache.Damaged as error:
        say(f"the decoded images in {path} are damaged ({error}): they are made again")
        stored = None
    if stored and _comes_back(listing, stored.unread, shape, reading):
        say("pictures that could not be decoded before can be now: all are decoded again")
        stored = None
    if stored is None:
        _decode(path, listing, order, shape, reading)
        stored = cache.load(path)
    if stored is None:
        raise MinivaeError(f"{path} is gone as soon as it was made: choose another folder with MINIVAE_CACHE")
    return stored


def _comes_back(listing: Listing, unread: list[tuple[str, str]], shape: tuple[int, int, int], reading: Reading) -> bool:
    """Whether a picture whose decoder crashed or hung no longer does so, as on a machine that was too busy, or low on memory."""
    paths = [os.path.join(listing.root, name) for name, reason in unread if reason == CRASHES]
    job = {"task": "decode", "shape": shape, "fit": reading.fit, "into": os.devnull, "start": 0}
    return bool(paths) and any(result.unreadable != CRASHES for result in each(job, paths))


def _decode(path, listing: Listing, order: list[int], shape: tuple[int, int, int], reading: Reading) -> None:
    """Decode all pictures into a file of the cache."""
    from minivae.progress import amount, counting

    names = [listing.files[i].name for i in order]
    paths = [os.path.join(listing.root, name) for name in names]
    total = len(listing.files) + len(listing.refused)
    digests, bad, seen = [""] * len(names), {}, len(listing.refused)
    size = len(names) * prod(shape)
    what = f"decoding {amount(len(names), 'picture')}" + (f", {size / 1e9:.1f} GB" if size >= SAID else "")
    with cache.making(path, len(names), shape) as part, counting(what, len(names)) as advance:
        job = {"task": "decode", "shape": shape, "fit": reading.fit, "into": part.path, "start": cache.HEAD}
        for result in each(job, paths, advance):
            seen += 1
            if result.unreadable is None:
                digests[result.index] = result.found
            else:
                bad[result.index] = result.unreadable
            if len(bad) + len(listing.refused) > most_skipped(total, reading.skip_share) and seen >= min(total, ENOUGH):
                refused = [*listing.refused, *((shown(names[i]), reason) for i, reason in bad.items())]
                _check_share(refused, total, reading.skip_share, seen if seen < total else 0)
        part.without(bad)
        content = hashlib.blake2b("".join(digests).encode(), digest_size=16).hexdigest()
        part.finish([(names[i], reason) for i, reason in sorted(bad.items())], content)


def most_skipped(total: int, share: float) -> int:
    """How many of so many files may be unreadable."""
    return int(total * share + 1e-9)


def _check_share(skipped: list[tuple[str, str]], total: int, share: float, seen: int = 0) -> None:
    """Raises:
        MinivaeError: more are unreadable than may be, or all; where it is given, of so many that were seen until now."""
    if len(skipped) <= most_skipped(total, share) and len(skipped) < total:
        return
    some = "; ".join(f"{name} ({reason})" for name, reason in skipped[:3])
    enough = np.ceil(len(skipped) / (seen or total) * 100) / 100
    found = f"{len(skipped):,} of {f'the first {seen:,} of ' if seen else ''}{total:,}"
    fix = f", or allow more with --skip-share {enough:g}{' if it goes on like this' if seen else ''}" if enough < 1 else ""
    raise MinivaeError(f"{found} pictures cannot be read, more than --skip-share {share:g} allows: {some}"
                       f"{'; ...' if len(skipped) > 3 else ''}; mend or remove them{fix}")


def _dataset(name: str, listing: Listing, reading: Reading, images: np.ndarray, order: list[int], skipped) -> Dataset:
    """The images, which are in that order, split; labels are numbered over all that are there."""
    if listing.test is None:
        train = len(order) - split.held_out(len(order), reading.test_share)
    else:
        train = sum(not listing.test[i] for i in order)
    labels, class_names = None, ()
    if listing.labels is not None:
        numbers, class_names = numbered([listing.labels[i] for i in order])
        labels = np.array(numbers, np.int64)
    return Dataset(name, images[:train], None if labels is None else labels[:train], images[train:],
                   None if labels is None else labels[train:], class_names, reading, skipped)


def _described(dataset: Dataset, listing: Listing, why: str):
    """Lines on what was made of the pictures."""
    height, width, channels = dataset.image_shape
    reading = dataset.reading
    colours, fitted = "grey" if channels == 1 else "colour", FITTED[reading.fit]
    yield f"pictures: {height} x {width} in {colours}, {fitted} where they are of another shape{f' ({why})' if why else ''}"
    how = "as the folders say" if listing.test is not None else f"by --split-seed {reading.split_seed}"
    classes = f"; {len(dataset.class_names):,} classes from {listing.origin}" if dataset.class_names else ""
    yield f"{len(dataset.train_images):,} to train on, {len(dataset.test_images):,} held out to test with, {how}{classes}"


def _named(skipped: list[tuple[str, str]]):
    """Lines on what could not be read."""
    if skipped:
        yield f"{len(skipped):,} cannot be read and {'is' if len(skipped) == 1 else 'are'} left out:"
        yield from (f"  {name}: {reason}" for name, reason in skipped[:NAMED])
    if len(skipped) > NAMED:
        yield f"  and {len(skipped) - NAMED:,} more"
