"""Kernels: every expression becomes array operators; `int` is i64 and `float` f64.

A kernel that calls another has it inlined, with the dtypes and extents of the arguments.
"""

from collections.abc import Sequence

from xdsl.dialects.builtin import UnitAttr
from xdsl.ir import SSAValue

from flowc.compiler import syntax
from flowc.compiler.builtins import OPERATORS
from flowc.compiler.checker.model import BoundCall, Signature
from flowc.compiler.lower import arrays, irregular
from flowc.compiler.lower.calls import native_type, result_parts
from flowc.compiler.lower.frame import Frame, Lowering
from flowc.compiler.lower.subscripts import subscript
from flowc.dialects.array import build, kinds
from flowc.dialects.array.kernel import KernelOp, ReturnOp
from flowc.dialects.array.types import dtype_of, shape_of
from flowc.runtime.types import Array, Scalar, Tuple, Type


def lower_kernel(lowering: Lowering, signature: Signature) -> KernelOp:
    """The kernel of a declaration."""
    parameters = [lowering.type(native_type(parameter.type)) for parameter in signature.parameters]
    results = [lowering.type(native_type(part)) for part in result_parts(signature.result)]
    names = [parameter.name for parameter in signature.parameters]
    kernel = KernelOp(signature.name, (parameters, results), arg_names=names)
    kernel.location = lowering.location(signature.declaration.header)
    for decorator in signature.declaration.decorators:
        kernel.attributes[f"array.{decorator.name}"] = UnitAttr()
    block = kernel.body.block
    for argument, info in zip(block.args, signature.parameters, strict=True):
        argument.location = lowering.location(info.span)
        argument.name_hint = info.name if info.name.isascii() else None
    native = Lowering(lowering.checked, lower_native, lowering.locations, lowering.types)
    frame = Frame(native, block, dict(zip(names, block.args, strict=True)), results[0], native=True)
    returned = []
    for value, result in zip(_body(frame, signature), results, strict=True):
        same = dtype_of(value.type) == dtype_of(result)
        returned.append(value if same else arrays.as_number(frame, value, dtype_of(result)))
    frame.add(ReturnOp(*returned))
    return kernel


def _body(frame: Frame, signature: Signature) -> list[SSAValue]:
    """The values a kernel returns: its statements are assignments and one `return` at the end."""
    for statement in signature.declaration.body or ():
        frame.span = statement.span
        match statement:
            case syntax.Assign():
                _assign(frame, statement)
            case syntax.Return(value) if value is not None:
                values = items(frame, value) if _is_tuple(frame, value) else [frame.value(value)]
                return [arrays.as_array(frame, each) for each in values]
    raise ValueError(f"kernel {signature.name} returns nothing")


def _assign(frame: Frame, statement: syntax.Assign) -> None:
    targets = statement.targets
    if len(targets) > 1:
        for target, item in zip(targets, items(frame, statement.value), strict=True):
            frame.assign(target, item)
        return
    if _is_tuple(frame, statement.value):
        for position, item in enumerate(items(frame, statement.value)):
            frame.variables[_item_name(targets[0], position)] = item
        return
    value = arrays.operand(frame, statement.value)
    if statement.operator is not None:
        kind = OPERATORS[statement.operator.removesuffix("=")]
        weak = [False, arrays.is_weak(frame, statement.value)]
        frame.assign(targets[0], arrays.elementwise(frame, kind, [frame.variables[targets[0]], value], weak))
    else:
        frame.assign(targets[0], arrays.as_array(frame, value))


def _item_name(name: str, position: int) -> str:
    """Where an item of a tuple variable is kept: no identifier of the language has a dot."""
    return f"{name}.{position}"


def _is_tuple(frame: Frame, expression: syntax.Expression) -> bool:
    return isinstance(frame.type_of(expression), Tuple)


