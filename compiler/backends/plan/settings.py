"""What each operation of a flow is to the runtime: an instruction, a name, its inputs, its settings."""

from collections.abc import Mapping, Sequence

from attrs import field, frozen
from xdsl.dialects.builtin import IntegerAttr, ModuleOp, StringAttr, SymbolRefAttr
from xdsl.ir import Operation, SSAValue

from flowc.compiler.lower.types import runtime_type
from flowc.dialects import plan
from flowc.dialects.agent import calls as agent
from flowc.dialects.array.kernel import LaunchOp
from flowc.dialects.array.ops import ConstantOp as NumberOp
from flowc.dialects.flow import compute, control
from flowc.dialects.flow.attributes import Json
from flowc.dialects.flow.declarations import CallOp
from flowc.dialects.flow.speculation import SpeculateOp
from flowc.passes.parallelise import CHOSEN_WIDTH
from flowc.runtime.types import to_json


@frozen
class Shape:
    """A node in the making. Inputs are values of the flow."""

    kind: type[plan.NodeOp]
    instruction: str
    label: str
    inputs: Sequence[SSAValue]
    settings: dict[str, Json] = field(factory=dict)


INSTRUCTIONS: Mapping[type[Operation], str] = {
    compute.ListOp: "list",
    compute.DictOp: "dict",
    compute.TupleOp: "tuple",
    control.IfOp: "if",
    control.ForOp: "for",
    control.WhileOp: "while",
    control.RaceOp: "race",
    control.AttemptOp: "attempt",
    control.TransactionOp: "transaction",
    agent.SleepOp: "sleep",
}
"""Operations whose node needs no settings."""


def shape_of_node(op: Operation) -> Shape:
    """The node of an operation; raises ValueError for one that has none, such as an array operator."""
    operands = list(op.operands)
    match op:
        case compute.ApplyOp():
            name = op.function.data
            return Shape(plan.TaskOp, "apply", name, operands, {"function": name})
        case compute.SelectOp():
            return Shape(plan.TaskOp, "apply", "select", operands, {"function": "where"})
        case compute.RecordOp():
            name = op.result.type.record.data
            return Shape(plan.TaskOp, "record", name, operands, {"record": name})
        case compute.FieldOp():
            return Shape(plan.TaskOp, "field", op.field.data, operands, {"name": op.field.data})
        case compute.ItemOp():
            return Shape(plan.TaskOp, "item", "item", operands, {"index": op.index.value.data})
        case compute.CastOp() | NumberOp():
            settings: dict[str, Json] = {"type": as_json(to_json(runtime_type(op.result.type)))}
            return Shape(plan.TaskOp, "cast", "cast", operands, settings)
        case CallOp():
            name = symbol(op.callee)
            return Shape(plan.TaskOp, "call", name, operands, {"function": name})
        case SpeculateOp():
            others = op.others.value
            return Shape(plan.TaskOp, "speculate", "speculate", operands, {"others": others})
        case LaunchOp():
            name = symbol(op.kernel)
            return Shape(plan.KernelOp, "kernel", name, operands, {"kernel": name})
    return _outside(op) or _control(op)


def _outside(op: Operation) -> Shape | None:
    shape = _call_outside(op)
    shared = op.attributes.get("share")
    if shape is not None and isinstance(shared, StringAttr):
        shape.settings["share"] = shared.data
    return shape


def _call_outside(op: Operation) -> Shape | None:
    match op:
        case agent.ToolCallOp():
            name = symbol(op.callee)
            return Shape(plan.TaskOp, "tool", name, list(op.arguments), {"operation": name})
        case agent.GenerateOp():
            return _prompted(op, "generate")
        case agent.AskOp():
            return _prompted(op, "human")
        case agent.EmbedOp():
            chosen: dict[str, Json] = {} if op.model is None else {"model": op.model.value}
            return Shape(plan.TaskOp, "embed", "embed", [op.texts], chosen)
        case agent.ExecuteOp():
            named: dict[str, Json] = {"tools": [tool.data for tool in agent.tools_of(op)]}
            return Shape(plan.TaskOp, "execute", "execute", [op.plan], named)
    return None


def _prompted(op: agent.PromptedCall, instruction: str) -> Shape:
    prompt = op.prompt.owner
    if not isinstance(prompt, agent.PromptOp):
        raise ValueError(f"the prompt of {op.name} must be an agent.prompt")
    segments: list[Json] = []
    holes = 0
    for part in prompt.parts:
        if isinstance(part, str):
            segments.append(part)
        else:
            segments.append({"input": holes, "name": part["hole"]})
            holes += 1
    name = symbol(op.callee)
    settings: dict[str, Json] = {"operation": name, "segments": segments, "arguments_from": holes}
    if isinstance(shared := op.attributes.get("prefix"), IntegerAttr):
        settings["prefix"] = shared.value.data
    return Shape(plan.TaskOp, instruction, name, [*prompt.values, *op.arguments], settings)


def _elementwise(op: control.ElementwiseOp) -> dict[str, Json]:
    settings: dict[str, Json] = {"width": op.width.value.data, "filtered": op.filtered is not None}
    module = op.get_toplevel_object()
    if isinstance(module, ModuleOp) and CHOSEN_WIDTH in module.attributes:
        settings["chosen"] = True
    return settings


def _control(op: Operation) -> Shape:
    operands = list(op.operands)
    match op:
        case control.MapOp():
            return Shape(plan.ForkOp, "map", "map", operands, _elementwise(op))
        case agent.GenerateBatchOp():
            return Shape(plan.ForkOp, "generate_batch", "map", operands, _elementwise(op))
        case control.VoteOp():
            ballots: dict[str, Json] = {"max": op.max.value.data, "lead": op.lead.value.data}
            return Shape(plan.ForkOp, "vote", "vote", operands, ballots)
        case control.LimitOp():
            return Shape(plan.ScopeOp, "limit", "limit", operands, dict(op.limits.data))
    if type(op) in INSTRUCTIONS:
        name = INSTRUCTIONS[type(op)]
        kind: type[plan.NodeOp] = plan.ScopeOp if op.regions else plan.TaskOp
        return Shape(plan.ForkOp if name == "race" else kind, name, name, operands)
    raise ValueError(f"{op.name} has no place in a plan; were the array operators outlined?")


def symbol(reference: SymbolRefAttr) -> str:
    """The name a reference names."""
    return reference.root_reference.data


def as_json(value: object) -> Json:
    """A value that is known to be plain JSON, as the type checker wants it."""
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, list):
        return [as_json(item) for item in value]
    if isinstance(value, dict):
        return {str(key): as_json(item) for key, item in value.items()}
    raise ValueError(f"{value!r} is no JSON")
