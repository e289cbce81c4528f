"""The libraries to compare with: which there are, what they need, and which can run here."""

from __future__ import annotations

import os
from collections.abc import Callable
from importlib import import_module

import numpy as np

from minivae.errors import MinivaeError, UsageError
from minivae.gpu.errors import pip

TITLES = {"eager": "PyTorch eager", "channels-last": "PyTorch channels last", "compile": "PyTorch compiled",
          "jax": "JAX"}
PYTORCH = ("eager", "channels-last", "compile")
BY_DESIGN = {("ff", "channels-last"): "it has no images whose channels could come last"}


def choose(asked: tuple[str, ...], threads: int) -> tuple[list[str], dict[str, str]]:
    """(the peers that can run, why each other one cannot); those asked for, or where there are none, all.

    Raises:
        UsageError: one that was asked for cannot run, or of all of them none can.
    """
    able, unable = [], {}
    for name in TITLES:
        if name in asked or not asked:
            try:
                READY[name](threads)
                able.append(name)
            except MinivaeError as error:
                unable[name] = str(error)
    if asked and unable:
        raise UsageError("; ".join(f"{name} was asked for and cannot run: {why}" for name, why in unable.items()))
    if not able:
        raise UsageError("there is nothing to compare with: " + "; ".join(
            f"{name}: {why}" for name, why in unable.items()))
    return able, unable


def make(name: str, like, arch: str, dtype=np.float32):
    """The peer of that name with the sizes and parameters of the minivae model `like`; see its class, Peer."""
    if name == "jax":
        import peer_jax
        return peer_jax.Peer(like, arch, dtype)
    import torch_training
    return torch_training.Peer(like, arch, name, dtype)


def versions(names: list[str]) -> dict[str, str]:
    """Of the libraries behind these peers."""
    found = {}
    if "jax" in names:
        import peer_jax
        found |= peer_jax.versions()
    if set(names) & set(PYTORCH):
        import peer_torch
        found |= peer_torch.versions()
    return found


def _pytorch(threads: int) -> None:
    try:
        import_module("torch")      # by itself, so that no other missing import is mistaken for it
    except ImportError as error:
        raise MinivaeError(f"PyTorch is missing: {pip()} install torch ({error})") from error
    import peer_torch
    peer_torch.use_threads(threads)


def _compiler(threads: int) -> None:
    _pytorch(threads)
    import torch
    try:
        torch.compile(lambda x: 2 * x + 1)(torch.ones(64))
    except Exception as error:      # of many kinds: no C++ compiler, one that fails, a folder not to be written
        said = str(error).strip().splitlines()
        raise MinivaeError("torch.compile does not work here, it needs a C++ compiler such as g++ "
                           f"({type(error).__name__}: {said[0] if said else 'no reason given'})") from error


def _jax(threads: int) -> None:
    os.environ["NPROC"] = str(threads)      # XLA reads it when it starts
    try:
        import_module("jax")
    except ImportError as error:
        raise MinivaeError(f"JAX is missing: {pip()} install jax ({error})") from error
    import peer_jax
    peer_jax.use_threads(threads)


READY: dict[str, Callable[[int], None]] = {
    "eager": _pytorch, "channels-last": _pytorch, "compile": _compiler, "jax": _jax}
