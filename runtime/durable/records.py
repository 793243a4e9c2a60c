"""The records of a run one by one, for what looks at them in their order and not at what they come to."""

import json
from collections.abc import Iterator
from typing import Any

from attrs import frozen

from flowc.runtime.durable.past import GONE
from flowc.runtime.durable.runs import records_of
from flowc.runtime.journal.failures import understood
from flowc.runtime.journal.store import Store

_AT = {
    "intent": 2,
    "done": 2,
    "failed": 2,
    "tried": 2,
    "cancelled": 2,
    "asked": 2,
    "told": 2,
    "decided": 1,
    "doubted": 1,
    "fired": 1,
    "until": 1,
    "turn": 1,
    "withdrawn": 1,
}
"""Where a record of a kind has its step."""


@frozen
class Record:
    """A record of a run: its number, its kind, its step ("" where it is about none), and all of it."""

    number: int
    kind: str
    step: str
    written: list[Any]


def read_records(store: Store, run: str) -> Iterator[Record]:
    """The records of a run, in order, behind those that it shares with the run that it was forked from."""
    for number, payload in records_of(store, run):
        with understood(f"record {number} of run {run}"):
            written = json.loads(payload)
            at = _AT.get(written[0])
            record = Record(number, written[0], "" if at is None else written[at].split("!")[0], written)
        yield record


def placed(records: list[Record]) -> list[Record]:
    """The records with their steps where they stand in the program that the run goes on with in the end."""
    moved: dict[str, str] = {}
    found: list[Record] = []
    for each in reversed(records):
        if each.kind == "migrated":
            before = each.written[2]["moved"]
            later, moved = moved, {}
            for old, new in before.items():
                moved[old] = later.get(new, new)
            moved |= {old: new for old, new in later.items() if old not in moved}
        step = moved.get(each.step, each.step)
        if not step.startswith(GONE):
            written, at = each.written, _AT.get(each.kind)
            if at is not None and step != each.step:
                written = [*written[:at], step, *written[at + 1 :]]
            found.append(Record(each.number, each.kind, step, written))
    return found[::-1]
