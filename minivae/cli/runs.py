"""The command that lists runs."""

from __future__ import annotations

from contextlib import nullcontext

import click

from minivae.cli.options import Name, json_option, printed


@click.command()
@click.argument("folder", type=Name(), default="runs")
@json_option
def runs(folder: str, file: str | None) -> None:
    """List the runs in a folder, with their figures.

    Those in FOLDER, or in ./runs: state, epochs made and asked for, the test cost of the last epoch or of the finished model
    in nats an image, the best epoch's cost (and which it was; without test images the training cost, marked so), speed, and
    when something was written last.

    \b
    Examples:
      minivae runs
      minivae runs somewhere/else --json runs.json
    """
    import json

    from minivae.files import replacing
    from minivae.runs import listing
    from minivae.terminal.runs import show

    with replacing(file) if file is not None else nullcontext() as out:
        found = [listing.figures(run) for run in listing.runs_in(folder)]
        if out:
            out.write(json.dumps(found, indent=1, allow_nan=False).encode())
        if found:
            printed(show, found, wide=True)
        else:
            click.echo(f"there are no runs in {folder} yet; minivae train makes one")
