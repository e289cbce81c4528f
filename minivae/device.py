"""Devices: where arrays live. The only module that imports CuPy.

A Device makes arrays, moves them, and multiplies matrices. On a CPU arrays are NumPy's and products
run on our own thread pool; on a GPU arrays are CuPy's and products cuBLAS's.

What minivae uses of CuPy, all of it here, in kernels.py and in parallel/nccl.py: empty, zeros, asarray, asnumpy, matmul, add,
ndarray, RawModule, get_default_memory_pool, cuda.Device, cuda.Event, cuda.get_current_stream, cuda.get_elapsed_time,
cuda.nccl.available, cuda.nccl.get_unique_id, cuda.nccl.NcclCommunicator, cuda.nccl.NCCL_FLOAT32, cuda.nccl.NCCL_FLOAT64,
cuda.nccl.NCCL_SUM, cuda.runtime.getDeviceCount, cuda.runtime.getDeviceProperties, cuda.runtime.memGetInfo,
lib.stride_tricks.as_strided. Of arrays the rest of minivae uses shape, dtype, size, ndim, views (slices, reshape, transpose,
T), and to move data copy, fill, [...] = and sum.
The tests run all of it without a GPU over tests/strict_cupy, which has these names and no others.
`minivae kernels` looks at what cuda.nvrtc compiles; `minivae doctor` also asks cuda.runtime.runtimeGetVersion and
cuda.nvrtc.getVersion, through gpu/probe.py.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from functools import cache, cached_property

import numpy as np

from minivae.errors import MinivaeError, UsageError
from minivae.gpu import probe as gpu_probe
from minivae.gpu.errors import GpuError, driver_answer, install, install_nccl
from minivae.host.free_memory import free_memory
from minivae.host.memory import FEW, MemoryPool
from minivae.host.pool import Host, address
from minivae.parallel.collectives import OnHost, ThroughHost
from minivae.parallel.nccl import Nccl
from minivae.system import default_threads, has_nvidia_driver, processor_name
from minivae.trace import recorded

ALIGNMENT = 16      # bytes: every pointer that a kernel gets is a multiple of this
FEWEST_COLUMNS = 2 << 20        # bytes, of column_bytes: with fewer, products have too few rows to be fast


class CpuDevice:
    """The processor: NumPy arrays, kernels compiled by the machine's C++ compiler.

    Args:
        threads: how many threads kernels and products use; None for all that this process may run on.
    """

    name = "cpu"
    cuda = False
    column_bytes = 8 << 20      # of a convolution's columns at a time: they stay in the cache, and launches are few

    def __init__(self, threads: int | None = None):
        self.memory, self.kernels = MemoryPool(), {}     # kernels.py keeps there what it has compiled
        self._threads = threads or default_threads()

    @property
    def threads(self) -> int:
        return self._threads

    @threads.setter
    def threads(self, count: int) -> None:
        self._threads = count
        if "host" in self.__dict__:
            self.host.configure(count)

    def share_cache(self, processes: int) -> None:
        """Leave so many processes that compute on this machine at the same time, this one among them, each its part of the
        cache that cores share."""
        self.column_bytes = max(CpuDevice.column_bytes // processes, FEWEST_COLUMNS)

    @cached_property
    def host(self) -> Host:
        """The thread pool and the matrix products, compiled at the first use."""
        return Host(self._threads)

    def owns(self, array) -> bool:
        """Whether an array lives on this device."""
        return isinstance(array, np.ndarray)

    def empty(self, shape: tuple[int, ...], dtype) -> np.ndarray:
        """An uninitialized C-contiguous array."""
        return np.empty(shape, dtype) if math.prod(shape) < FEW else self.memory.empty(shape, dtype)

    def zeros(self, shape: tuple[int, ...], dtype) -> np.ndarray:
        """A C-contiguous array of zeros."""
        array = self.empty(shape, dtype)
        array.fill(0)
        return array

    def from_host(self, array: np.ndarray) -> np.ndarray:
        """A copy of a NumPy array on this device."""
        copy = self.empty(array.shape, array.dtype)
        np.copyto(copy, array)
        return copy

    def to_read(self, array: np.ndarray) -> np.ndarray:
        """A NumPy array as one on this device that kernels only read: itself where nobody can write to it, such as a map of
        a file, which then need not fit into memory; else a copy."""
        return array if self.reads_in_place(array) else self.from_host(array)

    def reads_in_place(self, array: np.ndarray) -> bool:
        """Whether to_read takes no memory of this device."""
        return _frozen(array) and array.flags.c_contiguous and address(array) % ALIGNMENT == 0

    def to_host(self, array: np.ndarray) -> np.ndarray:
        """A copy of a device array as a NumPy array; waits until it is computed."""
        return np.array(array)

    @recorded
    def matmul(self, a: np.ndarray, b: np.ndarray, out: np.ndarray | None = None,
               accumulate: bool = False) -> np.ndarray:
        """The product a (m, k) @ b (k, n) -> (m, n), or with `accumulate` out + a @ b; a and b may be transposed views.

        With three axes a batch of products: (batch, m, k) @ (batch, k, n) -> (batch, m, n).

        Raises:
            ValueError: shapes that do not fit, or dtypes that differ.
        """
        shape = _product_shape(a, b, out)
        if out is None:
            out = self.empty(shape, a.dtype)
        if a.shape[-1] == 0 and not accumulate:
            out.fill(0)
        elif out.size:
            self.host.multiply(a, b, out, accumulate)
        return out

    @property
    def bytes_held(self) -> int:
        """Bytes of memory taken for arrays so far, in use or kept for reuse."""
        return self.memory.held

    @property
    def bytes_free(self) -> int:
        """Bytes that can still be taken, beside those that are held."""
        return free_memory()

    def release(self) -> None:
        """Give memory that is kept for reuse back to the system."""
        self.memory.release()

    def mark(self) -> float:
        """Now, on this device's clock; for milliseconds()."""
        return time.perf_counter()

    def milliseconds(self, began: float, ended: float) -> float:
        """The time between two marks."""
        return (ended - began) * 1e3

    def collectives(self, world) -> OnHost:
        """How arrays here are added up and gathered over the processes of an mpi.World."""
        return OnHost(world, self)

    def address_of(self, array: np.ndarray) -> int:
        """The address of an array's first element."""
        return address(array)

    def rows_apart(self, rows: int, row_bytes: int) -> int:
        """How many rows apart to lay the matrices of a batch that a kernel walks side by side.

        Whole multiples of 4 KiB would put a place of each matrix into the same few lines of the first-level cache.
        """
        return rows + (rows * row_bytes % 4096 == 0)

    def view(self, flat: np.ndarray, first: int, shape: tuple[int, ...], strides: tuple[int, ...]) -> np.ndarray:
        """An array over `flat` from its element `first` on, of that shape and with strides in bytes."""
        return np.ndarray(shape, flat.dtype, flat, first * flat.itemsize, strides)      # as_strided takes ten times as long

    def describe(self) -> str:
        """One line that says what runs where."""
        return f"cpu ({processor_name()}, {self.threads} threads)"


