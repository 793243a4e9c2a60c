"""How processes die at a record of their journal: the fuse that burns out, and the writer that sees to it."""

import asyncio
import json
from collections.abc import Sequence
from threading import Lock
from typing import Any, Protocol

from attrs import define, field

from flowc.runtime.errors import FlowError, fail
from flowc.runtime.journal.frames import Framer
from flowc.runtime.journal.memory import MemoryStore

LINGER = 3
"""Records that nobody waits for are written together with so many others."""


@define(eq=False)
class Fuse:
    """Burns out with the `left`-th record from now on; with `keeps` that one, and all before it, is safe.
    `at` is that record.
    """

    left: int | None = None
    keeps: bool = False
    used: int = 0
    at: bytes = b""

    def burns(self, payload: bytes) -> bool:
        """Counts a record: whether it is the last one."""
        self.used += 1
        if self.used == self.left:
            self.at = payload
        return self.used == self.left

    def step(self) -> str:
        """Where in the run it burnt out, as far as its record says."""
        if not self.at:
            return "the end"
        kind, *rest = json.loads(self.at)
        steps = [each for each in rest[:2] if isinstance(each, str) and each]
        return f"`{kind}` of {steps[0]}" if steps else f"`{kind}`"


class Mortal(Protocol):
    """What lasts: it outlives the processes that act on it. `dead` says that the present one has died."""

    dead: bool


@define(eq=False)
class StepWriter:
    """Writes to a store as the journal's `Writer` does, but on no thread of its own: what is done is the
    same each time. When the fuse burns out the process is dead.
    """

    store: MemoryStore
    world: Mortal
    fuse: Fuse
    runs: dict[str, Framer] = field(factory=dict)
    blobs: dict[bytes, bytes] = field(factory=dict)
    position: int = 0
    pending: int = 0
    lock: Any = field(factory=Lock)

    def open(self, run: str, first: int, chain: int) -> None:
        """See `Writer`."""
        self.runs[run] = Framer(run, first, chain)

    def append(
        self,
        run: str,
        payload: bytes,
        *,
        blobs: Sequence[tuple[bytes, bytes]] = (),
        status: str = "",
        sync: bool = False,
    ) -> int:
        """See `Writer`."""
        with self.lock:
            self._live()
            framer = self.runs[run]
            framer.add(payload)
            framer.status = status or framer.status
            self.blobs.update(blobs)
            self.position += 1
            self.pending += 1
            if self.fuse.burns(payload):
                if self.fuse.keeps:
                    self._write()
                self.world.dead = True
                self._live()
            if self.pending > LINGER:
                self._write()
            return self.position

    def wait(self, position: int, *, sync: bool) -> None:
        """See `Writer`."""
        with self.lock:
            self._live()
            self._write()

    def durable(self, position: int, *, sync: bool) -> "asyncio.Future[None]":
        """See `Writer`."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[None] = loop.create_future()
        try:
            self.wait(position, sync=sync)
        except FlowError as error:
            future.set_exception(error)
        else:
            loop.call_soon(_release, future)
        return future

    def close(self) -> None:
        """See `Writer`."""
        with self.lock:
            if not self.world.dead:
                self._write()

    def _live(self) -> None:
        if self.world.dead:
            raise fail("E0911", "the process has died")

    def _write(self) -> None:
        segments = [framer.take() for framer in self.runs.values() if framer.waiting]
        if segments:
            self.store.append(segments, self.blobs, sync=True)
        self.blobs, self.pending = {}, 0


def _release(future: "asyncio.Future[None]") -> None:
    if not future.done():
        future.set_result(None)
