"""How many elements of a map are under way at once: as many as the models that they ask take.

The compiler does not know the endpoints, so it writes `USUAL`. Fewer elements than an endpoint takes at once
would leave places idle while calls could begin. Where a limit a minute is said of an endpoint, as many are
needed as calls come to in the time that one takes (Little's law, 1961), if the plan knows that time.

More than that would only wait before the gate, which costs memory, and the time of what has a limit of time:
where something has one, as where elements do other work than to ask models, the width stays the usual one.
"""

import math
from collections.abc import Iterable

from flowc.runtime.expected import expected_seconds
from flowc.runtime.latencies import FEWEST
from flowc.runtime.plan import Operation
from flowc.runtime.providers.base import name_of
from flowc.runtime.scheduler.blocks import WORK, Block, Instruction
from flowc.runtime.scheduler.engine import Engine
from flowc.runtime.scheduler.frames import Scope

USUAL = 64
"""Elements under way at once where nothing says how many: also what the compiler writes for that."""
MOST = 10_000
"""No more than so many, whatever an endpoint takes: each has its values in memory."""
SPARE = 1.5
"""How many times what the mean needs is under way, since calls do not come evenly."""
MINUTE = 60.0
OTHERS = WORK - {"generate"}
"""Steps that do other work than to ask a model, or of which that is not known here: flows."""


def width_of(engine: Engine, instruction: Instruction, scope: Scope, count: int) -> int:
    """The width of a map of so many elements in a scope. One that was chosen stays as it is."""
    said = instruction.node.settings.get("width")
    width = said if isinstance(said, int) and said > 0 else USUAL
    if (
        width != USUAL
        or instruction.node.settings.get("chosen") is True
        or count <= USUAL
        or scope.deadline < math.inf
    ):
        return width
    steps = [each for block in instruction.blocks for each in _inside(block)]
    asked = {each.operation.name: each.operation for each in steps if each.operation is not None}
    if not asked or not all(map(_may_wait, steps)):
        return width
    aliases = dict.fromkeys(each.model for each in asked.values())
    places = sum(
        _places(engine, [each for each in asked.values() if each.model == alias]) for alias in aliases
    )
    return min(max(USUAL, places), MOST)


def _inside(block: Block) -> Iterable[Instruction]:
    """The nodes of a block, those in regions too."""
    for each in block.instructions:
        yield each
        for inner in each.blocks:
            yield from _inside(inner)


def _may_wait(step: Instruction) -> bool:
    """Whether a step may be begun before there is a place for its calls: a model asked without a limit of
    time, or what does nothing by itself.
    """
    if step.operation is not None:
        return step.operation.kind == "llm" and step.operation.limits.timeout is None
    return step.node.op not in OTHERS and step.node.settings.get("timeout") is None


def _places(engine: Engine, operations: list[Operation]) -> int:
    """How many calls of operations of one model can be under way at once; 0 where that is not known."""
    model = engine.session.model(operations[0].model)
    rate = model.requests_per_minute
    if rate is None:
        return model.max_in_flight or 0
    expectations = engine.session.plan.expectations
    times = [
        expected_seconds(each, expectations=expectations, provider=model.provider, model=name_of(model))
        for each in operations
    ]
    if any(each.samples < FEWEST for each in times):
        return 0
    needed = math.ceil(SPARE * rate / MINUTE * max(each.middle for each in times))
    return needed if model.max_in_flight is None else min(needed, model.max_in_flight)
