"""The stand-in for CuPy against the CuPy that is installed: no name and no parameter that it does not have.

What CuPy's Python functions take is read from their signatures; the compiled ones say it in the first line of their
docstrings, in Cython's notation.
"""

import ast
import ctypes
import inspect
import re
from functools import cache
from importlib import import_module
from operator import attrgetter
from pathlib import Path

import cupy
import cupy_backends.cuda.libs
import pytest
import strict_cupy
from strict_cupy import cuda, nccl, raw
from strict_cupy.array import REFUSED

import minivae
from minivae import device, kernels
from minivae.host import compiler
from minivae.parallel import nccl as sums

CLASSES = {"ndarray": strict_cupy.ndarray, "RawModule": strict_cupy.RawModule, "RawKernel": raw.RawKernel,
           "cuda.MemoryPool": type(strict_cupy.get_default_memory_pool()), "cuda.Device": cuda.Device,
           "cuda.Event": cuda.Event, "cuda.Stream": cuda.Stream, "cuda.Graph": cuda.Graph,
           "cuda.nccl.NcclCommunicator": nccl.NcclCommunicator}
PLACES = {"": strict_cupy.__all__, "cuda.": cuda.__all__, "cuda.nccl.": nccl.__all__, "cuda.runtime.": vars(cuda.runtime),
          "lib.stride_tricks.": vars(strict_cupy.lib.stride_tricks)}
# What the stand-in's classes have under CuPy's names: all that is public, and Python's special methods.
PYTHONS_OWN = {*dir(object), "__module__", "__dict__", "__weakref__", "__annotations__"}
METHODS = {f"{place}.{name}": member for place, kind in CLASSES.items() for name, member in vars(kind).items()
           if (name[0] != "_" or name[:2] == "__") and name not in {*PYTHONS_OWN, *REFUSED}}
MADE_BY_OTHERS = ("RawKernel", "cuda.Graph")        # of whose constructors nobody knows
NAMES = sorted({*(f"{place}{name}" for place, names in PLACES.items() for name in names), *METHODS, *CLASSES}
               - {*MADE_BY_OTHERS, *(f"{name}.__init__" for name in CLASSES), "__version__"})
PROTOCOLS = ("__new__", "__enter__", "__exit__", "__getitem__", "__setitem__", "__array_function__", "__array_ufunc__")


@cache
def _real_nccl():
    """CuPy's side of NCCL, which cannot be imported without NCCL's library: one that has its names and nothing else, under
    its name, will do to ask what the functions take."""
    path = next(Path(cupy_backends.cuda.libs.__path__[0]).glob("nccl.*"))
    names = sorted({name.decode() for name in re.findall(rb"\bnccl[A-Z]\w+", path.read_bytes())})
    source = "".join(f'extern "C" void {name}() {{}}\n' for name in names)
    flags = ("-shared", "-fPIC", "-Wl,-soname,libnccl.so.2")
    ctypes.CDLL(str(compiler.build("nccl_names", source, flags=flags)), ctypes.RTLD_GLOBAL)
    return import_module("cupy_backends.cuda.libs.nccl")


def _real(name: str):
    if name.startswith("cuda.nccl."):
        return attrgetter(name.removeprefix("cuda.nccl."))(_real_nccl())
    name = "cuda.graph.Graph" + name[10:] if name.startswith("cuda.Graph") else name
    return attrgetter(name)(cupy)


def _stand_in(name: str):
    return METHODS.get(name) or CLASSES.get(name) or attrgetter(name)(strict_cupy)


def _parameters(real, name: str) -> dict[str, tuple[str, str]] | None:
    """Name to (kind, default) of what a function or class of CuPy takes; None where it takes what it likes."""
    try:
        signature = inspect.signature(real)
        kinds = {p.kind for p in signature.parameters.values()}
        if inspect.Parameter.VAR_POSITIONAL not in kinds:
            return {p.name: (p.kind.name, _default(p)) for p in signature.parameters.values()}
    except ValueError:
        pass
    last = name.rpartition(".")[2]
    for line in (real.__doc__ or "").splitlines()[:2]:
        told = re.match(rf"\s*(?:[\w.]+\.)?(?:{last}|__init__)\((.*)\)(?: ->.*)?$", line.replace("\\", ""))
        if told and "**kwargs" not in told[1].replace("out=None, **kwargs", ""):
            return _cythons(told[1].removeprefix("self, ") if inspect.isclass(real) else told[1])
    if name == "RawKernel.__call__":
        return _cythons(re.search(r"\n\s*__call__\((.*)\)", real.__doc__.replace("\\", ""))[1])
    return None


def _default(p: inspect.Parameter) -> str:
    return "" if p.default is p.empty else getattr(p.default, "__name__", str(p.default))


def _cythons(text: str) -> dict[str, tuple[str, str]]:
    """Parameters as Cython writes them: `str code=None, *, tuple options=()`."""
    found: dict[str, tuple[str, str]] = {}
    kind = "POSITIONAL_OR_KEYWORD"
    for part in filter(None, map(str.strip, re.split(r",(?![^(]*\))", text))):
        if part == "/":
            found = {name: ("POSITIONAL_ONLY", default) for name, (_, default) in found.items()}
        elif part == "*":
            kind = "KEYWORD_ONLY"
        else:
            declared, _, default = part.partition("=")
            name = declared.split()[-1]
            found[name.lstrip("*")] = ("VAR" if name[0] == "*" else kind, default.removeprefix("u").strip("'"))
    return found


