"""A compiled program as a task graph: what its plan does, unrolled, with the times that the model expects.

The time of a step is its upward rank less the highest rank that follows it, which is what the cost model
said, as far as six digits of a rank tell it: in front of a path of hours, a step of milliseconds may take
none. What cannot be known before a run is assumed, and `assumed` says so: how long lists are, how often
loops go round, which branch is taken.
"""

from collections.abc import Iterable, Sequence

from attrs import define, evolve, field, frozen

from flowc.passes.cost.model import ROUNDS
from flowc.passes.cost.task_samples import Traits
from flowc.passes.simulation.graph import Task, TaskGraph
from flowc.runtime.errors import FlowError, fail
from flowc.runtime.plan import Function, Node, Plan, Region
from flowc.runtime.plan_order import reads

MOST_TASKS = 20_000
MOST_STEPS = 200_000
"""How many nodes are visited, tasks or not: a loop around what only computes makes none."""
WORK = frozenset({"tool", "generate", "embed", "human", "kernel", "execute"})
"""Instructions that are tasks; what only carries values takes no time worth a worker."""

Sources = frozenset[int]
NONE: Sources = frozenset()


@frozen
class _Value:
    """What is known of a slot: the tasks it comes from, how many items it has, and which number it is."""

    sources: Sources = NONE
    length: int | None = None
    number: int | None = None


_Frame = dict[int, _Value]


@define
class _Unrolling:
    """The tasks so far. `before` has for each the set of all that end before it begins, as bits."""

    plan: Plan
    tasks: list[Task] = field(factory=list)
    before: list[int] = field(factory=list)
    assumed: dict[str, None] = field(factory=dict)
    steps: int = 0

    def function(self, function: Function, arguments: Sequence[_Value], entered: Sources) -> list[_Value]:
        """Unrolls the body of a flow; gives what its results come from."""
        frame = dict(zip(function.body.parameters, arguments, strict=False))
        return self.region(function.body, frame, entered)

    def region(self, region: Region, frame: _Frame, entered: Sources) -> list[_Value]:
        """Unrolls a region that begins when the tasks of `entered` have ended.

        Its results are there when all of it has ended, those that no task makes, too.
        """
        for slot, constant in region.constants:
            frame[slot] = _constant(constant)
        seconds = _seconds(region)
        first = len(self.tasks)
        ended: list[Sources] = []
        for place, node in enumerate(region.nodes):
            self.steps += 1
            if self.steps > MOST_STEPS:
                raise _too_large(f"{MOST_STEPS:,} steps")
            inputs = [frame.get(slot, _Value()) for slot in node.inputs]
            waits = _union(frame[slot].sources for slot in reads(node) if slot in frame)
            waits |= _union(ended[index] for index in node.after)
            before = len(self.tasks)
            values = self.node(node, inputs, waits | entered, frame, seconds[place])
            ended.append(self.since(before) or waits)
            frame.update(zip(node.outputs, values, strict=False))
        done = self.since(first) or entered
        return [_later(frame.get(slot, _Value()), done) for slot in region.results]

    def node(
        self, node: Node, inputs: Sequence[_Value], waits: Sources, frame: _Frame, seconds: float
    ) -> list[_Value]:
        """Unrolls a node; gives what its outputs come from."""
        if node.op in WORK:
            return [_Value(self.task(node, waits, seconds))] * len(node.outputs)
        if node.op == "call":
            callee = self.plan.functions[str(node.settings["function"])]
            return self.function(callee, [_later(each, waits) for each in inputs], waits)
        if not any(map(self.works, node.regions)):
            length = len(inputs) if node.op == "list" else None
            return [_Value(waits, length)] * len(node.outputs)
        match node.op:
            case "map" | "generate_batch":
                return [self.map(node, inputs, waits, frame)]
            case "for" | "while":
                return self.loop(node, inputs, waits, frame)
            case "vote":
                return self.vote(node, waits, frame)
        return self.inside(self.branch(node), [], waits, frame)

    def task(self, node: Node, waits: Sources, seconds: float) -> Sources:
        """Adds a task; gives it."""
        label = next(
            (
                s
                for key in ("operation", "function", "kernel")
                if isinstance(s := node.settings.get(key), str)
            ),
            node.name or node.op,
        )
        place = len(self.tasks)
        if place == MOST_TASKS:
            raise _too_large(f"{MOST_TASKS:,} tasks")
        parents = self.latest(waits)
        self.before.append(self.earlier(parents) | _bits(parents))
        traits = Traits(f"{label}, line {node.line}")
        self.tasks.append(Task(f"{label} {place + 1}", seconds, tuple(sorted(parents)), traits=traits))
        return frozenset([place])

    def earlier(self, tasks: Sources) -> int:
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

    def inside(
        self, region: Region, parameters: Sequence[_Value], waits: Sources, frame: _Frame
    ) -> list[_Value]:
        """Unrolls a nested region in a frame of its own."""
        own = {inner: frame.get(outer, _Value()) for outer, inner in region.captures}
        own.update(zip(region.parameters, parameters, strict=False))
        return self.region(region, own, waits)

    def map(self, node: Node, inputs: Sequence[_Value], waits: Sources, frame: _Frame) -> _Value:
        """Each element by itself, `width` at once."""
        known = [each.length for each in inputs if each.length is not None]
        count = known[0] if known else self.assume(ROUNDS, "items in the list", node)
        width = node.settings.get("width")
        done: list[Sources] = []
        for item in range(count):
            entered = waits
            if isinstance(width, int) and 0 < width <= item:
                entered = waits | done[item - width]
            before = len(self.tasks)
            values = self.inside(node.regions[0], [_Value(waits)] * len(inputs), entered, frame)
            done.append(self.since(before) or _union(each.sources for each in values))
        filtered = bool(node.settings.get("filtered"))
        return _Value(_union(done) or waits, None if filtered else count)

    def loop(self, node: Node, inputs: Sequence[_Value], waits: Sources, frame: _Frame) -> list[_Value]:
        """Rounds one after the other; of a `while` the test of each, too. A bound that is known counts."""
        if node.op == "for":
            known = inputs[0].length
            count = known if known is not None else self.assume(ROUNDS, "rounds", node)
        else:
            bound = inputs[0].number
            count = self.assume(ROUNDS if bound is None else min(bound, ROUNDS), "rounds", node)
        carried = [_later(each, waits) for each in inputs[1:]]
        for _ in range(count):
            given = [_Value(waits), *carried] if node.op == "for" else carried
            for region in node.regions:
                before = len(self.tasks)
                values = self.inside(region, given, waits, frame)
                waits = self.since(before) or waits
            carried = [_later(each, waits) for each in values[-len(carried) :]] if carried else []
        return carried or [_Value(waits)] * len(node.outputs)

    def vote(self, node: Node, waits: Sources, frame: _Frame) -> list[_Value]:
        """As many ballots as one answer needs when all agree, side by side."""
        lead = node.settings.get("lead")
        count = self.assume(max(lead, 1) if isinstance(lead, int) else 1, "ballots that agree", node)
        ballots = [self.inside(node.regions[0], [_Value()], waits, frame) for _ in range(count)]
        return [_Value(_union(each.sources for each in some)) for some in zip(*ballots, strict=True)]

    def branch(self, node: Node) -> Region:
        """The region that is taken to run: of an `if` the longer, of a race the quicker, else the first."""
        if node.op == "if" and len(node.regions) > 1:
            self.assumed[f"the longer branch is taken, line {node.line}"] = None
            return max(node.regions, key=self.length)
        if node.op == "race":
            self.assumed[f"the quickest arm alone runs, line {node.line}"] = None
            return min(node.regions, key=self.length)
        if node.op == "attempt":
            self.assumed[f"the `try` succeeds, line {node.line}"] = None
        return node.regions[0]

    def assume(self, count: int, what: str, node: Node) -> int:
        """Notes that a number was not known."""
        self.assumed[f"{count} {what}, line {node.line}"] = None
        return count

    def works(self, region: Region) -> bool:
        """Whether a region holds a task at any depth."""
        return any(
            node.op in WORK or node.op == "call" or any(map(self.works, node.regions))
            for node in region.nodes
        )

    def length(self, region: Region) -> float:
        """The longest path of a region: the highest of its ranks."""
        return max((node.rank for node in region.nodes), default=0.0)


