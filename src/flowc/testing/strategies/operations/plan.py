"""Operations of the plan dialect, drawn."""

from collections.abc import Callable, Sequence

from xdsl.ir import Attribute, Operation

from flowc.dialects.flow.attributes import JsonAttr
from flowc.dialects.plan import ConstantOp, ForkOp, KernelOp, NodeOp, ScopeOp, TaskOp, TokenType, YieldOp
from flowc.runtime.plan_check import REGIONS
from flowc.testing.strategies.operations import flow
from flowc.testing.strategies.operations.making import Making, Recipes


def end(m: Making, results: Sequence[Attribute]) -> Operation:
    """Ends a region with values of these types."""
    return YieldOp(*m.values(results))


def _node(kind: type[NodeOp], bodies: int) -> Callable[[Making], Operation]:
    def make(m: Making) -> Operation:
        op = kind(
            m.one(*REGIONS),
            m.name(),
            m.values([*flow.some_types(m), *[TokenType()] * m.number(0, 1)]),
            [*flow.some_types(m), *[TokenType()] * m.number(0, 1)],
            settings={m.name(): m.json() for _ in m.times()},
            rank=m.one(0.0, 1.5, 1e-300),
            cost=m.one(0.0, 12.25, 3.0),
            bodies=[m.inner(flow.some_types(m), flow.some_types(m)) for _ in m.times(bodies, min(bodies, 1))],
        )
        for name in ("rank", "cost"):
            if m.sometimes():
                op.properties.pop(name, None)
        return op

    return make


BODY: Recipes = {
    "plan.constant": lambda m: ConstantOp(JsonAttr.of(m.json()), flow.any_type(m)),
    "plan.fork": _node(ForkOp, 3),
    "plan.kernel": _node(KernelOp, 0),
    "plan.scope": _node(ScopeOp, 2),
    "plan.task": _node(TaskOp, 0),
}
"""Operations in the body of a flow as the runtime runs it."""
