"""The file: content through the template, whole or not at all."""

from __future__ import annotations

from datetime import datetime
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from minivae import __version__
from minivae.files import replacing

if TYPE_CHECKING:
    import jinja2

REFRESH = 20            # seconds between looks of a browser at the page of a training


@cache
def _template() -> jinja2.Template:
    import jinja2       # a tenth of a second that the start of a training need not wait for

    environment = jinja2.Environment(loader=jinja2.FileSystemLoader(Path(__file__).parent), autoescape=True,
                                     trim_blocks=True, lstrip_blocks=True, undefined=jinja2.StrictUndefined)
    return environment.get_template("page.html.jinja")


def write(path: Path, content: dict, refresh: bool = False) -> None:
    """Write the page.

    Args:
        content: see content.content.
        refresh: whether a browser is to look again.

    Raises:
        MinivaeError: it cannot be written; what was there before is then as it was.
    """
    style = (Path(__file__).parent / "page.css").read_text()
    text = _template().render(**content, style=style, minivae=__version__, refresh=REFRESH if refresh else None,
                              now=datetime.now().astimezone().isoformat(sep=" ", timespec="seconds"))
    with replacing(path) as file:
        file.write(text.encode("utf-8", "replace"))     # the name of a folder may hold bytes that are no letters
