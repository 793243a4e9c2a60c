"""Group commit: the records of all runs of a journal go down together, as often as somebody waits for them.

Who waits while nobody writes is the leader, and writes all that is pending: one transaction, one row a run.
Who comes meanwhile waits for that, and finds that it is done or leads the next group. A thread of its own
writes what nobody waits for, and what an event loop does.
"""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from threading import Condition, Event, Lock, Thread, get_ident

from attrs import frozen

from flowc.runtime.errors import FlowError, Problem
from flowc.runtime.journal.failures import CLOSED, INTERRUPTED
from flowc.runtime.journal.frames import Framer
from flowc.runtime.journal.store import Store
from flowc.runtime.journal.waiting import Waiting, settle

LINGER = 0.005
"""Seconds after which what nobody waits for is written."""
ROUNDS = 40
"""So often the thread looks for more before it sleeps until it is called."""
SOON_RECORDS, SOON_BYTES = 512, 1 << 20
"""So much is written at once."""
MOST_RECORDS, MOST_BYTES = 20_000, 8 << 20
"""With so much pending, whoever adds to it waits until it is written."""


@frozen(eq=False)
class _Group:
    """What is written together: records by run, blobs, and the position behind them."""

    parts: list[tuple[Framer, list[bytes], str]]
    blobs: dict[bytes, bytes]
    position: int
    sync: bool


