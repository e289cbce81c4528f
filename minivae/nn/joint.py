"""What looks at a whole batch, whose rows several processes may have: which group of processes that is."""

from __future__ import annotations

from minivae.nn.module import Module
from minivae.parallel.group import ALONE, Group


class Joint(Module):
    """A module whose result for a row depends on the other rows of the batch.

    Attributes:
        group: the processes that have the rows; see join().
    """

    group: Group = ALONE


def join(module: Module, group: Group) -> None:
    """Let all that look at a batch, in this module and below it, look at the rows of all processes of a group."""
    for joint in module.modules():
        if isinstance(joint, Joint):
            joint.group = group
