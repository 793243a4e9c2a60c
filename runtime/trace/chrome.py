"""The timeline of a run in Chrome's trace format, which Perfetto and chrome://tracing open.

Format: "Trace Event Format", Google, 2016. Each body is a complete event; lanes are filled so that bodies
which ran at once lie below each other, as in a Gantt chart. Steps of control flow have lanes of their own
above. Where the run kept what its effects gave, each event shows it. What kernels did on a GPU has lanes of
its own below, at the time when the GPU did it, which is later than the call that asked for it.
"""

from collections.abc import Sequence
from heapq import heappop, heappush
from typing import Any

from flowc.runtime.device.spans import Span
from flowc.runtime.plan import Json
from flowc.runtime.scheduler.engine import Entry
from flowc.runtime.scheduler.frames import Frame, step_of
from flowc.runtime.trace.model import Trace
from flowc.runtime.values import to_json

_BODIES, _STRUCTURE, _DEVICE = 1, 2, 3
_COUNTED = ("tokens_in", "cached", "tokens_out", "waited_s", "queued_s")
_MARKS = ("node.failed", "retry", "cancelled", "node.dropped")


def chrome_trace(trace: Trace, spans: Sequence[Span] = ()) -> dict[str, Json]:
    """The object to write as JSON; `spans` are what kernels did on a GPU, in order of time."""
    events: list[Json] = [
        _named("process_name", _BODIES, trace.root),
        _named("process_name", _STRUCTURE, "control flow"),
    ]
    spent = _spent(trace)
    results = {(entry[1], entry[2].index): entry[5] for entry in trace.log if entry[0] == "effect.done"}
    for process, kind in ((_BODIES, "node.done"), (_STRUCTURE, "structure")):
        entries = sorted((entry for entry in trace.log if entry[0] == kind), key=lambda entry: entry[3])
        for entry, lane in zip(entries, lanes([(entry[3], entry[4]) for entry in entries]), strict=True):
            key = (entry[1], entry[2].index)
            more = {"result": to_json(results[key])} if key in results else {}
            event = _complete(trace, entry, process, lane)
            event["args"] = {**_arguments(trace, entry), **spent.get(key, {}), **more}
            events.append(event)
    events.extend(_mark(trace, entry) for entry in trace.log if entry[0] in _MARKS)
    events.extend(_on_device(trace, spans))
    return {"traceEvents": events, "displayTimeUnit": "ms"}


def _on_device(trace: Trace, spans: Sequence[Span]) -> list[Json]:
    if not spans:
        return []
    events: list[Json] = [_named("process_name", _DEVICE, spans[0].device)]
    for span, lane in zip(spans, lanes([(span.start, span.end) for span in spans]), strict=True):
        events.append(
            {
                "ph": "X",
                "name": span.kernel,
                "cat": "device",
                "pid": _DEVICE,
                "tid": lane,
                "ts": round((span.start - trace.begun) * 1e6, 3),
                "dur": round((span.end - span.start) * 1e6, 3),
                "args": {},
            }
        )
    return events


def lanes(spans: list[tuple[float, float]]) -> list[int]:
    """A lane for each of these spans, which are sorted by their start; spans in one lane do not overlap."""
    busy: list[tuple[float, int]] = []
    free: list[int] = []
    chosen: list[int] = []
    for start, end in spans:
        while busy and busy[0][0] <= start:
            heappush(free, heappop(busy)[1])
        lane = heappop(free) if free else len(busy)
        heappush(busy, (end, lane))
        chosen.append(lane)
    return chosen


def _named(what: str, process: int, name: str) -> Json:
    return {"ph": "M", "name": what, "pid": process, "tid": 0, "args": {"name": name}}


def _complete(trace: Trace, entry: Entry, process: int, lane: int) -> dict[str, Json]:
    _, _, instruction, start, end, _ = entry
    return {
        "ph": "X",
        "name": instruction.node.name,
        "cat": instruction.node.op,
        "pid": process,
        "tid": lane,
        "ts": round((start - trace.begun) * 1e6, 3),
        "dur": round((end - start) * 1e6, 3),
        "args": _arguments(trace, entry),
    }


def _spent(trace: Trace) -> dict[tuple[Frame, int], dict[str, Any]]:
    """What each call of a model took. Those of one node count together: it asked more than once."""
    spent: dict[tuple[Frame, int], dict[str, Any]] = {}
    for kind, frame, instruction, _, _, more in trace.log:
        if kind == "spent":
            before = spent.get((frame, instruction.index), {})
            spent[frame, instruction.index] = {
                "model": more["model"],
                "calls": before.get("calls", 0) + 1,
                **{name: before.get(name, 0) + more[name] for name in _COUNTED},
            }
    return spent


def _arguments(trace: Trace, entry: Entry) -> dict[str, Json]:
    _, frame, instruction, _, _, _ = entry
    return {"step": step_of(frame, instruction, trace.root), "line": instruction.node.line}


def _mark(trace: Trace, entry: Entry) -> Json:
    event = trace.lift(entry)
    return {
        "ph": "i",
        "s": "p",
        "name": f"{event.kind}: {event.operation}",
        "cat": event.kind,
        "pid": _BODIES,
        "tid": 0,
        "ts": round(event.time * 1e6, 3),
        "args": {"step": event.step, **event.attributes},
    }
