"""Python expressions to values."""

import ast
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from xdsl.dialects import scf
from xdsl.ir import Block, Operation, Region

from flowc.compiler.python.numeric import methods
from flowc.compiler.python.numeric.arithmetic import (
    apply,
    beside,
    python_dtype,
    to_dtype,
    truth_value,
    value_of,
)
from flowc.compiler.python.numeric.basic import Range
from flowc.compiler.python.numeric.binding import bind
from flowc.compiler.python.numeric.calls import call
from flowc.compiler.python.numeric.errors import Refused, located
from flowc.compiler.python.numeric.frame import Frame
from flowc.compiler.python.numeric.meeting import alike, one_array
from flowc.compiler.python.numeric.subscripts import subscript
from flowc.compiler.python.numeric.values import Array, Number, is_run_time
from flowc.dialects.array import build, ops
from flowc.dialects.array.types import promote_all, shape_of
from flowc.runtime.dtypes import dtype_name

BINARY: Mapping[type[ast.operator], str] = {
    ast.Add: "add", ast.Sub: "sub", ast.Mult: "mul", ast.Div: "div", ast.FloorDiv: "floordiv", ast.Mod: "mod",
    ast.Pow: "pow", ast.BitAnd: "bitand", ast.BitOr: "bitor", ast.BitXor: "bitxor", ast.LShift: "shl",
    ast.RShift: "shr",
}  # fmt: skip
COMPARE: Mapping[type[ast.cmpop], str] = {
    ast.Eq: "eq", ast.NotEq: "ne", ast.Lt: "lt", ast.LtE: "le", ast.Gt: "gt", ast.GtE: "ge",
}  # fmt: skip


def evaluate(frame: Frame, node: ast.expr) -> Any:
    """The value of an expression."""
    with located(frame.file, node):
        return _evaluate(frame, node)


def _evaluate(frame: Frame, node: ast.expr) -> Any:
    c = frame.c
    match node:
        case ast.Constant(value=value):
            if isinstance(value, complex | bytes):
                raise Refused(f"there are no {type(value).__name__} numbers in native code")
            return value
        case ast.Name(id=name):
            return held(frame, frame.lookup(name))
        case ast.Attribute(value=value, attr=attribute):
            return _attribute(frame, evaluate(frame, value), attribute)
        case ast.BinOp(left=left, op=operator, right=right):
            return binary(frame, operator, evaluate(frame, left), evaluate(frame, right))
        case ast.UnaryOp(op=operator, operand=operand):
            return _unary(frame, operator, evaluate(frame, operand))
        case ast.Compare():
            return _compare(frame, node)
        case ast.BoolOp():
            return _boolean(frame, node)
        case ast.IfExp(test=test, body=body, orelse=orelse):
            return _conditional(frame, evaluate(frame, test), body, orelse)
        case ast.Subscript(value=value, slice=items):
            return subscript(c, evaluate(frame, value), subscripts(frame, items))
        case ast.Call():
            return _call(frame, node)
        case ast.Tuple(elts=items):
            return tuple(_items(frame, items))
        case ast.List(elts=items):
            return _items(frame, items)
        case ast.Slice(lower=lower, upper=upper, step=step):
            return Range(*(part and evaluate(frame, part) for part in (lower, upper, step)))
        case ast.ListComp() | ast.GeneratorExp():
            return _comprehension(frame, node)
    raise Refused(f"{_kind(node)} has no native form")


def _kind(node: ast.AST) -> str:
    names = {"JoinedStr": "a formatted text", "Dict": "a dict", "Set": "a set", "Lambda": "a lambda"}
    return names.get(type(node).__name__, f"`{type(node).__name__}`")


def held(frame: Frame, value: object) -> object:
    """A value of the world: NumPy's scalars are strong numbers, its arrays are passed along."""
    if isinstance(value, np.generic):
        dtype = dtype_name(value.dtype)
        if dtype is None:
            raise Refused(f"there is no native form of {value.dtype}")
        return Number(frame.c.constant(value.item(), dtype))
    if isinstance(value, np.ndarray):
        return _captured(frame, value)
    return value


def _captured(frame: Frame, array: "np.ndarray[Any, Any]") -> object:
    """An array from outside the function is one more argument, which no caller sees."""
    program = frame.program
    if id(array) not in program.hidden:
        if program.capture is None:
            raise Refused("an array from outside the function cannot be used here")
        program.captured.append(array)
        program.hidden[id(array)] = program.capture(array)
    return program.hidden[id(array)]


def _items(frame: Frame, items: list[ast.expr]) -> list[object]:
    found: list[object] = []
    for item in items:
        if isinstance(item, ast.Starred):
            value = evaluate(frame, item.value)
            if not isinstance(value, tuple | list):
                raise Refused("only tuples and lists can be spread out")
            found += value
        else:
            found.append(evaluate(frame, item))
    return found