def _misfit(ours: inspect.Signature, real: dict[str, tuple[str, str]]) -> str | None:
    """What is wrong with calling the real one in every way in which the stand-in can be called."""
    positional = [name for name, (kind, _) in real.items() if kind.startswith("POSITIONAL")]
    nameless = all(real[name][0] == "POSITIONAL_ONLY" for name in positional)
    for place, p in enumerate(ours.parameters.values()):
        if p.kind.name.startswith("VAR"):
            continue
        if p.kind.name.startswith("POSITIONAL"):
            if place >= len(positional) or not (nameless or positional[place] == p.name):
                return f"{p.name} is not parameter {place} of {list(real)}"
            given = real[positional[place]]
        elif p.name not in real:
            return f"{p.name} is none of {list(real)}"
        else:
            given = real[p.name]
        if _default(p) != given[1]:
            return f"{p.name} is {_default(p) or 'required'} here, {given[1] or 'required'} there"
    lacking = [name for name, (kind, default) in real.items() if not (default or kind.startswith("VAR"))]
    taken = set(ours.parameters) if not nameless else set(real)
    return f"{lacking} are required there" if set(lacking) - taken else None


@pytest.mark.parametrize("name", NAMES)
def test_offers_nothing_that_cupy_has_not(name):
    """The name exists, is callable where it is here, and takes every parameter that it takes here, in the same place
    and with the same default."""
    ours, real = _stand_in(name), _real(name)
    if ours is real:
        return
    if not callable(ours):
        assert not callable(real) or name in ("cuda", "lib")
        return
    assert callable(real) and inspect.isclass(ours) == inspect.isclass(real)
    parameters = _parameters(real, name)
    if parameters is None:      # CuPy does not tell
        assert name.rpartition(".")[2] in PROTOCOLS, real.__doc__
        return
    misfit = _misfit(inspect.signature(ours), parameters)
    assert misfit is None, misfit


@pytest.mark.parametrize(("ours", "wrong"), [
    (lambda shape, dtype=float, order="C": 0, None), (lambda shape, order="C", dtype=float: 0, "order is not parameter 1"),
    (lambda shape, dtype=int: 0, "dtype is int here, float there"), (lambda shape, kind=None: 0, "kind is not parameter 1"),
    (lambda: 0, "required there"), (lambda shape, *, fill=0: 0, "fill is none of")])
def test_an_invented_parameter_would_be_seen(ours, wrong):
    misfit = _misfit(inspect.signature(ours), _parameters(cupy.empty, "empty"))
    assert misfit is None if wrong is None else wrong in misfit


def test_the_numbers_of_nccls_types_are_its_own():
    for name in nccl.__all__:
        if name.startswith("NCCL_"):
            assert getattr(nccl, name) == getattr(_real_nccl(), name)


def test_an_invented_name_would_be_seen():
    with pytest.raises(AttributeError):
        _real("cuda.Device.use_all")


# ---- what minivae uses ----

def _chains(path: Path) -> set[str]:
    """Every `cupy.<dotted name>` in a source file, however the module was reached (cupy, self.cupy, device.cupy)."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        names, inner = [], node
        while isinstance(inner, ast.Attribute):
            names.append(inner.attr)
            inner = inner.value
        if isinstance(inner, ast.Name):
            names.append(inner.id)
        if "cupy" in names[1:]:
            found.add(".".join(reversed(names[:names.index("cupy")])))
    return {name for name in found if not any(other.startswith(f"{name}.") for other in found)}


def test_the_stand_in_has_all_that_minivae_uses():
    """Every name of CuPy in the three modules that may use it; and the list in device.py's docstring is that list."""
    used = set().union(*(_chains(Path(module.__file__)) for module in (device, kernels, sums)))
    assert {"RawModule", "cuda.Device", "cuda.nccl.NcclCommunicator", "cuda.runtime.getDeviceCount"} <= used
    for name in used - {"__version__"}:
        assert name in NAMES, f"the stand-in lacks cupy.{name}"
    listed = re.search(r"What minivae uses of CuPy.*?: (.*?)\. Of arrays", " ".join(device.__doc__.split()))[1]
    assert set(listed.split(", ")) == used - {"__version__"}


def test_no_other_module_knows_cupy():
    """One imports it, three use it; the probe of doctor's asks what it is given for versions."""
    package = Path(minivae.__file__).parent
    for path in package.rglob("*.py"):
        where = path.relative_to(package).as_posix()
        tree = ast.parse(path.read_text())
        modules = [name.name for node in ast.walk(tree) if isinstance(node, ast.Import) for name in node.names] + [
            node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
        assert where == "device.py" or not any(name.split(".")[0] == "cupy" for name in modules), path
        if where not in ("device.py", "kernels.py", "parallel/nccl.py"):
            asked = {"cuda.runtime", "cuda.nvrtc.getVersion"} if where == "gpu/probe.py" else set()
            assert _chains(path) <= asked, path
