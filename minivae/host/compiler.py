"""The machine's C++ compiler, and the folder where what it made is kept.

A library is cached under a key of everything that shapes it: source, flags, compiler and processor.
Two processes may build the same one at once: each writes aside and renames.
"""

from __future__ import annotations

import ctypes
import hashlib
import os
import platform
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path

from minivae.errors import MinivaeError

try:
    import fcntl
except ImportError:     # no such locks on Windows
    fcntl = None

INSTALL_HINT = ("install one (Debian, Ubuntu: apt install g++; Fedora: dnf install gcc-c++; macOS: "
                "xcode-select --install) or set CXX to its path")

# Exit codes of a compiler that Ctrl-C or a shutdown ended, started by itself or through a shell.
STOPPED = {code for number in (signal.SIGINT, signal.SIGTERM) for code in (-number, 128 + number)}
OLD = 5.0       # seconds after which a folder that nobody holds is a dead process's

_running: set[subprocess.Popen] = set()     # compilers
_folders: set[str] = set()       # that it compiles in


def cache_folder() -> Path:
    """Where compiled libraries and downloaded data are kept: $MINIVAE_CACHE or the user's cache."""
    chosen = os.environ.get("MINIVAE_CACHE")
    if chosen:
        return Path(chosen)
    import platformdirs
    return Path(platformdirs.user_cache_dir("minivae"))


@cache
def find() -> str | None:
    """The command of a C++ compiler ($CXX, which may have arguments, c++, g++ or clang++), or None."""
    chosen = os.environ.get("CXX")
    if chosen:
        return chosen if shutil.which(shlex.split(chosen)[0]) else None
    return next(filter(None, map(shutil.which, ("c++", "g++", "clang++"))), None)


def require() -> str:
    """The command of a C++ compiler.

    Raises:
        MinivaeError: there is none, or $CXX names none.
    """
    found = find()
    if found is None:
        chosen = os.environ.get("CXX")
        what = f"CXX={chosen} names no program" if chosen else "no C++ compiler found"
        raise MinivaeError(f"{what}, and kernels for the CPU need one: {INSTALL_HINT}")
    return found


def version() -> str:
    """What the compiler says that it is, in one line.

    Raises:
        MinivaeError: there is none, or it does not start.
    """
    command = shlex.split(require())
    try:
        done = subprocess.run([*command, "--version"], capture_output=True, text=True, errors="replace", check=False)
    except OSError as error:
        raise MinivaeError(f"the C++ compiler {command[0]} does not start: {error.strerror}; {INSTALL_HINT}") from error
    return (done.stdout or done.stderr).strip().partition("\n")[0]


@cache
def _processor() -> str:
    """What -march=native depends on."""
    try:
        lines = Path("/proc/cpuinfo").read_text().split("\n\n")[0].splitlines()
        return "".join(sorted(ln for ln in lines if ln.startswith(("model name", "flags", "Features"))))
    except OSError:
        return platform.processor()


@cache
def _flags() -> tuple[str, ...]:
    native = {"x86_64": ("-march=native", "-mprefer-vector-width=512"),
              "AMD64": ("-march=native", "-mprefer-vector-width=512")}
    # No -ffast-math: NaN and infinity stay visible, and no sum is reordered. errno and traps are
    # what keeps square roots and selections from being vectorized.
    return ("-O3", *native.get(platform.machine(), ("-mcpu=native",)), "-std=c++17", "-fPIC", "-shared",
            "-pthread", "-ffp-contract=fast", "-fno-math-errno", "-fno-trapping-math")


def _identity(compiler: str) -> str:
    programs = [os.path.realpath(shutil.which(word) or "") for word in shlex.split(compiler)]
    return " ".join([compiler, *(f"{p} {os.stat(p).st_size} {os.stat(p).st_mtime_ns}" for p in programs if os.path.isfile(p))])


def path_of(name: str, source: str, defines: tuple[str, ...] = (), flags: tuple[str, ...] | None = None) -> Path:
    """Where the library of this source is, or would be, cached."""
    key = "\0".join((source, *defines, *(_flags() if flags is None else flags), _identity(require()), _processor()))
    digest = hashlib.sha256(key.encode()).hexdigest()[:24]
    return cache_folder() / "kernels" / f"{name}-{digest}.so"


