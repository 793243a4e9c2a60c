"""The picture of a plan: the steps that do work, and which of them wait for which.

Steps that only carry values about (arithmetic, fields, lists) are left out; what flows through them is drawn
as one arrow. Regions become boxes around their steps.
"""

from collections.abc import Iterable, Mapping
from typing import Literal

from attrs import Factory, define, frozen

from flowc.runtime.plan import Function, Node, Plan, Region

Shape = Literal["start", "end", "tool", "llm", "human", "wait", "kernel", "call", "branch"]

WORK: Mapping[str, Shape] = {
    "tool": "tool",
    "generate": "llm",
    "embed": "llm",
    "human": "human",
    "sleep": "wait",
    "kernel": "kernel",
    "call": "call",
    "execute": "call",
}
"""Plan ops that are drawn as steps, and their shapes."""

BOXES = {
    "map": "each",
    "generate_batch": "each",
    "for": "for",
    "while": "while",
    "race": "race",
    "vote": "vote",
    "attempt": "try",
    "limit": "limits",
    "transaction": "transaction",
    "if": "if",
}
"""Plan ops that are drawn as boxes, and the words on them."""


@frozen
class Step:
    """One thing that is done. `box` is the index of the innermost box around it, -1 for none."""

    id: str
    label: str
    shape: Shape
    box: int


@frozen
class Box:
    """A frame around steps: a map, a loop, a branch.

    `parent` is the index of the box around it, -1 for none.
    """

    label: str
    parent: int


@frozen
class Arrow:
    """`target` waits for `source`: for its value, or only for its effect (`ordered`)."""

    source: str
    target: str
    ordered: bool = False


Contents = dict[int, tuple[list[Step], list[int]]]
"""The steps and the boxes directly inside each box; -1 is the flow itself."""


@define
class Graph:
    """The steps, boxes and arrows of one flow, in program order."""

    name: str
    steps: list[Step] = Factory(list)
    boxes: list[Box] = Factory(list)
    arrows: dict[Arrow, None] = Factory(dict)

    def contents(self) -> Contents:
        """Steps and boxes by the box that they stand in."""
        found: Contents = {box: ([], []) for box in range(-1, len(self.boxes))}
        for step in self.steps:
            found[step.box][0].append(step)
        for index, box in enumerate(self.boxes):
            found[box.parent][1].append(index)
        return found


Sources = frozenset[str]
Environment = dict[int, Sources]


def graph(plan: Plan, name: str) -> Graph:
    """The picture of one flow of a plan."""
    function = plan.functions[name]
    drawing = _Drawing(plan, Graph(name))
    environment: Environment = {}
    for parameter, slot in zip(function.parameters, function.body.parameters, strict=True):
        step = drawing.step(parameter.name, "start", -1)
        environment[slot] = frozenset([step])
    results = drawing.region(function.body, environment, -1)
    end = drawing.step(_result_label(function), "end", -1)
    drawing.arrows(results, end)
    _leave_out_implied(drawing.graph)
    return drawing.graph


def _leave_out_implied(drawn: Graph) -> None:
    """Takes away arrows that a longer way already says: transitive reduction, over sets of steps as integers.

    Steps stand in an order in which all arrows point forward, so one pass from the back suffices.
    """
    index = {step.id: number for number, step in enumerate(drawn.steps)}
    targets: dict[str, list[Arrow]] = {step.id: [] for step in drawn.steps}
    for arrow in drawn.arrows:
        targets[arrow.source].append(arrow)
    reached = [0] * len(drawn.steps)
    kept: dict[Arrow, None] = {}
    for step in reversed(drawn.steps):
        seen = 0
        for arrow in sorted(targets[step.id], key=lambda each: index[each.target]):
            bit = 1 << index[arrow.target]
            if not seen & bit:
                kept[arrow] = None
            seen |= bit | reached[index[arrow.target]]
        reached[index[step.id]] = seen
    drawn.arrows = {arrow: None for arrow in drawn.arrows if arrow in kept}


