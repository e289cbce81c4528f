"""The scripts of bench/ where what they need is not installed: help, or one line that names the fix."""

import subprocess
import sys
from pathlib import Path

import pytest

BENCH = Path(__file__).parent.parent / "bench"
SCRIPTS = {"gpu_cost.py": "numpy", "versus.py": "threadpoolctl", "torch_launches.py": "torch", "adam_step.py": "torch",
           "tape.py": "numpy", "engines.py": "numpy", "optimizers.py": "numpy",
           "importance.py": "numpy", "likelihood.py": "numpy", "checkpoint_cost.py": "numpy", "decoding.py": "numpy",
           "serve.py": "flask", "semi.py": "numpy", "page.py": "numpy", "watching.py": "numpy",
           "scale.py": "mpi4py"}


@pytest.mark.parametrize("script", SCRIPTS)
def test_nothing_is_installed(script):
    """A bare Python (-S: without the installed packages) is told all that is missing, and shown the help on demand."""
    def run(*arguments):
        return subprocess.run([sys.executable, "-S", str(BENCH / script), *arguments], capture_output=True, text=True)

    done = run()
    needed, _, fix = done.stderr.partition(": ")
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (1, "", 1), done.stderr
    assert needed.startswith(f"{script} needs ") and SCRIPTS[script] in needed.split(" needs ")[1].split(", ")
    assert fix.startswith(f"{sys.executable} -m pip install numpy click rich pillow ") and ".venv/bin/python" in fix
    done = run("--help")
    assert (done.returncode, done.stderr) == (0, "") and f"bench/{script}" in done.stdout


def test_one_package_is_missing(monkeypatch):
    """Where minivae's own are there, the line names that one alone; where all are there, nothing is said."""
    monkeypatch.syspath_prepend(str(BENCH))
    import needs

    monkeypatch.setattr(sys, "argv", ["x.py"])
    monkeypatch.setattr(sys, "path", [*sys.path])
    needs.require("bench/x.py", "words", "json")
    with pytest.raises(SystemExit) as stopped:
        needs.require("bench/x.py", "words", "json", "no_such_module")
    assert str(stopped.value) == f"x.py needs no_such_module: {sys.executable} -m pip install no_such_module"
