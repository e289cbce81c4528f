"""Checkpoints: arrays by name and what is needed to use them, in one safetensors file.

Nothing in such a file can run code. A checksum over all of it tells a damaged file from a whole one.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from minivae.errors import MinivaeError
from minivae.files import replacing

FORMAT = "minivae 1"


def save(path: str | os.PathLike, arrays: dict[str, np.ndarray], facts: dict) -> None:
    """Write a checkpoint; a file of that name is replaced only once the new one is whole.

    Args:
        arrays: host arrays by name.
        facts: anything that JSON holds: settings, epoch, step.

    Raises:
        MinivaeError: it cannot be written.
    """
    from safetensors.numpy import save as to_bytes
    arrays = {name: np.ascontiguousarray(a) for name, a in arrays.items()}
    told = json.dumps(facts)
    metadata = {"format": FORMAT, "facts": told, "sha256": _digest(arrays, told)}
    with replacing(path) as file:
        file.write(to_bytes(arrays, metadata))


def load(path: str | os.PathLike) -> tuple[dict[str, np.ndarray], dict]:
    """(arrays, facts) of a checkpoint.

    Raises:
        MinivaeError: it is missing, cannot be read, is damaged, or is none of minivae's.
    """
    with _opened(path) as (file, metadata):
        arrays, told = {name: file.get_tensor(name) for name in file.keys()}, metadata.get("facts", "")
        if metadata.get("sha256") != _digest(arrays, told):
            raise MinivaeError(f"the checkpoint {path} is damaged: its checksum does not fit its content; take another "
                               "copy or train again")
        return arrays, json.loads(told)


def facts(path: str | os.PathLike):
    """The facts of a checkpoint, without a look at its arrays or the checksum over them.

    Raises:
        MinivaeError: as load() does.
    """
    with _opened(path) as (_, metadata):
        return json.loads(metadata.get("facts", ""))


@contextmanager
def _opened(path: str | os.PathLike) -> Iterator[tuple]:
    """(file, metadata) of a checkpoint; what is wrong with it within the context is a MinivaeError, too."""
    from safetensors import SafetensorError, safe_open
    path = Path(path)
    try:
        with safe_open(path, framework="numpy") as file:
            metadata = file.metadata() or {}
            if metadata.get("format") != FORMAT:
                raise MinivaeError(f"{path} is no checkpoint of this minivae: its format is {metadata.get('format')!r}, "
                                   f"expected {FORMAT!r}")
            yield file, metadata
    except FileNotFoundError:
        raise MinivaeError(f"there is no checkpoint {path}; name a run folder that training has written") from None
    except (OSError, SafetensorError, ValueError, RecursionError, AttributeError, TypeError) as error:
        # The last two are of numbers of a kind that NumPy does not have.
        why = next(iter(str(error).splitlines()), type(error).__name__)
        raise MinivaeError(f"the checkpoint {path} cannot be read ({why}): it is damaged or cut short; take another copy or train "
                           "again") from error


def _digest(arrays: dict[str, np.ndarray], facts: str) -> str:
    digest = hashlib.sha256(facts.encode())
    for name in sorted(arrays):
        array = arrays[name]
        digest.update(f"{name} {array.dtype.str} {array.shape}\n".encode())
        digest.update(array.data if array.size else b"")
    return digest.hexdigest()