def items(frame: Frame, expression: syntax.Expression) -> Sequence[SSAValue]:
    """The items of an expression that gives a tuple: `topk`, another kernel, `.shape`, a variable that
    holds one, or a choice between two."""
    type_ = frame.type_of(expression)
    if isinstance(expression, syntax.Name) and isinstance(type_, Tuple):
        return [frame.variables[_item_name(expression.id, k)] for k in range(len(type_.items))]
    if isinstance(expression, syntax.Call):
        bound = frame.checked.calls[id(expression)]
        if bound.kind == "kernel":
            return _inlined(frame, bound, frame.checked.callables[bound.name])
        return arrays.topk(frame, bound, type_)
    if isinstance(expression, syntax.Attribute):
        source = frame.value(expression.value)
        return [arrays.extent(frame, source, axis) for axis in range(len(shape_of(source.type)))]
    if isinstance(expression, syntax.Conditional):
        test = arrays.operand(frame, expression.test)
        sides = zip(items(frame, expression.then), items(frame, expression.otherwise), strict=True)
        return [arrays.elementwise(frame, "where", [test, *pair], [False] * 3) for pair in sides]
    raise ValueError(f"{type(expression).__name__} gives no tuple")


def lower_native(frame: Frame, expression: syntax.Expression) -> SSAValue:
    """The value of an expression in a kernel, in the dtype that its place wants."""
    outer, frame.span = frame.span, expression.span
    value = _plain(frame, expression)
    target = frame.checked.coercions.get(id(expression))
    if target is not None:
        value = _as(frame, value, target)
    frame.span = outer
    return value


def _as(frame: Frame, value: SSAValue, target: Type) -> SSAValue:
    native = native_type(target)
    if isinstance(native, Array):
        return arrays.as_number(frame, value, native.dtype)
    if isinstance(native, Scalar):
        return arrays.as_number(frame, value, dtype_of(frame.lowering.type(native)))
    return value


def _plain(frame: Frame, expression: syntax.Expression) -> SSAValue:
    match expression:
        case syntax.Name(id=name):
            return frame.variables[name]
        case syntax.Constant(value=value):
            return _constant(frame, value)
        case syntax.Binary():
            return _binary(frame, expression)
        case syntax.Compare():
            return _compare(frame, expression)
        case syntax.Unary():
            return _unary(frame, expression)
        case syntax.Conditional():
            sides = (expression.test, expression.then, expression.otherwise)
            return _elementwise(frame, "where", sides)
        case syntax.Call():
            return _call(frame, frame.checked.calls[id(expression)], frame.type_of(expression))
        case syntax.Attribute():
            return _attribute(frame, expression)
        case syntax.Subscript():
            return _subscript(frame, expression)
    raise ValueError(f"{type(expression).__name__} has no place in a kernel")


def _constant(frame: Frame, value: object) -> SSAValue:
    if isinstance(value, bool):
        return frame.emit(build.constant(value, "bool"))
    if isinstance(value, int | float):
        return arrays.as_array(frame, value)
    raise ValueError(f"{value!r} has no place in a kernel")


def _elementwise(frame: Frame, kind: str, sides: Sequence[syntax.Expression]) -> SSAValue:
    operands = [arrays.operand(frame, side) for side in sides]
    return arrays.elementwise(frame, kind, operands, [arrays.is_weak(frame, side) for side in sides])


def _binary(frame: Frame, expression: syntax.Binary) -> SSAValue:
    sides = (expression.left, expression.right)
    operator = OPERATORS.get(expression.operator, expression.operator)
    if operator == "matmul":
        return arrays.contract(frame, *(frame.value(side) for side in sides))
    if operator == "xor":
        operator = "ne"
    value = _elementwise(frame, operator, sides)
    # Powers and quotients of plain integers are floats to the language, as everywhere outside kernels.
    if operator == "pow" and frame.type_of(expression) == Scalar("float") and dtype_of(value.type) != "f64":
        floats = [arrays.as_number(frame, arrays.operand(frame, side), "f64") for side in sides]
        return frame.emit(build.elementwise("pow", floats))
    return value


