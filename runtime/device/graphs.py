"""Launches recorded once and done again: a chain of short kernels costs one order in place of many.

A call whose addresses, numbers, extents and strides were met before does exactly what it did then, unless its
host code looked at the device's memory on the way. So the third such call is recorded, into a graph that the
driver can launch as a whole, with temporaries of its own. What waits, or asks a library, is refused while a
call is recorded; such kernels are never recorded again.
"""

import threading
from collections import OrderedDict
from collections.abc import Sequence
from typing import Any

from attrs import define, field, frozen

from flowc.runtime.device.calls import Native, enter, perform, raise_interruption, signed
from flowc.runtime.device.protocol import Block, Graph, Stream
from flowc.runtime.device.spans import listening
from flowc.runtime.device.table import Lane, Refused

RECORDED_AT = 3
"""The call that is recorded: what comes twice may be chance, and recording takes longer than a call."""
MOST_GRAPHS, MOST_MET = 16, 256
"""Graphs that a kernel keeps, and calls that it remembers; those unused for longest go."""
MOST_BYTES = 64 << 20
"""Temporaries that a graph may keep for itself."""

Key = tuple[object, ...]


@frozen
class Met:
    """How often a call was met, and the sizes of the temporaries that it had."""

    count: int = 0
    sizes: tuple[int, ...] = ()


@frozen(eq=False)
class Recorded:
    """A graph with the memory that its launches use, and the streams that it was launched in."""

    graph: Graph
    blocks: Sequence[Block]
    streams: dict[int, Stream] = field(factory=dict)


@define(eq=False)
class Graphs:
    """The calls of a kernel that were met, and those that were recorded; `refused` for one that cannot be."""

    met: OrderedDict[Key, Met] = field(factory=OrderedDict)
    kept: OrderedDict[Key, Recorded] = field(factory=OrderedDict)
    refused: bool = False
    lock: threading.Lock = field(factory=threading.Lock)

    def run(
        self, native: Native, lane: Lane, stream: Stream, values: Sequence[Any], results: Sequence[Any]
    ) -> None:
        """Does a call on arrays of the device in the caller's stream; raises as `perform` does.

        A call that somebody traces is done launch by launch.
        """
        if self.refused or listening() is not None:
            perform(native, lane, stream, values, results)
            return
        key = (lane.device.number, *signed(native, lane, values, results))
        with self.lock:
            if self._replayed(key, native, lane, stream, values, results):
                return
        perform(native, lane, stream, values, results)
        with self.lock:
            self._note(key, lane.arena.sizes())

    def _replayed(
        self,
        key: Key,
        native: Native,
        lane: Lane,
        stream: Stream,
        values: Sequence[Any],
        results: Sequence[Any],
    ) -> bool:
        found = self.kept.get(key)
        if found is None:
            met = self.met.get(key, Met())
            if met.count + 1 < RECORDED_AT or sum(met.sizes) > MOST_BYTES:
                return False
            found = self._record(native, lane, values, results, met.sizes)
            if found is None:
                return False
            del self.met[key]
            self.kept[key] = found
            self._forget_oldest()
        self.kept.move_to_end(key)
        found.streams[stream.address] = stream
        found.graph.launch(stream)
        return True

    def _forget_oldest(self) -> None:
        if len(self.kept) > MOST_GRAPHS:
            _, old = self.kept.popitem(last=False)
            for stream in old.streams.values():  # it may be under way
                stream.wait()

    def _note(self, key: Key, sizes: tuple[int, ...]) -> None:
        self.met[key] = Met(self.met.pop(key, Met()).count + 1, sizes)
        if len(self.met) > MOST_MET:
            self.met.popitem(last=False)

    def _record(
        self,
        native: Native,
        lane: Lane,
        values: Sequence[Any],
        results: Sequence[Any],
        sizes: Sequence[int],
    ) -> Recorded | None:
        """The call as a graph, with temporaries of these sizes; None where it cannot be one."""
        device, own = lane.device, lane.own
        with device.on(own):
            try:
                lane.arena.stock(sizes, device.block)
            except MemoryError:
                return None
            lane.recording = True
            device.begin_recording(own)
            try:
                status = enter(native, lane, own, values, results)
            finally:
                graph = device.end_recording(own)
                lane.recording = False
        raise_interruption(lane)
        self.refused = graph is None or isinstance(lane.problem, Refused)
        if status or graph is None:
            lane.arena.empty()
            return None
        return Recorded(graph, lane.arena.empty())
