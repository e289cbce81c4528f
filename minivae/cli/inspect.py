"""The commands that look at models, kernels and the machine."""

from __future__ import annotations

import sys
from contextlib import nullcontext

import click

from minivae.cli.options import (ARCHITECTURES, GPU_ARCHITECTURES, OPTIMIZERS, RATES, Sizes, device_option, json_option,
                                 printed)


@click.command()
@click.option("--arch", type=click.Choice(ARCHITECTURES), default="ff", show_default=True)
@click.option("--image", type=Sizes("28,28,1"), default=(28, 28, 1), metavar="SIZES", help="Height, width, channels.  [default: 28,28,1]")
@click.option("--hidden", type=Sizes("512,512,256"), metavar="SIZES", help="As for train.")
@click.option("--channels", type=Sizes("64,128"), metavar="SIZES", help="As for train.")
@click.option("--code", type=int, help="As for train.")
@click.option("--batch-size", type=click.IntRange(1), default=1, show_default=True, help="Images in the forward pass.")
@click.option("--depth", type=click.IntRange(1), default=2, show_default=True, help="1: encoder, heads, decoder; 2: their "
              "layers; 3: the parts of those.")
@device_option
def summary(arch: str, image: tuple[int, ...], batch_size: int, depth: int, device: str, **sizes) -> None:
    """List the layers of a model.

    Shapes, parameters, and the arithmetic of a forward pass to the cost, which is really made and counted.

    \b
    Examples:
      minivae summary --arch conv
      minivae summary --hidden 512,256 --code 32 --batch-size 100
    """
    from minivae import models
    from minivae.device import select

    told = {name: value for name, value in sizes.items() if value is not None}
    printed(lambda console, layers: console.print(layers),
            models.summary(arch, image, select(device)[0], batch_size, depth, **told))


@click.command()
@click.option("--arch", type=click.Choice((*ARCHITECTURES, "both")), default="both", show_default=True)
@click.option("--batch-size", type=int, help="Examples an iteration.  [default: 1000 (ff), 128 (conv)]")
@click.option("--repeat", type=click.IntRange(1), default=10, show_default=True, help="Rounds, each with a sample of all.")
@click.option("--profile", is_flag=True, help="Also say where the time goes, by operation.")
@json_option
@device_option
def bench(arch: str, batch_size: int | None, repeat: int, profile: bool, file: str | None, device: str) -> None:
    """Time a training iteration on the built-in digits.

    The architectures and their matrix products alone take turns in one process, after a warm-up. A GPU is timed by its
    own events. On a CPU, MINIVAE_THREADS sets the number of threads. Nothing else should run meanwhile.

    \b
    Examples:
      minivae bench
      minivae bench --arch conv --profile --device cuda
      minivae bench --batch-size 128 --repeat 30 --json times.json
    """
    import json

    from minivae.bench import iterations
    from minivae.device import announced
    from minivae.files import replacing
    from minivae.terminal.bench import show

    with replacing(file) if file is not None else nullcontext() as out:     # before anything is timed
        archs = ARCHITECTURES if arch == "both" else (arch,)
        iterations.settings_of(archs, batch_size)        # refuses what cannot be, before anything is said
        where = announced(device, click.echo)
        click.echo(f"timing {' and '.join(archs)} in turn; rounds: {repeat} ...")
        report = iterations.measure(archs, where, batch_size=batch_size, repeat=repeat, profiled=profile)
        printed(show, report)
        if out:
            out.write(json.dumps(report, indent=1).encode())


@click.command()
@click.option("--arch", "architectures", multiple=True, type=click.Choice(GPU_ARCHITECTURES),
              help="A GPU's architecture; may be given several times.  [default: all]")
@click.option("--real", type=click.Choice(("float32", "float64")), default="float32", show_default=True)
@json_option
def kernels(architectures: tuple[str, ...], real: str, file: str | None) -> None:
    """Show what NVIDIA's compiler makes of the kernels.

    Registers, shared memory, occupancy and bytes of every kernel, for any GPU architecture: it takes CuPy and NVRTC, but
    no GPU. Exits with 1 where something is wrong with a kernel.

    \b
    Examples:
      minivae kernels --arch sm_90
      minivae kernels --json kernels.json
    """
    import json

    from minivae.files import replacing
    from minivae.gpu_code.needs import measure
    from minivae.progress import counting
    from minivae.system import default_threads
    from minivae.terminal.kernels import show

    with replacing(file) if file is not None else nullcontext() as out:
        report = measure(architectures or GPU_ARCHITECTURES, real, default_threads(), counting)
        printed(show, report)
        if out:
            out.write(json.dumps(report, indent=1).encode())
    if report["faults"]:
        sys.exit(1)


@click.command()
@click.argument("names", nargs=-1, type=click.Choice(OPTIMIZERS), metavar="[NAME]...")
def optimizers(names: tuple[str, ...]) -> None:
    """List the optimizers: update, paper, and what holds where nothing is said.

    \b
    Examples:
      minivae optimizers
      minivae optimizers adam lamb
    """
    from minivae.terminal.optimizers import show

    printed(show, {name: RATES[name] for name in names or OPTIMIZERS})


@click.command()
@json_option
@device_option
def doctor(file: str | None, device: str) -> None:
    """Say what minivae runs on here and whether it works.

    Runs every kernel on the device and compares with float64 on the CPU, and names the fix for what is wrong. The last
    line is the verdict, and the exit code: 0 where minivae works, 1 where it does not. A bug report should hold all that
    this prints.

    \b
    Examples:
      minivae doctor
      minivae doctor --device cuda --json doctor.json
    """
    import json

    from minivae import doctor as examination
    from minivae.files import replacing
    from minivae.terminal.doctor import show

    with replacing(file) if file is not None else nullcontext() as out:
        report = examination.examine(device)
        printed(show, report, wide=True)
        if out:
            out.write(json.dumps(report, indent=1).encode())
    if not report["works"]:
        sys.exit(1)
