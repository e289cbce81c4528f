"""The tables of `minivae kernels`."""

import io
import re
import threading
from contextlib import contextmanager

import pytest
from click.testing import CliRunner
from rich.console import Console

from minivae import cli, progress
from minivae.gpu_code import needs
from minivae.kernels import stems
from minivae.terminal import kernels as kernel_table

ROW = {"file": "pool", "kernel": "max_pool", "architecture": "sm_75", "registers": 40, "shared_bytes": 12_288,
       "stack_bytes": 0, "spilled_bytes": 8, "occupancy": 0.625, "bytes_per_element": 5.25, "moves": "1 x -> 1/4 y, 1/4 chosen",
       "widest_load_bytes": 16, "widest_store_bytes": 4}
REPORT = {"nvrtc": "13.5", "real": "float", "threads": 256, "kernels": [ROW, {**ROW, "file": "conv", "kernel": "im2col"}],
          "faults": ["sm_75: max_pool: 8 bytes of registers spilled to memory"]}


def _shown(report):
    console = Console(width=80, record=True, file=io.StringIO())
    kernel_table.show(console, report)
    return console.export_text()


def test_what_is_shown():
    """A table in 80 columns, and what is wrong in plain words."""
    text = _shown(REPORT)
    assert re.search(r"^ *max_pool +40 +12,288 +62% +5\.25 +16 +4 *$", text, re.MULTILINE)
    assert "sm_75: max_pool: 8 bytes of registers spilled to memory" in text and "1 fault" in text
    assert "no float64 arithmetic." in _shown({**REPORT, "faults": []})
    assert "no float64 arithmetic" not in _shown({**REPORT, "faults": [], "real": "double"})


@pytest.mark.parametrize(("faults", "code"), [(REPORT["faults"], 1), ([], 0)])
def test_the_exit_code_says_whether_something_is_wrong(monkeypatch, faults, code):
    monkeypatch.setattr(needs, "measure", lambda *_: {**REPORT, "faults": faults})
    assert CliRunner().invoke(cli.cli, ["kernels", "--arch", "sm_75"]).exit_code == code


def test_ctrl_c_does_not_wait_for_the_compiler(monkeypatch):
    """Files that are being compiled are left alone, and no further ones begun."""
    begun, release = [], threading.Event()

    def build(stem, *_):
        begun.append(stem)
        if stem != stems()[0]:
            release.wait(60)

    @contextmanager
    def watched(what, total):
        assert what == f"compiling {total} kernel files for sm_75"

        def advance():
            raise KeyboardInterrupt

        yield advance

    monkeypatch.setattr(needs.nvrtc, "build", build)
    try:
        with pytest.raises(KeyboardInterrupt):
            needs.measure(["sm_75"], threads=2, watched=watched)
        assert len(begun) <= 3 and not release.is_set()
    finally:
        release.set()


@pytest.mark.parametrize("terminal", [False, True])
def test_progress(monkeypatch, terminal):
    """A bar on a terminal, of which nothing stays; else one line."""
    out = io.StringIO()
    monkeypatch.setattr(progress, "Console", lambda **options: Console(file=out, force_terminal=terminal, width=80))
    with progress.counting("compiling 2 files", 2) as advance:
        advance()
        advance()
    text = out.getvalue()
    assert ("2/2" in text and "\x1b[2K" in text) if terminal else text == "compiling 2 files ...\n"


def test_progress_that_says_nothing(monkeypatch):
    """Where there is no terminal, and its beginning is not to be said."""
    out = io.StringIO()
    monkeypatch.setattr(progress, "Console", lambda **options: Console(file=out, force_terminal=False, width=80))
    with progress.counting("importance sampling", 2, begins=False) as advance:
        advance(2)
    assert out.getvalue() == ""
