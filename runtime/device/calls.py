"""One call of a kernel's host code: words in, a status out, and what the status means."""

from collections.abc import Sequence
from struct import pack
from typing import Any

from attrs import frozen

from flowc.runtime.device.failures import no_memory, refused_launch, stopped
from flowc.runtime.device.protocol import Device, Stream
from flowc.runtime.device.site import Library
from flowc.runtime.device.spans import listening
from flowc.runtime.device.table import Lane
from flowc.runtime.errors import FlowError
from flowc.runtime.kernel_calls import Frame, tail
from flowc.runtime.kernel_failures import DEVICE, NO_MEMORY, SITES, failure


class OutOfMemory(Exception):
    """A call could not get memory of the device; its results are not to be used."""


@frozen(eq=False)
class Native:
    """A kernel's host code, which lives in `memory`, with the device code that it launches."""

    frame: Frame
    library: Library
    memory: object = None

    @property
    def name(self) -> str:
        """The kernel's name."""
        return self.frame.signature.name


def words(native: Native, lane: Lane, values: Sequence[Any], results: Sequence[Any]) -> bytes:
    """The words of a call but for the table: `values` are numbers and arrays of the device, as are
    `results`."""
    frame, address = native.frame, lane.device.address
    params = frame.signature.params
    pairs = list(zip(params, values, strict=True))
    cell = lane.hold([address(value) for each, value in pairs if each.dims] + [*map(address, results)])
    head = []
    for each, value in pairs:
        head.append(cell if each.dims else value)
        cell += 8 if each.dims else 0
    head += range(cell, cell + 8 * len(results), 8)
    return frame.pack(*head) + tail(frame.signature, values, [tuple(each.shape) for each in results], 0)


def signed(native: Native, lane: Lane, values: Sequence[Any], results: Sequence[Any]) -> tuple[object, ...]:
    """What tells calls apart whose launches may differ: addresses, numbers to the bit, extents, strides."""
    frame, address = native.frame, lane.device.address
    arrays = [value for each, value in zip(frame.signature.params, values, strict=True) if each.dims]
    numbers = [0 if each.dims else v for each, v in zip(frame.signature.params, values, strict=True)]
    shapes = [tuple(each.shape) for each in results]
    held = frame.pack(*numbers, *[0] * len(results)) + tail(frame.signature, values, shapes, 0)
    return held, *map(address, arrays), *map(address, results)


def perform(
    native: Native, lane: Lane, stream: Stream, values: Sequence[Any], results: Sequence[Any]
) -> None:
    """Runs host code, which puts its launches into a stream.

    Raises OutOfMemory, or FlowError for what the kernel or the device reports.
    """
    listener = listening()
    if listener is None:
        status = enter(native, lane, stream, values, results)
    else:
        with listener.around(native.name, lane.device, stream):
            status = enter(native, lane, stream, values, results)
    if status:
        raise _failed(native, lane, status)


def enter(native: Native, lane: Lane, stream: Stream, values: Sequence[Any], results: Sequence[Any]) -> int:
    """Runs host code; gives its status."""
    functions = native.library.on(lane.device)
    table = lane.enter(stream, functions.address, functions.module.launcher)
    return native.frame.native(words(native, lane, values, results) + pack("q", table))


def _failed(native: Native, lane: Lane, status: int) -> Exception:
    signature, device, problem = native.frame.signature, lane.device, lane.problem
    if isinstance(problem, FlowError):
        return problem
    raise_interruption(lane)
    code = status % SITES
    if code == NO_MEMORY or isinstance(problem, MemoryError):
        return OutOfMemory(str(problem or ""))
    if code == DEVICE:
        return stopped(signature, device.name, str(problem) if problem else _trouble(lane, status // SITES))
    return failure(signature, status)


def raise_interruption(lane: Lane) -> None:
    """Raises what ended a function that C called and is no error: Ctrl-C."""
    if lane.problem is not None and not isinstance(lane.problem, Exception):
        raise lane.problem


def _trouble(lane: Lane, answer: int) -> str:
    """What the device says when it is asked for all that it was given, else what it answered to a launch."""
    try:
        lane.stream.wait()
    except lane.device.faults as error:
        return str(error)
    return refused_launch(answer)


def memory_failure(native: Native, device: Device, needs: int, why: str = "") -> FlowError:
    """No memory for a call whose arrays take so many bytes."""
    return no_memory(native.frame.signature, device.name, needs, device.free_bytes(), why)
