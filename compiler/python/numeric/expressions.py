"""Python expressions to values."""

import ast
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from xdsl.dialects import scf
from xdsl.ir import Block, Operation, Region

from flowc.compiler.python.numeric import methods
from flowc.compiler.python.numeric.arithmetic import (
    SAMPLES,
    apply,
    beside,
    python_dtype,
    strong_dtypes,
    to_dtype,
    truth_value,
    value_of,
    widest,
)
from flowc.compiler.python.numeric.basic import Range
from flowc.compiler.python.numeric.calls import call
from flowc.compiler.python.numeric.comprehensions import comprehension
from flowc.compiler.python.numeric.context import Context
from flowc.compiler.python.numeric.defining import closure_of
from flowc.compiler.python.numeric.errors import Refused, located
from flowc.compiler.python.numeric.frame import Frame
from flowc.compiler.python.numeric.functions.brackets import of_brackets
from flowc.compiler.python.numeric.functions.dtypes import dtype_of_object, instead_of
from flowc.compiler.python.numeric.lists import as_arrays, of_sequences
from flowc.compiler.python.numeric.meeting import alike, one_array
from flowc.compiler.python.numeric.misfits import beside_operands
from flowc.compiler.python.numeric.nested import NestedFunction
from flowc.compiler.python.numeric.subscripts import subscript
from flowc.compiler.python.numeric.values import NUMBERS, Array, Listed, Number, is_run_time
from flowc.dialects.array import build, ops
from flowc.dialects.array.types import promote_all, shape_of

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
                raise Refused(f"`{value!r}` has no native form", help=instead_of(np.dtype(type(value))))
            return value
        case ast.Name(id=name):
            return held(frame, frame.lookup(name))
        case ast.Attribute(value=value, attr=attribute):
            return _attribute(frame, evaluate(frame, value), attribute)
        case ast.BinOp(left=left, op=operator, right=right):
            first, second = evaluate(frame, left), evaluate(frame, right)
            with beside_operands(c, frame.file, node, [(left, first), (right, second)]):
                return binary(frame, operator, first, second)
        case ast.UnaryOp(op=operator, operand=operand):
            value = evaluate(frame, operand)
            with beside_operands(c, frame.file, node, [(operand, value)]):
                return _unary(frame, operator, value)
        case ast.Compare():
            return _compare(frame, node)
        case ast.BoolOp():
            return _boolean(frame, node)
        case ast.IfExp(test=test, body=body, orelse=orelse):
            return _conditional(frame, evaluate(frame, test), body, orelse)
        case ast.Subscript(value=value, slice=items):
            owner, inside = evaluate(frame, value), subscripts(frame, items)
            made = of_brackets(owner)
            return made(c, inside) if made else subscript(c, owner, inside)
        case ast.Call():
            return _call(frame, node)
        case ast.Tuple(elts=items):
            return tuple(_items(frame, items))
        case ast.List(elts=items):
            return _items(frame, items)
        case ast.Slice(lower=lower, upper=upper, step=step):
            return Range(*(part and evaluate(frame, part) for part in (lower, upper, step)))
        case ast.ListComp() | ast.GeneratorExp():
            return comprehension(frame, node, evaluate)
        case NestedFunction():
            return closure_of(frame, node, evaluate)
    raise Refused(f"{_kind(node)} has no native form")


_KINDS: dict[type[ast.AST], str] = {
    ast.JoinedStr: "a formatted text",
    ast.Dict: "a dict",
    ast.Set: "a set",
    ast.Lambda: "a lambda",
    ast.NamedExpr: "`:=`",
    ast.Yield: "`yield`",
    ast.YieldFrom: "`yield from`",
    ast.Await: "`await`",
    ast.DictComp: "a dict",
    ast.SetComp: "a set",
}


def _kind(node: ast.AST) -> str:
    return _KINDS.get(type(node), f"`{type(node).__name__}`")


def held(frame: Frame, value: object) -> object:
    """A value of the world: NumPy's scalars are strong numbers, its arrays are passed along."""
    if isinstance(value, np.generic):
        return Number(frame.c.constant(value.item(), dtype_of_object(value.dtype)))
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
    if isinstance(left, Listed) or isinstance(right, Listed):
        left, right = as_arrays(frame.c, left, right)
    if isinstance(left, tuple | list | str) or isinstance(right, tuple | list | str):
        return of_sequences(frame.c, kind, left, right)
    return apply(frame.c, kind, left, right)