def _compare(frame: Frame, expression: syntax.Compare) -> SSAValue:
    """A chain is the conjunction of its comparisons; nothing here can be seen, so all are evaluated."""
    pairs = zip(expression.operators, expression.operands, expression.operands[1:], strict=False)
    parts = [_elementwise(frame, OPERATORS[operator], (left, right)) for operator, left, right in pairs]
    result = parts[0]
    for part in parts[1:]:
        result = frame.emit(build.elementwise("and", [result, part]))
    return result


def _unary(frame: Frame, expression: syntax.Unary) -> SSAValue:
    written = arrays.literal(expression)
    if written is not None:
        return arrays.as_array(frame, written)
    value = frame.value(expression.operand)
    kind = {"-": "neg", "not": "not", "~": "not"}.get(expression.operator)
    return value if kind is None else frame.emit(build.elementwise(kind, [value]))


def _attribute(frame: Frame, expression: syntax.Attribute) -> SSAValue:
    type_ = frame.type_of(expression.value)
    if isinstance(type_, Tuple):
        return items(frame, expression.value)[type_.names.index(expression.name)]
    if expression.name == "T":
        return frame.emit(build.transpose(frame.value(expression.value)))
    if expression.name in ("size", "ndim"):
        return arrays.measure(frame, frame.value(expression.value), expression.name)
    raise ValueError(f"`.{expression.name}` has no place in a kernel")


def _subscript(frame: Frame, expression: syntax.Subscript) -> SSAValue:
    if _is_tuple(frame, expression.value) and not isinstance(expression.indices[0], syntax.Slice):
        position = arrays.literal(expression.indices[0])
        if isinstance(position, int):
            return items(frame, expression.value)[position]
    return subscript(frame, expression)


def _call(frame: Frame, bound: BoundCall, result: Type) -> SSAValue:
    if bound.kind == "kernel":
        return _inlined(frame, bound, frame.checked.callables[bound.name])[0]
    if bound.form == "apply":
        return _applied(frame, bound, result)
    lower = irregular.call if bound.form in irregular.FORMS else arrays.call
    return lower(frame, bound, result)


def _applied(frame: Frame, bound: BoundCall, result: Type) -> SSAValue:
    """Functions of plain numbers, which in a kernel are operators on arrays of rank 0."""
    if bound.operator in ("min", "max"):
        kind = {"min": "minimum", "max": "maximum"}[bound.operator]
        operands = [arrays.operand(frame, each) for each in bound.arguments]
        weak = [arrays.is_weak(frame, each) for each in bound.arguments]
        value: arrays.Operand = operands[0]
        for position in range(1, len(operands)):
            pair = [value, operands[position]]
            value = arrays.elementwise(frame, kind, pair, [all(weak[:position]), weak[position]])
        return arrays.as_array(frame, value)
    if bound.operator in ("int", "float", "bool"):
        source = arrays.as_array(frame, arrays.operand(frame, bound.arguments[0]))
        dtype = {"int": "i64", "float": "f64", "bool": "bool"}[bound.operator]
        return arrays.as_number(frame, source, dtype)
    if bound.operator not in kinds.arity:
        raise ValueError(f"`{bound.operator}` has no place in a kernel")
    sides = bound.arguments[: kinds.arity[bound.operator]]
    return _as(frame, _elementwise(frame, bound.operator, sides), result)


def _inlined(frame: Frame, bound: BoundCall, callee: Signature) -> list[SSAValue]:
    values, parts = [], result_parts(callee.result)
    for argument, parameter in zip(bound.arguments, callee.parameters, strict=True):
        values.append(_as(frame, frame.value(argument), parameter.type))
    names = [parameter.name for parameter in callee.parameters]
    inner = Frame(
        frame.lowering,
        frame.block,
        dict(zip(names, values, strict=True)),
        frame.lowering.type(native_type(parts[0])),
        native=True,
        depth=frame.depth + 1,
    )
    return [_as(frame, value, part) for value, part in zip(_body(inner, callee), parts, strict=True)]
