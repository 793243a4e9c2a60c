"""The runs of a journal in a list, derived from their rows; records are read only of runs without an end."""

import json
from collections.abc import Iterator
from typing import Any

from attrs import frozen

from flowc.runtime.durable.kept import OPEN
from flowc.runtime.durable.past import Past
from flowc.runtime.durable.runs import FINAL, past_of
from flowc.runtime.errors import FlowError
from flowc.runtime.journal.store import DAMAGED, Row, Store
from flowc.runtime.json_members import MISREAD
from flowc.runtime.plan import Json

_decoded = json.JSONDecoder().raw_decode
"""Reads JSON without a look at what it may be encoded in: half the time of a list goes into this."""

RUNNING = "running"
"""The status of a run that a living process has."""
INTERRUPTED = "interrupted"
"""The status of a run that no process has, although it did not end."""
STATUSES = ("ok", "failed", "over-budget", "waiting", "in-doubt", "cancelled", INTERRUPTED, RUNNING, DAMAGED)
"""Every status that a run of a list may have."""


@frozen
class Listed:
    """A run in the list. Times are seconds since 1970, `changed` is when its status last changed."""

    run: str
    status: str
    flow: str = ""
    program: str = ""
    begun: float | None = None
    changed: float | None = None

    def to_json(self) -> dict[str, Json]:
        """The object that `flowc runs --output-format=json` prints."""
        took = None if self.begun is None or self.changed is None else round(self.changed - self.begun, 3)
        return {
            "run": self.run,
            "status": self.status,
            "flow": self.flow,
            "program": self.program,
            "begun": self.begun,
            "changed": self.changed,
            "seconds": took,
        }


def listed(store: Store, *, status: str | None = None, limit: int | None = None) -> Iterator[Listed]:
    """The runs of a journal, newest first; of one status, and no more than `limit`, where that is given."""
    shown = 0
    for row in store.rows(limit if status is None else None):
        found = _listed(store, row)
        if status is None or found.status == status:
            yield found
            shown += 1
            if shown == limit:
                return


def _listed(store: Store, row: Row) -> Listed:
    try:
        head: dict[str, Any] = _decoded(row.head.decode("ascii"))[0]
        flow, path, begun = str(head["flow"]), str(head["settings"].get("path", "")), float(head["begun"])
    except MISREAD:
        return Listed(row.run, DAMAGED)
    changed = row.changed if row.status not in ("", OPEN) else None
    return Listed(row.run, row_status(store, row), flow, path, begun, changed)


def row_status(store: Store, row: Row) -> str:
    """What has become of a run: how it ended or stopped, else whether a living process has it."""
    if row.status in FINAL or row.status == DAMAGED:
        return row.status
    if store.taken(row.run):
        return RUNNING
    if row.status not in ("", OPEN):
        return row.status
    try:
        return status_of(past_of(store, row.run))
    except FlowError:
        return DAMAGED


def status_of(past: Past) -> str:
    """What has become of a run that no process has."""
    if past.status:
        return past.status
    return "in-doubt" if past.in_doubt() else INTERRUPTED