def build(name: str, source: str, defines: tuple[str, ...] = (), flags: tuple[str, ...] | None = None) -> Path:
    """Compile `source` to a shared library, unless the cache has it, and return its path.

    Args:
        flags: the compiler's, in place of those that make kernels fast.

    Raises:
        MinivaeError: no compiler, the cache folder can't be written, or the compiler failed.
    """
    path = path_of(name, source, defines, flags)
    if path.exists():
        return path
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _remove_dead(path.parent)
        with tempfile.TemporaryDirectory(dir=path.parent) as aside, _held(aside):
            (Path(aside) / f"{name}.cpp").write_text(source)
            os.replace(_compile(Path(aside), name, defines, _flags() if flags is None else flags, path.with_suffix(".log")), path)
    except OSError as error:
        raise MinivaeError(f"cannot write compiled kernels to {path.parent}: {error.strerror}; "
                           "set MINIVAE_CACHE to a folder that can be written") from error
    return path


@contextmanager
def _held(folder: str) -> Iterator[None]:
    """Show other processes, by a lock, that this one works in a folder."""
    _folders.add(folder)
    descriptor = os.open(folder, os.O_RDONLY) if fcntl else None
    try:
        if fcntl:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        _folders.discard(folder)
        if fcntl:
            os.close(descriptor)


def _remove_dead(parent: Path) -> None:
    """Remove the folders of processes that ended while they compiled: nobody holds their lock."""
    for folder in parent.glob("tmp*") if fcntl else ():
        with suppress(OSError):
            descriptor = os.open(folder, os.O_RDONLY)
            try:
                if time.time() - os.fstat(descriptor).st_mtime > OLD:
                    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    shutil.rmtree(folder, ignore_errors=True)
            finally:
                os.close(descriptor)


def stop() -> None:
    """End the compilers that this process has started."""
    for process in list(_running):
        with suppress(OSError):     # it has ended
            os.killpg(process.pid, signal.SIGTERM) if hasattr(os, "killpg") else process.terminate()


def abandon() -> None:
    """End the compilers, and remove what they have made so far: this process ends before its threads could do it."""
    stop()
    for folder in list(_folders):
        shutil.rmtree(folder, ignore_errors=True)


def _run(command: list[str]) -> tuple[int, str]:
    """(exit code, output) of a command, which stop() ends with all that it started."""
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace",
                          start_new_session=True) as process:
        _running.add(process)
        try:
            output = process.communicate()[0]
        except BaseException:
            stop()
            raise
        finally:
            _running.discard(process)
    return process.returncode, output


def _compile(folder: Path, name: str, defines: tuple[str, ...], flags: tuple[str, ...], log: Path) -> Path:
    made = folder / f"{name}.so"
    command = [*shlex.split(require()), *flags, *(f"-D{d}" for d in defines), "-o", str(made),
               str(folder / f"{name}.cpp"), "-lm"]
    try:
        code, said = _run(command)
    except OSError as error:
        raise MinivaeError(f"the C++ compiler {command[0]} does not start: {error.strerror}; {INSTALL_HINT}") from error
    if code in STOPPED:
        raise MinivaeError(f"{command[0]} was stopped while it compiled the kernel file {name}; start again")
    if code != 0:
        log.write_text(said)
        first = next((ln for ln in said.splitlines() if "error" in ln), f"exit code {code}")
        raise MinivaeError(f"{command[0]} could not compile the kernel file {name}: {first.strip()} (whole log: {log}); "
                           "minivae needs a C++17 compiler: g++ 9 or clang 10 and newer, named by CXX")
    log.unlink(missing_ok=True)     # of an earlier failure
    return made


def load(path: Path) -> ctypes.CDLL:
    """Load a built library; a damaged one is deleted, so that the next start builds it again.

    Raises:
        MinivaeError: it cannot be loaded.
    """
    try:
        return ctypes.CDLL(str(path))
    except OSError as error:
        path.unlink(missing_ok=True)
        raise MinivaeError(f"the compiled library {path} could not be loaded and was deleted ({error}); "
                           "start again to build it anew, with CXX naming a C++ compiler (g++, not gcc)") from error


def say_once(text: str) -> None:
    """Tell the user why this start takes longer."""
    print(text, file=sys.stderr, flush=True)