def plan_tasks(plan: Plan, flow: str) -> TaskGraph:
    """The task graph of a flow. Raises FlowError E0657 where it has no times or makes too many tasks."""
    unrolling = _Unrolling(plan)
    function = plan.functions[flow]
    unrolling.function(function, [_Value()] * len(function.parameters), NONE)
    if not any(task.seconds for task in unrolling.tasks):
        raise fail(
            "E0657",
            f"nothing in `{flow}` takes time" if not unrolling.tasks else f"`{flow}` has no expected times",
            why="it calls no model, tool, person or kernel"
            if not unrolling.tasks
            else f"it was compiled at -O{plan.optimisation}, and -O2 is the first level that ranks steps",
            help="name a flow that does: --flow NAME" if not unrolling.tasks else "compile it at -O2",
        )
    return TaskGraph(flow, tuple(unrolling.tasks), tuple(unrolling.assumed))


def _seconds(region: Region) -> list[float]:
    """What each node takes: its rank less the highest rank that follows it."""
    readers: dict[int, list[int]] = {}
    follow: list[float] = [0.0] * len(region.nodes)
    for place, node in enumerate(region.nodes):
        for slot in (*node.inputs, *(outer for inner in node.regions for outer, _ in inner.captures)):
            readers.setdefault(slot, []).append(place)
        for earlier in node.after:
            follow[earlier] = max(follow[earlier], node.rank)
    for place, node in enumerate(region.nodes):
        for slot in node.outputs:
            for reader in readers.get(slot, ()):
                follow[place] = max(follow[place], region.nodes[reader].rank)
    return [max(node.rank - after, 0.0) / 1e3 for node, after in zip(region.nodes, follow, strict=True)]


def _constant(constant: object) -> _Value:
    number = constant if isinstance(constant, int) and not isinstance(constant, bool) else None
    return _Value(NONE, len(constant) if isinstance(constant, list) else None, number)


def _later(value: _Value, done: Sources) -> _Value:
    """A value that is there only when these tasks have ended."""
    return evolve(value, sources=value.sources | done)


def _union(parts: Iterable[Sources]) -> Sources:
    return NONE.union(*parts)


def _bits(tasks: Sources) -> int:
    found = 0
    for task in tasks:
        found |= 1 << task
    return found


def _too_large(limit: str) -> FlowError:
    return fail(
        "E0657",
        f"the program unrolls to more than {limit}",
        why="what a comprehension or a loop does counts for each element and each round",
        help="simulate a flow that does less: --flow NAME",
    )
