"""The GPUs that CuPy reaches. It is imported here and in `cupy_product.py`, and these where a GPU is asked
for."""

import ctypes
import threading
from collections.abc import Sequence
from contextlib import AbstractContextManager
from functools import cache
from typing import Any

import cupy
import numpy as np
from attrs import field, frozen

from flowc.runtime.device.driver import driver
from flowc.runtime.device.failures import damaged, elsewhere, no_device, old_driver
from flowc.runtime.device.product import WORDS, product_of
from flowc.runtime.device.protocol import DLPACK_DEVICES, Properties, Stream
from flowc.runtime.device.site import Site

_TO_DEVICE, _TO_HOST, _WITHIN = 1, 2, 3
"""Kinds of copies, as `cudaMemcpyKind` numbers them."""
_SHARED_SIZE, _MOST_DYNAMIC_SHARED = 1, 8
"""Attributes of a function, as `CUfunction_attribute` numbers them: bytes of shared memory that its code
has, and how many more a launch may ask for."""
_MOST_SHARED = 97
"""The attribute of a device that says how much shared memory a block may have, where it is asked for."""
_NO_MEMORY = 2
"""That there is none, as `cudaError_t` numbers it."""
_RELAXED_TO_THREAD = 1
"""Recording that leaves other threads alone: `cudaStreamCaptureModeThreadLocal`."""


class _Entered(threading.local):
    """The GPUs whose contexts this thread has: functions of the driver itself, as the one that launches, do
    not make one current."""

    def __init__(self) -> None:
        self.numbers: set[int] = set()


_entered = _Entered()


@frozen(eq=False)
class CupyStream:
    """A stream of CuPy's, by its address."""

    stream: Any

    @property
    def address(self) -> int:
        """As the driver knows it."""
        return int(self.stream.ptr)

    def wait(self) -> None:
        """Returns when everything in it has been done."""
        self.stream.synchronize()


@frozen(eq=False)
class CupyBlock:
    """Memory of CuPy's pool, which gets it back with the last reference, in the order of its stream."""

    pointer: Any

    @property
    def address(self) -> int:
        """Where it begins."""
        return int(self.pointer.ptr)


@frozen(eq=False)
class CupyModule:
    """Code that the driver has loaded; `functions` keep it there."""

    functions: Sequence[Any]
    launcher: int

    @property
    def handles(self) -> Sequence[int]:
        """As `cuLaunchKernel` takes them."""
        return [int(each.ptr) for each in self.functions]


@frozen(eq=False)
class CupyGraph:
    """A graph that the driver has instantiated."""

    graph: Any

    def launch(self, stream: Stream) -> None:
        """Does all of it, in stream order."""
        self.graph.launch(_of(stream))


