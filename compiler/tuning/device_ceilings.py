"""The roofs of this machine's GPU, measured: its memory, the bus to it, the time to read a number of it."""

from collections.abc import Callable
from time import perf_counter

import numpy as np
from attrs import evolve

from flowc.passes.cost.device_card import Card, card_of
from flowc.passes.cost.device_stored import SOURCE
from flowc.runtime.device.protocol import Device, Stream

COPIED = 256 << 20
"""Bytes that a copy within the GPU reads, and writes again: more than any of its caches hold."""
SENT = 64 << 20
"""Bytes of a copy over the bus."""
VISITS = 7
"""Times that each is measured; the median counts."""


def measured_card(device: Device, copied: int = COPIED, sent: int = SENT) -> Card:
    """The card of a device with what was measured of it; takes less than a second. Raises MemoryError where
    the device has no room for it."""
    stream = device.new_stream()
    card = card_of(device.properties())
    with device.on(stream):
        return evolve(
            card,
            bandwidth=2 * copied / _within(device, stream, copied),
            bus=sent / _over(device, stream, device.pinned(sent)),
            pageable=sent / _over(device, stream, np.zeros(sent, np.uint8)),
            read=_reading(device, stream),
            reached=1.0,
            measured=True,
            source=SOURCE,
        )


def _within(device: Device, stream: Stream, size: int) -> float:
    """Seconds of a copy on the device."""
    source, target = device.block(size), device.block(size)

    def copy() -> float:
        first = device.mark(stream)
        device.copy(target.address, source.address, size, stream)
        last = device.mark(stream)
        stream.wait()
        return device.between(first, last)

    return _median(copy)


def _over(device: Device, stream: Stream, host: "np.ndarray[tuple[int], np.dtype[np.uint8]]") -> float:
    """Seconds of a copy from host memory to the device, until it is there."""
    there = device.empty(host.shape, host.dtype)

    def send() -> None:
        device.put(host, there, stream)
        stream.wait()

    return _timed(send)


def _reading(device: Device, stream: Stream) -> float:
    """Seconds of reading a number."""
    block, number = device.block(8), np.zeros(1, np.int64)
    return _timed(lambda: device.read(number.ctypes.data, block.address, 8, stream))


def _timed(action: Callable[[], None]) -> float:
    def once() -> float:
        start = perf_counter()
        action()
        return perf_counter() - start

    return _median(once)


def _median(measure: Callable[[], float]) -> float:
    """The median of some measurements after one that does not count."""
    measure()
    return max(float(np.median([measure() for _ in range(VISITS)])), 1e-9)