class CudaDevice:
    """A GPU, through CuPy.

    Args:
        index: the GPU's number.

    Raises:
        GpuError: CuPy is missing or the GPU does not work; the text names the fix.
    """

    cuda = True
    column_bytes = 256 << 20    # of a convolution's columns at a time: enough to fill the largest GPU

    def __init__(self, index: int = 0):
        self.cupy = cupy = _import_cupy()
        count = driver_answer(cupy.cuda.runtime.getDeviceCount)
        if index >= count:
            raise UsageError(f"there is no GPU {index}: CUDA sees {count}, numbered from 0; take --device "
                             f"{'cpu' if count == 0 else 'cuda:0'}")
        self.index, self.name, self.kernels, self.array_type = index, f"cuda:{index}", {}, cupy.ndarray
        # The first use of a GPU makes its context, the first kernel finds CuPy's headers, the first product loads its
        # library: what fails, fails here.
        driver_answer(lambda: cupy.cuda.Device(index).use())
        one = driver_answer(lambda: cupy.empty((2, 2), np.float32))
        driver_answer(lambda: one.fill(1))
        driver_answer(lambda: cupy.matmul(one, one))

    def owns(self, array) -> bool:
        """Whether an array lives on this device."""
        return isinstance(array, self.array_type) and array.device.id == self.index

    def empty(self, shape: tuple[int, ...], dtype):
        """An uninitialized C-contiguous array."""
        return self.cupy.empty(shape, dtype)

    def zeros(self, shape: tuple[int, ...], dtype):
        """A C-contiguous array of zeros."""
        return self.cupy.zeros(shape, dtype)

    def from_host(self, array: np.ndarray):
        """A copy of a NumPy array on this device."""
        return self.cupy.asarray(np.asarray(array, order="C"))     # ascontiguousarray would make a 0-d array one of (1,)

    def to_read(self, array: np.ndarray):
        """A copy of a NumPy array on this device, which kernels only read."""
        return self.from_host(array)

    def reads_in_place(self, array: np.ndarray) -> bool:
        """Whether to_read takes no memory of this device: never."""
        return False

    def to_host(self, array) -> np.ndarray:
        """A copy of a device array as a NumPy array; waits until it is computed."""
        return self.cupy.asnumpy(array)

    @recorded
    def matmul(self, a, b, out=None, accumulate: bool = False):
        """The product a (m, k) @ b (k, n) -> (m, n), or with `accumulate` out + a @ b; a and b may be transposed views.

        With three axes a batch of products: (batch, m, k) @ (batch, k, n) -> (batch, m, n).

        Raises:
            ValueError: shapes that do not fit, or dtypes that differ.
        """
        shape = _product_shape(a, b, out)
        if out is None:
            out = self.empty(shape, a.dtype)
        if accumulate:
            return self.cupy.add(out, self.cupy.matmul(a, b), out=out)
        return self.cupy.matmul(a, b, out=out)

    @property
    def bytes_held(self) -> int:
        """Bytes of memory taken for arrays so far, in use or kept for reuse."""
        return self.cupy.get_default_memory_pool().total_bytes()

    @property
    def bytes_free(self) -> int:
        """Bytes that can still be taken, beside those that are held: of the GPU, and of what CuPy was granted of it."""
        free, _ = self.cupy.cuda.runtime.memGetInfo()
        granted = self.cupy.get_default_memory_pool().get_limit()       # 0 for no limit
        return min(free, granted - self.bytes_held) if granted else free

    def release(self) -> None:
        """Give memory that is kept for reuse back to the system."""
        self.cupy.get_default_memory_pool().free_all_blocks()

    def mark(self):
        """Now, on this device's clock: when the GPU has done all it was told so far; for milliseconds()."""
        event = self.cupy.cuda.Event()
        event.record(self.cupy.cuda.get_current_stream())
        return event

    def milliseconds(self, began, ended) -> float:
        """The time between two marks; waits for the second."""
        ended.synchronize()
        return self.cupy.cuda.get_elapsed_time(began, ended)

    def collectives(self, world) -> Nccl | ThroughHost:
        """How arrays here are added up and gathered over the processes of an mpi.World; all of them must come here.

        Raises:
            GpuError: NCCL does not work.
        """
        if all(world.exchange(self.cupy.cuda.nccl.available)):
            return driver_answer(lambda: Nccl(world, self))
        return ThroughHost(world, self, f"NCCL is missing, which is faster: {install_nccl()}")

    def address_of(self, array) -> int:
        """The address of an array's first element."""
        return array.data.ptr

    def rows_apart(self, rows: int, row_bytes: int) -> int:
        """How many rows apart to lay the matrices of a batch: one behind the other, as cuBLAS takes them without a copy."""
        return rows

    def view(self, flat, first: int, shape: tuple[int, ...], strides: tuple[int, ...]):
        """An array over `flat` from its element `first` on, of that shape and with strides in bytes."""
        return self.cupy.lib.stride_tricks.as_strided(flat[first:], shape, strides)

    @property
    def capability(self) -> tuple[int, int]:
        """The GPU's compute capability: (7, 5) is what compilers call sm_75."""
        properties = self.cupy.cuda.runtime.getDeviceProperties(self.index)
        return properties["major"], properties["minor"]

    def describe(self) -> str:
        """One line that says what runs where."""
        properties = self.cupy.cuda.runtime.getDeviceProperties(self.index)
        return f"{self.name} ({properties['name'].decode()}, CuPy {self.cupy.__version__})"


