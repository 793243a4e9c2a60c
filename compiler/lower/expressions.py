"""Expressions: each becomes operations and one value, converted where the checker says so."""

from collections.abc import Callable, Sequence
from functools import partial

from xdsl.dialects.builtin import i1
from xdsl.ir import Attribute as IrType
from xdsl.ir import Operation, SSAValue

from flowc.compiler import syntax
from flowc.compiler.builtins import OPERATORS
from flowc.compiler.lower import arrays, calls, prompts, subscripts
from flowc.compiler.lower.frame import Frame
from flowc.dialects.array.types import is_array_type, shape_of
from flowc.dialects.flow.compute import AbsentOp, ApplyOp, DictOp, ItemOp, ListOp
from flowc.dialects.flow.control import AttemptOp, IfOp, MapOp, YieldOp, region_of
from flowc.dialects.flow.types import DictType, IntType, ListType, NoneType, StrType, TupleType
from flowc.runtime.types import BOOL, Array, List

Produce = Callable[[Frame], SSAValue]
"""Lowers something in the frame it is given, and gives its value."""

SEQUENTIAL = 1
"""The width of a map as lowered: `parallelise` widens it where effects allow."""


def lower_expression(frame: Frame, expression: syntax.Expression) -> SSAValue:
    """The value of an expression, converted to the type that its place wants."""
    outer, frame.span = frame.span, expression.span
    value = _plain(frame, expression)
    _label(frame, expression, value)
    target = frame.checked.coercions.get(id(expression))
    if target is not None:
        value = frame.fitted(value, frame.lowering.type(target))
    frame.span = outer
    return value


def _label(frame: Frame, expression: syntax.Expression, value: SSAValue) -> None:
    """Writes the labels of an expression on the operation that was made for it."""
    labels = frame.checked.labels.get(id(expression))
    owner = value.owner
    if labels and isinstance(owner, Operation) and not isinstance(expression, syntax.Name):
        owner.attributes.setdefault("labels", frame.lowering.labels(labels))


def _plain(frame: Frame, expression: syntax.Expression) -> SSAValue:
    match expression:
        case syntax.Name():
            return _name(frame, expression)
        case syntax.Constant():
            return _constant(frame, expression)
        case syntax.Call():
            return calls.call(frame, expression)
        case syntax.Attribute():
            return subscripts.attribute(frame, expression)
        case syntax.Subscript():
            return subscripts.subscript(frame, expression)
        case syntax.Binary():
            return _binary(frame, expression)
        case syntax.Compare():
            return _compare(frame, expression)
        case syntax.Unary():
            return _unary(frame, expression)
        case syntax.Conditional():
            return _conditional(frame, expression)
        case syntax.TryElse():
            return _attempt(frame, expression)
        case syntax.ListDisplay():
            return _list(frame, expression)
        case syntax.DictDisplay():
            return _dict(frame, expression)
        case syntax.Template():
            return prompts.text(frame, expression)
        case syntax.Comprehension():
            return comprehension(frame, expression, 0)


def _type(frame: Frame, expression: syntax.Expression) -> IrType:
    return frame.lowering.type(frame.type_of(expression))


def _name(frame: Frame, expression: syntax.Name) -> SSAValue:
    """A variable; where a test has narrowed its type, the narrower value."""
    return frame.fitted(frame.variables[expression.id], _type(frame, expression))


def _constant(frame: Frame, expression: syntax.Constant) -> SSAValue:
    value = expression.value
    if isinstance(value, bool | int | float | str):
        return frame.constant(value, _type(frame, expression))
    if value is None:
        return frame.constant(None, NoneType())
    return frame.constant(float(value), _type(frame, expression))


def _binary(frame: Frame, expression: syntax.Binary) -> SSAValue:
    if expression.operator in ("and", "or"):
        return _short_circuit(frame, expression)
    operator = OPERATORS[expression.operator]
    sides = (expression.left, expression.right)
    if _touches_array(frame, *sides):
        if operator == "matmul":
            return arrays.contract(frame, frame.value(expression.left), frame.value(expression.right))
        kind = "ne" if operator == "xor" else operator
        operands = [arrays.operand(frame, side) for side in sides]
        return arrays.elementwise(frame, kind, operands, [arrays.is_weak(frame, side) for side in sides])
    values = [frame.value(side) for side in sides]
    return frame.emit(ApplyOp(operator, values, _type(frame, expression)))


def _touches_array(frame: Frame, *expressions: syntax.Expression) -> bool:
    return any(
        isinstance(frame.checked.coercions.get(id(each), frame.type_of(each)), Array) for each in expressions
    )


def _short_circuit(frame: Frame, expression: syntax.Binary) -> SSAValue:
    """The right side is evaluated only where it decides."""
    left = frame.value(expression.left)
    if expression.operator == "and":
        return branch(
            frame, left, i1, lambda inner: inner.value(expression.right), lambda inner: inner.truth(False)
        )
    return branch(
        frame, left, i1, lambda inner: inner.truth(True), lambda inner: inner.value(expression.right)
    )


def branch(frame: Frame, condition: SSAValue, type_: IrType, then: Produce, otherwise: Produce) -> SSAValue:
    """A value that is one thing or another."""
    return frame.emit(IfOp(condition, [type_], frame.yielding(type_, then), frame.yielding(type_, otherwise)))


def _compare(frame: Frame, expression: syntax.Compare) -> SSAValue:
    """A chain evaluates each operand once, and none after the first comparison that fails."""
    return _comparison(frame, expression, 0, None)


