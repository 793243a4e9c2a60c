"""The critical path of a run: the longest chain of nodes that waited for each other.

Long loops leave hundreds of thousands of frames, so what is kept of each is small, and the way through a
frame is worked out again for the few frames on the path. Nothing here recurses: calls may be nested deeper
than the stack is.
"""

from attrs import define, field

from flowc.runtime.scheduler.engine import Entry
from flowc.runtime.scheduler.frames import Frame

OBSERVED = frozenset({"race", "vote", "attempt", "limit"})
"""Control flow whose parts do not simply add up; it counts as long as it lasted."""

SIDE_BY_SIDE = frozenset({"map", "generate_batch"})
"""Control flow whose parts run beside each other."""

Chain = tuple[tuple[Frame, int], ...]


@define(eq=False)
class _Tree:
    """The frames of a run by number, outer ones first: how deep, how long, and which are inside which."""

    frames: list[Frame] = field(factory=list)
    numbers: dict[Frame, int] = field(factory=dict)
    depths: list[int] = field(factory=list)
    times: list[list[float | None]] = field(factory=list)
    lengths: list[float] = field(factory=list)
    inside: dict[tuple[int, int], list[int]] = field(factory=dict)
    lasted: dict[tuple[int, int], float] = field(factory=dict)

    def number(self, frame: Frame) -> int:
        """The number of a frame; those around it are numbered before it."""
        frame = frame.home()
        missing: list[Frame] = []
        at: Frame | None = frame
        while at is not None and at not in self.numbers:
            missing.append(at)
            at = at.parent.home() if at.parent is not None else None
        for new in reversed(missing):
            self._add(new)
        return self.numbers[frame]

    def _add(self, frame: Frame) -> None:
        number = len(self.frames)
        self.numbers[frame] = number
        self.frames.append(frame)
        self.times.append([None] * frame.block.count)
        self.lengths.append(0.0)
        if frame.parent is None or frame.instruction is None:
            self.depths.append(0)
            return
        outer = self.numbers[frame.parent.home()]
        self.depths.append(self.depths[outer] + 1)
        self.inside.setdefault((outer, frame.instruction.index), []).append(number)

    def own(self, number: int, index: int) -> float:
        """How long a node took: its body, or what its regions took, and never more than it lasted."""
        time = self.times[number][index]
        if time is not None:
            return time
        lengths = [self.lengths[child] for child in self.inside.get((number, index), ())]
        together = self.frames[number].block.instructions[index].node.op in SIDE_BY_SIDE
        total = max(lengths, default=0.0) if together else sum(lengths)
        return min(total, self.lasted.get((number, index), total))

    def way(self, number: int) -> tuple[list[float], list[int]]:
        """For each node of a frame when it could have ended at the earliest, and which node it waited for
        longest, -1 for none.
        """
        block = self.frames[number].block
        ends = [0.0] * block.count
        previous = [-1] * block.count
        for index in block.order:
            best, before = 0.0, -1
            for other in block.before[index]:
                if ends[other] > best or before < 0:
                    best, before = ends[other], other
            ends[index] = best + self.own(number, index)
            previous[index] = before
        return ends, previous


def critical_path(log: list[Entry]) -> tuple[float, Chain]:
    """The longest chain of nodes that waited for each other, and its length in seconds.

    A node's own time is that of its body. A step of control flow takes what its regions take: the longest
    element of a map, the sum of a loop's turns; for races, votes, attempts and limits what was observed.
    """
    tree = _Tree()
    for kind, frame, instruction, start, end, _ in log:
        number = tree.number(frame)
        if kind == "node.done" or (kind == "structure" and instruction.node.op in OBSERVED):
            tree.times[number][instruction.index] = end - start
        elif kind == "structure":
            tree.lasted[number, instruction.index] = end - start
    if not tree.frames:
        return 0.0, ()
    for number in sorted(range(len(tree.frames)), key=tree.depths.__getitem__, reverse=True):
        tree.lengths[number] = max(tree.way(number)[0], default=0.0)
    return tree.lengths[0], _chain(tree)


def _chain(tree: _Tree) -> Chain:
    """The nodes of the longest chain of the outermost frame, in order, regions opened."""
    chain: list[tuple[Frame, int]] = []
    left: list[tuple[int, int]] = _steps(tree, 0)
    while left:
        number, index = left.pop()
        children = tree.inside.get((number, index), [])
        if not children:
            chain.append((tree.frames[number], index))
        elif tree.frames[number].block.instructions[index].node.op in SIDE_BY_SIDE:
            left.extend(_steps(tree, max(children, key=tree.lengths.__getitem__)))
        else:
            for child in reversed(children):
                left.extend(_steps(tree, child))
    return tuple(chain)


def _steps(tree: _Tree, number: int) -> list[tuple[int, int]]:
    """The nodes of the longest chain through one frame, the last first."""
    ends, previous = tree.way(number)
    steps: list[tuple[int, int]] = []
    index = max(range(len(ends)), key=ends.__getitem__, default=-1)
    while index >= 0:
        steps.append((number, index))
        index = previous[index]
    return steps
