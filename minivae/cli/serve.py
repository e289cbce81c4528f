"""The command that serves a page to play with a trained model."""

from __future__ import annotations

from pathlib import Path

import click

from minivae.cli.options import Name, checkpoint_option, device_option, images_for


@click.command()
@click.argument("run", type=Name())
@click.option("--host", type=Name(), default="127.0.0.1", show_default=True, help="The address to listen on.")
@click.option("--port", type=click.IntRange(0, 65535), default=8123, show_default=True, help="0 for any that is free.")
@click.option("--allow-host", "others", multiple=True, type=Name(), metavar="NAME[:PORT]",
              help="Another name that the page is opened by; may be given several times.")
@click.option("--data", type=Name(), metavar="NAME|PATH", help="Other images to start from than the run's own.")
@click.option("--open", "browser", is_flag=True, help="Open the page in a browser.")
@checkpoint_option
@device_option
def serve(run: str, host: str, port: int, others: tuple[str, ...], data: str | None, browser: bool,
          which: str, device: str) -> None:
    """Serve a page to play with the model of RUN.

    Sliders move the numbers of a code and the picture follows; a class can be kept, an own image dropped in and walked
    away from. Nobody but this machine reaches the page, unless --host says otherwise. Ctrl-C ends it.

    \b
    Examples:
      minivae serve runs/digits-ff-1 --open
      minivae serve runs/mine --data photos --port 0
      minivae serve runs/mine --host 0.0.0.0 --allow-host box.local
    """
    import webbrowser

    from minivae import kernels
    from minivae.device import announced
    from minivae.estimator import VAE
    from minivae.runs import Run
    from minivae.serve import listen
    from minivae.serve.app import UPLOAD, create
    from minivae.serve.guard import Guard, bracketed
    from minivae.serve.served import Served, Thread

    Run(run).settings()     # before anything is announced
    with listen.bound(host, port) as listening, Thread() as thread:
        port = listening.getsockname()[1]
        hosts = Guard(host, port, others)
        where = thread(announced, device, click.echo)
        thread(kernels.prepare, where)
        vae = thread(VAE.load, run, where, which)
        dataset = _dataset(vae, run, data)
        served = Served(vae, dataset.test_images if dataset is not None else None, thread)
        address = f"http://{bracketed('localhost' if hosts.anybody else host)}:{port}/"
        if not hosts.local:
            click.echo(f"minivae: warning: whoever reaches this machine at {host} can use the page, without a password; it "
                       f"answers to the names {', '.join(sorted(hosts.hosts))}; --allow-host adds others", err=True)
        click.echo(f"{run} is at {address} (Ctrl-C ends it)")
        if browser and not webbrowser.open(address):
            click.echo("no browser could be started: open the address in one")
        listen.run(create(served, hosts, Path(run).resolve().name), listening, UPLOAD)


def _dataset(vae, run: str, data: str | None):
    """The data set with images to start from; None, said aloud, where those of the run are not to be had."""
    from minivae.errors import MinivaeError

    try:
        found = images_for(vae.model, run, vae.settings, data)
        if not len(found.test_images):
            raise MinivaeError(f"{found.name} has no test images")
        return found
    except MinivaeError as error:
        if data:
            raise
        click.echo(f"no images to start from: {error}")
        return None
