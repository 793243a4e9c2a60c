"""What earlier runs left: segments of a journal, the records in them, the file itself, the history."""

import shutil
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import closing, suppress
from functools import cache
from pathlib import Path
from struct import Struct

from flowc.compiler.driver import compile_text
from flowc.runtime.durable import runs
from flowc.runtime.durable.listing import listed
from flowc.runtime.durable.looking import look, look_json
from flowc.runtime.durable.records import read_records
from flowc.runtime.environment import Environment
from flowc.runtime.errors import FlowError
from flowc.runtime.execute import run
from flowc.runtime.history import store as history
from flowc.runtime.history.kernel_samples import KernelSample
from flowc.runtime.history.samples import CallSample, Samples, StepSample
from flowc.runtime.journal.frames import Framer, start, unframe
from flowc.runtime.journal.memory import MemoryStore
from flowc.runtime.journal.sqlite import SqliteStore
from flowc.runtime.journal.sqlite_file import beside_path
from flowc.runtime.journal.store import Segment, Store
from flowc.runtime.journal.writer import Writer
from tests.fuzz.contract import Target
from tests.fuzz.mutation import by_bytes, by_json
from tests.fuzz.targets.language import MEMORY

RUN = "r"
BESIDE = beside_path(Path("journal.db")).name.removeprefix("journal.db")
PROGRAM = """
tool read(i: int) -> str reads web
tool write(i: int, text: str) -> int writes db

@budget(calls=9)
flow main(n: int) -> list[str]:
    t = 0
    for i in range(n):
        t = write(t, "x")
    return [read(i) for i in range(n)]
"""
_HEAD = Struct("<III")
RECORDS = by_json(
    "intent", "done", "failed", "tried", "cancelled", "doubted", "withdrawn", "decided", "fired", "until",
    "turn",
    "asked", "told", "session", "status", "migrated", "main", "main/read", "main/write[0]", "$", "value",
    "dict",
    "tuple", "list", "plain", "whole", "record", "bytes", "array", "number", "ok", "plan", "forked",
    "records",
    "settings", "arguments", "moved", "dropped", "result", "problem", "retry", "fail", "operation", "flow",
)  # fmt: skip


@cache
def _recorded() -> tuple[bytes, tuple[bytes, ...], MemoryStore]:
    """A run as a journal has it: how it began, its records, and the store with its blobs."""
    plan = compile_text(PROGRAM, "kept.flow").plan
    store = MemoryStore(now=lambda: 1.0)
    journal = runs.Journal(store, Writer(store))
    keeping = runs.begin(journal, plan, "main", [2], {"path": "kept.flow"}, run=RUN, clock=lambda: 1.0)
    tools = {"read": lambda i: "y" * i, "write": lambda i, text: i + 1}
    run(plan, "main", {"n": 2}, environment=Environment(tools=tools), keeper=keeping)
    journal.writer.close()
    row = store.row(RUN)
    assert row is not None
    assert row.status == "ok"
    return row.head, tuple(payload for _, payload in unframe(store.segments(RUN))), store


