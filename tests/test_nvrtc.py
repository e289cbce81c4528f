"""NVRTC, the compiler that GPU users run, on every kernel and architecture; it needs no GPU and no driver.

CuPy finds the library in the package nvidia-cuda-nvrtc. Each check is shown to fail on a source that has the fault.
"""

import re
import types

import numpy as np
import pytest

from minivae import device as devices
from minivae import traffic
from minivae.arguments import Parameter
from minivae.errors import MinivaeError
from minivae.gpu_code import nvrtc, ptx
from minivae.gpu_code.cubin import Slot, parameters
from minivae.kernels import cuda_options
from minivae.sources import signatures, source, stems
from minivae.work import MAX_THREADS

FLOAT, DOUBLE = np.dtype(np.float32), np.dtype(np.float64)
# float64 is for the tests of gradients: the oldest architecture, a middle one and the newest.
BUILDS = [(a, FLOAT) for a in nvrtc.ARCHITECTURES] + [(a, DOUBLE) for a in ("sm_75", "sm_90", "sm_120")]
LANES = {FLOAT: 4, DOUBLE: 2}       # of a pack: WIDTH in portable.cuh

NARROW = {  # (bytes of the widest load, of the widest store, why) where one of them is not 16
    "fill": (lambda real: real.itemsize, lambda real: 16, "reads one number"),
    "sum": (lambda real: 16, lambda real: real.itemsize, "writes one number a block"),
    "keep_score": (lambda real: 16, lambda real: real.itemsize, "writes three numbers"),
    "squared_norm": (lambda real: 16, lambda real: real.itemsize, "writes one number a block"),
    **{name: (lambda real: 16, lambda real: real.itemsize, "writes numbers a row") for name in (
        "sum_rows", "max_rows", "variance_rows", "logsumexp_rows", "cross_entropy", "cross_entropy_labels",
        "squared_error_value", "bernoulli_value", "importance_merge")},
    "importance_sample": (lambda real: real.itemsize, lambda real: 16, "all threads of an image read the same number"),
    "gather_batch": (lambda real: LANES[real], lambda real: 16, "pixels are bytes, as many at once as numbers are written"),
    "place_batch": (lambda real: 4, lambda real: 16, "pixels as in gather_batch; an image's number is of four bytes"),
    **{name: (lambda real: 16, lambda real: LANES[real], "writes bytes, as many at once as numbers are read") for name in (
        "compare", "compare_number", "compare_broadcast")},
    "standard_normal": (lambda real: 0, lambda real: 16, "reads nothing"),
    **{f"winograd_{name}": (lambda real: real.itemsize, lambda real: real.itemsize, "36 packs a thread would not fit its registers")
       for name in ("weights", "weights_backward", "input", "input_backward", "output", "output_backward")},
    "philox_words": (lambda real: 4, lambda real: 4, "for tests alone: a thread takes a counter's four words one by one"),
}


def test_the_real_packages_load():
    """CuPy imports without a driver and finds an NVRTC that knows the newest architecture here."""
    import cupy
    assert int(cupy.__version__.split(".")[0]) >= 13
    assert devices.import_nvrtc().getVersion() >= (12, 8)


@pytest.mark.parametrize(("architecture", "dtype"), BUILDS, ids=str)
@pytest.mark.parametrize("stem", stems())
def test_every_kernel_on_every_architecture(stem, architecture, dtype):
    """No warning, spill, local memory or float64 in the float32 build; what a block may have; the launcher's parameters.

    And 16 bytes at once: the widest load and store of each kernel, and as many such loads and stores as there are
    arrays of numbers to read and to write.
    """
    made = nvrtc.build(stem, architecture, dtype)
    assert nvrtc.faults_of(made, signatures(stem), dtype) == []
    for name, compiled in made.kernels.items():
        assert 0 < compiled.registers <= 255
        assert _widths(compiled) == _expected_widths(name, dtype), name
        if name not in NARROW or _expected_widths(name, dtype) != (dtype.itemsize,) * 2:
            real = {p.name for p in signatures(stem)[name] if p.ctype == "real"}
            reads, writes = (sum(term.name in real and term.share is not None for term in terms)
                             for terms in traffic.moves(name))
            assert compiled.entry.loads.get(16, 0) >= reads and compiled.entry.stores.get(16, 0) >= writes, name