Device = CpuDevice | CudaDevice


def _frozen(array: np.ndarray) -> bool:
    """Whether nobody can write to an array, nor to what it is a view of."""
    while isinstance(array, np.ndarray):
        if array.flags.writeable:
            return False
        array = array.base
    try:
        return array is None or memoryview(array).readonly      # of a map, or bytes
    except TypeError:       # of what does not say
        return False


def _product_shape(a, b, out) -> tuple[int, ...]:
    shape = (*a.shape[:-1], b.shape[-1])
    if a.ndim not in (2, 3) or a.shape[:-2] != b.shape[:-2] or a.shape[-1] != b.shape[-2] or a.dtype != b.dtype or (
            out is not None and (out.shape != shape or out.dtype != a.dtype or not _contiguous_matrices(out))):
        into = "" if out is None else f" into {out.shape} {out.dtype}"
        raise ValueError(f"matmul: cannot multiply {a.shape} {a.dtype} by {b.shape} {b.dtype}{into}")
    return shape


def _contiguous_matrices(out) -> bool:
    return out.flags.c_contiguous or out.strides[-2:] == (out.shape[-1] * out.itemsize, out.itemsize)


def _import_cupy():
    try:
        import cupy
    except Exception as error:      # besides ImportError what its folder for compiled kernels may raise
        raise GpuError(error) from error
    return cupy


