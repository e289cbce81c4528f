"""The group of all commands, and the entry point: where errors become one line and an exit code."""

from __future__ import annotations

import sys
from importlib import import_module

import click

from minivae import __version__
from minivae.errors import MinivaeError

# Every command: the module of minivae.cli that has it, and the first line of its help. A command's module is loaded when
# the command is used, so that what the others need costs it nothing.
COMMANDS = {
    "train": ("train", "Train a VAE."),
    "sample": ("pictures", "Draw samples from the model of RUN, a folder that training wrote."),
    "reconstruct": ("pictures", "Draw test images over their reconstructions by the model of RUN."),
    "summary": ("inspect", "List the layers of a model."),
    "optimizers": ("inspect", "List the optimizers: update, paper, and what holds where nothing is said."),
    "bench": ("inspect", "Time a training iteration on the built-in digits."),
    "kernels": ("inspect", "Show what NVIDIA's compiler makes of the kernels."),
    "doctor": ("inspect", "Say what minivae runs on here and whether it works."),
}


class Commands(click.Group):
    """The group of COMMANDS."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        return getattr(import_module(f"minivae.cli.{COMMANDS[name][0]}"), name) if name in COMMANDS else None

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, words) for name, (_, words) in COMMANDS.items()])


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="minivae")
def cli() -> None:
    """Train variational autoencoders on images, and look at what they learned."""


def main() -> None:
    """The entry point: errors that the user can mend are one line, without a trace."""
    try:
        cli(prog_name="minivae", standalone_mode=False)
    except MinivaeError as error:
        click.echo(f"minivae: {error}", err=True)
        sys.exit(error.exit_code)
    except click.ClickException as error:
        words = error.ctx.command_path if isinstance(error, click.UsageError) and error.ctx else "minivae"
        click.echo(f"minivae: {' '.join(error.format_message().split())} ({words} --help lists what there is)", err=True)
        sys.exit(error.exit_code)
    except MemoryError as error:
        click.echo(f"minivae: out of memory ({' '.join(str(error).split()) or 'no more'}): take a smaller --batch-size, --hidden "
                   "or --code", err=True)
        sys.exit(1)
    except OSError as error:        # a pipe that closed, a full disk behind > FILE
        sys.stdout = None           # or Python would try to flush it once more, and complain
        click.echo(f"minivae: {error.strerror or error} ({error.filename or 'the output'}): choose another place", err=True)
        sys.exit(1)
    except (click.Abort, KeyboardInterrupt):
        click.echo("minivae: stopped", err=True)
        sys.exit(130)
    except Exception as error:      # CUDA's own errors come at any launch, product or copy; ours would be bugs
        from minivae.device import gpu_failure

        failure = gpu_failure(error)
        if failure is None:
            raise
        click.echo(f"minivae: {failure}", err=True)
        sys.exit(failure.exit_code)
