"""The algebra of extents as terms of z3: what expressions mean, some drawn at random, and slices."""

from collections.abc import Sequence
from random import Random

import z3
from xdsl.dialects.builtin import i64
from xdsl.ir import SSAValue

from flowc.dialects.array import build, ops
from flowc.dialects.array.slices import AxisSlice, SliceSpec
from flowc.dialects.array.types import array_type
from flowc.passes.array_extents import ExtentAnalysis
from flowc.passes.extent_algebra import FOLDS, Expression, combine, expression_of, never_negative
from flowc.testing.strategies.kernels import Add, make_kernel
from tests.validation.machine import Term
from tests.validation.prover import SECONDS, prove

LEAVES: Sequence[Expression] = (
    ("dim", 0, 0), ("dim", 1, 0), ("scalar", 2), ("scalar", 3), 0, 1, 2, -1, -3,
)  # fmt: skip
Plain = int | tuple[object, ...]


def term(expression: Plain) -> Term:
    """The number that an expression is."""
    match expression:
        case int(number):
            return z3.IntVal(number)
        case (str(operator), left, right) if operator in FOLDS:
            return applied(operator, term(expression_of(left)), term(expression_of(right)))
    return z3.Int("_".join(map(str, expression)))


def applied(operator: str, left: Term, right: Term) -> Term:
    """An operator of extents; quotients are rounded down."""
    match operator:
        case "add" | "sub" | "mul":
            return {"add": left + right, "sub": left - right, "mul": left * right}[operator]
        case "floordiv":
            return left / right
        case "min" | "max":
            return z3.If((left <= right) == (operator == "min"), left, right)
    return z3.If(left < 0, left + right, left)


def domain() -> list[Term]:
    """Extents are never negative; scalars are any numbers."""
    return [term(leaf) >= 0 for leaf in LEAVES if isinstance(leaf, tuple) and leaf[0] == "dim"]


def drawn(chance: Random, depth: int) -> Plain:
    """An expression as it is written, before anything is simplified."""
    if depth == 0 or chance.random() < 0.2:
        return chance.choice(LEAVES)
    operator = chance.choice(sorted(FOLDS))
    right = chance.choice((1, 2, 3)) if operator == "floordiv" else drawn(chance, depth - 1)
    if operator == "mul":
        right = chance.choice((-2, 0, 1, 3))
    return operator, drawn(chance, depth - 1), right


def combined(expression: Plain) -> Expression:
    """The same, put together by `combine` from its leaves on."""
    match expression:
        case (str(operator), left, right) if operator in FOLDS:
            return combine(operator, combined(expression_of(left)), combined(expression_of(right)))
    return expression


def prove_combination(expression: Plain, seconds: float = SECONDS) -> None:
    """What `combine` makes of an expression is the same number for all extents and scalars."""
    found = combined(expression)
    prove(term(expression) == term(found), domain(), name=f"{expression} as {found}", seconds=seconds)


def bounds(leaf: Expression) -> tuple[Expression | None, Expression | None]:
    """What is known of leaves: scalar 3 lies between scalar 2 and the second extent."""
    match leaf:
        case ("dim", _, _):
            return 0, None
        case ("scalar", 3):
            return ("scalar", 2), combine("sub", ("dim", 1, 0), 1)
    return None, None


def prove_sign(expression: Plain, seconds: float = SECONDS) -> bool:
    """An expression that is found never to be negative is not; gives whether it was found to be so."""
    found = combined(expression)
    if not never_negative(found, bounds):
        return False
    low, high, number = term(("scalar", 2)), term(("dim", 1, 0)), term(("scalar", 3))
    given = [*domain(), low <= number, number <= high - 1]
    prove(term(found) >= 0, given, name=f"{found} >= 0", seconds=seconds)
    return True


def prove_slice(axis: AxisSlice, seconds: float = SECONDS) -> None:
    """First position and length of a slice are those of Python's `slice.indices`, and all positions of it lie
    inside, for every extent and all dynamic bounds.
    """
    taken: list[ops.SliceOp] = []

    def body(add: Add, x: SSAValue, start: SSAValue, stop: SSAValue) -> SSAValue:
        named = [bound for bound in (axis.start, axis.stop) if isinstance(bound, str)]
        op = build.slices(x, SliceSpec((axis,)), [start, stop][: len(named)])
        taken.append(op)
        return add(op)

    kernel = make_kernel({"x": array_type("f32", ("n",)), "start": i64, "stop": i64}, body)
    start, step, count = ExtentAnalysis(kernel).slice_range(taken[0], 0)
    whole, given = z3.Int("dim_0_0"), [z3.Int("dim_0_0") >= 0]
    scalars = {"$0": z3.Int("scalar_1"), "$1": z3.Int("scalar_2")}
    first, number = python_slice(axis, whole, scalars)
    shown = {
        "extent": whole,
        "$0": scalars["$0"],
        "$1": scalars["$1"],
        "start": term(start),
        "count": term(count),
    }
    name = f"the slice {SliceSpec((axis,))}"
    prove(term(count) == number, given, shown, f"{name}: its length", seconds)
    prove(z3.Or(number == 0, term(start) == first), given, shown, f"{name}: where it begins", seconds)
    k = z3.Int("k")
    place = term(start) + k * step
    inside = [*given, k >= 0, k < term(count)]
    prove(
        z3.And(place >= 0, place < whole), inside, {**shown, "k": k}, f"{name}: that it lies inside", seconds
    )


def python_slice(axis: AxisSlice, whole: Term, scalars: dict[str, Term]) -> tuple[Term, Term]:
    """`slice.indices`, and how many there are, as Python's manual has it."""

    def position(bound: int | str | None, default: Term) -> Term:
        if bound is None:
            return default
        value = scalars[bound] if isinstance(bound, str) else z3.IntVal(bound)
        low, high = (0, whole) if axis.step > 0 else (-1, whole - 1)
        value = z3.If(value < 0, value + whole, value)
        return z3.If(value < low, low, z3.If(value > high, high, value))

    forwards = axis.step > 0
    start = position(axis.start, z3.IntVal(0) if forwards else whole - 1)
    stop = position(axis.stop, whole if forwards else z3.IntVal(-1))
    span = stop - start if forwards else start - stop
    size = abs(axis.step)
    return start, z3.If(span > 0, (span + size - 1) / size, 0)
