"""When kernels were at work on a device: what a trace shows of them beside the calls that waited for them."""

import threading
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager

from attrs import define, field, frozen

from flowc.runtime.device.protocol import Device, Stream

MOST = 100_000
"""Spans that are kept; the earliest go first."""


@frozen
class Span:
    """A kernel's work on a device, in seconds of `time.perf_counter`."""

    kernel: str
    device: str
    start: float
    end: float


@define(eq=False)
class Recorder:
    """Spans of all calls while it listens. Marks are read later: nothing waits for a device to make one.

    A device's first mark ties its clock to the host's, once the device has come so far.
    """

    pending: deque[tuple[str, Device, object, object]] = field(factory=lambda: deque(maxlen=MOST))
    origins: dict[int, tuple[object, float]] = field(factory=dict)
    lock: threading.Lock = field(factory=threading.Lock)

    @contextmanager
    def around(self, kernel: str, device: Device, stream: Stream) -> Iterator[None]:
        """Notes what is put into a stream within."""
        with self.lock:
            if device.number not in self.origins:
                mark = device.mark(stream)
                stream.wait()
                self.origins[device.number] = mark, time.perf_counter()
        start = device.mark(stream)
        try:
            yield
        finally:
            self.pending.append((kernel, device, start, device.mark(stream)))

    def spans(self) -> list[Span]:
        """What was noted, in order of time. What was put into streams must have been done."""
        found = []
        for kernel, device, start, end in list(self.pending):
            mark, seconds = self.origins[device.number]
            begun = seconds + device.between(mark, start)
            found.append(Span(kernel, device.name, begun, begun + device.between(start, end)))
        return sorted(found, key=lambda span: span.start)


_listening: Recorder | None = None


def listening() -> Recorder | None:
    """The recorder of this process, None where nobody listens."""
    return _listening


@contextmanager
def recorded() -> Iterator[Recorder]:
    """Notes the work of devices within."""
    global _listening
    before, _listening = _listening, Recorder()
    try:
        yield _listening
    finally:
        _listening = before
