"""The trace of a run: its log, lifted to events when somebody wants them."""

import hashlib
import sys
from collections.abc import Iterator, Sequence

from flowc.runtime.errors import Problem
from flowc.runtime.events import Event, Kind, Subscriber
from flowc.runtime.plan import Json
from flowc.runtime.scheduler.engine import Entry
from flowc.runtime.scheduler.frames import step_of
from flowc.runtime.trace.measures import NOTHING, Measures, Tally, measure, tally
from flowc.runtime.values import canonical, to_json


class Trace:
    """What a run did. `events()` gives it all, in order; `publish` tells subscribers what is new."""

    def __init__(self, log: list[Entry], root: str, run: str, begun: float) -> None:
        self.log = log
        self.root = root
        self.run = run
        self.begun = begun
        self.ended: int | None = None
        self.folded: Tally = NOTHING
        self._measures: Measures | None = None
        self.wall = 0.0
        self.problem: Problem | None = None
        self.told = 0
        self.deaf: set[int] = set()

    def fold(self) -> None:
        """Lets go of the older half of a long log; what it comes to counts for `measures` still. Its events
        are gone, and the critical path is known of the rest alone.
        """
        if self.ended is None:
            half = len(self.log) // 2
            self.folded = tally(self.log[:half], self.folded)
            del self.log[:half]

    def conclude(self, wall: float, problem: Problem | None) -> None:
        """The run has ended so; what is logged from now on are bodies that were given up."""
        self.ended = len(self.log)
        self.wall = wall
        self.problem = problem

    @property
    def measures(self) -> Measures | None:
        """Measures of the run, worked out when first asked for; None before its end."""
        if self._measures is None and self.ended is not None:
            self._measures = measure(self.log[: self.ended], self.folded)
        return self._measures

    def events(self) -> Iterator[Event]:
        """All events until now."""
        return map(self.lift, self.log)

    def publish(self, subscribers: Sequence[Subscriber]) -> None:
        """Tells each subscriber what it has not heard yet. One that fails is told nothing more."""
        end = len(self.log)
        if not subscribers:
            self.told = end
            return
        events = [self.lift(entry) for entry in self.log[self.told : end]]
        self.told = end
        for number, subscriber in enumerate(subscribers):
            if number in self.deaf:
                continue
            try:
                for event in events:
                    subscriber(event)
            except Exception as error:
                self.deaf.add(number)
                sys.stderr.write(f"a listener of the run failed and hears no more: {error}\n")

    def lift(self, entry: Entry) -> Event:
        """A line of the log as an event; times count from the start of the run."""
        kind, frame, instruction, start, end, more = entry
        step = step_of(frame, instruction, self.root)
        attributes: dict[str, Json] = {"op": instruction.node.op, "line": instruction.node.line}
        lifted: Kind = "node.done"
        match kind:
            case "structure":
                lifted = "structure"
            case "node.failed":
                lifted = "node.failed"
                attributes |= {"code": more.code, "message": more.message, "why": more.why}
            case "retry":
                problem, tries = more
                lifted = "retry"
                attributes |= {"code": problem.code, "message": problem.message, "attempt": tries}
            case "effect.intent":
                lifted = "effect.intent"
                attempt, values = more
                inputs = hashlib.sha256(canonical(values).encode("utf-8", "surrogatepass")).hexdigest()
                attributes |= {"attempt": attempt, "inputs": inputs}
            case "effect.done":
                lifted = "effect.done"
                attributes["result"] = to_json(more)
            case "spent":
                lifted = "spent"
                attributes |= more
            case "note":
                lifted = "note"
                attributes["note"] = more
            case "shared":
                lifted = "shared"
                attributes["run"] = more
            case "node.dropped":
                lifted = "node.dropped"
            case "cancelled":
                lifted = "cancelled"
        return Event(lifted, end - self.begun, step, instruction.node.name, start - self.begun, attributes)
