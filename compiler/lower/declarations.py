"""Declarations: records, enums, operations and flows."""

from collections.abc import Mapping

from xdsl.dialects.builtin import UnitAttr
from xdsl.ir import Block, Operation, Region

from flowc.compiler import syntax
from flowc.compiler.checker.model import Checked, ParameterInfo, Signature
from flowc.compiler.lower.exits import value_or_absent
from flowc.compiler.lower.frame import Frame, Lowering, effects_attribute
from flowc.compiler.lower.limits import limits_attribute
from flowc.compiler.lower.statements import lower_block
from flowc.dialects.agent.declarations import DeclarationOp, EventOp, HumanOp, LlmOp, ToolOp
from flowc.dialects.flow.attributes import Json, JsonAttr, ParameterAttr
from flowc.dialects.flow.declarations import EnumDeclOp, FuncOp, RecordDeclOp, ReturnOp
from flowc.dialects.flow.signature import parameter
from flowc.dialects.flow.types import NoneType

DECLARATIONS: Mapping[str, type[DeclarationOp]] = {
    "llm": LlmOp,
    "tool": ToolOp,
    "human": HumanOp,
    "event": EventOp,
}


def lower_record(lowering: Lowering, declaration: syntax.Record) -> Operation:
    """A record's declaration."""
    fields = lowering.checked.records[declaration.name]
    op = RecordDeclOp(declaration.name, [(field.name, lowering.type(field.type)) for field in fields])
    op.location = lowering.location(declaration.span)
    return op


def lower_enum(lowering: Lowering, declaration: syntax.Enum) -> Operation:
    """An enum's declaration."""
    op = EnumDeclOp(declaration.name, declaration.members)
    op.location = lowering.location(declaration.span)
    return op


def lower_operation(lowering: Lowering, signature: Signature) -> Operation:
    """The declaration of an llm, a tool, a person or an event."""
    settings: dict[str, Json] = {
        "model": signature.model,
        "temperature": signature.temperature,
        "max_tokens": signature.max_tokens,
        "cached": signature.cached or None,
        "reorder": signature.reorder or None,
        "fusable": signature.fusable or None,
        "associative": signature.associative or None,
        "latency": signature.latency,
        "module": signature.module,
        "function": signature.function,
        "documentation": signature.declaration.documentation,
    }
    op = DECLARATIONS[signature.kind](
        signature.name,
        [(_parameter(lowering.checked, each), lowering.type(each.type)) for each in signature.parameters],
        lowering.type(signature.result),
        effects=effects_attribute(signature.effects),
        limits=limits_attribute(signature.limits),
        settings={name: value for name, value in settings.items() if value is not None},
    )
    op.location = lowering.location(signature.declaration.header)
    return op


def _parameter(checked: Checked, info: ParameterInfo) -> ParameterAttr:
    default = None if info.default is None else JsonAttr.of(constant_value(checked, info.default))
    return parameter(info.name, default, sorted(info.bounds))


def constant_value(checked: Checked, expression: syntax.Expression) -> Json:
    """The value of a default: a literal, a list or dict of literals, or an enum's member."""
    match expression:
        case syntax.Constant(value=value) if value is None or isinstance(value, bool | int | float | str):
            return value
        case syntax.Constant(value=value):
            return float(str(value))
        case syntax.Unary("-", operand):
            inner = constant_value(checked, operand)
            return -inner if isinstance(inner, int | float) else inner
        case syntax.ListDisplay(items):
            return [constant_value(checked, item) for item in items]
        case syntax.DictDisplay(items):
            return {str(constant_value(checked, key)): constant_value(checked, value) for key, value in items}
        case syntax.Attribute(name=name):
            return name
        case syntax.Template(parts):
            return "".join(part for part in parts if isinstance(part, str))
    raise ValueError(f"{type(expression).__name__} is no constant")


def lower_flow(lowering: Lowering, signature: Signature) -> FuncOp:
    """A flow with its body."""
    declaration = signature.declaration
    types = [lowering.type(each.type) for each in signature.parameters]
    block = Block(arg_types=types)
    result = lowering.type(signature.result)
    frame = Frame(lowering, block, {}, result, span=declaration.header)
    for info, argument in zip(signature.parameters, block.args, strict=True):
        argument.location = lowering.location(info.span)
        frame.assign(info.name, argument)
    end = lower_block(frame, declaration.body or ())
    frame.span = declaration.header if end.falls_through else frame.span
    value = end.value
    if value is None and isinstance(result, NoneType):
        value = frame.constant(None, result)
    frame.add(ReturnOp(value_or_absent(frame, value, result)))
    op = FuncOp(
        signature.name,
        [_parameter(lowering.checked, each) for each in signature.parameters],
        result,
        Region(block),
        effects=effects_attribute(signature.effects),
        limits=limits_attribute(signature.limits),
        documentation=declaration.documentation,
    )
    if signature.associative:
        op.attributes["associative"] = UnitAttr()
    if signature.result_labels:
        op.attributes["labels"] = lowering.labels(signature.result_labels)
    op.location = lowering.location(declaration.header)
    return op