def subscripts(frame: Frame, node: ast.expr) -> list[object]:
    """What stands between the brackets."""
    value = evaluate(frame, node)
    return list(value) if isinstance(value, tuple) else [value]


def binary(frame: Frame, operator: ast.operator, left: object, right: object) -> Any:
    """A binary operator."""
    if isinstance(operator, ast.MatMult):
        return call(frame, np.matmul, [left, right], {})
    kind = BINARY[type(operator)]
    if isinstance(left, tuple | list | str) or isinstance(right, tuple | list | str):
        return _sequences(frame, kind, left, right)
    return apply(frame.c, kind, left, right)


def _sequences(frame: Frame, kind: str, left: object, right: object) -> object:
    """Joining and repeating tuples, lists and texts; beside an array a list is an array."""
    if isinstance(left, Array) or isinstance(right, Array):
        c = frame.c
        sides = [
            c.array(value_of(c, side)) if isinstance(side, list | tuple) else side for side in (left, right)
        ]
        return apply(c, kind, *sides)
    if kind == "add" and type(left) is type(right):
        return left + right  # type: ignore[operator]
    if kind == "mul":
        sequence, times = (left, right) if isinstance(left, tuple | list | str) else (right, left)
        count = frame.c.static(times, "how often a sequence is repeated")
        if isinstance(sequence, tuple | list | str) and isinstance(count, int):
            return sequence * count
    raise Refused(f"`{kind}` is not defined between these")


def _unary(frame: Frame, operator: ast.unaryop, operand: object) -> object:
    if isinstance(operator, ast.UAdd):
        return frame.c.array(frame.c.value(operand)) if isinstance(operand, Array) else operand
    if isinstance(operator, ast.Not):
        if not is_run_time(operand):
            return not operand
        return Number(frame.c.emit(_not(truth(frame, operand))), weak=True)
    return apply(frame.c, "neg" if isinstance(operator, ast.USub) else "invert", operand)


def _not(value: Any) -> Operation:
    return build.elementwise("not", [value])


def truth(frame: Frame, value: object) -> Any:
    """Whether a number is not zero, as a bool of the run."""
    if isinstance(value, Array):
        raise Refused(
            "the truth of a whole array is ambiguous",
            help="write `np.all(...)` or `np.any(...)`",
            code="E0101",
        )
    return truth_value(frame.c, value)


def _compare(frame: Frame, node: ast.Compare) -> object:
    left = evaluate(frame, node.left)
    result: object = None
    for operator, operand in zip(node.ops, node.comparators, strict=True):
        right = evaluate(frame, operand)
        if isinstance(operator, ast.Is | ast.IsNot | ast.In | ast.NotIn):
            found: object = _identity(frame, operator, left, right)
        elif not is_run_time(left) and not is_run_time(right) and not isinstance(left, int | float):
            equal = left == right
            found = equal if isinstance(operator, ast.Eq) else not equal
        else:
            found = apply(frame.c, COMPARE[type(operator)], left, right)
        result = found if result is None else apply(frame.c, "and", result, found)
        left = right
    return result


def _identity(frame: Frame, operator: ast.cmpop, left: object, right: object) -> bool:
    if isinstance(operator, ast.Is | ast.IsNot):
        if left is not None and right is not None:
            raise Refused("`is` compares with None only in numeric code")
        return (left is right) == isinstance(operator, ast.Is)
    items = frame.c.static(right, "what `in` looks through")
    if not isinstance(items, tuple | list | str):
        raise Refused("`in` looks through tuples and lists only")
    return (frame.c.static(left, "what `in` looks for") in items) == isinstance(operator, ast.In)


def _boolean(frame: Frame, node: ast.BoolOp) -> object:
    """`and`, `or`: what decides already keeps the rest from being evaluated."""
    both = isinstance(node.op, ast.And)
    value = evaluate(frame, node.values[0])
    for operand in node.values[1:]:
        if not is_run_time(value):
            if bool(value) != both:
                return value
            value = evaluate(frame, operand)
            continue
        first = truth(frame, value)

        def rest(operand: ast.expr = operand) -> object:
            return Number(truth(frame, evaluate(frame, operand)), weak=True)

        def decided() -> object:
            return Number(frame.c.constant(not both, "bool"), weak=True)

        value = choose(frame, first, rest if both else decided, decided if both else rest)
    return value


def _conditional(frame: Frame, test: object, body: ast.expr, orelse: ast.expr) -> object:
    if not is_run_time(test):
        return evaluate(frame, body if test else orelse)
    return choose(frame, truth(frame, test), lambda: evaluate(frame, body), lambda: evaluate(frame, orelse))