def _made(head: bytes, records: Sequence[bytes], store: Store) -> None:
    """Writes a run with these records, as one process did."""
    framer = Framer(RUN, 0, start(RUN))
    store.begin(RUN, head)
    halves = [each for each in (records[: len(records) // 2], records[len(records) // 2 :]) if each]
    segments = [framer.frame(list(each)) for each in halves]
    store.append(segments, _recorded()[2]._blobs, sync=False)


def _looked(store: Store) -> None:
    """All that the command line tells of the runs of a journal."""
    list(listed(store))
    for row in store.rows():
        with suppress(FlowError):
            found = look(store, row.run)
            look_json(found)
        with suppress(FlowError):
            list(read_records(store, row.run))


def _frames(data: bytes) -> None:
    """Segments, each with its head before it: all that comes out is what `Framer` puts in."""
    segments, place = [], 0
    while place + _HEAD.size <= len(data) and len(segments) < 100:
        first, count, length = _HEAD.unpack_from(data, place)
        place += _HEAD.size + length
        segments.append(Segment(RUN, first, count, data[place - length : place]))
    with suppress(FlowError):
        found = list(unframe(segments))
        framed = (
            Framer(RUN, found[0][0], start(RUN)).frame([payload for _, payload in found]) if found else None
        )
        assert framed is None or segments[0].first or framed.body[4:8] == segments[0].body[4:8]


def _segments() -> list[bytes]:
    records = _recorded()[1]
    framer = Framer(RUN, 0, start(RUN))
    halves = [framer.frame(list(records[:3])), framer.frame(list(records[3:5])), framer.frame([b"", b"[]"])]
    packed = [_HEAD.pack(each.first, each.count, len(each.body)) + each.body for each in halves]
    return [packed[0], b"".join(packed), b"".join(packed[1:])]


def _records(data: bytes) -> None:
    """A run whose checksums are right, whatever its records say: a line is the beginning, the others are
    records.
    """
    head, *records = data.split(b"\n")
    store = MemoryStore()
    _made(head, records, store)
    with suppress(FlowError):
        list(listed(store))
    for row in store.rows():
        with suppress(FlowError):
            look_json(look(store, row.run))
        with suppress(FlowError):
            list(read_records(store, row.run))


def _lines() -> list[bytes]:
    head, records, _ = _recorded()
    more = (
        b'["intent",1.0,"main/t","t",1,false,{},0,0.0]',
        b'["tried",1.0,"main/t",1,["E0700","","","",0,0],[1,2,0.1,3,0.1]]',
        b'["asked",1.0,"main/a",{"operation":"a","prompt":"?","type":"bool","choices":["yes"]}]',
        b'["turn","main/w",3,2,true,[1]]', b'["decided","main/race",[0,null]]', b'["fired","main/s"]',
        b'["until","main/s",9.0]', b'["told",1.0,"main/a","done",true]', b'["session",{"begun":1.0}]',
        b'["cancelled",1.0,"main/t",null]', b'["status",2.0,"failed",{"problem":["E0700","m","","",0,0]}]',
        b'["done",1.0,"main/t","t","k",{"$":["tuple",[1,{"$":["bytes","eA=="]}]]},[1,1,0.0,2,0.0]]',
    )  # fmt: skip
    return [b"\n".join([head, *records]), b"\n".join([head, *records[:4], *more])]


@cache
def _whole() -> dict[str, bytes]:
    """The files of a journal that is open, by what their names end in: the rows are in its log still."""
    head, records, _ = _recorded()
    with tempfile.TemporaryDirectory(dir=MEMORY) as folder:
        path = Path(folder) / "journal.db"
        with closing(SqliteStore(path)) as store:
            _made(head, records, store)
            found = {each.name.removeprefix(path.name): each.read_bytes() for each in path.parent.iterdir()}
        return {**found, "closed": path.read_bytes()}


def _opened(files: Mapping[str, bytes]) -> None:
    """Looks at the journal that these files are."""
    folder = Path(tempfile.mkdtemp(dir=MEMORY))
    try:
        for ending, data in files.items():
            (folder / f"journal.db{ending}").write_bytes(data)
        with suppress(FlowError), closing(SqliteStore(folder / "journal.db")) as store, suppress(FlowError):
            _looked(store)
    finally:
        shutil.rmtree(folder)


def _file(data: bytes) -> None:
    """A journal as a file, with nothing beside it."""
    _opened({"": data})


def _log(data: bytes) -> None:
    """The write-ahead log of a journal that nobody closed."""
    _opened({"": _whole()[""], "-wal": data, BESIDE: _whole()[BESIDE]})


def _marks(data: bytes) -> None:
    """What stands beside a journal and says what it must have."""
    _opened({"": _whole()[""], "-wal": _whole()["-wal"], BESIDE: data})


def _history(data: bytes) -> None:
    """The history of what calls took: what is damaged is passed over."""
    folder = Path(tempfile.mkdtemp(dir=MEMORY))
    try:
        path = folder / "history.db"
        path.write_bytes(data)
        with suppress(FlowError):
            past = history.read(path, ["judge"], ["small"], ["main/judge"])
            assert all(each.name == "judge" for each in past.calls.get("judge", ()))
    finally:
        shutil.rmtree(folder)


@cache
def _histories() -> list[bytes]:
    """A history with a sample of each kind."""
    with tempfile.TemporaryDirectory(dir=MEMORY) as folder:
        path = Path(folder) / "history.db"
        call = CallSample("judge", "llm", "small", "openai", "m", 10, 5, 0, 1.0, 0.1, 0.0, 0.5)
        kernels = [KernelSample("a" * 24, "some x 2", "8x384,=10,", 2, 0.003)]
        history.write(path, Samples([call], [StepSample("main/judge", 3)], kernels))
        return [path.read_bytes()]


TARGETS = (
    Target("frames", _frames, _segments, by_bytes, share=20.0),
    Target("records", _records, _lines, RECORDS, share=1.8),
    Target("journal-file", _file, lambda: [_whole()["closed"]], by_bytes, share=0.5),
    Target("journal-log", _log, lambda: [_whole()["-wal"]], by_bytes, share=0.5),
    Target("journal-marks", _marks, lambda: [_whole()[BESIDE]], by_bytes, share=0.2),
    Target("history", _history, _histories, by_bytes, share=1.5),
)
