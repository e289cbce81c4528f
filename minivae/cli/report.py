"""The command that writes the page of a run."""

from __future__ import annotations

import click

from minivae.cli.options import Name, checkpoint_option, device_option, images_for


@click.command()
@click.argument("run", type=Name())
@click.option("--data", type=Name(), metavar="NAME|PATH", help="Other images than the run's own.")
@checkpoint_option
@device_option
def report(run: str, data: str | None, which: str, device: str) -> None:
    """Write report.html, the page of RUN, a folder that training wrote.

    Training keeps the page itself; this writes it anew, of any run: figures, cost curves, reconstructions, samples, the
    codes, settings, in one file that opens in every browser. Where the run's own images are gone, it is without them.

    \b
    Examples:
      minivae report runs/digits-ff-1
      minivae report runs/digits-ff-1 --data mnist
      minivae report runs/digits-ff-1 --checkpoint best
    """
    from minivae import kernels
    from minivae.device import announced
    from minivae.errors import MinivaeError
    from minivae.page import of_run
    from minivae.runs import Run
    from minivae.runs.checkpoints import LAST

    folder = Run(run)
    folder.settings()       # before anything is announced
    folder.lock()
    where = announced(device, click.echo)
    kernels.prepare(where)
    model, settings, facts = folder.load_with_facts(where, which)
    dataset, notes = None, [] if which == LAST else [f"This page is of the checkpoint {which}, not of the newest."]
    try:
        dataset = images_for(model, run, settings, data)
        if dataset.name != settings.data:
            notes.append(f"The images on this page are of {dataset.name}, not of the run's own data.")
    except MinivaeError as error:
        if data:
            raise
        notes.append(f"The page has no images of the run's data: {error}")
        click.echo(notes[-1], err=True)
    click.echo(f"look at {of_run.write_for(folder, model, settings, facts, dataset, ' '.join(notes) or None)}")
