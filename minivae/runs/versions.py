"""What a run was made with: the versions of everything that its numbers depend on, and where the source stood."""

from __future__ import annotations

import hashlib
import json
import os
import platform
import re
import subprocess
from datetime import datetime, timezone
from pathlib import Path

import numpy as np

from minivae import __version__
from minivae.device import Device
from minivae.files import replacing
from minivae.system import kernel_folder

PATIENCE = 5.0          # seconds for git at most
BITS = ("minivae", "numpy", "kernels", "device")        # what the bits of a training can depend on


def versions(device: Device, step: int) -> dict[str, object]:
    """What a training that begins or goes on now is made with.

    Args:
        step: steps made before.
    """
    return {"started": datetime.now(timezone.utc).isoformat(timespec="seconds"), "step": step, "minivae": __version__,
            "python": platform.python_version(), "numpy": np.__version__,
            "cupy": device.cupy.__version__ if device.cuda else None, "device": device.describe(), "kernels": kernels(),
            "git": git_state(Path.cwd())}


def kernels() -> str:
    """The digest of the kernels' sources."""
    digest = hashlib.sha256()
    for path in sorted(p for p in kernel_folder().rglob("*") if p.suffix in (".cu", ".cuh", ".cpp", ".h")):
        digest.update(f"{path.relative_to(kernel_folder()).as_posix()}\n".encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()


def git_state(folder: Path) -> dict[str, object] | None:
    """The commit that is checked out in a folder, and whether files that git knows were changed since; None where there is no
    git, no repository, no commit, or no answer in time."""
    commit = _git(folder, "rev-parse", "HEAD")
    changed = _git(folder, "status", "--porcelain", "--untracked-files=no") if commit else None
    return {"commit": commit, "dirty": bool(changed) if changed is not None else None} if commit else None


def _git(folder: Path, *arguments: str) -> str | None:
    try:
        done = subprocess.run(["git", *arguments], cwd=folder, capture_output=True, timeout=PATIENCE,
                              env={**os.environ, "GIT_OPTIONAL_LOCKS": "0"})
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.decode("utf-8", "replace").strip() if done.returncode == 0 else None


def add(path: Path, now: dict[str, object]) -> list[str]:
    """Write what a training begins or goes on with behind what it was made with before.

    Args:
        path: of the file, a list of versions().

    Returns:
        The names of what the bits can depend on and is not as it was.

    Raises:
        MinivaeError: it cannot be written.
    """
    before = read(path)
    with replacing(path) as file:
        file.write(json.dumps([*before, now], indent=1).encode())
    return [name for name in BITS if before and _kind(before[-1].get(name)) != _kind(now[name])]


def read(path: Path) -> list[dict[str, object]]:
    """What add() wrote; nothing where there is no such file, or it is damaged."""
    try:
        found = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError):
        return []
    return [entry for entry in found if isinstance(entry, dict)] if isinstance(found, list) else []


def _kind(value):
    """A device without the number of its threads, on which no bit depends."""
    return re.sub(r", \d+ threads", "", value) if isinstance(value, str) else value
