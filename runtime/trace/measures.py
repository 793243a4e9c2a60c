"""Measures of a run from its log: how long nothing ran, the critical path, how much ran side by side."""

from collections import defaultdict
from collections.abc import Iterable

from attrs import frozen

from flowc.runtime.scheduler.blocks import BODY
from flowc.runtime.scheduler.engine import Entry
from flowc.runtime.trace.critical import Chain, critical_path


@frozen
class Measures:
    """Times in seconds. `covered` is how long at least one body ran, `busy` the sum over all bodies."""

    covered: float
    busy: float
    critical: float
    peak: int
    nodes: int
    calls: dict[str, int]
    chain: Chain


def measure(log: list[Entry]) -> Measures:
    """Goes through a log once; bodies are the entries of kind node.done with a time."""
    spans = [(entry[3], entry[4]) for entry in log if entry[0] == "node.done"]
    calls: dict[str, int] = defaultdict(int)
    for kind, _, instruction, _, _, _ in log:
        if kind == "node.done" and instruction.kind == BODY and instruction.charged:
            calls[instruction.node.op] += 1
    critical, chain = critical_path(log)
    nodes = sum(entry[0] in ("node.done", "structure") for entry in log)
    return Measures(
        union(spans), sum(end - start for start, end in spans), critical, peak(spans), nodes, calls, chain
    )


def union(spans: Iterable[tuple[float, float]]) -> float:
    """How long at least one of these spans lasts."""
    total = 0.0
    reached = float("-inf")
    for start, end in sorted(spans):
        if start > reached:
            total += end - start
            reached = end
        elif end > reached:
            total += end - reached
            reached = end
    return total


def peak(spans: Iterable[tuple[float, float]]) -> int:
    """How many of these spans overlap at most."""
    edges = sorted([edge for start, end in spans for edge in ((start, 1), (end, -1))])
    most = now = 0
    for _, change in edges:
        now += change
        most = max(most, now)
    return most
