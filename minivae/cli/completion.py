"""The command that makes shells complete minivae's words."""

from __future__ import annotations

import click

SHELLS = ("bash", "zsh", "fish")


@click.command()
@click.argument("shell", type=click.Choice(SHELLS))
@click.pass_context
def completion(ctx: click.Context, shell: str) -> None:
    """Print the script that completes minivae's words in a shell.

    With it, Tab completes commands, options, their choices, run folders and files, wherever `minivae` is on the PATH; in
    bash also as bin/minivae of a checkout. A new shell has it once the script lies where the shell looks for such; in zsh,
    ~/.zfunc must be in fpath before compinit runs.

    \b
    Examples:
      mkdir -p ~/.local/share/bash-completion/completions ~/.zfunc ~/.config/fish/completions
      minivae completion bash > ~/.local/share/bash-completion/completions/minivae
      minivae completion zsh > ~/.zfunc/_minivae
      minivae completion fish > ~/.config/fish/completions/minivae.fish
      eval "$(minivae completion bash)"              # in this bash alone
    """
    from click.shell_completion import get_completion_class

    group, name = ctx.find_root().command, ctx.find_root().info_name
    click.echo(get_completion_class(shell)(group, {}, name, f"_{name.upper()}_COMPLETE").source())
