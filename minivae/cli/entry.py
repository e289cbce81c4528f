"""The group of all commands, and the entry point: where errors become one line and an exit code."""

from __future__ import annotations

import difflib
import os
import sys
import threading
import warnings
from contextlib import suppress
from importlib import import_module
from typing import NoReturn

import click

from minivae import __version__
from minivae.cli import together
from minivae.errors import MinivaeError, MinivaeWarning, UsageError
from minivae.parallel.launcher import launched

# Every command: the module of minivae.cli that has it, and the first line of its help. A command's module is loaded when
# the command is used, so that what the others need costs it nothing.
COMMANDS = {
    "train": ("train", "Train a VAE."),
    "runs": ("runs", "List the runs in a folder, with their figures."),
    "sample": ("pictures", "Draw samples from the model of RUN, a folder that training wrote."),
    "report": ("report", "Write report.html, the page of RUN, a folder that training wrote."),
    "reconstruct": ("pictures", "Draw images over their reconstructions by the model of RUN."),
    "interpolate": ("walks", "Draw the way from one image to another by the model of RUN."),
    "traverse": ("walks", "Draw what single numbers of the code do, by the model of RUN."),
    "transfer": ("transfer", "Draw images in every class, each in its own style, by the model of RUN."),
    "encode": ("codes", "Write the codes of images by the model of RUN into an .npz file."),
    "decode": ("codes", "Draw the images of codes by the model of RUN."),
    "classify": ("classify", "Tell the classes of images by the model of RUN."),
    "eval": ("evaluate", "Measure the model of RUN, a folder that training wrote, or those of several."),
    "serve": ("serve", "Serve a page to play with the model of RUN."),
    "export": ("export", "Write the model of RUN as ONNX: an encoder and a decoder."),
    "summary": ("inspect", "List the layers of a model."),
    "optimizers": ("inspect", "List the optimizers: update, paper, and what holds where nothing is said."),
    "bench": ("inspect", "Time a training iteration on the built-in digits."),
    "kernels": ("inspect", "Show what NVIDIA's compiler makes of the kernels."),
    "doctor": ("inspect", "Say what minivae runs on here and whether it works."),
    "completion": ("completion", "Print the script that completes minivae's words in a shell."),
}


STOPPED = (129, 130, 143)   # exit codes of what SIGHUP, SIGINT (Ctrl-C) and SIGTERM have ended
SIZES = ("--batch-size", "--hidden", "--channels", "--code", "--count", "--steps")      # options that memory goes by


class Commands(click.Group):
    """The group of COMMANDS."""

    def invoke(self, ctx: click.Context):
        try:
            return super().invoke(ctx)
        except MemoryError as error:
            fix = _smaller(self.get_command(ctx, ctx.invoked_subcommand))
            failure = MinivaeError(f"out of memory ({' '.join(str(error).split()) or 'no more'}): {fix}")
            failure.__notes__ = getattr(error, "__notes__", [])
            raise failure from error

    def resolve_command(self, ctx: click.Context, args: list[str]):
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError as error:
            if close := difflib.get_close_matches(args[0], COMMANDS, n=1):
                error.message = f"{error.message.rstrip('.')}: did you mean {close[0]}?"
            raise

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        return getattr(import_module(f"minivae.cli.{COMMANDS[name][0]}"), name) if name in COMMANDS else None

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, words) for name, (_, words) in COMMANDS.items()])


def _smaller(command: click.Command) -> str:
    """What needs less memory: the command's own options."""
    *others, last = [name for parameter in command.params for name in parameter.opts if name in SIZES] or [""]
    return f"take a smaller {', '.join(others)}{' or ' if others else ''}{last}" if last else "end what else uses it"


EXIT_CODES = """\b
Exit codes:
  0    done
  1    it failed: a file, a device, a training; what minivae says names the fix
  2    wrong usage: an option, a name or a file that does not fit
  130  stopped by Ctrl-C; 129 and 143 by SIGHUP and SIGTERM
"""


@click.group(cls=Commands, invoke_without_command=True, epilog=EXIT_CODES,
             context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="minivae")
@click.pass_context
def cli(ctx: click.Context) -> None:
    """Train variational autoencoders on images, and look at what they learned."""
    if ctx.invoked_subcommand is None:
        click.echo(ctx.get_help(), err=True)
        ctx.exit(2)
    if launched() > 1 and ctx.invoked_subcommand not in together.COMMANDS:
        raise UsageError(f"{launched()} processes were started, but only {' and '.join(together.COMMANDS)} can be run on "
                         f"several: start {ctx.invoked_subcommand} on one")


def main() -> None:
    """The entry point: errors that the user can mend are one line, without a trace; what is kept of the work is another."""
    warnings.simplefilter("always", MinivaeWarning)
    warnings.showwarning = _show
    try:
        code = cli(prog_name="minivae", standalone_mode=False)
    except MinivaeError as error:
        _stop(str(error), error, error.exit_code)
    except click.ClickException as error:
        words = error.ctx.command_path if isinstance(error, click.UsageError) and error.ctx else "minivae"
        _stop(f"{' '.join(error.format_message().split())} ({words} --help lists what there is)", error, error.exit_code)
    except OSError as error:        # a pipe that closed, a full disk behind > FILE
        sys.stdout = None           # or Python would try to flush it once more, and complain
        _stop(f"{error.strerror or error} ({error.filename or 'the output'}): choose another place", error, 1)
    except (click.Abort, KeyboardInterrupt) as error:
        _stop("stopped", error.__cause__ or error, getattr(error.__cause__ or error, "exit_code", 130))
    except Exception as error:      # CUDA's own errors come at any launch, product or copy; ours would be bugs
        from minivae.gpu.errors import gpu_failure

        failure = gpu_failure(error)
        if failure is None:
            together.end_others(error)
            raise
        _stop(str(failure), error, failure.exit_code)
    if code:        # click's own way to leave with one
        sys.exit(code)


def _show(message, category, filename, lineno, file=None, line=None) -> None:
    """Print a warning: ours as a line, others as Python does."""
    text = f"minivae: {message}\n" if issubclass(category, MinivaeWarning) else warnings.formatwarning(
        message, category, filename, lineno, line)
    with suppress(OSError):     # of a pipe or a terminal that is gone
        (file or sys.stderr).write(text)


def _stop(words: str, error: BaseException, code: int) -> NoReturn:
    """Say what went wrong and what the error's notes say, and leave."""
    together.say_last((words, *getattr(error, "__notes__", ())), code, getattr(error, "everywhere", False))
    if code in STOPPED and any(not thread.daemon for thread in threading.enumerate() if thread is not threading.main_thread()):
        from minivae.host import compiler

        compiler.abandon()
        if sys.stdout:
            sys.stdout.flush()
        os._exit(code)      # Python would wait for threads that cannot be stopped within a compiler
    sys.exit(code)
