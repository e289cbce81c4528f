"""What several runs of the same settings, but for the seed, say together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from statistics import stdev

from minivae.errors import UsageError
from minivae.evaluation import intervals
from minivae.runs import Run, Settings

# The numbers of a report, see measures.measure; of those with several parts the one that counts.
NUMBERS = {"elbo": "mean", "reconstruction": "mean", "kl": "mean", "elbo_bits_per_dimension": None, "nll": "mean",
           "effective_samples": "median", "nll_bits_per_dimension": None, "squared_error": None, "active_units": None,
           "classification_error": "mean", "seconds": "all"}


def require_alike(runs: Sequence[Run]) -> list[Settings]:
    """The settings of runs that differ in their seeds, and in nothing else.

    Raises:
        UsageError: two have the same seed, or differ elsewhere; or there is no run.
        MinivaeError: settings that are damaged.
    """
    settings = [run.settings() for run in runs]
    first, seeds = asdict(settings[0]), {}
    for run, its in zip(runs, settings, strict=True):
        if differ := [name for name, value in asdict(its).items() if name != "seed" and value != first[name]]:
            name = differ[0]
            raise UsageError(f"{run.folder} was trained with {name} = {getattr(its, name)}, but {runs[0].folder} with "
                             f"{first[name]}: name runs that differ in their --seed alone")
        if its.seed in seeds:
            raise UsageError(f"{seeds[its.seed]} and {run.folder} were both trained with seed {its.seed}: an interval over runs "
                             "takes a seed of its own for each")
        seeds[its.seed] = run.folder
    return settings


def require_as_long(runs: Sequence[Run], reports: Sequence[dict]) -> None:
    """Refuse runs of which some were stopped earlier than others.

    Args:
        reports: of those runs, each with the epoch of its checkpoint.

    Raises:
        UsageError: their models were trained for different numbers of epochs.
    """
    for run, report in zip(runs, reports, strict=True):
        if report["epoch"] != reports[0]["epoch"]:
            raise UsageError(f"{run.folder} has a model after epoch {report['epoch']}, but {runs[0].folder} after epoch "
                             f"{reports[0]['epoch']}: go on with the shorter one (minivae train --resume), or leave it out")


def combine(reports: Sequence[dict]) -> dict[str, dict]:
    """Every number over runs: its values, one a run, their mean, their standard deviation, and half of the mean's 95% interval.

    Args:
        reports: at least 2, of the same numbers.
    """
    found = {}
    for name, part in NUMBERS.items():
        if name in reports[0]:
            each = [report[name] if part is None else report[name][part] for report in reports]
            mean, half = intervals.of_mean(each)
            found[name] = {"mean": mean, "half_interval_95": half, "standard_deviation": stdev(each), "each": each}
    return found
