"""The command line: parse, call, print. A module a group of commands; what they do is in the library."""

from minivae.cli.entry import cli, main

__all__ = ["cli", "main"]
