"""What a run did, in numbers a person asks for: what ran in parallel, the critical path, calls, tokens,
cost.
"""

from bisect import bisect_right
from collections import Counter, defaultdict

from attrs import frozen

from flowc.runtime.scheduler.engine import Entry
from flowc.runtime.scheduler.frames import step_of
from flowc.runtime.trace.measures import peak
from flowc.runtime.trace.model import Trace

BODIES = ("node.done",)
OUTSIDE = ("tool", "generate", "human", "sleep", "embed", "execute", "kernel")
"""Ops worth a line of their own; the rest is arithmetic between them."""


@frozen
class Step:
    """One execution of a node. Times are milliseconds since the run began."""

    step: str
    name: str
    op: str
    line: int
    start_ms: float
    duration_ms: float
    rank: float
    critical: bool
    beside: int


@frozen
class Group:
    """All calls of one operation."""

    name: str
    op: str
    calls: int
    busy_ms: float
    longest_ms: float
    peak: int
    retries: int
    tokens_in: int
    tokens_out: int
    cost_usd: float
    sources: tuple[str, ...]


@frozen
class Summary:
    """A run at a glance. `average` is how many bodies ran at once while any did; `speedup` against one
    by one.
    """

    wall_ms: float
    critical_path_ms: float
    overhead_ms: float
    busy_ms: float
    peak: int
    average: float
    speedup: float
    nodes: int
    critical_path: tuple[Step, ...]
    groups: tuple[Group, ...]


def steps(trace: Trace, *, everything: bool = False) -> list[Step]:
    """The steps of a run by their start; without `everything` only those that reach outside."""
    chain = set(trace.measures.chain) if trace.measures is not None else set()
    entries = [
        entry for entry in trace.log if entry[0] in BODIES and (everything or entry[2].node.op in OUTSIDE)
    ]
    beside = _beside(entries)
    made = [
        Step(
            step_of(frame, instruction, trace.root),
            instruction.node.name,
            instruction.node.op,
            instruction.node.line,
            (start - trace.begun) * 1e3,
            (end - start) * 1e3,
            instruction.node.rank,
            (frame.home(), instruction.index) in chain,
            others,
        )
        for (_, frame, instruction, start, end, _), others in zip(entries, beside, strict=True)
    ]
    return sorted(made, key=lambda step: (step.start_ms, step.step))


def _beside(entries: list[Entry]) -> list[int]:
    """For each entry how many others were under way when it began."""
    starts = sorted(entry[3] for entry in entries)
    ends = sorted(entry[4] for entry in entries)
    return [max(0, bisect_right(starts, e[3]) - bisect_right(ends, e[3]) - 1) for e in entries]


def summarise(trace: Trace) -> Summary:
    """The summary of a run that has ended."""
    measures = trace.measures
    if measures is None:
        raise ValueError("the run has not ended")
    everything = steps(trace, everything=True)
    by_place = {step.step: step for step in everything}
    chain = [
        by_place[path]
        for frame, index in measures.chain
        if (path := step_of(frame, frame.block.instructions[index], trace.root)) in by_place
    ]
    return Summary(
        wall_ms=trace.wall * 1e3,
        critical_path_ms=measures.critical * 1e3,
        overhead_ms=max(0.0, trace.wall - measures.covered) * 1e3,
        busy_ms=measures.busy * 1e3,
        peak=measures.peak,
        average=measures.busy / measures.covered if measures.covered else 0.0,
        speedup=measures.busy / trace.wall if trace.wall else 0.0,
        nodes=measures.nodes,
        critical_path=tuple(chain),
        groups=groups(trace),
    )


def groups(trace: Trace) -> tuple[Group, ...]:
    """The operations that reached outside, the busiest first."""
    spans: dict[tuple[str, str], list[tuple[float, float]]] = defaultdict(list)
    spent: dict[tuple[str, str], Counter[str]] = defaultdict(Counter)
    money: dict[tuple[str, str], float] = defaultdict(float)
    sources: dict[tuple[str, str], dict[str, None]] = defaultdict(dict)
    for kind, _, instruction, start, end, more in trace.log:
        key = (instruction.node.name, instruction.node.op)
        if key[1] not in OUTSIDE:
            continue
        if kind == "node.done":
            spans[key].append((start, end))
        elif kind == "retry":
            spent[key]["retries"] += 1
        elif kind == "spent":
            spent[key].update(tokens_in=more["tokens_in"], tokens_out=more["tokens_out"])
            money[key] += more["cost_usd"]
            sources[key][f"{more['provider']}/{more['model']}".rstrip("/")] = None
    made = [
        Group(
            name,
            op,
            len(times),
            sum(end - start for start, end in times) * 1e3,
            max(end - start for start, end in times) * 1e3,
            peak(times),
            spent[name, op]["retries"],
            spent[name, op]["tokens_in"],
            spent[name, op]["tokens_out"],
            money[name, op],
            tuple(sources[name, op]),
        )
        for (name, op), times in spans.items()
    ]
    return tuple(sorted(made, key=lambda group: -group.busy_ms))


def text(summary: Summary) -> list[str]:
    """The summary as a few plain lines."""
    calls = sum(group.calls for group in summary.groups if group.op not in ("kernel", "sleep"))
    tokens_in = sum(group.tokens_in for group in summary.groups)
    tokens_out = sum(group.tokens_out for group in summary.groups)
    cost = sum(group.cost_usd for group in summary.groups)
    names = _names(summary)
    lines = [
        f"{duration(summary.wall_ms)} for {summary.nodes} nodes; " + _parallel(summary),
        f"critical path {duration(summary.critical_path_ms)}" + (f": {' > '.join(names)}" if names else ""),
        f"{calls} calls, {tokens_in:,} tokens in, {tokens_out:,} out, ${cost:.4f}; "
        f"flowc itself took {duration(summary.overhead_ms)}",
    ]
    for group in summary.groups:
        busy = f"{group.calls} x {group.name} ({group.op})"
        more = f", {group.retries} tried again" if group.retries else ""
        lines.append(f"  {busy:<34} {duration(group.busy_ms):>9} in all, {group.peak} at once{more}")
    return lines


def _parallel(summary: Summary) -> str:
    if summary.peak < 2:
        return "one at a time"
    faster = f" ({summary.speedup:.1f} times as fast as one by one)" if summary.speedup >= 1.05 else ""
    return f"up to {summary.peak} at once, {summary.average:.1f} on average{faster}"


def _names(summary: Summary) -> list[str]:
    """The steps of the critical path that reach outside, repeated ones once, at most eight."""
    names = [step.name for step in summary.critical_path if step.op in OUTSIDE]
    distinct = [name for name, before in zip(names, [None, *names], strict=False) if name != before]
    return distinct if len(distinct) <= 8 else [*distinct[:7], "..."]


def duration(milliseconds: float) -> str:
    """A time as a person reads it."""
    if milliseconds < 1:
        return f"{milliseconds * 1e3:.0f} us"
    if milliseconds < 1000:
        return f"{milliseconds:.1f} ms"
    return f"{milliseconds / 1e3:.2f} s" if milliseconds < 60_000 else f"{milliseconds / 60_000:.1f} min"
