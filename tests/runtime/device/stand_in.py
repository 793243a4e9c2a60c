"""Kernels whose host code is Python, on a device that is this process: what the runtime around them does,
without a compiler."""

import ctypes
import threading
from collections.abc import Callable, Sequence
from ctypes import CFUNCTYPE, c_int, c_int64, c_uint, c_void_p
from typing import Any

import numpy as np
from attrs import define, field, frozen

from flowc.compiler.backends.cuda.emulated_device import EmulatedDevice, EmulatedModule
from flowc.runtime.device.calls import Native
from flowc.runtime.device.code import DeviceCode
from flowc.runtime.device.kernel import DeviceKernel
from flowc.runtime.device.protocol import Graph, Stream
from flowc.runtime.device.site import Library, Site
from flowc.runtime.device.table import Table
from flowc.runtime.dtypes import numpy_dtype
from flowc.runtime.kernel_calls import frame
from flowc.runtime.kernel_signature import KernelSignature, Parameter, Result

LAUNCH = CFUNCTYPE(c_int, c_void_p, *[c_uint] * 7, c_void_p, c_void_p, c_void_p)
Action = Callable[[], None]


@frozen(eq=False)
class RecordedGraph:
    """What was launched while it was recorded."""

    actions: Sequence[Action]
    launches: list[int] = field(factory=list)

    def launch(self, stream: Stream) -> None:
        self.launches.append(stream.address)
        for action in self.actions:
            action()


@define(eq=False)
class RecordingDevice(EmulatedDevice):
    """A device whose launches are Python functions, and can be recorded; its driver says `refuses`."""

    refuses: int = 0
    done: int = 0
    next: dict[int, Action] = field(factory=dict)
    recording: list[Action] | None = None
    graphs: list[RecordedGraph] = field(factory=list)
    uploads: int = 0
    most: int = 0
    callback: Any = None

    def __attrs_post_init__(self) -> None:
        self.callback = LAUNCH(self._launched)

    def _launched(self, *_: object) -> int:
        action = self.next.pop(threading.get_ident())
        if self.refuses:
            return self.refuses
        if self.recording is not None:
            self.recording.append(action)
        else:
            self.done += 1
            action()
        return 0

    def load(self, image: bytes, functions: Sequence[str]) -> EmulatedModule:
        launcher = ctypes.cast(self.callback, c_void_p).value or 0
        return EmulatedModule(list(range(1, len(functions) + 1)), launcher, ctypes.CDLL(None))

    def block(self, size: int) -> Any:
        found = super().block(size)
        self.most = max(self.most, self.held)
        return found

    def put(self, source: Any, array: Any, stream: Stream) -> None:
        self.uploads += 1
        super().put(source, array, stream)

    def begin_recording(self, stream: Stream) -> None:
        self.recording = []

    def end_recording(self, stream: Stream) -> Graph | None:
        assert self.recording is not None
        self.graphs.append(RecordedGraph(self.recording))
        self.recording = None
        return self.graphs[-1]


@frozen
class Called:
    """A call of host code: numbers and arrays of the device, and the table."""

    values: tuple[Any, ...]
    results: tuple[Any, ...]
    table: Table
    device: RecordingDevice

    def launch(self, action: Action) -> int:
        """Launches what a device does."""
        self.device.next[threading.get_ident()] = action
        return int(LAUNCH(self.table.launch)(1, *[1] * 6, 0, self.table.stream, None, None))

    def temporary(self, count: int) -> tuple[Any, int]:
        """An array of f32 in memory of the device; its address is 0 where there is none."""
        address = self.table.allocate(self.table.context, 4 * count) or 0
        return (_array(address, "f32", (count,), (1,)) if address else None), address


Body = Callable[[Called], int]


def signature(
    *params: Parameter, results: Sequence[Result] = (), chunked: Sequence[int | None] = (), **more: Any
) -> KernelSignature:
    return KernelSignature("k", params, tuple(results), chunked=tuple(chunked), **more)


def kernel(
    described: KernelSignature, body: Body, device: RecordingDevice | None = None, limit: int | None = None
) -> DeviceKernel:
    """A kernel whose host code is a function of Python."""
    device = device or RecordingDevice()

    def native(words: bytes) -> int:
        return body(_read(described, words, device))

    site = Site(device)
    library = Library(DeviceCode(b"", (described,), ("f",), {"sm_80": b"code"}))
    return DeviceKernel(Native(frame(described, native), library), lambda: site, limit)


def _read(described: KernelSignature, words: bytes, device: RecordingDevice) -> Called:
    """The words of a call, as host code reads them."""
    count = len(words) // 8
    whole = (c_int64 * count).from_buffer_copy(words)
    floats = (ctypes.c_double * count).from_buffer_copy(words)
    place = len(described.params) + len(described.results)
    offset = whole[place]
    rest = iter(whole[place + 1 :])
    values: list[Any] = []
    for number, parameter in enumerate(described.params):
        if not parameter.dims:
            values.append(floats[number] if parameter.dtype.startswith("f") else whole[number])
            continue
        shape = tuple(next(rest) for _ in parameter.dims)
        strides = tuple(next(rest) for _ in parameter.dims)
        values.append(_array(_cell(whole[number] + offset), parameter.dtype, shape, strides))
    results = []
    for number, result in enumerate(described.results, len(described.params)):
        shape = tuple(next(rest) for _ in result.dims)
        strides = tuple(int(np.prod(shape[axis + 1 :])) for axis in range(len(shape)))
        results.append(_array(_cell(whole[number] + offset), result.dtype, shape, strides))
    table = Table.from_address(next(rest))
    assert next(rest, None) is None
    return Called(tuple(values), tuple(results), table, device)


def _cell(address: int) -> int:
    return c_int64.from_address(address).value


def _array(address: int, dtype: str, shape: Sequence[int], strides: Sequence[int]) -> Any:
    """The array at an address, by strides in elements."""
    kind = numpy_dtype(dtype)
    low = sum(min(0, (n - 1) * s) for n, s in zip(shape, strides, strict=True)) if all(shape) else 0
    high = sum(max(0, (n - 1) * s) for n, s in zip(shape, strides, strict=True)) + 1 if all(shape) else 0
    memory = (ctypes.c_char * ((high - low) * kind.itemsize)).from_address(address + low * kind.itemsize)
    flat = np.frombuffer(memory, kind, high - low) if high > low else np.empty(0, kind)
    sizes = tuple(stride * kind.itemsize for stride in strides)
    return np.ndarray(tuple(shape), kind, flat.data if flat.size else None, -low * kind.itemsize, sizes)


MATRIX = Parameter("x", "f32", ("n", "m"))
ROW = Parameter("y", "f32", ("m",))
NUMBER = Parameter("a", "f32", ())
SAME = Result("f32", ("n", "m"))


def doubled(called: Called) -> int:
    """results[0] = 2 * values[0], in one launch."""
    (source, *_), (target,) = called.values, called.results

    def action() -> None:
        target[...] = 2 * source

    return 14 if called.launch(action) else 0


def affine(called: Called) -> int:
    """results[0] = x * a + y, by a temporary of a row's length and two launches."""
    x, y, a = called.values
    (target,) = called.results
    row, address = called.temporary(y.size)
    if not address:
        return 1

    def first() -> None:
        row[...] = y / np.float32(2)

    def second() -> None:
        target[...] = x * np.float32(a) + 2 * row

    failed = called.launch(first) or called.launch(second)
    called.table.release(called.table.context, address, 4 * y.size)
    return 14 if failed else 0


AFFINE_SIGNATURE = signature(MATRIX, ROW, NUMBER, results=[SAME])
