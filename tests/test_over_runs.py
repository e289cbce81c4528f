"""Several runs measured together: `minivae eval RUN RUN ...`."""

import json
import shutil

import numpy as np
import pytest
from command_line import minivae

from minivae.errors import UsageError
from minivae.evaluation import over_runs
from minivae.evaluation.intervals import student
from minivae.runs import Run, Settings


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder with three trainings of the same settings but for the seed."""
    made = tmp_path_factory.mktemp("runs")
    for seed in (0, 1, 5):
        code, _, err = minivae("train", "--labels", 100, "--epochs", 1, "--hidden", "16", "--code", 4, "--seed", seed, "--device", "cpu",
                               "--out", f"s{seed}", cwd=made)
        assert code == 0, err
    return made


def test_eval_of_several_runs(folder):
    """The table has every number's mean and half interval over the runs, the file those and every run's own report, which is
    what `minivae eval` says of it alone."""
    options = ["--limit", 60, "--importance", 4, "--device", "cpu"]
    code, out, err = minivae("eval", "s0", "s1", "s5", *options, cwd=folder)
    assert (code, err) == (0, ""), err
    found = json.loads((folder / "s0/eval-runs.json").read_text())
    assert found["seeds"] == [0, 1, 5] and [report["run"] for report in found["reports"]] == ["s0", "s1", "s5"]
    for name, number, form in (("elbo", lambda r: r["elbo"]["mean"], ".2f"), ("nll", lambda r: r["nll"]["mean"], ".2f"),
                               ("classification_error", lambda r: r["classification_error"]["mean"], ".2%"),
                               ("squared_error", lambda r: r["squared_error"], ".5f")):
        each = [number(report) for report in found["reports"]]
        half = student(2) * np.std(each, ddof=1) / 3**0.5
        over = found["over_runs"][name]
        assert over["each"] == each and (over["mean"], over["half_interval_95"]) == pytest.approx((np.mean(each), half))
        assert f" {np.mean(each):{form}} │ " in out.replace("  ", " ") and f" {half:{form}} │ " in out.replace("  ", " ")
    assert "3 runs, 60 test images of digits" in out and "over the 3 runs (seeds 0, 1, 5) by Student's t" in out
    code, out, err = minivae("eval", "s1", *options, cwd=folder)
    alone = json.loads((folder / "s1/eval.json").read_text())
    assert (code, err) == (0, "") and {**alone, "seconds": 0} == {**found["reports"][1], "seconds": 0}
    assert "is its 95% interval over the images (Wilson)" in out


def test_runs_that_do_not_belong_together_are_refused(folder, tmp_path):
    """One line that names both, and nothing is written."""
    for name, change, words in (("other", {"hidden": (17,)}, "other was trained with hidden = (17,), but s0 with (16,)"),
                                ("same", {}, "s0 and same were both trained with seed 0")):
        shutil.copytree(folder / "s0", tmp_path / "s0", dirs_exist_ok=True)
        settings = Settings(**{**vars(Run(folder / "s0").settings()), **change})
        Run.create(settings, tmp_path / name)
        (tmp_path / "s0/eval-runs.json").unlink(missing_ok=True)
        code, out, err = minivae("eval", "s0", name, "--device", "cpu", cwd=tmp_path)
        assert (code, out) == (2, "") and words in err and err.count("\n") == 1 and not (tmp_path / "s0/eval-runs.json").exists()


def test_numbers_that_only_some_reports_have():
    """What is combined is what is there: no likelihood without samples, no error without classes."""
    report = {"elbo": {"mean": -3.0, "standard_error": 1.0}, "squared_error": 0.5, "seconds": {"all": 2.0}}
    found = over_runs.combine([report, {**report, "squared_error": 0.7}])
    assert list(found) == ["elbo", "squared_error", "seconds"]
    assert found["squared_error"]["standard_deviation"] == pytest.approx(0.02**0.5) and found["elbo"]["half_interval_95"] == 0


def test_every_number_of_a_report_is_known_to_the_table():
    """A measure that is added must be said how to combine and show."""
    from minivae.terminal import evaluation

    report = {"caveat": None, "importance_samples": 3, "code": 4, **{name: 0 for name in over_runs.NUMBERS}}
    assert list(evaluation.table(report)) == list(over_runs.NUMBERS)


def test_damaged_settings(tmp_path):
    with pytest.raises(UsageError, match="there is no run in"):
        over_runs.require_alike([Run(tmp_path)])


def test_runs_that_were_stopped_at_different_epochs_are_refused(tmp_path):
    """A mean over a finished model and one of its first epochs says nothing."""
    runs = [Run(tmp_path / name) for name in "ab"]
    over_runs.require_as_long(runs, [{"epoch": 3}, {"epoch": 3}])
    with pytest.raises(UsageError, match="b has a model after epoch 1, but .*a after epoch 3"):
        over_runs.require_as_long(runs, [{"epoch": 3}, {"epoch": 1}])
