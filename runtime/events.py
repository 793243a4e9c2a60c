"""What a run reports of itself: one frozen event class for the progress view, the trace and, later, the journal.

A run is the ordered stream of its events. Everything a durable journal needs is in it: the plan's hash and the
arguments (`run.started`), the intent of each effect with its inputs' hash, idempotency key and attempt
(`effect.intent`) before the effect, its completion or failure after it, what was spent, and the end.
"""

from collections.abc import Callable, Mapping
from typing import Literal

from attrs import field, frozen

from flowc.runtime.plan import Json

Kind = Literal[
    "run.started",
    "run.ended",
    "node.done",
    "node.failed",
    "node.dropped",
    "effect.intent",
    "effect.done",
    "effect.failed",
    "retry",
    "cancelled",
    "spent",
    "waiting",
    "partial",
]


@frozen
class Event:
    """One thing that happened. `time` is seconds since the run began, `step` the deterministic path of the step.

    A step is named by the way to it: "ask/5:notes[2]/1:judge" is node 1 (`judge`) of the third element of the map
    `notes`, which is node 5 of flow `ask`. `start` is when the step's body began, for `node.*` and `effect.done`.
    """

    kind: Kind
    time: float
    step: str
    operation: str = ""
    start: float = 0.0
    attributes: Mapping[str, Json] = field(factory=dict)


Subscriber = Callable[[Event], None]
"""Gets each event in order, on the loop's thread. An exception of a subscriber ends no run; it is reported once."""
