"""The settings of a run: what they are, and how they are written and read as TOML."""

from __future__ import annotations

import difflib
import json
import math
import os
import tomllib
from dataclasses import asdict, dataclass, fields
from pathlib import Path

from minivae.data.reading import NAMES as READING
from minivae.data.reading import Reading
from minivae.errors import MinivaeError, UsageError
from minivae.models import ARCHITECTURES

KINDS = {"int": int, "int | None": int, "float": (int, float), "float | None": (int, float), "bool": bool,
         "str": str, "str | None": str, "tuple[int, ...]": tuple}      # of the settings' fields


MOST = 1 << 16          # bytes of a file of settings
LARGEST = 1 << 64       # below which all whole numbers are


@dataclass(frozen=True)
class Settings:
    """What a run was asked for; all of it goes into the run folder, but for what is None.

    Attributes:
        warm_up: epochs over which the learning rate rises at the start.
        rescale: the global norm that longer gradients are rescaled to; 0 for never, None for the optimizer's own.
        clip: the largest size of an element of the gradient; 0 for any.
        weight_decay: None for the optimizer's own.
        ema: decay of the average of the weights that is evaluated and kept in their place; 0 for none.
        likelihood, sigma, binarize: see models.likelihoods.likelihood.
        beta, free_bits: see models.Weights.
        kl_warm_up: epochs over which beta rises from 0 at the start.
        samples: codes an image, once the warm-up is over; from 2 on the importance-weighted bound is minimized.
        labels: how many training images have a label, 0 to all; None for a model that knows of no classes.
        semi: a key of models.SEMI, which model where there are labels.
        label_weight, label_kl: see models.Weights.
        consistency, shift, mirror, erase: likewise; consistency rises from 0 over the first epoch.
        local_bn: of several processes each has batch norm's statistics over its own rows, not over the whole batch.
        size, fit, colour, labels_from, test_share, split_seed, skip_share: see data.Reading.
    """

    arch: str = "ff"
    data: str = "digits"
    epochs: int = 60
    batch_size: int = 100
    optimizer: str = "rmsprop"
    learning_rate: float = 1e-3
    schedule: str = "cosine"
    warm_up: float = 0.0
    rescale: float | None = None
    clip: float = 0.0
    weight_decay: float | None = None
    ema: float = 0.0
    hidden: tuple[int, ...] = (512, 512, 256)
    code: int = 384
    channels: tuple[int, ...] = ()
    likelihood: str = "squared-error"
    sigma: float | None = None
    binarize: bool = False
    beta: float = 1.0
    kl_warm_up: float = 0.0
    free_bits: float = 0.0
    samples: int = 1
    labels: int | None = None
    semi: str = "shared"
    label_weight: float = 500.0
    label_kl: float | None = None
    consistency: float = 0.0
    shift: int = 0
    mirror: bool = False
    erase: int = 0
    local_bn: bool = False
    seed: int = 0
    size: tuple[int, ...] = ()
    fit: str = Reading.fit
    colour: str = Reading.colour
    labels_from: str = Reading.labels_from
    test_share: float = Reading.test_share
    split_seed: int = Reading.split_seed
    skip_share: float = Reading.skip_share

    @property
    def reading(self) -> Reading:
        """How the files of the data become images."""
        return Reading(**{name: getattr(self, name) for name in READING})


def as_toml(settings: Settings) -> str:
    """All settings that are not None, a line each."""
    return "".join(f"{key} = {_toml(value)}\n" for key, value in asdict(settings).items() if value is not None)


def _toml(value) -> str:
    """As JSON writes it, but for what TOML has otherwise: halves of characters may not be escaped, DEL must be, and what is no
    finite number has a name in small letters."""
    if isinstance(value, float) and not math.isfinite(value):
        return repr(value)
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")


def with_tuples(found: dict) -> dict:
    """Settings as TOML or JSON give them, lists as the tuples that they were."""
    return {name: tuple(value) if isinstance(value, list) else value for name, value in found.items()}


def file_of(path: str | os.PathLike) -> Path:
    """A file of settings; that of a run, where its folder is named."""
    path = Path(path)
    return path / "settings.toml" if path.is_dir() else path


def read(path: str | os.PathLike) -> dict[str, object]:
    """The settings in a TOML file, any number of them; of a run folder, those in its settings.toml.

    Raises:
        UsageError: there is no such file.
        MinivaeError: it is no TOML, or has something in it that is no setting or of another type.
    """
    path = file_of(path)
    try:
        return of_right_types(parsed(path))
    except (FileNotFoundError, NotADirectoryError):
        raise UsageError(f"there is no file {path}: name a file of settings, such as the settings.toml of a run") from None
    except (OSError, ValueError, RecursionError) as error:
        raise MinivaeError(f"{path} cannot be used: {error}; mend it, or take the settings.toml of a run") from error


def parsed(path: Path) -> dict:
    """What a TOML file says, if it has no more than MOST bytes.

    Raises:
        OSError: it cannot be read.
        ValueError, RecursionError: it is no TOML, or too long.
    """
    with path.open("rb") as file:
        text = file.read(MOST + 1)
    if len(text) > MOST:
        raise ValueError(f"more than {MOST:,} bytes")
    return tomllib.loads(text.decode("utf-8"))


def of_right_types(found: dict) -> dict[str, object]:
    """Settings of known names and the right types, any number of them; lists as TOML has them become tuples.

    Raises:
        ValueError: the first that is wrong.
    """
    found = with_tuples(found)
    types = {field.name: field.type for field in fields(Settings)}
    if unknown := sorted(found.keys() - types.keys()):
        close = difflib.get_close_matches(unknown[0], types, 1)
        raise ValueError(f"unknown settings {', '.join(unknown)}{f' (did you mean {close[0]}?)' if close else ''}")
    for name, value in found.items():
        whole = types[name] == "tuple[int, ...]" and isinstance(value, tuple)
        if not isinstance(value, KINDS[types[name]]) or isinstance(value, bool) != (types[name] == "bool") or (
                whole and not all(type(v) is int for v in value)):
            raise ValueError(f"{name} = {value!r} is no {types[name]}")
        if any(isinstance(v, int) and abs(v) >= LARGEST for v in (value if whole else (value,))):
            raise ValueError(f"{name} is a number of more than 64 bits")
    if found.get("arch", "ff") not in ARCHITECTURES:
        raise ValueError(f"arch = {found['arch']!r} is none of {', '.join(ARCHITECTURES)}")
    return found


def checked(found: dict) -> Settings:
    """Settings as of_right_types has them; what is missing is the default of Settings."""
    return Settings(**of_right_types(found))
