"""What a script needs besides Python, looked for before anything is imported: only the standard library here."""

from __future__ import annotations

import sys
from importlib.util import find_spec
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
MINIVAES = ("numpy", "click", "rich", "PIL", "safetensors", "platformdirs", "psutil", "jinja2")     # what minivae itself imports
PACKAGES = {"PIL": "pillow"}    # that are not called as their modules are


def require(script: str, words: str, *others: str) -> None:
    """Go on where all is there; else leave: with the help that was asked for, or with one line that names the fix.

    Args:
        script: its path.
        words: what it is and how it is called, its docstring.
        others: modules that it needs beside minivae's own.
    """
    sys.path.insert(0, str(ROOT))       # minivae, where it is not installed
    missing = [PACKAGES.get(name, name) for name in (*MINIVAES, *others) if find_spec(name) is None]
    if not missing:
        return
    if {"-h", "--help"} & set(sys.argv[1:]):
        print(words.strip())
        sys.exit()
    own = "" if set(missing) <= set(others) else "; or start it with .venv/bin/python, which bin/minivae sets up"
    sys.exit(f"{Path(script).name} needs {', '.join(missing)}: {sys.executable} -m pip install {' '.join(missing)}{own}")
