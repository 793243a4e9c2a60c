"""Runs in a journal: begun, taken up again, looked at, told something."""

import json
import math
import secrets
import time
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from attrs import define, evolve

from flowc.runtime.collecting import uncollected
from flowc.runtime.durable.codec import Blobs, encode_json, packed, unpacked
from flowc.runtime.durable.keeper import Keeping
from flowc.runtime.durable.past import Past, read_past
from flowc.runtime.errors import FlowError, fail
from flowc.runtime.journal.failures import understood
from flowc.runtime.journal.frames import after, start, unframe
from flowc.runtime.journal.place import open_journal
from flowc.runtime.journal.store import DAMAGED, Row, Segment, Store, address
from flowc.runtime.journal.writer import Writer
from flowc.runtime.plan import Json, Plan, Region
from flowc.runtime.plan_json import from_json as plan_from_json
from flowc.runtime.plan_json import to_json as plan_to_json

FINAL = frozenset({"ok", "failed", "over-budget"})
"""The statuses of runs that have ended for good: what they came to is told again, not worked out again."""
LARGEST = 256 << 20
"""Bytes of a plan, or of another text that belongs to a program, at most: a few of them may squeeze many."""


@define(eq=False)
class Journal:
    """An open journal: where it is kept, and who writes to it."""

    store: Store
    writer: Writer

    def close(self) -> None:
        """Writes what is left, and lets go of it."""
        try:
            self.writer.close()
        finally:
            self.store.close()


def journal_at(where: str | None, *, create: bool = True, fast: bool = False) -> Journal:
    """Opens a journal: a file, a postgresql:// URL, or the user's own where None is given."""
    store = open_journal(where, create=create)
    return Journal(store, Writer(store, fast=fast))


# ---- beginning and going on


def begin(
    journal: Journal,
    plan: Plan,
    flow: str,
    arguments: list[Any],
    settings: Mapping[str, Json],
    *,
    run: str | None = None,
    clock: Callable[[], float] = time.time,
    parts: Mapping[str, bytes] | None = None,
    forked: Mapping[str, Json] | None = None,
) -> Keeping:
    """A new run of a flow with these values of its parameters, kept before anything else happens.

    `settings` are kept as they are; `parts` are larger texts, kept once for all runs that have the same.
    """
    run = run or secrets.token_hex(8)
    blobs: Blobs = []
    head = {
        "version": 1,
        "begun": round(clock(), 3),
        "flow": flow,
        "arguments": [packed(value, blobs) for value in arguments],
        **pinned(plan, parts or {}, blobs),
        "settings": dict(settings),
    }
    if forked is not None:
        head["forked"] = dict(forked)
    journal.store.append([], dict(blobs), sync=False)
    journal.store.begin(run, encode_json(head).encode("ascii"))
    if not journal.store.take(run):
        raise taken(run)
    journal.writer.open(run, 0, start(run))
    return Keeping(run, Past(run, head), journal.writer, journal.store.blob, clock)


def pinned(plan: Plan, parts: Mapping[str, bytes], blobs: Blobs) -> dict[str, Json]:
    """What pins a run to a plan, with the texts that belong to it; all of that is put with `blobs`."""

    def put(content: bytes) -> str:
        if len(content) > LARGEST:
            why = f"a part of it has {len(content)} bytes, and at most {LARGEST} are kept"
            raise fail(
                "E0912", "the program is too large for a journal", why=why, help="run it with --journal none"
            )
        squeezed = zlib.compress(content)
        blobs.append((address(squeezed), squeezed))
        return address(squeezed).hex()

    written = encode_json(plan_to_json(evolve(plan, expectations=None))).encode("ascii")
    named: dict[str, Json] = {name: put(content) for name, content in parts.items()}
    return {"plan": put(written), "program": program_hash(plan), "parts": named}


def go_on(
    journal: Journal,
    run: str,
    *,
    clock: Callable[[], float] = time.time,
    session: Mapping[str, Json] | None = None,
) -> Keeping:
    """A run of the journal, gone on with by this process alone, of which `session` tells what is to be kept.
    Raises E0921 where another one has it.
    """
    with uncollected():
        keeping = Keeping(run, _take(journal, run), journal.writer, journal.store.blob, clock)
        keeping.spare_collector()
    keeping.note_session(dict(session or {}))
    return keeping


def _take(journal: Journal, run: str) -> Past:
    """Makes this process the only one that writes to a run."""
    if not journal.store.take(run):
        raise taken(run)
    try:
        past, end = _read(journal.store, run)
    except BaseException:
        journal.store.release(run)
        raise
    journal.writer.open(run, *end)
    return past


@contextmanager
def held(journal: Journal, run: str) -> Iterator[Past]:
    """A run, as it is, that nobody else writes to meanwhile. Raises E0921 where another process has it."""
    past = _take(journal, run)
    try:
        yield past
    finally:
        journal.store.release(run)


def taken(run: str) -> FlowError:
    """The error for a run that somebody else is going on with."""
    return fail(
        "E0921",
        f"run {run} is going on in another process",
        help="wait until it has ended; a process that has died holds nothing",
    )


# ---- looking


def head_of(store: Store, run: str) -> dict[str, Any]:
    """How a run was begun. Raises E0920 where there is no such run."""
    return _head(row_of(store, run))


def row_of(store: Store, run: str) -> Row:
    """A run in the list of runs. Raises E0920 where there is no such run."""
    row = store.row(run)
    if row is None:
        raise unknown(run)
    return row


def unknown(run: str) -> FlowError:
    """The error for a run that is not in the journal."""
    return fail(
        "E0920",
        f"there is no run `{run}` in this journal",
        help="`flowc runs` lists those that there are; --journal names another place",
    )


