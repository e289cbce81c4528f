"""How a training ended, by what its newest checkpoint says."""

from __future__ import annotations

from collections.abc import Mapping

from minivae.runs.settings import Settings


def is_of_training(facts: Mapping[str, object]) -> bool:
    """Whether a checkpoint holds the state of a training, and not a model alone."""
    return "optimizer" in facts


def is_finished(facts: Mapping[str, object], settings: Settings) -> bool:
    """Whether nothing is left to be trained.

    Args:
        facts: of the newest checkpoint, see sound.sound; a model that no training left is none that was finished.
        settings: what the run is asked for now, which may be more epochs than when the checkpoint was written.
    """
    asked = facts["settings"]["epochs"]
    finished = facts.get("finished", facts.get("epoch") == asked)       # older checkpoints do not say
    return bool(finished) and asked == settings.epochs