def choose(
    frame: Frame, condition: Any, then: Callable[[], object], otherwise: Callable[[], object]
) -> object:
    """One of two values; only the side taken is evaluated, unless both are plain arithmetic on numbers."""
    c = frame.c
    blocks = [Block(), Block()]
    values = []
    for block, side in zip(blocks, (then, otherwise), strict=True):
        with c.inside(block):
            values.append(side())
    if all(not is_run_time(value) for value in values) and values[0] == values[1]:
        for block in blocks:
            block.drop_all_references()
        return values[0]
    first, second = values
    if isinstance(first, Array) and isinstance(second, Array) and alike(first, second):
        made = one_array(c, blocks, first, second, "what is chosen")
        for block in blocks:
            block.add_op(scf.YieldOp())
        c.append(scf.IfOp(condition, [], Region(blocks[0]), Region(blocks[1])))
        return made
    if not all(isinstance(value, Number | bool | int | float) for value in values):
        raise Refused(
            "the two sides of a choice are neither numbers nor arrays of one dtype and rank",
            help="write `np.where(condition, first, second)`",
        )
    type_ = joined_type(values)
    sides = []
    for block, value in zip(blocks, values, strict=True):
        with c.inside(block):
            sides.append(as_type(frame, value, type_))
    if all(_plain(op) for block in blocks for op in block.ops):
        for block in blocks:
            c.take(block)
        return Number(c.emit(build.elementwise("where", [condition, *sides])), type_[1])
    for block, side in zip(blocks, sides, strict=True):
        block.add_op(scf.YieldOp(side))
    op = scf.IfOp(condition, [sides[0].type], Region(blocks[0]), Region(blocks[1]))
    return Number(c.emit(op), type_[1])


def _plain(op: Operation) -> bool:
    """Whether an op cannot fail and costs little."""
    cheap = isinstance(op, ops.ConstantOp | ops.ElementwiseOp | ops.CastOp | ops.DimOp)
    if isinstance(op, ops.ElementwiseOp) and op.kind.data in ("exp", "log", "sin", "cos", "pow", "tanh"):
        return False
    return cheap and not any(_rank(result) for result in op.results)


def _rank(value: Any) -> int:
    return len(shape_of(value.type))


def joined_type(values: list[Any]) -> tuple[str, bool]:
    """The dtype in which numbers meet where control flow does, and whether it is weak."""
    strong = [value.dtype for value in values if isinstance(value, Number) and not value.weak]
    weak = [python_dtype(value) for value in values if not (isinstance(value, Number) and not value.weak)]
    if not strong:
        return max(weak, key=["bool", "i64", "f64"].index), True
    common = promote_all(strong)
    samples: dict[str, bool | int | float] = {"bool": True, "i64": 1, "f64": 1.0}
    return promote_all([common, *(build.weak_dtype(samples[dtype], common) for dtype in weak)]), False


def as_type(frame: Frame, value: object, type_: tuple[str, bool]) -> Any:
    """A number as a value of a joined type."""
    c = frame.c
    return to_dtype(c, beside(c, value, type_[0]) if not type_[1] else value_of(c, value), type_[0])


def _attribute(frame: Frame, owner: object, name: str) -> object:
    if is_run_time(owner):
        return methods.attribute(frame.c, owner, name)
    if name == "shape" and isinstance(owner, int | float):
        return ()
    if isinstance(owner, tuple) and name in getattr(owner, "_fields", ()):
        return getattr(owner, name)
    if isinstance(owner, list | tuple):
        raise Refused(f"`.{name}` of a {type(owner).__name__} has no native form")
    if not hasattr(owner, name):
        raise Refused(f"there is no `{name}` in `{getattr(owner, '__name__', owner)}`", code="E0101")
    return held(frame, getattr(owner, name))


def _call(frame: Frame, node: ast.Call) -> object:
    function = evaluate(frame, node.func)
    arguments = _items(frame, node.args)
    if any(keyword.arg is None for keyword in node.keywords):
        raise Refused("`**` arguments have no native form", help="write the names out")
    keywords = {str(keyword.arg): evaluate(frame, keyword.value) for keyword in node.keywords}
    return call(frame, function, arguments, keywords)


def _comprehension(frame: Frame, node: ast.ListComp | ast.GeneratorExp) -> list[object]:
    """Over a sequence that is known now: one value after the other."""
    if len(node.generators) != 1 or node.generators[0].ifs:
        raise Refused("a comprehension has one `for` and no `if` in numeric code", help="write a loop")
    generator = node.generators[0]
    sequence = evaluate(frame, generator.iter)
    items = list(sequence) if isinstance(sequence, range | tuple | list) else None
    if items is None:
        raise Refused("a comprehension runs over a range or tuple known when the code is made")
    before = dict(frame.names)
    found = []
    for item in items:
        bind(frame, generator.target, item)
        found.append(evaluate(frame, node.elt))
    frame.names = before
    return found