@pytest.mark.parametrize("stem", stems())
def test_moves_lines_are_true(stem):
    """What the line above each kernel says that it reads and writes is what its code loads from and stores to."""
    for name, compiled in nvrtc.build(stem, "sm_90", FLOAT).kernels.items():
        code = dict(zip((p.name for p in signatures(stem)[name]), compiled.entry.parameters, strict=True))
        reads, writes = ({term.name for term in terms} for terms in traffic.moves(name))
        assert reads == {parameter for parameter, seen in code.items() if seen.loaded}, name
        assert writes == {parameter for parameter, seen in code.items() if seen.stored}, name


def _widths(compiled):
    return max(compiled.entry.loads, default=0), max(compiled.entry.stores, default=0)


def _expected_widths(name, dtype):
    load, store, _ = NARROW.get(name, (lambda real: 16, lambda real: 16, ""))
    return load(dtype), store(dtype)


# ---- CuPy's options ----

def test_the_options_are_cupys_own(monkeypatch):
    """What CuPy's RawModule hands to NVRTC, caught on its way there, but for folders of headers that we do not include."""
    from cupy._core import core
    from cupy.cuda import compiler

    given = []

    def program(source, path, *rest, **settings):
        def compile(options, log):
            given.append((source, options))
            return b"", None

        return types.SimpleNamespace(compile=compile)

    for_architecture = compiler._get_arch_for_options_for_nvrtc.__wrapped__       # else it asks which GPU is in use
    monkeypatch.setattr(compiler, "_get_arch_for_options_for_nvrtc", for_architecture)
    monkeypatch.setattr(compiler, "_preprocess", lambda *_: "")
    monkeypatch.setattr(compiler, "_NVRTCProgram", program)
    monkeypatch.setattr(compiler, "function", types.SimpleNamespace(
        Module=lambda: types.SimpleNamespace(load=lambda code: None, _set_mapping=lambda mapping: None)))
    monkeypatch.setenv("CUPY_CACHE_IN_MEMORY", "1")
    for architecture, dtype in BUILDS:
        options = core.assemble_cupy_compiler_options(cuda_options(dtype))       # as RawModule does before
        compiler._compile_module_with_cache("source", options, arch=architecture.removeprefix("sm_"), extra_source="")
        text, options = given.pop()
        kept = [option for option in options if not option.startswith("-I")]
        assert text == "source" and kept == list(nvrtc.options(dtype, architecture))
    assert not [line for stem in stems() for line in source(stem).splitlines() if line.startswith("#include <")
                and line not in ("#include <math.h>", "#include <string.h>")]      # these two for a CPU alone


def test_without_nvrtc_it_is_one_line(monkeypatch):
    """CuPy's nvrtc raises at the first call where the library is missing."""
    from cupy.cuda import nvrtc as bound

    def missing():
        raise RuntimeError("libnvrtc.so.13: cannot open shared object file\nmore")

    monkeypatch.setattr(bound, "getVersion", missing)
    with pytest.raises(MinivaeError, match=r"though no GPU \(libnvrtc.*\): .* pip install 'cupy-cuda1") as caught:
        devices.import_nvrtc()
    assert "\n" not in str(caught.value)


# ---- each check can fail ----

KERNEL = 'extern "C" __global__ void k(const float* x, float* y, long long n) { %s }'
X, Y = Parameter("x", "real", True, True), Parameter("y", "real", True, False)
N = Parameter("n", "int64", False, False)
SIGNATURE = {"k": (X, Y, N)}
PLAIN = "y[threadIdx.x + n] = x[threadIdx.x];"


def _faults(text, *more, believed=SIGNATURE):
    return nvrtc.faults_of(nvrtc.compile_source(text, (*nvrtc.options(FLOAT, "sm_90"), *more)), believed)


def test_a_plain_kernel_has_no_fault():
    assert _faults(KERNEL % PLAIN) == []


@pytest.mark.parametrize(("body", "words"), [
    ("int unused; " + PLAIN, r'variable "unused" was declared but never referenced'),
    ("y[0] = x[0] * 0.1;", r"k: float64 arithmetic in the float32 build: .*f64"),
    ("y[0] = (float)((double)x[0] + n);", r"k: float64 arithmetic in the float32 build: .*f64"),
    ("float a[64] = {}; for (int i = 0; i < 99; ++i) a[(int)x[i] & 63] += i; y[0] = a[n];",
     r"k: an array in local memory \(a stack of 256 bytes\)")])
