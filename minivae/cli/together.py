"""How a command ends that several processes run together: all of them at once, with the reason said once."""

from __future__ import annotations

import sys
import traceback
import warnings
from collections.abc import Sequence
from contextlib import suppress
from typing import TYPE_CHECKING

import click

from minivae.parallel.launcher import launched, rank

if TYPE_CHECKING:
    from minivae.parallel.mpi import World

COMMANDS = ("train", "eval")        # those that several processes can run together
# Seconds that a process waits for the others to end, too, before it ends them; and where they are about to, but may have a
# last page to draw.
PATIENCE, MORE_PATIENCE = 3.0, 60.0


def say_last(lines: Sequence[str], code: int, everywhere: bool = False) -> None:
    """Print why this process ends. What all have to say is said by one of them; where the others go on, they are ended with
    this one: they would wait for it.

    Args:
        everywhere: all have the same reason, or will soon.
    """
    world = _world()
    told = world.last_words(lines[0], MORE_PATIENCE if everywhere else PATIENCE) if world else None
    if told and world.rank and told[world.rank] == told[0]:
        return
    number = f"process {world.rank} of {world.size}: " if world and (told is None or world.rank) else ""
    if world is None and rank():        # without MPI nobody can be asked, but all have the same to say
        return
    with suppress(OSError):     # of a pipe or a terminal that is gone
        for line in lines:
            click.echo(f"minivae: {number}{line}", err=True)
    if world and told is None:
        world.end_all(code)


def require_same_command(world: World | None, command: str, **asked) -> None:
    """Refuse to go on where other processes run another command, or another way of it; all of them refuse.

    Args:
        asked: what of its options must be the same, by name.

    Raises:
        UsageError: names what differs.
    """
    if world:
        from minivae.parallel.agreement import require_same

        require_same(world, {"command": command, **({"set of options": asked} if asked else {})}, "start all with the same command")


def only_one_warns(world: World | None) -> None:
    """Let the processes that print nothing keep back minivae's warnings, which all of them would have."""
    from minivae.errors import MinivaeWarning

    if world and world.rank:
        warnings.simplefilter("ignore", MinivaeWarning)


def end_others(error: BaseException) -> None:
    """Print an error that nobody foresaw, and end all processes; nothing where this is the only one."""
    if world := _world():
        traceback.print_exception(error)
        print(f"minivae: process {world.rank} of {world.size} ended with this error", file=sys.stderr)
        world.end_all(1)


def _world() -> World | None:
    """The processes that were started with this one; None where there are none, or MPI does not work."""
    if launched() == 1:
        return None
    from minivae.errors import MinivaeError
    from minivae.parallel import mpi

    try:
        return mpi.world()
    except MinivaeError:
        return None
