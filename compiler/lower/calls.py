"""Calls: built-ins, models, tools, people, events, kernels, flows, records, and the special forms."""

from collections.abc import Sequence
from functools import partial

from xdsl.ir import SSAValue

from flowc.compiler.checker.model import BoundCall, Signature
from flowc.compiler.lower import arrays, irregular, prompts
from flowc.compiler.lower.frame import Frame, effects_attribute
from flowc.compiler.syntax import Call, Expression
from flowc.dialects.agent.calls import AskOp, EmbedOp, ExecuteOp, GenerateOp, SleepOp, ToolCallOp
from flowc.dialects.array.kernel import LaunchOp
from flowc.dialects.flow.attributes import EffectsAttr
from flowc.dialects.flow.compute import ApplyOp, CastOp, DeclassifyOp, EndorseOp, RecordOp, TupleOp
from flowc.dialects.flow.control import RaceOp, VoteOp
from flowc.dialects.flow.declarations import CallOp
from flowc.dialects.flow.effects import join, of_items, to_items
from flowc.dialects.flow.types import IntType, PlanType, RecordType
from flowc.runtime.types import INT, Scalar, Tuple, Type


def call(frame: Frame, expression: Call) -> SSAValue:
    """The value of a call."""
    bound = frame.checked.calls[id(expression)]
    result = frame.type_of(expression)
    match bound.kind:
        case "builtin":
            return _builtin(frame, bound, result)
        case "llm" | "human" | "event" | "tool" | "kernel" | "flow":
            return _declared(frame, bound, frame.checked.callables[bound.name], result)
        case "record":
            return _record(frame, bound, result)
        case "endorse" | "declassify":
            kind = EndorseOp if bound.kind == "endorse" else DeclassifyOp
            return frame.emit(kind(frame.value(bound.arguments[0]), str(bound.options.get("reason", ""))))
        case "race":
            return _race(frame, bound.arguments, result)
        case "vote":
            return _vote(frame, bound, result)
        case "execute":
            return _execute(frame, bound, result)
        case "sleep":
            return frame.emit(SleepOp(frame.value(bound.arguments[0])))
        case "enum":
            return frame.emit(CastOp(frame.value(bound.arguments[0]), frame.lowering.type(result)))


def _builtin(frame: Frame, bound: BoundCall, result: Type) -> SSAValue:
    type_ = frame.lowering.type(result)
    if bound.form == "apply":
        name = frame.text_function(bound.operator)
        return frame.emit(ApplyOp(name, [frame.value(each) for each in bound.arguments], type_))
    if bound.form == "embed":
        model = bound.options.get("model")
        return frame.emit(EmbedOp(frame.value(bound.arguments[0]), type_, str(model) if model else None))
    if bound.form == "topk":
        return frame.emit(TupleOp(arrays.topk(frame, bound, result)))
    lower = irregular.call if bound.form in irregular.FORMS else arrays.call
    value = lower(frame, bound, result)
    return frame.fitted(value, type_)


def _arguments(frame: Frame, bound: BoundCall, signature: Signature) -> list[SSAValue]:
    values = []
    for argument, parameter in zip(bound.arguments, signature.parameters, strict=True):
        values.append(frame.fitted(frame.value(argument), frame.lowering.type(parameter.type)))
    return values


def _declared(frame: Frame, bound: BoundCall, signature: Signature, type_: Type) -> SSAValue:
    if signature.kind == "kernel":
        return _kernel(frame, bound, signature, type_)
    values = _arguments(frame, bound, signature)
    result = frame.lowering.type(type_)
    effects = effects_attribute(signature.effects)
    if signature.kind == "tool":
        return frame.emit(ToolCallOp(signature.name, values, result, effects))
    if signature.kind == "flow":
        return frame.emit(CallOp(signature.name, values, result, effects))
    kind = GenerateOp if signature.kind == "llm" else AskOp
    prompt = _prompt(frame, signature, values)
    return frame.emit(kind(signature.name, prompt, values, result, effects))


def _prompt(frame: Frame, signature: Signature, values: Sequence[SSAValue]) -> SSAValue:
    """The prompt of a declaration with its parameters bound to the arguments of this call."""
    names = [parameter.name for parameter in signature.parameters]
    outer = frame.variables
    frame.variables = dict(zip(names, values, strict=True))
    template = signature.declaration.prompt
    if template is None:
        raise ValueError(f"{signature.name} has no prompt")
    span = frame.span
    prompt = prompts.prompt(frame, template)
    frame.variables, frame.span = outer, span
    return prompt


def native_type(type_: Type) -> Type:
    """The type of a kernel's parameter or result as native code has it."""
    return Scalar("i64") if type_ == INT else type_


def result_parts(type_: Type) -> tuple[Type, ...]:
    """The types of what a kernel gives: several for a tuple."""
    return type_.items if isinstance(type_, Tuple) else (type_,)


def _kernel(frame: Frame, bound: BoundCall, signature: Signature, result: Type) -> SSAValue:
    values = [
        frame.fitted(frame.value(argument), frame.lowering.type(native_type(parameter.type)))
        for argument, parameter in zip(bound.arguments, signature.parameters, strict=True)
    ]
    types = [frame.lowering.type(native_type(part)) for part in result_parts(result)]
    launch = frame.add(LaunchOp(signature.name, values, types))
    returned = [
        frame.fitted(value, frame.lowering.type(part)) if part == INT else value
        for value, part in zip(launch.results, result_parts(signature.result), strict=True)
    ]
    return frame.emit(TupleOp(returned)) if isinstance(signature.result, Tuple) else returned[0]


def _record(frame: Frame, bound: BoundCall, result: Type) -> SSAValue:
    type_ = frame.lowering.type(result)
    if not isinstance(type_, RecordType):
        raise ValueError(f"{type_} is no record")
    fields = frame.checked.records[bound.name]
    values = [
        frame.converted(frame.value(argument), frame.lowering.type(field.type))
        for argument, field in zip(bound.arguments, fields, strict=True)
    ]
    return frame.emit(RecordOp(values, type_))


def _race(frame: Frame, arms: Sequence[Expression], result: Type) -> SSAValue:
    type_ = frame.lowering.type(result)
    regions = [frame.yielding(type_, partial(Frame.value, expression=arm)) for arm in arms]
    return frame.emit(RaceOp([type_], regions))


def _vote(frame: Frame, bound: BoundCall, result: Type) -> SSAValue:
    type_ = frame.lowering.type(result)
    ballot = partial(Frame.value, expression=bound.arguments[0])
    region = frame.yielding(type_, ballot, [IntType()])
    most, lead = (int(str(bound.options[key])) for key in ("max", "lead"))
    return frame.emit(VoteOp(type_, region, max=most, lead=lead))


def _execute(frame: Frame, bound: BoundCall, result: Type) -> SSAValue:
    plan = frame.value(bound.arguments[0])
    tools = [tool.data for tool in plan.type.tools] if isinstance(plan.type, PlanType) else []
    summaries = [
        of_items(effects_attribute(frame.checked.callables[tool].effects).data)
        for tool in tools
        if tool in frame.checked.callables
    ]
    effects = EffectsAttr(to_items(join(summaries)))
    return frame.emit(ExecuteOp(plan, frame.lowering.type(result), effects))