def test_a_planted_fault_is_found(body, words):
    found = _faults(KERNEL % body)
    assert len(found) == 1 and re.search(words, found[0]), found


def test_a_spill_is_found():
    """The same kernels with too few registers."""
    made = nvrtc.compile_source(source("winograd"), (*nvrtc.options(FLOAT, "sm_90"), "--maxrregcount=40"))
    assert any("registers spilled to memory" in fault for fault in nvrtc.faults_of(made, signatures("winograd")))


def test_more_than_a_block_may_have():
    """NVRTC refuses too much shared memory; 256 threads cannot have too many registers, as each has at most 255."""
    with pytest.raises(MinivaeError, match="NVRTC .* does not compile for .*-arch=sm_90"):
        _faults(KERNEL % "__shared__ float s[12289]; s[n] = x[0]; __syncthreads(); y[0] = s[0];")
    made = nvrtc.compile_source(KERNEL % PLAIN, nvrtc.options(FLOAT, "sm_90"))
    larger = made.kernels["k"]._replace(registers=257, shared=(48 << 10) + 4)
    assert nvrtc.faults_of(nvrtc.Build((), {"k": larger}), SIGNATURE) == [
        f"k: 257 registers for each of {MAX_THREADS} threads are more than 65536",
        "k: 49156 bytes of shared memory are more than 49152"]


@pytest.mark.parametrize(("believed", "words"), [
    ({"k": (X, Y)}, ["k: 3 parameters in the code, 3 in its PTX, 2 for the launcher"]),
    ({"k": (X, Y, Parameter("n", "int", False, False))}, ["k: n has 8 bytes at 16, 4 bytes at 16 for the launcher"]),
    ({"k": (X, Y, Parameter("n", "double", False, False))}, ["k: n is a u64 in the code, for the launcher double n"]),
    ({"k": (X, N, Y)}, ["k: n is an address in the code, for the launcher int64 n",
                        "k: y is no address in the code, for the launcher real* y"]),
    ({"other": SIGNATURE["k"]}, ["compiled k instead of other"])], ids=str)
def test_parameters_that_the_launcher_does_not_believe_in(believed, words):
    """Their number, sizes and places in the machine code, and which are addresses or floating-point numbers."""
    assert [fault.replace("b64", "u64") for fault in _faults(KERNEL % PLAIN, believed=believed)] == words


def test_one_number_at_a_time_is_seen():
    """The widths that a kernel would have without packs; and those of packs, of bytes and of doubles."""
    def widths(element, count):
        text = (f"struct alignas({count} * sizeof({element})) Pack {{ {element} lane[{count}]; }};"
                f'extern "C" __global__ void k(const {element}* x, {element}* y) '
                "{ *(Pack*)(y + sizeof(Pack) * threadIdx.x) = *(const Pack*)(x + sizeof(Pack) * threadIdx.x); }")
        return _widths(nvrtc.compile_source(text, nvrtc.options(FLOAT, "sm_75")).kernels["k"])

    assert widths("float", 1) == (4, 4) and widths("unsigned char", 1) == (1, 1) and widths("double", 1) == (8, 8)
    assert widths("float", 4)[0] == 16 and widths("unsigned char", 4)[0] == 4 and widths("double", 2)[0] == 16


def test_what_is_no_cubin_is_refused():
    with pytest.raises(ValueError, match="no 64-bit ELF file"):
        parameters(b"PTX")


def test_a_parameter_list_of_all_sizes():
    """Offsets and sizes in the machine code, types in PTX."""
    made = nvrtc.compile_source('extern "C" __global__ void k(unsigned char a, float* b, int c, double d, float e)'
                                "{ b[a] = c + e + (float)d; }", nvrtc.options(FLOAT, "sm_120")).kernels["k"]
    assert made.slots == (Slot(0, 1), Slot(8, 8), Slot(16, 4), Slot(24, 8), Slot(32, 4))
    assert [p.type[1:] for p in made.entry.parameters] == ["8", "64", "32", "64", "32"]
    assert [p.pointer for p in made.entry.parameters] == [False, True, False, False, False]
    assert ptx.entries("") == {}
