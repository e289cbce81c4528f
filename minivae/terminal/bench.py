"""The tables of `minivae bench`."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table

OTHERS = 0.1        # processors in use by other programs from which on the times are to be doubted

ROWS = {  # in the first column: what the others show of an architecture's numbers
    "examples an iteration": lambda n: f"{n['batch_size']:,}",
    "ms, median": lambda n: f"{n['ms']['median']:.2f}",
    "ms, 10% - 90%": lambda n: f"{n['ms']['p10']:.2f} - {n['ms']['p90']:.2f}",
    "examples/s": lambda n: f"{n['examples_per_s']:,.0f}",
    "GFLOP": lambda n: f"{n['gflop']:.2f}",
    "GFLOP/s": lambda n: f"{n['gflop_per_s']:,.0f}",
    "products alone: ms, median": lambda n: f"{n['products_ms']['median']:.2f}",
    "products alone: GFLOP": lambda n: f"{n['products_gflop']:.2f}",
    "products alone: GFLOP/s": lambda n: f"{n['products_gflop_per_s']:,.0f}",
    "time / products alone": lambda n: f"{n['ms/products_ms']['median']:.2f}",
    "kernel launches": lambda n: f"{n['launches']}",
    "matrix products": lambda n: f"{n['products']}",
    "working memory, MB": lambda n: f"{n['working_bytes'] / 1e6:.1f}",
    "parameters": lambda n: f"{n['parameters']:,}",
}
SECTIONS = ("examples/s", "GFLOP/s", "time / products alone")     # a line below each of these rows


def show(console: Console, report: dict) -> None:
    """Print what iterations.measure() found: the table, what it means, and the profiles if there are any."""
    archs = report["architectures"]
    table = Table(title=f"One training iteration; rounds in turn: {report['repeat']}", title_justify="left")
    table.add_column("")
    for arch in archs:
        table.add_column(arch, justify="right")
    for label, text in ROWS.items():
        table.add_row(label, *map(text, archs.values()), end_section=label in SECTIONS)
    console.print(table)
    for line in notes(report):
        console.print(line, soft_wrap=True)
    for arch, profile in report.get("profiles", {}).items():
        console.print()
        console.print(profile_table(arch, profile, archs[arch]["ms"]["median"]))


def notes(report: dict) -> list[str]:
    """The lines below the table, in rich's markup."""
    lines = ["GFLOP: matrix products and convolutions as defined; products alone: those really made.",
             "Working memory: parameters, gradients, optimizer state, activations; not the data set."]
    if "conv/ff" in report:
        ms, gflop = report["conv/ff"]["ms"], report["conv/ff"]["gflop"]
        conv, ff = (f"{report['architectures'][arch]['batch_size']:,}" for arch in ("conv", "ff"))
        lines.append(f"conv/ff per iteration: [bold]{ms['median']:.2f}[/] ({ms['p10']:.2f} - {ms['p90']:.2f}; "
                     f"{conv} against {ff} examples); their arithmetic: [bold]{gflop:.2f}[/]")
    if (others := report["processors_of_others"] or 0) > OTHERS:
        lines.append(f"[bold]Other programs used {others:.1f} processors meanwhile:[/] measure again without them.")
    return lines


def profile_table(arch: str, profile: dict, untraced: float) -> Table:
    """Where the time of an iteration goes, by operation.

    Args:
        profile: what iterations.profile() returns.
        untraced: ms of an iteration without a trace.
    """
    whole = profile["ms"]
    table = Table(title=f"{arch}: where the time goes", title_justify="left", caption_justify="left",
                  caption=f"launches: kernels and products; untraced, an iteration took {untraced:.2f} ms")
    for column in ("operation", "calls", "launches", "ms", "share", "GFLOP/s"):
        table.add_column(column, justify="left" if column == "operation" else "right", no_wrap=True)
    for row in profile["rows"]:
        speed = "" if row["gflop_per_s"] is None else f"{row['gflop_per_s']:,.0f}"
        table.add_row(f"{row['operation']} {row['phase']}", str(row["calls"]), str(row["launches"] + row["products"]),
                      f"{row['ms']:.2f}", f"{row['ms'] / whole:.1%}", speed)
    outside = profile["outside_ms"]
    table.add_row("outside: Python, copies", "", "", f"{outside:.2f}", f"{outside / whole:.1%}", "", end_section=True)
    launches = sum(row["launches"] + row["products"] for row in profile["rows"])
    table.add_row("all", "", str(launches), f"{whole:.2f}", "100.0%", "")
    return table