class Writer:
    """Writes the records of runs to a store. `fast` syncs nothing but the beginnings and the statuses of
    runs.

    A failure is kept: from then on all methods raise it, since nobody knows what of a group went down.
    """

    def __init__(self, store: Store, *, fast: bool = False) -> None:
        self._store = store
        self._fast = fast
        self._lock = Lock()
        """Held for microseconds, over all that follows."""
        self._told = Condition(self._lock)
        """Told when a group is written, or could not be."""
        self._leader = 0
        """The thread that writes a group, 0 where there is none."""
        self._runs: dict[str, Framer] = {}
        self._dirty: dict[str, Framer] = {}
        self._blobs: dict[bytes, bytes] = {}
        self._records = self._bytes = 0
        self._position = self._written = self._synced = self._wanted = 0
        self._futures: list[Waiting] = []
        self._problem: Problem | None = None
        self._thread: Thread | None = None
        self._asleep = True
        self._wake = Event()

    def open(self, run: str, first: int, chain: int) -> None:
        """Continues a run at record `first`, with the chain of the record before it."""
        with self._lock:
            self._runs[run] = Framer(run, first, chain)

    def append(
        self,
        run: str,
        payload: bytes,
        *,
        blobs: Sequence[tuple[bytes, bytes]] = (),
        status: str = "",
        sync: bool = False,
    ) -> int:
        """Adds a record to an open run, and gives the position to wait for. With `sync` it is synced soon,
        although nobody waits for that. Waits itself where too much is pending.
        """
        with self._lock:
            if self._problem is not None:
                raise FlowError(self._problem)
            self._dirty[run] = framer = self._runs[run]
            framer.add(payload)
            was_much = self._is_much()
            self._bytes += len(payload)
            for digest, body in blobs:
                self._blobs[digest] = body
                self._bytes += len(body)
            self._records += 1
            self._position = position = self._position + 1
            if status:
                framer.status = status
            if (sync and not self._fast) or (status and self._fast):
                self._wanted = position
            if self._asleep or (self._is_much() and not was_much):
                self._call()
            full = self._records >= MOST_RECORDS or self._bytes >= MOST_BYTES
        if full:
            self.wait(position, sync=False)
        return position

    def wait(self, position: int, *, sync: bool) -> None:
        """Returns when all up to a position is written and, with `sync`, survives a power failure."""
        self._make(position, sync and not self._fast)

    def durable(self, position: int, *, sync: bool) -> asyncio.Future[None]:
        """The same for the running event loop: a future that is done then."""
        future = asyncio.get_running_loop().create_future()
        try:
            with self._lock:
                if self._is_made(position, sync := sync and not self._fast):
                    future.set_result(None)
                else:
                    self._futures.append(Waiting(position, sync, future))
                    self._call()
        except FlowError as error:
            future.set_exception(error)
        return future

    def close(self) -> None:
        """Writes and syncs all, and ends; the store stays open. Raises what kept it from writing."""
        try:
            self._make(self._position, sync=True)
        finally:
            with self._lock:
                self._problem = self._problem or CLOSED
                thread = self._thread
                self._wake.set()
            if thread is not None:
                thread.join()

    def _make(self, position: int, sync: bool) -> None:
        """Waits for others to write up to a position, or writes itself, until that is done."""
        try:
            while self._leads(position, sync):
                self._write()
        except FlowError:
            raise
        except BaseException:  # wherever that came, a record that is lost must not be acknowledged later
            if self._leader == get_ident():
                self._fail(INTERRUPTED)
            raise

    def _leads(self, position: int, sync: bool) -> bool:
        """Whether this thread is to write the next group; False when the position is reached."""
        with self._lock:
            while not self._is_made(position, sync):
                if not self._leader:
                    self._leader = get_ident()
                    return True
                self._told.wait()
            return False

    def _is_made(self, position: int, sync: bool) -> bool:
        """Whether a position is written; if not, notes that it is to be synced. Under the lock."""
        if position <= (self._synced if sync else self._written):
            return True
        if self._problem is not None:
            raise FlowError(self._problem)
        if sync:
            self._wanted = max(self._wanted, position)
        return False

    def _is_much(self) -> bool:
        """Whether so much is pending that it is written soon. Under the lock."""
        return self._records >= SOON_RECORDS or self._bytes >= SOON_BYTES

    def _call(self) -> None:
        """Wakes the thread, and starts it the first time. Under the lock."""
        self._asleep = False
        self._wake.set()
        if self._thread is None:
            self._thread = Thread(target=self._serve, name="flowc-journal", daemon=True)
            self._thread.start()

    def _serve(self) -> None:
        quiet = ROUNDS
        while True:
            slept = quiet == ROUNDS
            self._wake.wait(None if slept else LINGER)
            with self._lock:
                self._wake.clear()
                if self._problem is not None:
                    return
                busy = self._records > 0 or len(self._futures) > 0
                quiet = 0 if busy or slept else quiet + 1
                self._asleep = quiet == ROUNDS
                # Who woke it mostly waits for the record, and then writes that: the thread lingers first.
                lingers = slept and not self._futures and not self._is_much()
                position, sync = self._position, self._wanted > self._synced
            if busy and not lingers:
                with suppress(FlowError):
                    self._make(position, sync)

    def _write(self) -> None:
        """Writes all that is pending, as the leader."""
        with self._lock:
            group = self._collected()
        segments = [framer.frame(payloads, status) for framer, payloads, status in group.parts]
        try:
            self._store.append(segments, group.blobs, sync=group.sync)
        except FlowError as error:
            self._fail(error.problem)
            return
        with self._lock:
            self._written = group.position
            if group.sync:
                self._synced = group.position
            ready = [each for each in self._futures if self._done(each)]
            self._futures = [each for each in self._futures if not self._done(each)]
            self._leader = 0
            self._told.notify_all()
        settle(ready, None)

    def _collected(self) -> _Group:
        """Takes what is pending. Under the lock."""
        parts = [(framer, *framer.collected()) for framer in self._dirty.values()]
        group = _Group(parts, self._blobs, self._position, self._wanted > self._synced)
        self._dirty, self._blobs, self._records, self._bytes = {}, {}, 0, 0
        return group

    def _done(self, each: Waiting) -> bool:
        return each.position <= (self._synced if each.sync else self._written)

    def _fail(self, problem: Problem) -> None:
        with self._lock:
            self._problem = self._problem or problem
            waiting, self._futures = self._futures, []
            self._leader = 0
            self._told.notify_all()
            self._wake.set()
        settle(waiting, problem)
