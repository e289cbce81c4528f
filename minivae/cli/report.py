"""The command that writes the page of a run."""

from __future__ import annotations

import click

from minivae.cli.options import Name, device_option, images_for


@click.command()
@click.argument("run", type=Name())
@click.option("--data", type=Name(), metavar="NAME|PATH", help="Other images than the run's own.")
@device_option
def report(run: str, data: str | None, device: str) -> None:
    """Write report.html, the page of RUN, a folder that training wrote.

    Training keeps the page itself; this writes it anew, of any run: figures, cost curves, reconstructions, samples, the
    codes, settings, in one file that opens in every browser. Where the run's own images are gone, it is without them.

    \b
    Examples:
      minivae report runs/digits-ff-1
      minivae report runs/digits-ff-1 --data mnist
    """
    from minivae import kernels
    from minivae.device import announced
    from minivae.errors import MinivaeError
    from minivae.page import of_run
    from minivae.runs import Run

    folder = Run(run)
    folder.settings()       # before anything is announced
    folder.lock()
    where = announced(device, click.echo)
    kernels.prepare(where)
    model, settings, facts = folder.load_with_facts(where)
    dataset = note = None
    try:
        dataset = images_for(model, run, settings, data)
        if dataset.name != settings.data:
            note = f"The images on this page are of {dataset.name}, not of the run's own data."
    except MinivaeError as error:
        if data:
            raise
        note = f"The page has no images of the run's data: {error}"
        click.echo(note, err=True)
    click.echo(f"look at {of_run.write_for(folder, model, settings, facts, dataset, note)}")
