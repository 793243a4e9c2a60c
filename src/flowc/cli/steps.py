"""What a run would do, before it does it: the steps in waves, each wave needing only the ones before."""

from collections import defaultdict

from flowc.compiler.graph.model import Graph, Step, graph
from flowc.runtime.plan import Plan

WORDS = {
    "llm": "asks a model",
    "human": "asks a person",
    "wait": "waits",
    "kernel": "native code",
    "call": "a flow",
    "tool": "a tool",
}
"""What each kind of step is, in words."""


def steps_text(plan: Plan, flow: str) -> str:
    """The steps of a flow, those of one wave on one line: they can run side by side."""
    picture = graph(plan, flow)
    waves: dict[int, list[Step]] = defaultdict(list)
    for step, depth in _depths(picture).items():
        waves[depth].append(step)
    lines = [f"{flow} would run in {len(waves)} waves:" if waves else f"{flow} would only compute"]
    for number, depth in enumerate(sorted(waves), start=1):
        lines.append(f"  {number}. " + ", ".join(_step_text(plan, picture, step) for step in waves[depth]))
    return "\n".join(lines)


def _depths(picture: Graph) -> dict[Step, int]:
    """How many working steps must end before each; steps stand in an order in which arrows point forward."""
    working = {step.id: step for step in picture.steps if step.shape in WORDS}
    depth = dict.fromkeys((step.id for step in picture.steps), 0)
    incoming: dict[str, list[str]] = defaultdict(list)
    for arrow in picture.arrows:
        incoming[arrow.target].append(arrow.source)
    for step in picture.steps:
        before = [depth[source] + (source in working) for source in incoming[step.id]]
        depth[step.id] = max(before, default=0)
    return {step: depth[name] for name, step in working.items()}


def _step_text(plan: Plan, picture: Graph, step: Step) -> str:
    operation = plan.operations.get(step.label)
    effects = [e for e in operation.effects if e.kind in ("reads", "writes")] if operation else []
    waits = operation is not None and operation.kind == "event"
    asked = "waits for it" if waits else WORDS[step.shape]
    word = ", ".join(f"{effect.kind} {effect.resource}" for effect in effects) or asked
    box = picture.boxes[step.box].label if step.box >= 0 else ""
    return f"{step.label} ({word}{'; ' + box if box else ''})"