def _comparison(frame: Frame, chain: syntax.Compare, position: int, left: SSAValue | None) -> SSAValue:
    first, second = chain.operands[position : position + 2]
    if _touches_array(frame, first, second):
        operands = [arrays.operand(frame, first), arrays.operand(frame, second)]
        weak = [arrays.is_weak(frame, first), arrays.is_weak(frame, second)]
        return arrays.elementwise(frame, OPERATORS[chain.operators[position]], operands, weak)
    left = frame.value(first) if left is None else left
    right = frame.value(second)
    value = _compared(frame, chain.operators[position], left, right)
    if position + 1 == len(chain.operators):
        return value
    return branch(
        frame,
        value,
        i1,
        lambda inner: _comparison(inner, chain, position + 1, right),
        lambda inner: inner.truth(False),
    )


def _compared(frame: Frame, operator: str, left: SSAValue, right: SSAValue) -> SSAValue:
    if operator in ("in", "not in"):
        value = frame.emit(ApplyOp("contains", [right, left], i1))
    elif isinstance(right.type, NoneType) and operator in ("is", "is not", "==", "!="):
        value = frame.emit(ApplyOp("is_none", [left], i1))
        operator = "not" if operator in ("is not", "!=") else operator
    elif operator in ("is", "is not"):
        value = frame.emit(ApplyOp("eq", [left, right], i1))
    else:
        return frame.emit(ApplyOp(OPERATORS[operator], [left, right], i1))
    return (
        frame.emit(ApplyOp("not", [value], i1))
        if operator.startswith("not") or operator == "is not"
        else value
    )


def _unary(frame: Frame, expression: syntax.Unary) -> SSAValue:
    written = arrays.literal(expression)
    if written is not None:
        return frame.constant(written, _type(frame, expression))
    if expression.operator == "+":
        return frame.value(expression.operand)
    operator = {"-": "neg", "not": "not", "~": "invert"}[expression.operator]
    value = frame.value(expression.operand)
    if is_array_type(value.type) and shape_of(value.type):
        return arrays.elementwise(frame, "not" if operator == "invert" else operator, [value], [False])
    return frame.emit(ApplyOp(operator, [value], _type(frame, expression)))


def _conditional(frame: Frame, expression: syntax.Conditional) -> SSAValue:
    return branch(
        frame,
        frame.value(expression.test),
        _type(frame, expression),
        lambda inner: inner.value(expression.then),
        lambda inner: inner.value(expression.otherwise),
    )


def _attempt(frame: Frame, expression: syntax.TryElse) -> SSAValue:
    type_ = _type(frame, expression)
    parts = (expression.attempt, expression.otherwise)
    regions = [frame.yielding(type_, partial(Frame.value, expression=part)) for part in parts]
    return frame.emit(AttemptOp([type_], *regions))


def _list(frame: Frame, expression: syntax.ListDisplay) -> SSAValue:
    type_ = _type(frame, expression)
    if not isinstance(type_, ListType):
        raise ValueError(f"{type_} is no list")
    return frame.emit(
        ListOp([frame.converted(frame.value(item), type_.element) for item in expression.items], type_)
    )


def _dict(frame: Frame, expression: syntax.DictDisplay) -> SSAValue:
    type_ = _type(frame, expression)
    if not isinstance(type_, DictType):
        raise ValueError(f"{type_} is no dict")
    entries = []
    for key, value in expression.items:
        entries += [
            frame.converted(frame.value(key), StrType()),
            frame.converted(frame.value(value), type_.value),
        ]
    return frame.emit(DictOp(entries, type_))


def comprehension(frame: Frame, expression: syntax.Comprehension, depth: int) -> SSAValue:
    """A map; with several generators a map of maps, whose lists are joined."""
    generator = expression.generators[depth]
    last = depth + 1 == len(expression.generators)
    values = frame.value(generator.iterable)
    if not isinstance(values.type, ListType):
        raise ValueError(f"{values.type} is no list")
    whole = frame.type_of(expression)
    element = frame.lowering.type(whole.element if isinstance(whole, List) else BOOL)
    yields = element if last else ListType(element)
    region = region_of([values.type.element])
    inner = frame.inner(region.block)
    bind(inner, generator.targets, region.block.args[0])

    def produced(place: Frame) -> SSAValue:
        value = place.value(expression.element) if last else comprehension(place, expression, depth + 1)
        return place.converted(value, yields)

    _map_body(inner, generator.conditions, yields, produced)
    op = MapOp([values], yields, region, width=SEQUENTIAL, filtered=bool(generator.conditions))
    mapped = frame.emit(op)
    return mapped if last else frame.emit(ApplyOp("flatten", [mapped], ListType(element)))


def _map_body(
    inner: Frame, conditions: Sequence[syntax.Expression], yields: IrType, produced: Produce
) -> None:
    """Ends the body; where there are conditions, the value is computed only for what is kept."""
    if not conditions:
        inner.add(YieldOp(produced(inner)))
        return
    keep = inner.value(conditions[0])
    for condition in conditions[1:]:
        keep = branch(
            inner, keep, i1, partial(Frame.value, expression=condition), lambda place: place.truth(False)
        )
    value = branch(inner, keep, yields, produced, lambda place: place.emit(AbsentOp(yields)))
    inner.add(YieldOp(keep, value))


def bind(frame: Frame, targets: tuple[str, ...], value: SSAValue) -> None:
    """Binds the targets of a loop or an assignment."""
    if len(targets) == 1:
        frame.assign(targets[0], value)
        return
    for position, target in enumerate(targets):
        if isinstance(value.type, TupleType):
            frame.assign(target, frame.emit(ItemOp(value, position)))
        else:
            element = value.type.element if isinstance(value.type, ListType) else value.type
            index = frame.constant(position, IntType())
            frame.assign(target, frame.emit(ApplyOp("get_item", [value, index], element)))