@frozen(eq=False)
class CupyDevice:
    """A GPU; see `runtime.device.protocol.Device` for what its functions do."""

    number: int
    name: str
    architecture: str
    pool: Any = field(factory=lambda: cupy.get_default_memory_pool())

    @property
    def faults(self) -> tuple[type[Exception], ...]:
        """The errors of CUDA's two interfaces. Those of cuBLAS come up in a function of the table alone."""
        return cupy.cuda.runtime.CUDARuntimeError, cupy.cuda.driver.CUDADriverError

    def properties(self) -> Properties:
        """What CUDA says of it. Drivers of CUDA 13 on say nothing of clocks."""
        said = cupy.cuda.runtime.getDeviceProperties(self.number)
        return Properties(
            self.name,
            self.architecture,
            int(said.get("multiProcessorCount", 1)),
            1e3 * float(said.get("clockRate", 0)),
            1e3 * float(said.get("memoryClockRate", 0)),
            int(said.get("memoryBusWidth", 0)),
            int(cupy.cuda.runtime.driverGetVersion()),
        )

    def _allow_shared_memory(self, functions: Sequence[Any]) -> None:
        """Lets launches ask for all the shared memory that a block may have: without that, 48 KiB."""
        most = cupy.cuda.runtime.deviceGetAttribute(_MOST_SHARED, self.number)
        for function in functions:
            own = cupy.cuda.driver.funcGetAttribute(_SHARED_SIZE, function.ptr)
            cupy.cuda.driver.funcSetAttribute(function.ptr, _MOST_DYNAMIC_SHARED, most - own)

    def load(self, image: bytes, functions: Sequence[str]) -> CupyModule:
        """Loads a cubin or PTX; raises FlowError (E0695) where the driver refuses it."""
        module = cupy.cuda.function.Module()
        try:
            with cupy.cuda.Device(self.number):
                module.load(image if image.startswith(b"\x7fELF") else image.rstrip(b"\0") + b"\0")
                found = [module.get_function(name) for name in functions]
                self._allow_shared_memory(found)
        except cupy.cuda.driver.CUDADriverError as error:
            raise damaged(f"{self.name}: {error}") from error
        return CupyModule(found, ctypes.cast(driver().cuLaunchKernel, ctypes.c_void_p).value or 0)

    def free_bytes(self) -> int:
        """What the driver has, and what lies unused in CuPy's pool."""
        with cupy.cuda.Device(self.number):
            free, _ = cupy.cuda.runtime.memGetInfo()
            return int(free) + int(self.pool.free_bytes())

    def new_stream(self) -> CupyStream:
        """A stream that waits for no other, CUDA's default one included."""
        with cupy.cuda.Device(self.number):
            return CupyStream(cupy.cuda.Stream(non_blocking=True))

    def current_stream(self) -> CupyStream:
        """CuPy's current stream of this thread."""
        return CupyStream(cupy.cuda.get_current_stream())

    def on(self, stream: Stream) -> AbstractContextManager[object]:
        """CuPy's own work within is done in this stream; the driver knows the GPU of this thread."""
        if self.number not in _entered.numbers:
            cupy.cuda.runtime.free(0)
            _entered.numbers.add(self.number)
        context: AbstractContextManager[object] = _of(stream)
        return context

    def block(self, size: int) -> CupyBlock:
        """Memory of CuPy's pool; raises MemoryError."""
        return CupyBlock(cupy.cuda.alloc(size))

    def empty(self, shape: Sequence[int], dtype: "np.dtype[Any]") -> Any:
        """A CuPy array; raises MemoryError."""
        return cupy.empty(tuple(shape), dtype)

    def find(self, value: object) -> Any | None:
        """The CuPy array that shows an object's memory on a GPU; raises FlowError for another GPU."""
        array = value if isinstance(value, cupy.ndarray) else _shown(value)
        if array is not None and int(array.device.id) != self.number:
            raise elsewhere(self.name, int(array.device.id), self.number)
        return array

    def address(self, array: Any) -> int:
        """Where an array's first element is."""
        return int(array.data.ptr)

    def put(self, source: "np.ndarray[Any, Any]", array: Any, stream: Stream) -> None:
        """Copies host memory to an array; CUDA has read what is not pinned when it returns."""
        _move(array.data.ptr, source.ctypes.data, source.nbytes, _TO_DEVICE, stream)

    def get(self, array: Any, target: "np.ndarray[Any, Any]", stream: Stream) -> None:
        """Copies an array to host memory."""
        _move(target.ctypes.data, array.data.ptr, target.nbytes, _TO_HOST, stream)

    def pinned(self, size: int) -> "np.ndarray[Any, Any]":
        """Bytes of CuPy's pool of pinned memory; raises MemoryError."""
        try:
            return np.frombuffer(cupy.cuda.alloc_pinned_memory(size), np.uint8, size)
        except cupy.cuda.runtime.CUDARuntimeError as error:
            if error.status != _NO_MEMORY:
                raise
            raise MemoryError(f"{size} bytes of pinned memory: {error}") from error

    def read(self, to: int, source: int, size: int, stream: Stream) -> None:
        """Copies to host memory and waits."""
        _move(to, source, size, _TO_HOST, stream)
        stream.wait()

    def copy(self, to: int, source: int, size: int, stream: Stream) -> None:
        """Copies within the GPU."""
        _move(to, source, size, _WITHIN, stream)

    def product(self, description: int, stream: Stream) -> None:
        """A matrix product by cuBLAS, which is loaded for the first."""
        from flowc.runtime.device.cupy_product import multiply

        with _of(stream):
            multiply(product_of(list((ctypes.c_int64 * WORDS).from_address(description))))

    def mark(self, stream: Stream) -> object:
        """An event."""
        event = cupy.cuda.Event()
        event.record(_of(stream))
        return event

    def between(self, first: object, second: object) -> float:
        """Seconds between two events."""
        return float(cupy.cuda.get_elapsed_time(first, second)) / 1e3

    def begin_recording(self, stream: Stream) -> None:
        """Begins to capture what this thread puts into a stream."""
        _of(stream).begin_capture(_RELAXED_TO_THREAD)

    def end_recording(self, stream: Stream) -> CupyGraph | None:
        """Ends capturing; None where CUDA refused something on the way."""
        try:
            return CupyGraph(_of(stream).end_capture())
        except cupy.cuda.runtime.CUDARuntimeError:
            return None


def _of(stream: Stream) -> Any:
    """CuPy's own stream."""
    assert isinstance(stream, CupyStream)
    return stream.stream


def _move(to: int, source: int, size: int, kind: int, stream: Stream) -> None:
    if size:
        cupy.cuda.runtime.memcpyAsync(to, source, size, kind, stream.address)


def _shown(value: object) -> Any | None:
    """The array that shows memory of a GPU by one of the two protocols, None for anything else."""
    if isinstance(value, np.ndarray | np.generic | int | float):
        return None
    if hasattr(value, "__cuda_array_interface__"):
        return cupy.asarray(value)
    if not hasattr(value, "__dlpack_device__"):
        return None
    kind, _ = value.__dlpack_device__()
    return cupy.from_dlpack(value) if kind in DLPACK_DEVICES else None


def current() -> Site:
    """The GPU that is CuPy's current one; raises FlowError (E0780, E0782) where there is none."""
    try:
        return _site(int(cupy.cuda.runtime.getDevice()))
    except cupy.cuda.runtime.CUDARuntimeError as error:
        raise _absent(str(error)) from None


def _absent(why: str) -> Exception:
    """Why there is no GPU: the driver's age, if it is that."""
    try:
        has, needs = cupy.cuda.runtime.driverGetVersion(), cupy.cuda.runtime.runtimeGetVersion()
    except cupy.cuda.runtime.CUDARuntimeError:
        return no_device(why)
    return old_driver(has, needs) if 0 < has < needs - needs % 1000 else no_device(why)


@cache
def _site(number: int) -> Site:
    properties = cupy.cuda.runtime.getDeviceProperties(number)
    name = properties["name"].decode()
    architecture = f"sm_{properties['major']}{properties['minor']}"
    return Site(CupyDevice(number, name, architecture))
