"""A device that is this process: host memory in place of a GPU's, kernels by the emulation.

What `emulated.py` does in a child process, to see whether kernels are right, this does for the runtime around
them: arguments, transfers, pieces, streams. It is no place for kernels that are not known to be right, as
what no kernel may do ends the process.
"""

import ctypes
import weakref
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from ctypes import CFUNCTYPE, c_char_p, c_int, c_longlong, c_uint, c_void_p
from itertools import count
from math import prod
from time import perf_counter
from typing import Any

import numpy as np
from attrs import define, field, frozen

from flowc.compiler.backends.cuda.emulation import emulate
from flowc.runtime.device.code import DeviceCode
from flowc.runtime.device.failures import elsewhere
from flowc.runtime.device.kernel import DeviceKernel
from flowc.runtime.device.loading import load_device
from flowc.runtime.device.protocol import Graph, Properties, Stream
from flowc.runtime.device.site import Site

ALIGNMENT = 512
"""As a GPU's driver gives memory."""
_numbers = count(1)


class DeviceArray(np.ndarray[Any, Any]):
    """An array in memory that stands for a device's; `number` is that of the device."""

    number: int

    def __array_finalize__(self, other: object) -> None:
        """Views and copies lie where the array does that they come from."""
        self.number = getattr(other, "number", 0)


class EmulatedFault(Exception):
    """What a device reports: here nothing does, but for tests."""


@frozen(eq=False)
class EmulatedStream:
    """A stream in which everything is done at once."""

    address: int = field(factory=lambda: next(_numbers))

    def wait(self) -> None:
        """Returns: there is nothing to wait for."""


@frozen(eq=False)
class EmulatedBlock:
    """Memory, for as long as the block is there."""

    memory: "np.ndarray[Any, Any]"

    @property
    def address(self) -> int:
        """Where it begins."""
        return int(self.memory.ctypes.data)


@frozen(eq=False)
class EmulatedModule:
    """A library of emulated kernels."""

    handles: Sequence[int]
    launcher: int
    library: ctypes.CDLL


@define(eq=False)
class EmulatedDevice:
    """See `runtime.device.protocol.Device` for what its functions do. It has `memory` bytes in all.

    Code is loaded as CUDA C++ text. What is put into streams cannot be recorded.
    """

    number: int = 0
    name: str = "an emulated GPU"
    architecture: str = "sm_80"
    memory: int = 1 << 32
    held: int = 0
    stream: EmulatedStream = field(factory=EmulatedStream)
    table: Any = None

    @property
    def faults(self) -> tuple[type[Exception], ...]:
        """What the functions of a device raise for it."""
        return (EmulatedFault,)

    def properties(self) -> Properties:
        """Those of the smallest device."""
        return Properties(self.name, self.architecture, 1)

    def load(self, image: bytes, functions: Sequence[str]) -> EmulatedModule:
        """Compiles a text for this processor; raises EmulationUnavailable without a C++ compiler."""
        library = ctypes.CDLL(str(emulate.build(image.decode(), sanitize=False)))
        make = library.flowc_emulated_device
        make.restype, make.argtypes = c_void_p, (c_char_p, c_uint, c_longlong)
        self.table = (c_void_p * 9).from_address(make(b"forward", 0, 0))
        handles = (c_void_p * max(len(functions), 1)).from_address(self.table[2])
        numbers = [handles[place] or 0 for place in range(len(functions))]
        return EmulatedModule(numbers, self.table[3], library)

    def free_bytes(self) -> int:
        """Memory that can still be had."""
        return self.memory - self.held

    def new_stream(self) -> EmulatedStream:
        """A stream."""
        return EmulatedStream()

    def current_stream(self) -> EmulatedStream:
        """The stream of all callers."""
        return self.stream

    def on(self, stream: Stream) -> AbstractContextManager[object]:
        """Nothing depends on streams."""
        return nullcontext()

    def block(self, size: int) -> EmulatedBlock:
        """So many bytes, which mean nothing; raises MemoryError."""
        if size > self.free_bytes():
            raise MemoryError(f"{size} bytes on {self.name}")
        whole = np.full(size + ALIGNMENT, 0xFF, np.uint8)
        self.held += size
        weakref.finalize(whole, self._freed, size)
        start = -whole.ctypes.data % ALIGNMENT
        return EmulatedBlock(whole[start : start + size])

    def _freed(self, size: int) -> None:
        self.held -= size

    def empty(self, shape: Sequence[int], dtype: "np.dtype[Any]") -> Any:
        """An array; raises MemoryError."""
        memory = self.block(prod(shape) * dtype.itemsize).memory
        array = memory.view(dtype).reshape(tuple(shape)).view(DeviceArray)
        array.number = self.number
        return array

    def array(self, value: object) -> Any:
        """A copy of an array in memory of this device."""
        source = np.asarray(value)
        array = self.empty(source.shape, source.dtype)
        array[...] = source
        return array

    def find(self, value: object) -> Any | None:
        """The array itself where it lies here; raises FlowError (E0784) where it lies on another device."""
        if not isinstance(value, DeviceArray):
            return None
        if value.number != self.number:
            raise elsewhere(self.name, value.number, self.number)
        return value

    def address(self, array: Any) -> int:
        """Where its first element is."""
        return int(array.ctypes.data)

    def put(self, source: "np.ndarray[Any, Any]", array: Any, stream: Stream) -> None:
        """Copies."""
        ctypes.memmove(array.ctypes.data, source.ctypes.data, source.nbytes)

    def get(self, array: Any, target: "np.ndarray[Any, Any]", stream: Stream) -> None:
        """Copies."""
        ctypes.memmove(target.ctypes.data, array.ctypes.data, target.nbytes)

    def pinned(self, size: int) -> "np.ndarray[Any, Any]":
        """Bytes."""
        return np.zeros(size, np.uint8)

    def read(self, to: int, source: int, size: int, stream: Stream) -> None:
        """Copies."""
        ctypes.memmove(to, source, size)

    def copy(self, to: int, source: int, size: int, stream: Stream) -> None:
        """Copies."""
        ctypes.memmove(to, source, size)

    def product(self, description: int, stream: Stream) -> None:
        """A product by the emulation's plain loop."""
        if CFUNCTYPE(c_int, c_void_p, c_void_p)(self.table[8])(None, description):
            raise RuntimeError("the emulation refused a product")

    def mark(self, stream: Stream) -> object:
        """The time."""
        return perf_counter()

    def between(self, first: object, second: object) -> float:
        """The seconds between two times."""
        assert isinstance(first, float)
        assert isinstance(second, float)
        return second - first

    def begin_recording(self, stream: Stream) -> None:
        """Nothing is recorded."""

    def end_recording(self, stream: Stream) -> Graph | None:
        """None."""
        return None


def load_emulated(
    code: DeviceCode, device: EmulatedDevice | None = None
) -> tuple[dict[str, DeviceKernel], EmulatedDevice]:
    """Kernels by name that run on an emulated device, and the device."""
    device = device or EmulatedDevice()
    site = Site(device)
    plain = DeviceCode(code.host, code.signatures, code.functions, text=code.text)
    return load_device(plain, find=lambda: site, recompile=lambda text, _: text.encode()), device