def import_nvrtc():
    """NVIDIA's runtime compiler as CuPy binds it (cupy.cuda.nvrtc): it needs neither a GPU nor a driver.

    Raises:
        MinivaeError: CuPy or the compiler's library is missing; the text names the fix.
    """
    try:
        from cupy.cuda import nvrtc
        nvrtc.getVersion()      # finds the library
    except Exception as error:  # not installed, or of many kinds: a library that is missing or does not load
        said = next((line for line in str(error).splitlines() if line.strip("= ")), type(error).__name__)
        raise MinivaeError(f"compiling kernels for a GPU needs CuPy and NVRTC, though no GPU ({said}): "
                           f"{install()}") from error
    return nvrtc


def cuda_versions() -> dict[str, str]:
    """The versions of the parts of CUDA that CuPy works with.

    Raises:
        GpuError: CuPy is missing or cannot be imported.
    """
    return gpu_probe.cuda_versions(_import_cupy())


@cache
def cpu() -> CpuDevice:
    """The one CPU device of this process."""
    return CpuDevice()


_gpus: dict[int, CudaDevice] = {}


def known() -> list[Device]:
    """The devices that this process may have used so far."""
    return [cpu(), *_gpus.values()]


def gpu(index: int) -> CudaDevice:
    """The GPU of that number: one a process, since CuPy allocates on the thread's current one.

    Raises:
        UsageError: this process uses another already, or there is none of that number.
        MinivaeError: it does not work.
    """
    if index not in _gpus:
        if _gpus:
            raise UsageError(f"this process computes on {next(iter(_gpus.values())).name} already; start another for "
                             f"cuda:{index}")
        _gpus[index] = CudaDevice(index)
    return _gpus[index]


def select(name: str = "auto", place: int = 0) -> tuple[Device, str]:
    """The device of that name, and why it was taken.

    Args:
        name: "auto" (a working GPU, else the CPU), "cpu", "cuda" or "cuda:N".
        place: which GPU is meant where the name gives no number, counted on from the first after the last: a process's
            number among those of its machine.

    Raises:
        UsageError: an unknown name or a GPU that is not there.
        MinivaeError: a GPU was asked for and does not work.
    """
    if name == "cpu":
        return cpu(), "as asked"
    if name == "auto" and not has_nvidia_driver():
        return cpu(), "no NVIDIA driver"
    if name == "auto":
        try:
            return gpu(_at(place)), "a GPU works"
        except GpuError as error:
            return cpu(), f"no working GPU: {error.diagnosis}"
        except MinivaeError as error:
            return cpu(), str(error)
    kind, _, index = name.partition(":")
    if kind != "cuda" or not (index.isdigit() or name == "cuda"):
        raise UsageError(f"unknown device {name!r}: take auto, cpu, cuda or cuda:N (cuda:0 is the first GPU)")
    return gpu(int(index) if index else _at(place)), "as asked"


def _at(place: int) -> int:
    """The number of the GPU for a place; each process may see only its own."""
    return place % max(1, driver_answer(_import_cupy().cuda.runtime.getDeviceCount)) if place else 0


def announced(device: str | Device, say: Callable[[str], None], place: int = 0) -> Device:
    """The device, or the one of that name (see select); tells `say` which it is, and why where the name left it open."""
    where, why = select(device, place) if isinstance(device, str) else (device, "")
    say(f"device: {where.describe()}; {why}" if device == "auto" else f"device: {where.describe()}")
    return where


def device_of(array) -> Device:
    """The device that an array lives on.

    Raises:
        TypeError: it is no device's array.
    """
    if isinstance(array, np.ndarray):
        return cpu()
    if hasattr(array, "device") and hasattr(array.device, "id"):
        return gpu(array.device.id)
    raise TypeError(f"expected an array on a device, got {type(array).__name__}")


def empty_like(array):
    """An uninitialized C-contiguous array of that shape and dtype on that device."""
    if type(array) is np.ndarray and array.size < FEW:      # what most of the small launches' results are: at once
        return np.empty(array.shape, array.dtype)
    return device_of(array).empty(array.shape, array.dtype)
