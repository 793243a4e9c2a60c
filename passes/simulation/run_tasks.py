"""What a run did, as a graph of tasks: each call of a model, tool, person or kernel, and what it waited for.

The order is that of data and effects, worked out from the frames of the run. What a call waited before the
gate of its model is not part of it, so the graph may be scheduled on other workers. A map's `width`
is where somebody chose it; the usual one is the runtime's, not the program's.
"""

from collections.abc import Iterable, Sequence

from attrs import define, field

from flowc.passes.cost.task_samples import Traits
from flowc.passes.simulation.graph import Task, TaskGraph
from flowc.passes.simulation.schedule import Placement, Schedule
from flowc.runtime.plan import Node
from flowc.runtime.scheduler.engine import Entry
from flowc.runtime.scheduler.frames import Frame
from flowc.runtime.scheduler.widths import USUAL

WORK = frozenset({"tool", "generate", "embed", "human", "sleep", "kernel", "execute"})
"""Instructions that are tasks; what only carries values takes no time worth a worker."""

Sources = frozenset[int]
NONE: Sources = frozenset()


@define(eq=False)
class _Drawing:
    """The tasks so far. `before` has for each the set of all that end before it begins, as bits."""

    spans: dict[tuple[Frame, int], tuple[float, float]]
    inside: dict[tuple[Frame, int], list[Frame]]
    tasks: list[Task] = field(factory=list)
    times: list[tuple[float, float]] = field(factory=list)
    before: list[int] = field(factory=list)

    def frame(self, frame: Frame, entered: Sources) -> Sources:
        """Draws what ran in a frame that was entered when these tasks had ended; gives the latest of all."""
        first = len(self.tasks)
        ended: dict[int, Sources] = {}
        for index in frame.block.order:
            instruction = frame.block.instructions[index]
            waits = entered.union(*(ended[other] for other in frame.block.before[index]))
            if (frame, index) in self.spans:
                ended[index] = self.task(instruction.node, waits, self.spans[frame, index])
            elif children := self.inside.get((frame, index)):
                ended[index] = self.step(instruction.node, children, waits) or waits
            else:
                ended[index] = waits
        return self.since(first) or entered

    def step(self, node: Node, children: Sequence[Frame], entered: Sources) -> Sources:
        """Draws the frames of a step of control flow."""
        first = len(self.tasks)
        done: list[Sources] = []
        gap = 0
        chosen = node.settings.get("chosen") is True or node.settings.get("width") != USUAL
        if node.op in ("map", "generate_batch") and chosen:
            gap = _number(node, "width")
        elif node.op == "vote":
            gap = _number(node, "lead")
        alone = node.op not in ("map", "generate_batch", "vote", "race", "if")
        waits = entered
        for place, child in enumerate(children):
            if gap and place >= gap:
                waits = entered | done[place - gap]
            done.append(self.frame(child, waits))
            if alone:
                waits = done[-1]
        return self.since(first)

    def task(self, node: Node, waits: Sources, span: tuple[float, float]) -> Sources:
        """Adds a task; gives it."""
        label = next(
            (
                said
                for key in ("operation", "function", "kernel")
                if isinstance(said := node.settings.get(key), str)
            ),
            node.name or node.op,
        )
        place = len(self.tasks)
        parents = self.latest(self.over(waits, span[0]))
        self.before.append(self.earlier(parents) | sum(1 << each for each in parents))
        traits = Traits(f"{label}, line {node.line}")
        name, seconds = f"{label} {place + 1}", span[1] - span[0]
        self.tasks.append(Task(name, seconds, tuple(sorted(parents)), traits=traits))
        self.times.append(span)
        return frozenset([place])

    def over(self, tasks: Sources, start: float) -> Sources:
        """Those that had ended by then, and what others of them had waited for: what begins ahead of time
        does not wait for all that comes before it.
        """
        found: set[int] = set()
        left, seen = list(tasks), set(tasks)
        while left:
            task = left.pop()
            if self.times[task][1] <= start:
                found.add(task)
                continue
            new = set(self.tasks[task].parents) - seen
            seen |= new
            left.extend(new)
        return frozenset(found)

    def earlier(self, tasks: Iterable[int]) -> int:
        """All that end before one of these begins."""
        found = 0
        for task in tasks:
            found |= self.before[task]
        return found

    def latest(self, tasks: Sources) -> Sources:
        """Those of which no other one says already that they have ended."""
        earlier = self.earlier(tasks)
        return frozenset(task for task in tasks if not earlier >> task & 1)

    def since(self, first: int) -> Sources:
        """The latest of the tasks from this position on."""
        return self.latest(frozenset(range(first, len(self.tasks))))


def run_tasks(name: str, log: Sequence[Entry], assumed: Sequence[str] = ()) -> tuple[TaskGraph, Schedule]:
    """The graph of an ended run by its log, and when each task ran there, on as many workers as that took."""
    spans: dict[tuple[Frame, int], tuple[float, float]] = {}
    inside: dict[tuple[Frame, int], list[Frame]] = {}
    seen: set[Frame] = set()
    roots: list[Frame] = []
    waited: dict[tuple[Frame, int], float] = {}
    for kind, frame, instruction, start, end, more in log:
        at = frame.home()
        place = at, instruction.index
        if kind == "spent":
            waited[place] = waited.get(place, 0.0) + more["waited_s"]
        if kind == "node.done" and instruction.node.op in WORK:
            spans[place] = min(start + waited.get(place, 0.0), end), end
        while at not in seen:
            seen.add(at)
            if at.parent is None or at.instruction is None:
                roots.append(at)
                break
            around = at.parent.home()
            inside.setdefault((around, at.instruction.index), []).append(at)
            at = around
    for children in inside.values():
        children.sort(key=_order)
    drawing = _Drawing(spans, inside)
    for root in roots:
        drawing.frame(root, NONE)
    graph = TaskGraph(name, tuple(drawing.tasks), tuple(assumed))
    return graph, _on_lanes(drawing.times)


def _order(frame: Frame) -> tuple[int, int]:
    """In which order frames of a step began: turn by turn, of each the test first."""
    blocks = frame.instruction.blocks if frame.instruction is not None else ()
    region = blocks.index(frame.block) if frame.block in blocks else 0
    return frame.position, region


def _on_lanes(times: Sequence[tuple[float, float]]) -> Schedule:
    """A row for each task that runs beside others, the lowest that is free."""
    free: list[float] = []
    placed: list[Placement] = []
    for place in sorted(range(len(times)), key=lambda each: (times[each], each)):
        start, end = times[place]
        row = next((row for row, until in enumerate(free) if until <= start), len(free))
        if row == len(free):
            free.append(end)
        free[row] = end
        placed.append(Placement(place, row, start, end))
    placed.sort(key=lambda each: each.end)
    return Schedule(tuple(placed), max((each.end for each in placed), default=0.0))


def _number(node: Node, name: str) -> int:
    """A setting that is a number above zero, else 0."""
    value = node.settings.get(name)
    return value if isinstance(value, int) and value > 0 else 0
