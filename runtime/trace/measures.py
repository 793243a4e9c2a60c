"""Measures of a run from its log: how long nothing ran, the critical path, how much ran side by side."""

from collections import Counter
from collections.abc import Iterable, Sequence

from attrs import Factory, frozen

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


@frozen
class Tally:
    """What a part of a log adds up to; `reached` is when its last body ended."""

    covered: float = 0.0
    busy: float = 0.0
    nodes: int = 0
    calls: Counter[str] = Factory(Counter)
    reached: float = float("-inf")


NOTHING = Tally()


def tally(log: Sequence[Entry], before: Tally) -> Tally:
    """Adds entries to what those before came to; bodies are the entries of kind node.done with a time."""
    spans = [(entry[3], entry[4]) for entry in log if entry[0] == "node.done"]
    calls = Counter(
        instruction.node.op
        for kind, _, instruction, _, _, _ in log
        if kind == "node.done" and instruction.kind == BODY and instruction.charged
    )
    return Tally(
        before.covered + union(spans, before.reached),
        before.busy + sum(end - start for start, end in spans),
        before.nodes + sum(entry[0] in ("node.done", "structure") for entry in log),
        before.calls + calls,
        max((end for _, end in spans), default=before.reached),
    )


def measure(log: list[Entry], before: Tally = NOTHING) -> Measures:
    """Goes through a log once. Of what was `before` it the critical path is not known: it counts as one that
    nothing ran beside.
    """
    whole = tally(log, before)
    critical, chain = critical_path(log)
    most = peak((entry[3], entry[4]) for entry in log if entry[0] == "node.done")
    return Measures(
        whole.covered, whole.busy, before.covered + critical, most, whole.nodes, whole.calls, chain
    )


def union(spans: Iterable[tuple[float, float]], reached: float = float("-inf")) -> float:
    """How long at least one of these spans lasts, behind the time that was `reached` before."""
    total = 0.0
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
