"""Measures of a run from its log: how long nothing ran, the critical path, how much ran side by side."""

from collections import defaultdict
from collections.abc import Iterable

from attrs import frozen

from flowc.runtime.scheduler.blocks import BODY
from flowc.runtime.scheduler.engine import Entry
from flowc.runtime.scheduler.frames import Frame


@frozen
class Measures:
    """Times in seconds. `covered` is how long at least one body ran, `busy` the sum over all bodies."""

    covered: float
    busy: float
    critical: float
    peak: int
    nodes: int
    calls: dict[str, int]
    chain: tuple[tuple[Frame, int], ...]


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


def critical_path(log: list[Entry]) -> tuple[float, tuple[tuple[Frame, int], ...]]:
    """The longest chain of nodes that waited for each other, and its length in seconds.

    A node's own time is that of its body. A step of control flow takes what its regions take: the longest
    element of a map, the sum of a loop's turns; for races, votes, attempts and limits what was observed.
    """
    times: dict[tuple[Frame, int], float] = {}
    owned: dict[Frame, dict[int, list[Frame]]] = defaultdict(lambda: defaultdict(list))
    frames: dict[Frame, None] = {}
    for kind, frame, instruction, start, end, _ in log:
        observed = kind == "structure" and instruction.node.op in ("race", "vote", "attempt", "limit")
        if kind == "node.done" or observed:
            times[frame, instruction.index] = end - start
        at = frame
        while at not in frames:
            frames[at] = None
            if at.parent is None or at.instruction is None:
                break
            owned[at.parent][at.instruction.index].append(at)
            at = at.parent
    lengths: dict[Frame, float] = {}
    last: dict[Frame, int] = {}
    previous: dict[tuple[Frame, int], int] = {}
    for frame in _inner_first(frames):
        values = [0.0] * frame.block.count
        for index in frame.block.order:
            own = times.get((frame, index))
            if own is None:
                own = _of_regions(frame, index, owned, lengths)
            best, before = 0.0, -1
            for other in frame.block.before[index]:
                if values[other] > best or before < 0:
                    best, before = values[other], other
            values[index] = best + own
            previous[frame, index] = before
        lengths[frame] = max(values, default=0.0)
        if values:
            last[frame] = max(range(len(values)), key=values.__getitem__)
    roots = [frame for frame in frames if frame.parent is None]
    if not roots:
        return 0.0, ()
    chain: list[tuple[Frame, int]] = []
    _trace(roots[0], last, previous, owned, lengths, chain)
    return lengths[roots[0]], tuple(chain)


def _of_regions(
    frame: Frame, index: int, owned: dict[Frame, dict[int, list[Frame]]], lengths: dict[Frame, float]
) -> float:
    children = owned[frame][index] if frame in owned and index in owned[frame] else []
    times = [lengths.get(child, 0.0) for child in children]
    if frame.block.instructions[index].node.op == "map":
        return max(times, default=0.0)
    return sum(times)


def _inner_first(frames: Iterable[Frame]) -> list[Frame]:
    """Frames ordered so that each comes after all frames inside it."""

    def depth(frame: Frame) -> int:
        levels = 0
        at = frame.parent
        while at is not None:
            levels += 1
            at = at.parent
        return levels

    return sorted(frames, key=depth, reverse=True)


def _trace(
    frame: Frame,
    last: dict[Frame, int],
    previous: dict[tuple[Frame, int], int],
    owned: dict[Frame, dict[int, list[Frame]]],
    lengths: dict[Frame, float],
    chain: list[tuple[Frame, int]],
) -> None:
    """Appends the nodes of the longest chain of `frame`, in order, regions opened."""
    steps: list[int] = []
    index = last.get(frame, -1)
    while index >= 0:
        steps.append(index)
        index = previous[frame, index]
    for step in reversed(steps):
        children = owned[frame][step] if frame in owned and step in owned[frame] else []
        if not children:
            chain.append((frame, step))
        elif frame.block.instructions[step].node.op == "map":
            _trace(
                max(children, key=lambda child: lengths.get(child, 0.0)),
                last,
                previous,
                owned,
                lengths,
                chain,
            )
        else:
            for child in children:
                _trace(child, last, previous, owned, lengths, chain)
