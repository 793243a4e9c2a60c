"""Journals for tests: what runs write, in the order in which they could, and what may become of that.

A history is the records of some runs as they went to a store, cut into commits of which some were synced. A
damaged one has a segment left out, doubled, moved, cut short, or a bit of it flipped.
"""

import json

from attrs import evolve, frozen

from flowc.runtime.journal.frames import Framer, start
from flowc.runtime.journal.store import Segment, Store
from flowc.runtime.plan import Json
from flowc.testing.strategies.changes import changed_json
from flowc.testing.strategies.choices import Choices

STATUSES = ("", "waiting", "ok", "failed")
NOW = 1_700_000_000.0
HEAD: dict[str, Json] = {
    "version": 1, "begun": NOW, "flow": "main", "arguments": [1, "größe"], "plan": "00", "program": "00",
    "parts": {}, "settings": {"width": 8},
}  # fmt: skip
"""What runs begin with."""
SPENT: tuple[Json, ...] = (None, [10, 5, 0.25, 15, 0.25])
VALUES: tuple[Json, ...] = (None, 1, "größe", [1, {"k": 0.5}])


@frozen
class Commit:
    """Segments that a store takes at once; `synced` if it says only then that they are kept."""

    segments: tuple[Segment, ...]
    synced: bool


@frozen
class History:
    """Runs by name, each with its head and its records, and the commits by which they were written."""

    heads: dict[str, bytes]
    records: dict[str, tuple[bytes, ...]]
    commits: tuple[Commit, ...]


def drawn_history(choices: Choices) -> History:
    """What some runs write, taking turns."""
    names = [f"{number}-größe" for number in range(choices.number(1, 3))]
    framers = {name: Framer(name, 0, start(name)) for name in names}
    steps: dict[str, list[bytes]] = {name: drawn_records(choices) for name in names}
    left = {name: list(records) for name, records in steps.items()}
    commits = []
    while any(left.values()):
        segments = []
        for name in names:
            count = choices.number(0, min(len(left[name]), 4))
            if count:
                payloads, left[name] = left[name][:count], left[name][count:]
                segments.append(framers[name].frame(payloads, choices.one(STATUSES)))
        if segments:
            commits.append(Commit(tuple(segments), choices.flag()))
    heads = {name: json.dumps({**HEAD, "flow": name}).encode() for name in names}
    return History(heads, {name: tuple(records) for name, records in steps.items()}, tuple(commits))


def drawn_records(choices: Choices) -> list[bytes]:
    """The records of a run: steps that begin, are tried again, end or are given up; what was decided."""
    written: list[list[Json]] = [["session", NOW]]
    under_way: list[str] = []
    for number in range(choices.number(0, 10)):
        at, step = NOW + 60.0 * number, f"main/{number}"
        spent = choices.one(SPENT)
        ending = choices.one(("done", "failed", "tried", "cancelled", "withdrawn", "told"))
        match choices.number(0, 6):
            case 0 | 1:
                written.append(["intent", at, step, "send", 1, choices.flag(), ["größe", {"k": 1}], 5, 0.5])
                under_way.append(step)
            case 2 | 3 if under_way:
                ended = under_way.pop(choices.number(0, len(under_way) - 1))
                written.append(_ended(ending, at, ended, spent, choices))
            case 4:
                written.append(["turn", "main/loop", number, number + 3, choices.flag(), [number, None]])
            case 5:
                written.append(["asked", at, step, {"operation": "allow", "question": "größe?"}])
            case _:
                known: list[list[Json]] = [
                    ["decided", step, number],
                    ["fired", step],
                    ["until", step, at + 1],
                    ["doubted", step],
                    ["session", at],
                ]
                written.append(choices.one(known))
    if choices.flag():
        written.append(["status", NOW + 1e6, choices.one(STATUSES), {}])
    return [json.dumps(record, ensure_ascii=False).encode() for record in written]


def _ended(kind: str, at: float, step: str, spent: Json, choices: Choices) -> list[Json]:
    """How a step that was begun went on."""
    value = choices.one(VALUES)
    forms: dict[str, list[Json]] = {
        "done": ["done", at, step, "send", "key", value, spent],
        "failed": ["failed", at, step, "send", "key", ["E0700", "it failed", "", "", 1, 1], spent],
        "tried": ["tried", at, step, 2, at + 1, spent],
        "cancelled": ["cancelled", at, step, spent],
        "withdrawn": ["withdrawn", step],
        "told": ["told", at, step, "value", value],
    }
    return forms[kind]


def rewritten(choices: Choices, history: History) -> History:
    """A history in which a record, or what a run began with, is other JSON, and sound by its checksums."""
    run = choices.one([*history.records])
    records, heads = dict(history.records), dict(history.heads)
    place = choices.number(-1, len(records[run]) - 1)
    if place < 0:
        heads[run] = _other(choices, heads[run])
    else:
        kept = list(records[run])
        kept[place] = _other(choices, kept[place])
        records[run] = tuple(kept)
    framer = Framer(run, 0, start(run))
    whole = Commit((framer.frame(list(records[run])),), True)
    return History({run: heads[run]}, {run: records[run]}, (whole,))


def _other(choices: Choices, written: bytes) -> bytes:
    return json.dumps(changed_json(choices, json.loads(written))).encode()


def write_to(store: Store, history: History) -> None:
    """Writes a history as runs do."""
    for run, head in history.heads.items():
        store.begin(run, head)
    for commit in history.commits:
        store.append(commit.segments, {}, sync=commit.synced)


def damaged_segments(choices: Choices, segments: list[Segment]) -> list[Segment]:
    """Segments of a run with one thing wrong."""
    if not segments:
        return []
    changed = list(segments)
    at, other = (choices.number(0, len(segments) - 1) for _ in range(2))
    body = bytearray(changed[at].body)
    place = choices.number(0, len(body) - 1)
    match choices.number(0, 6):
        case 0:
            del changed[at]
        case 1:
            changed.insert(other, changed[at])
        case 2:
            changed[at], changed[other] = changed[other], changed[at]
        case 3:
            changed[at] = evolve(changed[at], body=bytes(body[:place]))
        case 4:
            changed[at] = evolve(changed[at], body=changed[other].body)
        case 5:
            changed[at] = evolve(changed[at], first=choices.number(0, 9), count=choices.number(0, 9))
        case _:
            body[place] ^= 1 << choices.number(0, 7)
            changed[at] = evolve(changed[at], body=bytes(body))
    return changed