_MISSING = "`flowc runs` lists those that are left; restore the journal from a copy"


def _head(row: Row) -> dict[str, Any]:
    if row.status == DAMAGED:
        raise fail("E0910", f"what is kept of the beginning of run {row.run} is damaged")
    with understood(f"the beginning of run {row.run}"):
        head: dict[str, Any] = json.loads(row.head)
        for name, kind in _MEMBERS.items():
            if not isinstance(head[name], kind):
                raise TypeError(name)
    return head


_MEMBERS: Mapping[str, type] = {
    "flow": str,
    "arguments": list,
    "plan": str,
    "program": str,
    "parts": dict,
    "settings": dict,
}
"""What the beginning of every run says."""


def named(store: Store, name: str) -> str:
    """The run of this name, or the only one whose name begins so; `last` is the newest one."""
    if name == "last":
        rows = store.rows(1)
        if not rows:
            raise unknown(name)
        if not rows[0].run:
            raise fail("E0910", "the newest run began, and is in the journal no more", help=_MISSING)
        return rows[0].run
    found = store.find(name) if name else []
    if name in found or len(found) == 1:
        return name if name in found else found[0]
    if not found:
        raise unknown(name)
    raise fail(
        "E0920",
        f"several runs begin with `{name}`",
        why="they are " + ", ".join(found[:5]) + (", ..." if len(found) > 5 else ""),
        help="give more of the name",
    )


def past_of(store: Store, run: str, *, whole: bool = False) -> Past:
    """All that is kept of a run; with `whole` the turns of loops that have ended, too."""
    return _read(store, run, whole=whole)[0]


def records_of(store: Store, run: str) -> Iterator[tuple[int, bytes]]:
    """The records of a run, in order, behind those that it shares with the run that it was forked from."""
    with understood(f"run {run}"):
        yield from _with_shared(store, head_of(store, run), unframe(store.segments(run)))


def _read(store: Store, run: str, *, whole: bool = False) -> tuple[Past, tuple[int, int]]:
    head = head_of(store, run)
    end = [0, start(run)]

    def noted(segments: Iterator[Segment]) -> Iterator[Segment]:
        for segment in segments:
            yield segment
            end[:] = after(segment)

    def read(until: int) -> Past:
        own = unframe(noted(store.segments(run)))
        return read_past(run, head, _with_shared(store, head, own), whole=whole, until=until)

    with understood(f"run {run}"):
        past = read(0)
        if past.migrations:  # a state that a loop had under another program counts no more: its turns do
            past = read(past.migrations[-1][0])
    return past, (end[0], end[1])


def _with_shared(
    store: Store, head: Mapping[str, Any], own: Iterator[tuple[int, bytes]]
) -> Iterator[tuple[int, bytes]]:
    """The records of a run behind those that it shares with the run it was forked from, and so on; those of
    runs that are forked in a circle cannot be told.
    """
    parts, names, end, records = [], set[str](), math.inf, own
    while (forked := head.get("forked")) is not None:
        origin = forked["run"]
        if origin in names:
            raise ValueError(f"it is forked from run {origin}, which is forked from itself")
        names.add(origin)
        parts.append((forked["records"], end, records))
        head, end = head_of(store, origin), min(end, forked["records"])
        records = unframe(store.segments(origin))
    parts.append((0, end, records))
    for base, end, records in reversed(parts):
        if base >= end:
            continue  # of its own records nothing is shared: nothing has to be read
        for number, payload in records:
            if base + number >= end:
                break
            if records is own or not payload.startswith(b'["until"'):  # what is not over begins anew
                yield base + number, payload


def plan_of(store: Store, head: Mapping[str, Any]) -> Plan:
    """The plan that a run is pinned to."""
    with understood("the plan of a run"):
        return plan_from_json(json.loads(_unsqueezed(store, head["plan"])))


def part_of(store: Store, head: Mapping[str, Any], name: str) -> bytes | None:
    """A text that was kept with a run, None where there is none."""
    digest = head["parts"].get(name)
    with understood("a text of a run"):
        return None if digest is None else _unsqueezed(store, digest)


def _unsqueezed(store: Store, digest: str) -> bytes:
    squeezed = zlib.decompressobj()
    content = squeezed.decompress(store.blob(bytes.fromhex(digest)), LARGEST + 1)
    if not squeezed.eof or len(content) > LARGEST:
        raise ValueError(f"it is cut off, or has more than {LARGEST} bytes")
    return content


def arguments_of(store: Store, head: Mapping[str, Any]) -> list[Any]:
    """The values of the parameters with which a run began."""
    with understood("the arguments of a run"):
        return [unpacked(each, store.blob) for each in head["arguments"]]


def result_of(store: Store, past: Past) -> Any:
    """What a run that is `ok` came to."""
    with understood(f"the result of run {past.run}"):
        return unpacked(past.ending["result"], store.blob)


def program_hash(plan: Plan) -> str:
    """What pins a run to its program: the hash of all of its plan that has a meaning, lines and priorities
    left
    out.
    """
    functions = {
        name: evolve(function, body=_bare(function.body), line=0, documentation="")
        for name, function in plan.functions.items()
    }
    operations = {name: evolve(operation, line=0) for name, operation in plan.operations.items()}
    bare = evolve(
        plan, source="", functions=functions, operations=operations, optimisation=0, expectations=None
    )
    return address(encode_json(plan_to_json(bare)).encode("ascii")).hex()


def _bare(region: Region) -> Region:
    nodes = tuple(
        evolve(node, rank=0.0, line=0, column=0, regions=tuple(map(_bare, node.regions)))
        for node in region.nodes
    )
    return evolve(region, nodes=nodes)
