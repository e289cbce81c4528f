"""The tables of `minivae kernels`: what every kernel needs and moves on each GPU architecture."""

from __future__ import annotations

from rich import box
from rich.console import Console
from rich.table import Table


def show(console: Console, report: dict) -> None:
    """Print what gpu_code.needs.measure found: a table for each architecture, what it means, and what is wrong."""
    for architecture in dict.fromkeys(row["architecture"] for row in report["kernels"]):
        console.print(_table(architecture, report))
    console.print(f"Compiled by NVRTC {report['nvrtc']} with CuPy's options. Occupancy: theoretical, at {report['threads']} "
                  "threads a block; over rows of fewer than 1,000 numbers a block has fewer.", soft_wrap=True)
    console.print("Bytes: read and written for one element of the work, small arrays apart. Widest load and store: bytes at "
                  "once; 16 is the most.", soft_wrap=True)
    for fault in report["faults"]:
        console.print(f"[bold]{fault}[/]", soft_wrap=True)
    count = len(report["faults"])
    console.print(f"{count} fault{'s' if count > 1 else ''}" if count else
                  "No warning, no spilled register, no array in local memory, parameters as the launcher believes"
                  + (", no float64 arithmetic." if report["real"] == "float" else "."), soft_wrap=True)


def _table(architecture: str, report: dict) -> Table:
    table = Table(title=f"{architecture}, {report['real']}", title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False,
                  padding=(0, 0, 0, 1))      # for 80 columns
    for column in ("kernel", "regs", "shared", "occupancy", "bytes", "load", "store"):
        table.add_column(column, justify="left" if column == "kernel" else "right", no_wrap=True)
    rows = [row for row in report["kernels"] if row["architecture"] == architecture]
    for row, following in zip(rows, [*rows[1:], None], strict=True):
        table.add_row(row["kernel"], str(row["registers"]), f"{row['shared_bytes']:,}", f"{row['occupancy']:.0%}",
                      f"{row['bytes_per_element']:.4g}", str(row["widest_load_bytes"]), str(row["widest_store_bytes"]),
                      end_section=following is not None and following["file"] != row["file"])
    return table
