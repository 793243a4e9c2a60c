"""What a run reports of itself: one frozen event class for the progress view, the trace and, later, the
journal.

A run is the ordered stream of its events. What a durable journal needs is in it: the intent of each effect
before it happens, with the hash of its inputs, its idempotency key and its attempt; its result or failure
afterwards; what was spent. Times are seconds since the run began.
"""

from collections.abc import Callable, Mapping
from typing import Literal

from attrs import field, frozen

from flowc.runtime.plan import Json

Kind = Literal[
    "node.done",
    "node.failed",
    "node.dropped",
    "structure",
    "effect.intent",
    "effect.done",
    "retry",
    "cancelled",
    "spent",
    "note",
    "shared",
]


@frozen
class Event:
    """One thing that happened. `time` is seconds since the run began, `step` the deterministic path of the
    step.

    A step is named by the way to it: "ask/5:notes[2]/1:judge" is call 1 (`judge`) of the third element of the
    map `notes`, which is number 5 of flow `ask`. Calls count, and control flow with calls inside; what only
    packs values has its place in the plan after a point, as in "ask/.7:add". `start` is when the step's body
    began, for `node.*` and `effect.done`.
    """

    kind: Kind
    time: float
    step: str
    operation: str = ""
    start: float = 0.0
    attributes: Mapping[str, Json] = field(factory=dict)


Subscriber = Callable[[Event], None]
"""Gets each event in order, on the loop's thread. An exception of a subscriber ends no run; it is
reported once.
"""
