"""What all of a keeper shares: the run, what is known of it, and the way to its journal."""

import asyncio
import gc
from collections.abc import Callable, Sequence
from itertools import count
from typing import Any, Protocol

from attrs import frozen

from flowc.runtime.clock import VirtualLoop
from flowc.runtime.durable.changing import changed_values, changes_of, shown
from flowc.runtime.durable.codec import Blobs, encode_json, key_of, packed
from flowc.runtime.durable.past import Past, Spending, problem_to_json
from flowc.runtime.errors import Problem
from flowc.runtime.people import Question
from flowc.runtime.scheduler.blocks import Instruction
from flowc.runtime.scheduler.engine import Engine
from flowc.runtime.scheduler.frames import Frame, step_of

OPEN = "open"
"""The status, in the list of runs, of one that was gone on with or told something since it stopped."""

MANY = 10_000
"""Records of a long run."""


@frozen
class Absent:
    """What a step waits for that is not here: the answer to a question, or, without one, a time."""

    question: Question | None
    frame: Frame
    instruction: Instruction


class Writing(Protocol):
    """The journal's side of a run: see `flowc.runtime.journal.writer`."""

    def append(
        self,
        run: str,
        payload: bytes,
        *,
        blobs: Sequence[tuple[bytes, bytes]] = (),
        status: str = "",
        sync: bool = False,
    ) -> int: ...
    def wait(self, position: int, *, sync: bool) -> None: ...
    def durable(self, position: int, *, sync: bool) -> "asyncio.Future[None]": ...


class Kept:
    """A run that is kept. `past` is what is known of it, `clock` gives the seconds of the day.

    A `patient` one waits for timers however long they take: in virtual time.
    """

    def __init__(
        self,
        run: str,
        past: Past,
        writer: Writing,
        blob: Callable[[bytes], bytes],
        clock: Callable[[], float],
    ) -> None:
        self.run = run
        self.past = past
        self.writer = writer
        self.blob = blob
        self.clock = clock
        self.patient = False
        self.replaying = bool(past.records)
        self.serving = False
        self.due: list[tuple[int, int, Callable[..., None], tuple[Any, ...]]] = []
        self.held_back: list[tuple[str, Frame, Instruction]] = []
        self.timed: list[Callable[[], None]] = []
        self.live: list[asyncio.Future[None]] = []
        self.number = count().__next__
        self.costs: dict[str, list[float]] = {}
        self.intended: dict[str, bool] = {}
        self.stopping: Problem | None = None
        self.absent: dict[str, Absent] = {}
        self.frozen = False
        self.timers = 0
        self.written = 0
        self.writes = 0
        self.changes = changes_of(past.head, blob)
        self.changed: set[str] = set()
        for intent in past.intents.values():
            if intent.step not in past.cancelled:
                past.spend(intent.step, Spending(0, *intent.held))

    def attach(self, engine: Engine) -> None:
        """The run begins, or goes on, in this engine."""
        self.engine = engine
        self.root = engine.session.root
        if engine.virtual:  # such a clock begins anew in each process: it goes on behind what is kept
            self.patient, latest, loop = True, self.past.latest(), engine.loop
            self.clock = lambda: latest + loop.time()
            assert isinstance(loop, VirtualLoop)
            loop.holders.append(lambda: self.writes > 0)  # it stands still while something is written
        session = engine.session
        if self.past.migrations:
            session.renewed = self.past.renewed
        session.tokens_in, session.tokens_out, session.cost = (
            int(self.past.totals[0]),
            int(self.past.totals[1]),
            self.past.totals[2],
        )

    def spare_collector(self) -> None:
        """Keeps the collector of cycles from going through all that was read again and again, until the run
        is behind it; unless somebody keeps it from other things: what is frozen is let go together.
        """
        if self.past.records > MANY and not gc.get_freeze_count():
            gc.freeze()
            self.frozen = True

    def _thaw(self) -> None:
        if self.frozen:
            gc.unfreeze()
            self.frozen = False

    async def _durable(self, position: int) -> None:
        """Waits until what was written up to here is safe."""
        self.writes += 1
        try:
            await self.writer.durable(position, sync=True)
        finally:
            self.writes -= 1

    def _append(
        self, record: list[Any], blobs: Blobs | tuple[()] = (), status: str = "", *, sync: bool = False
    ) -> int:
        return self._append_text(encode_json(record), blobs, status, sync=sync)

    def _append_text(
        self, text: str, blobs: Blobs | tuple[()] = (), status: str = "", *, sync: bool = False
    ) -> int:
        payload = text.encode("ascii")
        self.written += len(payload)
        return self.writer.append(self.run, payload, blobs=blobs, status=status, sync=sync)

    def _now(self) -> float:
        return round(self.clock(), 3)

    def note_session(self, more: dict[str, Any]) -> None:
        """Another process goes on with the run."""
        self._append(["session", {"at": self._now(), **more}], status=OPEN)

    async def finish(self, status: str, value: Any, problem: Problem | None) -> None:
        """The run has ended, or stops for now: this is safe when it returns."""
        self._thaw()
        blobs: Blobs = []
        session = self.engine.session
        ending: dict[str, Any] = {"spent": [session.tokens_in, session.tokens_out, session.cost]}
        if problem is not None:
            ending["problem"] = problem_to_json(problem)
        else:
            ending["result"] = packed(value, blobs)
        position = self._append(["status", self._now(), status, ending], blobs, status)
        await self._durable(position)

    def waits(self) -> bool:
        """See `Keeper`."""
        return self.replaying or bool(self.due) or bool(self.absent)

    def _inputs(self, frame: Frame, instruction: Instruction) -> str:
        return key_of(instruction.node.name, self._values(frame, instruction))

    def _values(self, frame: Frame, instruction: Instruction) -> list[Any]:
        """The inputs of a call: those of the program, but for what a fork sets in their place."""
        slots = frame.slots
        values = [slots[slot] for slot in instruction.inputs]
        if self.changes and (given := self.changes.get(step_of(frame, instruction, self.root))):
            return changed_values(instruction, values, given)
        return values

    def made_with(self, frame: Frame, instruction: Instruction) -> tuple[Frame, Instruction]:
        """See `Keeper`."""
        given = self.changes.get(step_of(frame, instruction, self.root)) if self.changes else None
        return (frame, instruction) if given is None else shown(frame, instruction, given)

    def _stop(self) -> None:
        """Stops the run that is to be cancelled, if nothing is under way that must not be made twice."""
        if self.stopping is not None and all(self.intended.values()):
            self.engine.fail_scope(self.engine.root, self.stopping, abandon=True)

    def may_stop(self, problem: Problem) -> bool:
        """See `Keeper`."""
        if all(self.intended.values()):
            return True
        self.stopping = problem
        return False
