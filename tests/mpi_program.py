"""What the tests of several processes share: they start programs under mpiexec, as a person does."""

import importlib.util
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from command_line import ROOT

MPIEXEC = shutil.which("mpiexec", path=str(Path(sys.executable).parent)) or shutil.which("mpiexec")
SCALED = ROOT / "tests" / "scaled.py"


def missing() -> str | None:
    """What is not there to start processes with."""
    if MPIEXEC is None:
        return "there is no mpiexec: pip install mpich"
    return None if importlib.util.find_spec("mpi4py") else "there is no mpi4py: pip install 'minivae[mpi]'"


needs_mpi = pytest.mark.skipif(missing() is not None, reason=str(missing()))


def environment(**more) -> dict[str, str]:
    """For programs that find minivae and the tests' modules; without what a launcher of the tests themselves has said."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PMI", "OMPI_", "SLURM_"))}
    return {**kept, "PYTHONPATH": os.pathsep.join((str(ROOT), str(ROOT / "tests"))), "MINIVAE_THREADS": "1", **more}


def command(size: int, *arguments) -> list[str]:
    """Runs a Python program on so many processes."""
    return [MPIEXEC, "-n", str(size), sys.executable, "-P", *map(str, arguments)]


def minivae_on(size: int, *arguments, cwd, **more):
    """(exit code, output, errors) of a command of minivae on so many processes."""
    done = subprocess.run(command(size, "-m", "minivae", *arguments), cwd=cwd, capture_output=True, text=True, timeout=300,
                          env=environment(**more))
    return done.returncode, done.stdout, done.stderr


def scaled(size: int, folder: Path, settings: dict, **asked) -> dict:
    """What a training on so many processes gave; see scaled.trained."""
    out = folder / f"{size}.json"
    done = subprocess.run(command(size, SCALED, json.dumps({"settings": settings, **asked}), out), capture_output=True,
                          text=True, timeout=300, env=environment())
    assert done.returncode == 0, done.stderr + done.stdout
    return json.loads(out.read_text())
