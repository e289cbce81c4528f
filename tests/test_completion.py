"""Completion in shells: what a shell is told when someone presses Tab, and that bash then makes words of it."""

import os
import shutil
import subprocess
import sys

import pytest
from command_line import ROOT, minivae

from minivae.cli import entry, options

WORDS = [
    ("minivae ", [*entry.COMMANDS]), ("minivae tra", ["train", "transfer", "traverse"]),
    ("minivae train --sched", ["--schedule"]),
    ("minivae train --schedule ", list(options.SCHEDULES)), ("minivae train --optimizer adam", ["adam", "adamax", "adamw"]),
    ("minivae completion ", ["bash", "zsh", "fish"]), ("minivae sample runs/a --device cu", ["cuda"]),
    ("minivae sample ", ["mine", "runs/a", "runs/b"]), ("minivae interpolate runs/", ["runs/a", "runs/b"]),
    ("minivae encode mi", ["mine"]), ("minivae encode mino", ["dir:mino"]), ("minivae encode mine ", ["file:"]),
    ("minivae decode mine co", ["file:co"]), ("minivae sample mine --out x", ["file:x"]),
    ("minivae train --data ", [*options.DATA_SETS]), ("minivae train --data mn", ["mnist"]),
    ("minivae train --data mi", ["file:mi"]), ("minivae train ", [*options.DATA_SETS]),
    ("minivae train fas", ["fashion-mnist"]),
    ("minivae train mi", ["file:mi"]), ("minivae sample [", ["dir:["]),
]


@pytest.fixture
def folder(tmp_path):
    """Two runs in runs/, one beside it, and a folder that is none."""
    for name in ("runs/a", "runs/b", "mine", "minor"):
        (tmp_path / name).mkdir(parents=True)
        if name != "minor":
            (tmp_path / name / "settings.toml").touch()
    (tmp_path / "mine/codes.npz").touch()
    return tmp_path


@pytest.mark.parametrize(("line", "expected"), WORDS, ids=[line for line, _ in WORDS])
def test_what_a_shell_is_told(folder, line, expected):
    """Commands, options, choices, run folders and data sets; else what it finds itself; no library is loaded for it."""
    asked = {"_MINIVAE_COMPLETE": "bash_complete", "COMP_WORDS": line, "COMP_CWORD": str(line.count(" "))}
    done = subprocess.run([sys.executable, "-X", "importtime", "-m", "minivae"], cwd=folder, capture_output=True, text=True,
                          timeout=60, env={**os.environ, "PYTHONPATH": str(ROOT), **asked})
    told = [line.split(",", 1) for line in done.stdout.splitlines()]
    found = [value if kind == "plain" else f"{kind}:{value}" for kind, value in told]
    assert done.returncode == 0 and "Traceback" not in done.stderr and "| numpy" not in done.stderr
    assert sorted(found) == sorted(expected)


def _bash(folder, line):
    """What bash has after Tab at the end of a line."""
    script = f"""
        eval "$({sys.executable} -m minivae completion bash)"
        COMP_WORDS=({line}); COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1)); COMPREPLY=()
        compopt() {{ echo "compopt $*"; }}
        _minivae_completion {folder}/minivae
        printf '%s\\n' "${{COMPREPLY[@]}}" """
    program = folder / "minivae"
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -m minivae "$@"\n')
    program.chmod(0o755)
    done = subprocess.run(["bash", "--norc", "-c", script], cwd=folder, capture_output=True, text=True, timeout=60,
                          env={**os.environ, "PYTHONPATH": str(ROOT)})
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout.split()


@pytest.mark.skipif(shutil.which("bash") is None, reason="no bash on this system")
def test_bash_completes(folder):
    """The script that is printed, in bash itself: words, run folders before others, and files where files belong."""
    assert _bash(folder, "minivae trav") == ["traverse"]
    assert _bash(folder, "minivae sample runs/a --lab") == ["--label"]
    assert _bash(folder, "minivae sample runs/") == ["runs/a", "runs/b"]
    assert _bash(folder, "minivae sample mino") == ["compopt", "-o", "dirnames"]
    assert _bash(folder, "minivae encode mine x") == ["compopt", "-o", "default"]


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_script_of_each_shell(tmp_path, shell):
    """Registers the program by its name and asks it by the variable that it heeds; a shell that is here takes it."""
    code, out, err = minivae("completion", shell, cwd=tmp_path)
    assert (code, err) == (0, "") and f"_MINIVAE_COMPLETE={shell}_complete" in out and "_minivae_completion" in out
    if shutil.which(shell):
        (tmp_path / "script").write_text(out)
        done = subprocess.run([shell, "-n", "script"], cwd=tmp_path, capture_output=True, text=True, timeout=60)
        assert (done.returncode, done.stderr) == (0, "")


def test_another_shell(tmp_path):
    code, _, err = minivae("completion", "tcsh", cwd=tmp_path)
    assert code == 2 and "'bash', 'zsh', 'fish'" in err and err.count("\n") == 1


def test_tab_does_not_install(tmp_path):
    """In a fresh checkout nothing is set up, and nothing said, when a shell asks."""
    for name in ("bin/minivae", "bin/setup-venv", "setup.py"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / name)
    asked = {"_MINIVAE_COMPLETE": "bash_complete", "COMP_WORDS": "minivae tra", "COMP_CWORD": "1"}
    done = subprocess.run([tmp_path / "bin/minivae"], capture_output=True, text=True, timeout=60,
                          env={**os.environ, **asked})
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "") and not (tmp_path / ".venv").exists()
