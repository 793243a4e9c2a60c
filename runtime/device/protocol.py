"""What is needed of a GPU, and no more: CuPy's devices have it, and so has host memory in the tests.

Arrays of a device are objects with NumPy's attributes (`dtype`, `shape`, `strides`, `ndim`, `size`,
`itemsize`), slices, `copy`, `astype` and assignment to `[...]`.
"""

from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any, Protocol

from attrs import frozen

if TYPE_CHECKING:
    import numpy as np

DLPACK_DEVICES = (2, 13)
"""CUDA's memory and its managed memory, as DLPack numbers types of devices."""


@frozen
class Properties:
    """What a driver says of a device: clocks are cycles a second, 0 where it does not say; `driver` is its
    version."""

    name: str
    architecture: str
    multiprocessors: int
    clock: float = 0.0
    memory_clock: float = 0.0
    bus_bits: int = 0
    driver: int = 0


class Stream(Protocol):
    """An order in which a device does things; what is in no common stream may overlap."""

    @property
    def address(self) -> int:
        """As the driver knows it."""

    def wait(self) -> None:
        """Returns when everything in it has been done; raises what the device reports then."""


class Block(Protocol):
    """Memory of a device, which goes back when the last reference does."""

    @property
    def address(self) -> int:
        """Where it begins."""


class Module(Protocol):
    """Code that a device has loaded: the handles of its functions in order."""

    @property
    def handles(self) -> Sequence[int]:
        """As the function that launches takes them."""

    @property
    def launcher(self) -> int:
        """The address of a function that launches them, with the ABI of the driver's `cuLaunchKernel`."""


class Graph(Protocol):
    """A recorded sequence of launches."""

    def launch(self, stream: Stream) -> None:
        """Does all of it, in stream order."""


class Device(Protocol):
    """A GPU, or what stands in for one."""

    @property
    def name(self) -> str:
        """As its maker calls it."""

    @property
    def number(self) -> int:
        """Its place among the devices of this machine."""

    @property
    def architecture(self) -> str:
        """As `sm_90`."""

    @property
    def faults(self) -> tuple[type[Exception], ...]:
        """What its functions raise where a step failed, that one or one before it."""

    def properties(self) -> Properties:
        """What its driver says of it."""

    def load(self, image: bytes, functions: Sequence[str]) -> Module:
        """Loads a cubin or PTX."""

    def free_bytes(self) -> int:
        """Memory that can still be had."""

    def new_stream(self) -> Stream:
        """A stream of its own, concurrent with all others."""

    def current_stream(self) -> Stream:
        """The stream in which the caller's own work on the device stands."""

    def on(self, stream: Stream) -> AbstractContextManager[object]:
        """What is done with arrays and memory within is done in this stream."""

    def block(self, size: int) -> Block:
        """So many bytes, used in the order of the current stream; raises MemoryError."""

    def empty(self, shape: Sequence[int], dtype: "np.dtype[Any]") -> Any:
        """An array in row-major order, used in the order of the current stream; raises MemoryError."""

    def find(self, value: object) -> Any | None:
        """The array of this device that shows the memory of `value`, None for what is in host memory.

        Raises FlowError (E0784) for an array on another device.
        """

    def address(self, array: Any) -> int:
        """Where an array's first element is."""

    def put(self, source: "np.ndarray[Any, Any]", array: Any, stream: Stream) -> None:
        """Copies host memory to an array, both in row-major order, in stream order; memory that is pinned may
        be read until a wait, other memory has been when it returns."""

    def get(self, array: Any, target: "np.ndarray[Any, Any]", stream: Stream) -> None:
        """Copies an array to host memory, both in row-major order, in stream order: it is there after a
        wait."""

    def pinned(self, size: int) -> "np.ndarray[Any, Any]":
        """Bytes of host memory that the device reaches by itself; raises MemoryError."""

    def read(self, to: int, source: int, size: int, stream: Stream) -> None:
        """Copies bytes of the device to host memory after all in the stream; waits until they are there."""

    def copy(self, to: int, source: int, size: int, stream: Stream) -> None:
        """Copies bytes from one place of the device to another, in stream order."""

    def product(self, description: int, stream: Stream) -> None:
        """The matrix product described at an address (see `runtime.device.product`), in stream order."""

    def mark(self, stream: Stream) -> object:
        """A mark in a stream, for `between`."""

    def between(self, first: object, second: object) -> float:
        """The seconds between two marks, both of which have been passed."""

    def begin_recording(self, stream: Stream) -> None:
        """From here on what is launched in the stream is recorded and not done."""

    def end_recording(self, stream: Stream) -> Graph | None:
        """What was recorded; None where the device refused a part of it."""