def _unary(frame: Frame, operator: ast.unaryop, operand: object) -> object:
    if isinstance(operator, ast.UAdd):
        return frame.c.array(frame.c.value(operand)) if isinstance(operand, Array) else operand
    if isinstance(operator, ast.Not):
        if not is_run_time(operand):
            return not operand
        return Number(negated(frame, operand), weak=True)
    return apply(frame.c, "neg" if isinstance(operator, ast.USub) else "invert", operand)


def negated(frame: Frame, value: object) -> Any:
    """Whether a number is zero, as a bool of the run."""
    return frame.c.emit(build.elementwise("not", [truth(frame, value)]))


def truth(frame: Frame, value: object) -> Any:
    """Whether a number is not zero, as a bool of the run."""
    if isinstance(value, Array | Listed):
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
        with beside_operands(frame.c, frame.file, node, [(node.left, left), (operand, right)]):
            found = _compared(frame, operator, left, right)
        result = found if result is None else apply(frame.c, "and", result, found)
        left = right
    return result


def _compared(frame: Frame, operator: ast.cmpop, left: object, right: object) -> object:
    if isinstance(operator, ast.Is | ast.IsNot | ast.In | ast.NotIn):
        return _identity(frame, operator, left, right)
    if isinstance(left, tuple | list) and isinstance(right, tuple | list):
        return _sequences_equal(frame, operator, left, right)
    if isinstance(left, Number) and isinstance(right, Number) and isinstance(operator, ast.Eq | ast.NotEq):
        equal = _equal_extents(frame.c, left, right)
        if equal is not None:
            return equal == isinstance(operator, ast.Eq)
    if is_run_time(left) or is_run_time(right) or isinstance(left, int | float):
        return apply(frame.c, COMPARE[type(operator)], left, right)
    if not isinstance(operator, ast.Eq | ast.NotEq):
        raise Refused("only numbers and arrays are less or greater than others")
    return (left == right) == isinstance(operator, ast.Eq)


def _equal_extents(c: Context, first: Number, second: Number) -> bool | None:
    """Whether two numbers are equal that are extents of arguments, None where they are something else."""
    names = [c.extent_name(each) for each in (first, second)]
    return c.equal_extents(*names) if all(name in c.extents for name in names) else None


def _sequences_equal(
    frame: Frame, operator: ast.cmpop, left: Sequence[object], right: Sequence[object]
) -> object:
    """Whether two shapes, or other tuples, are equal item by item."""
    if not isinstance(operator, ast.Eq | ast.NotEq):
        raise Refused("tuples and lists are compared by `==` and `!=` only")
    equal: object = type(left) is type(right) and len(left) == len(right)
    for first, second in zip(left, right, strict=False):
        if equal is False or first is second:
            continue
        same = _compared(frame, ast.Eq(), first, second)
        equal = same if equal is True else apply(frame.c, "and", equal, same)
    return equal if isinstance(operator, ast.Eq) else _unary(frame, ast.Not(), equal)


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
    if not all(isinstance(value, NUMBERS) for value in values):
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
    strong = strong_dtypes(values)
    weak = [python_dtype(value) for value in values if not (isinstance(value, Number) and not value.weak)]
    if not strong:
        return widest(weak), True
    common = promote_all(strong)
    return promote_all([common, *(build.weak_dtype(SAMPLES[dtype], common) for dtype in weak)]), False


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
        instead = "make an array before, and set its elements: `x[i] = ...`" if name == "append" else ""
        raise Refused(f"`.{name}` of a {type(owner).__name__} has no native form", help=instead)
    if not hasattr(owner, name):
        raise Refused(f"there is no `{name}` in `{getattr(owner, '__name__', owner)}`", code="E0101")
    return held(frame, getattr(owner, name))


def _call(frame: Frame, node: ast.Call) -> object:
    function = evaluate(frame, node.func)
    arguments = _items(frame, node.args)
    if any(keyword.arg is None for keyword in node.keywords):
        raise Refused("`**` arguments have no native form", help="write the names out")
    keywords = {str(keyword.arg): evaluate(frame, keyword.value) for keyword in node.keywords}
    shown = zip(node.args, arguments, strict=False) if not _spread(node) else ()
    arrays = [(part, value) for part, value in shown if isinstance(value, Array)]
    with beside_operands(frame.c, frame.file, node, arrays):
        return call(frame, function, arguments, keywords)


def _spread(node: ast.Call) -> bool:
    return any(isinstance(argument, ast.Starred) for argument in node.args)
