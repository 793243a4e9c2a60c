"""infer-effects: writes down what each flow really does, callees first, so that callers know.

What earlier passes removed is no effect any more; a declared effect that never happens is dropped the same
way.
"""

from dataclasses import dataclass

from xdsl.dialects.builtin import ModuleOp

from flowc.dialects.flow.attributes import EffectItem, EffectsAttr
from flowc.dialects.flow.declarations import CallOp
from flowc.passes.facts import callee_of, flows_of, operations_inside
from flowc.passes.framework import FlowPass, Report
from flowc.passes.inline import callees_first


def infer_effects(module: ModuleOp) -> int:
    """Updates the effects of flows and of the calls of flows; gives how many changed."""
    functions = flows_of(module)
    inside = {name: operations_inside(function) for name, function in functions.items()}
    calls = {name: [op for op in ops if isinstance(op, CallOp)] for name, ops in inside.items()}
    changed = 0
    for name in callees_first(calls):
        items: dict[EffectItem, None] = {}
        for op in inside[name]:
            if isinstance(op, CallOp) and (callee := functions.get(callee_of(op))) is not None:
                found = callee.effects
                changed += found != op.effects
                op.properties["effects"] = found
            attribute = op.properties.get("effects")
            if isinstance(attribute, EffectsAttr):
                items.update(dict.fromkeys(attribute.data))
        inferred = EffectsAttr(tuple(sorted(items, key=_position)))
        changed += inferred != functions[name].effects
        functions[name].properties["effects"] = inferred
    return changed


def _position(item: EffectItem) -> tuple[int, str, bool, str]:
    kinds = ("reads", "writes", "llm", "human", "sleep")
    return kinds.index(item.kind), item.resource or "", item.idempotent, item.undo or ""


@dataclass(frozen=True)
class InferEffectsPass(FlowPass):
    """Writes down what each flow does."""

    name = "infer-effects"

    def run(self, module: ModuleOp) -> Report:
        """Runs `infer_effects`."""
        return Report(infer_effects(module))