def _result_label(function: Function) -> str:
    from flowc.runtime.types import text

    return text(function.result)


@define
class _Drawing:
    plan: Plan
    graph: Graph

    def step(self, label: str, shape: Shape, box: int) -> str:
        name = f"s{len(self.graph.steps)}"
        self.graph.steps.append(Step(name, label, shape, box))
        return name

    def box(self, label: str, parent: int) -> int:
        self.graph.boxes.append(Box(label, parent))
        return len(self.graph.boxes) - 1

    def arrows(self, sources: Iterable[str], target: str, ordered: bool = False) -> None:
        for source in sorted(sources, key=lambda name: int(name[1:])):
            if ordered and Arrow(source, target) in self.graph.arrows:
                continue
            self.graph.arrows[Arrow(source, target, ordered)] = None

    def region(self, region: Region, environment: Environment, box: int) -> Sources:
        """Draws a region whose parameters and captures are in `environment`; gives its results' sources."""
        ended: list[Sources] = []
        for node in region.nodes:
            inputs = _union(environment.get(slot, frozenset()) for slot in node.inputs)
            first = len(self.graph.steps)
            found = self.node(node, inputs, environment, box)
            if len(self.graph.steps) > first:
                self.arrows(
                    _union(ended[index] for index in node.after), self.graph.steps[first].id, ordered=True
                )
            ended.append(found)
            for slot in node.outputs:
                environment[slot] = found
        return _union(environment.get(slot, frozenset()) for slot in region.results)

    def node(self, node: Node, inputs: Sources, environment: Environment, box: int) -> Sources:
        """Draws one node and gives the steps that its value comes from."""
        if node.op in WORK:
            step = self.step(_label(node), WORK[node.op], box)
            self.arrows(inputs, step)
            return frozenset([step])
        if node.op in BOXES and any(map(_works, node.regions)):
            return self.boxed(node, inputs, environment, box)
        return inputs | _union(
            environment.get(outer, frozenset()) for region in node.regions for outer, _ in region.captures
        )

    def boxed(self, node: Node, inputs: Sources, environment: Environment, box: int) -> Sources:
        """Draws a node with regions: a decision as a step of its own, all others as a box."""
        if node.op == "if":
            decision = self.step(node.name or "if", "branch", box)
            self.arrows(inputs, decision)
            inputs = frozenset([decision])
        found = []
        for number, region in enumerate(node.regions):
            if not _works(region):
                found.append(inputs)
                continue
            inner = self.box(_box_label(node, number), box)
            found.append(self.region(region, self.inside(region, node, inputs, environment), inner))
        return _union(found) or inputs

    def inside(self, region: Region, node: Node, inputs: Sources, environment: Environment) -> Environment:
        """What a nested region sees: captured slots as outside, parameters from the inputs of its node."""
        seen = {inner: environment.get(outer, frozenset()) for outer, inner in region.captures}
        seen |= dict.fromkeys(region.parameters, inputs)
        if node.op == "if":  # constants and captures too wait for the decision
            seen = {slot: sources | inputs for slot, sources in seen.items()}
        return seen


def _works(region: Region) -> bool:
    return any(node.op in WORK or any(map(_works, node.regions)) for node in region.nodes)


def _union(parts: Iterable[Sources]) -> Sources:
    return frozenset().union(*parts)


def _label(node: Node) -> str:
    for key in ("operation", "function", "kernel"):
        if isinstance(found := node.settings.get(key), str):
            return found
    return node.name or node.op


def _box_label(node: Node, number: int) -> str:
    match node.op:
        case "if":
            return ("then", "else")[number]
        case "attempt":
            return ("try", "else")[number]
        case "map" | "generate_batch":
            width = node.settings.get("width")
            return f"each, {width} at a time" if width else "each"
        case "vote":
            return f"vote, up to {node.settings.get('max')}, lead {node.settings.get('lead')}"
        case "race":
            return f"race {number + 1}"
    return BOXES[node.op]
