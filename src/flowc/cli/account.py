"""The account of a run, for the person who started it: a short summary, and step by step with `--explain`."""

from collections.abc import Iterable
from typing import Any

from attrs import define, frozen

from flowc.cli import streams
from flowc.compiler.graph.model import WORK
from flowc.runtime.events import Event
from flowc.runtime.plan import Node, Plan, Region
from flowc.runtime.result import RunResult


def show_account(report: RunResult, plan: Plan, explain: bool, output_format: str) -> None:
    """Prints the summary on stderr for people, and the table where it is asked for."""
    if explain:
        _show_table(report, plan)
    if output_format == "text":
        streams.say(summary(report))


def summary(report: RunResult) -> str:
    """Two lines: how it went and what it took; what decided how long it lasted."""
    parts = [f"{report.status} in {_time(report.wall_ms)}", _count(report.nodes, "step")]
    if report.calls:
        parts.append(_count(report.calls, "call"))
    measures = getattr(report.trace, "measures", None)
    if measures is not None and measures.peak > 1:
        parts.append(f"up to {measures.peak} at once")
    if report.tokens_in or report.tokens_out:
        parts.append(f"{report.tokens_in:,} tokens in, {report.tokens_out:,} out")
    if report.cost_usd:
        parts.append(f"${report.cost_usd:.4f}")
    first = ", ".join(parts) + (" (virtual time)" if report.virtual else "")
    path = _chain(measures)
    second = f"critical path {_time(report.critical_path_ms)}" + (f": {path}" if path else "")
    return f"{first}\n{second}; flowc itself {_time(report.overhead_ms)}"


def _chain(measures: Any) -> str:
    """The names of the working steps on the critical path; in the middle of a long one, dots."""
    if measures is None:
        return ""
    nodes = [frame.block.instructions[index].node for frame, index in measures.chain]
    names = [node.name for node in nodes if node.op in WORK]
    shown = [name for name, before in zip(names, ["", *names], strict=False) if name and name != before]
    if len(shown) > 8:
        shown = [*shown[:4], "...", *shown[-3:]]
    return " > ".join(shown)


def _time(milliseconds: float) -> str:
    if milliseconds >= 10_000:
        return f"{milliseconds / 1000:.1f} s"
    return f"{milliseconds:.0f} ms" if milliseconds >= 10 else f"{milliseconds:.2f} ms"


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


@define
class Row:
    """One place of the program over the whole run; times in seconds since its start."""

    name: str
    line: int
    rank: float
    times: int = 0
    first: float = float("inf")
    last: float = 0.0
    busy: float = 0.0
    beside: int = 0


@frozen
class _Span:
    key: tuple[str, int]
    start: float
    end: float


def rows(events: Iterable[Event], plan: Plan) -> list[Row]:
    """The steps of a run by place, in the order in which they began."""
    ranks = {(node.name, node.line): node.rank for node in _nodes(plan)}
    spans = [
        _Span((event.operation, int(str(event.attributes.get("line", 0)))), event.start, event.time)
        for event in events
        if event.kind == "node.done"
    ]
    found: dict[tuple[str, int], Row] = {}
    for span in spans:
        row = found.setdefault(span.key, Row(*span.key, ranks.get(span.key, 0.0)))
        row.times += 1
        row.first, row.last = min(row.first, span.start), max(row.last, span.end)
        row.busy += span.end - span.start
    for span, peak in zip(spans, _beside(spans), strict=True):
        found[span.key].beside = max(found[span.key].beside, peak)
    return sorted(found.values(), key=lambda row: row.first)


def _beside(spans: list[_Span]) -> list[int]:
    """For each span, how many others were under way when it began or began during it, at most at one time."""
    begins = [(span.start, 1, index) for index, span in enumerate(spans)]
    ends = [(span.end, 0, index) for index, span in enumerate(spans)]
    edges = sorted(begins + ends)
    running: set[int] = set()
    peaks = [0] * len(spans)
    for _, opens, index in edges:
        if not opens:
            running.discard(index)
            continue
        running.add(index)
        if len(running) <= 256:
            for other in running:
                peaks[other] = max(peaks[other], len(running) - 1)
        else:
            peaks[index] = len(running) - 1
    return peaks


def _nodes(plan: Plan) -> Iterable[Node]:
    regions: list[Region] = [function.body for function in plan.functions.values()]
    while regions:
        region = regions.pop()
        for node in region.nodes:
            yield node
            regions.extend(node.regions)


def _show_table(report: RunResult, plan: Plan) -> None:
    from rich.table import Table

    trace: Any = report.trace
    if trace is None:
        return
    table = Table(box=None, header_style="bold")
    table.add_column("step")
    for name in ("line", "times", "began", "took", "each", "beside", "rank"):
        table.add_column(name, justify="right")
    for row in rows(trace.events(), plan):
        began, took = _time(1e3 * row.first), _time(1e3 * (row.last - row.first))
        each = _time(1e3 * row.busy / row.times)
        counts = (str(row.line), str(row.times), began, took, each, str(row.beside))
        table.add_row(row.name, *counts, f"{row.rank:.3g}")
    streams.stderr().print(table)
