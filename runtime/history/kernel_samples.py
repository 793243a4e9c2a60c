"""Samples of kernels: what their calls took in a run, by the sizes that they were called with."""

import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from attrs import define, field, frozen

from flowc.runtime.history.overlaps import shared_out
from flowc.runtime.kernel_signature import KernelSignature
from flowc.runtime.kernels import Kernel
from flowc.runtime.machine import this_machine
from flowc.runtime.native import threads

MOST_CALLS = 2_000
"""The latest calls of a run that are noted."""
LEAST_SECONDS, MOST_SECONDS = 1e-8, 1e5
"""No call of a kernel takes less or more."""
MOST_THREADS = 4_096
MOST_TEXT = 200
"""Characters of a name, and of sizes."""
MOST_EXTENT = 1 << 48

Size = tuple[int, ...] | int | None
"""What is known of an argument: the extents of an array; a number that shapes depend on; else nothing."""


@frozen
class KernelSample:
    """One call of a kernel. `name` is that of its code, `machine` and `threads` where it ran.

    `sizes` as `sizes_text` writes them; no values. It had `seconds` to itself: time in which several calls
    were under way counts for each in part, since they share the cores.
    """

    name: str
    machine: str
    sizes: str
    threads: int
    seconds: float


def is_sound(sample: KernelSample) -> bool:
    """Whether a call can have taken that: a clock that jumped gives other times."""
    return (
        LEAST_SECONDS <= sample.seconds <= MOST_SECONDS
        and 1 <= sample.threads <= MOST_THREADS
        and all(0 < len(each) <= MOST_TEXT for each in (sample.name, sample.machine))
        and sizes_of(sample.sizes) is not None
    )


def sizes_text(sizes: Sequence[Size]) -> str:
    """Sizes as a text that `sizes_of` reads.

    >>> sizes_text([(8, 384), 10, None])
    '8x384,=10,'
    """
    return ",".join(
        "" if each is None else f"={each}" if isinstance(each, int) else "x".join(map(str, each))
        for each in sizes
    )


def sizes_of(text: str) -> tuple[Size, ...] | None:
    """The sizes in a text; None where it has none that arguments can have."""
    if len(text) > MOST_TEXT:
        return None
    try:
        found = tuple(map(_size_of, text.split(",")))
    except ValueError:
        return None
    numbers = [number for each in found for number in (each if isinstance(each, tuple) else (each or 0,))]
    return found if all(0 <= abs(number) <= MOST_EXTENT for number in numbers) else None


def _size_of(text: str) -> Size:
    if not text:
        return None
    return int(text[1:]) if text.startswith("=") else tuple(map(_extent, text.split("x")))


def _extent(text: str) -> int:
    if not text.isascii() or not text.isdecimal():
        raise ValueError("an extent is a number")
    return int(text)


@frozen
class Call:
    """A call of a kernel that was noted, with the times when it began and ended."""

    kernel: str
    sizes: tuple[Size, ...]
    start: float
    end: float


@define(eq=False)
class KernelNotes:
    """The calls of kernels in a run that did not fail, the latest of them."""

    kernels: Mapping[str, Callable[..., Any]]
    calls: deque[Call] = field(factory=lambda: deque(maxlen=MOST_CALLS))

    def watched(self) -> dict[str, Callable[..., Any]]:
        """The kernels, those for this processor noting their calls; others may run elsewhere."""
        return {
            name: self._noting(name, kernel) if isinstance(kernel, Kernel) else kernel
            for name, kernel in self.kernels.items()
        }

    def take(self) -> tuple[KernelSample, ...]:
        """A sample of each call since the last time, of kernels of which the code has a name and of which the
        sizes are not too many to be kept.
        """
        calls, machine, width = list(self.calls), this_machine(), threads()
        self.calls.clear()
        names = {name: code for name, kernel in self.kernels.items() if (code := _code(kernel))}
        taken = shared_out([(call.start, call.end) for call in calls])
        return tuple(
            KernelSample(names[call.kernel], machine, sizes_text(call.sizes), width, seconds)
            for call, seconds in zip(calls, taken, strict=True)
            if call.kernel in names and len(sizes_text(call.sizes)) <= MOST_TEXT
        )

    def _noting(self, name: str, kernel: Kernel) -> Callable[..., Any]:
        numbers = _sizing(kernel.signature)

        def noting(*arguments: Any, **into: Any) -> Any:
            start = time.perf_counter()
            result = kernel(*arguments, **into)
            end = time.perf_counter()
            sizes = [_size(each, place in numbers) for place, each in enumerate(arguments)]
            self.calls.append(Call(name, tuple(sizes), start, end))
            return result

        return noting


def _code(kernel: Callable[..., Any]) -> str:
    """The name of the code of a kernel for this processor; "" for what may run elsewhere."""
    return kernel.signature.code if isinstance(kernel, Kernel) else ""


def _size(argument: Any, sizing: bool) -> Size:
    shape = getattr(argument, "shape", None)
    if shape:
        return tuple(shape)
    return int(argument) if sizing and isinstance(argument, int) else None


def _sizing(signature: KernelSignature) -> frozenset[int]:
    """The places of the numbers that shapes of results depend on."""
    found: set[int] = set()
    left: list[object] = [extent for result in signature.results for extent in result.dims]
    while left:
        extent = left.pop()
        if isinstance(extent, tuple):
            if extent[0] == "scalar" and isinstance(extent[1], int):
                found.add(extent[1])
            left.extend(extent[1:])
    return frozenset(found)
