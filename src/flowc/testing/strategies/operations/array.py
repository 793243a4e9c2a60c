"""Operations of the array dialect, drawn."""

from collections.abc import Callable, Sequence

from xdsl.dialects.builtin import UnitAttr, f64, i1
from xdsl.ir import Attribute, Operation, SSAValue

from flowc.dialects.array import LaunchOp, RefType, ReturnOp, build, memory, products_build
from flowc.dialects.array.kinds import REDUCTIONS, arity
from flowc.dialects.array.products_inference import STEPS
from flowc.dialects.array.require import REASONS, require
from flowc.dialects.array.reshape import reshape
from flowc.dialects.array.slices import AxisSlice, SliceSpec
from flowc.dialects.array.types import (
    Shape,
    array_type,
    dtype_of,
    integer_range,
    is_array_type,
    is_float,
    shape_of,
    type_of_dtype,
)
from flowc.testing.strategies.operations.making import Making, Recipe, Recipes

DTYPES = tuple(type_of_dtype)
INTEGERS = ("i64", "i32", "i16", "i8", "u8")
FLOATS = ("f64", "f32", "f16", "bf16")
EXTENTS = ("n", "m", "", 0, 1, 3)


def any_shape(m: Making, least: int = 0, most: int = 3) -> Shape:
    """A shape of so many axes."""
    return tuple(m.one(*EXTENTS) for _ in m.times(most, least))


def array(m: Making, least: int = 0, *dtypes: str, most: int = 3) -> SSAValue:
    """A value of so many axes, and of one of the dtypes or any."""

    def fits(type_: Attribute) -> bool:
        if not is_array_type(type_) or (dtypes and dtype_of(type_) not in dtypes):
            return False
        return least <= len(shape_of(type_)) <= most

    return m.fitting(fits, lambda: array_type(m.one(*(dtypes or DTYPES)), any_shape(m, least, most)))


def of(m: Making, dtype: str, *extents: int | str) -> SSAValue:
    """A value of exactly this type."""
    return m.value(array_type(dtype, extents))


def end(m: Making, results: Sequence[Attribute]) -> Operation:
    """Ends a kernel with values of these types."""
    return ReturnOp(*m.values(results))


def inline(recipe: Recipe) -> Recipe:
    """Says of the operation, sometimes, that it is computed where it is used."""

    def make(m: Making) -> Operation:
        op = recipe(m)
        if m.number(0, 2) == 0:
            op.properties["inline"] = UnitAttr()
        return op

    return make


def axis_of(m: Making, source: SSAValue) -> int:
    return m.number(-len(shape_of(source.type)), len(shape_of(source.type)) - 1)


def along(make: Callable[[SSAValue, int], Operation]) -> Recipe:
    """An operator along one axis."""

    def recipe(m: Making) -> Operation:
        source = array(m, 1)
        return make(source, axis_of(m, source))

    return recipe


def _constant(m: Making) -> Operation:
    dtype = m.one(*DTYPES)
    if dtype == "bool":
        return build.constant(m.sometimes(), dtype)
    if is_float(dtype):
        return build.constant(m.one(0.0, -0.0, 0.5, 3.25, 1e30, float("inf"), float("nan")), dtype)
    return build.constant(m.one(*integer_range(dtype), 0, 1), dtype)


def _elementwise(m: Making) -> Operation:
    kind = m.one(*arity)
    first = array(m)
    same = [of(m, m.one(*DTYPES), *m.one(shape_of(first.type), ())) for _ in range(arity[kind])]
    operands = [first, *same][: arity[kind]]
    if kind == "where":
        operands[0] = of(m, "bool", *shape_of(first.type))
    return build.elementwise(kind, operands)


def _reduce(m: Making) -> Operation:
    source = array(m)
    axes = [axis for axis in range(len(shape_of(source.type))) if m.sometimes()]
    return build.reduce(m.one(*REDUCTIONS), source, axes, m.sometimes())


def _argreduce(m: Making) -> Operation:
    source = array(m, 1)
    return build.argreduce(m.one("argmax", "argmin"), source, axis_of(m, source), m.sometimes())


def _contract(m: Making) -> Operation:
    left = array(m, 1)
    stack, inner = shape_of(left.type)[:-2], shape_of(left.type)[-1]
    shape = m.one((inner,), (inner, m.one(*EXTENTS)), (*stack, inner, m.one(*EXTENTS)))
    return build.contract(left, of(m, m.one(*DTYPES), *shape))


def _transpose(m: Making) -> Operation:
    source = array(m, 1)
    axes = list(range(len(shape_of(source.type))))
    turn = m.number(0, len(axes) - 1)
    return build.transpose(source, axes[turn:] + axes[:turn])


def _slice(m: Making) -> Operation:
    source = array(m, 1)
    bounds: list[SSAValue] = []

    def bound() -> int | str | None:
        if m.number(0, 3) == 0:
            bounds.append(of(m, "i64"))
            return f"${len(bounds) - 1}"
        return None if m.sometimes() else m.number(-4, 4)

    axes = [AxisSlice(bound(), bound(), m.one(1, 2, -1, -3)) for _ in m.times(len(shape_of(source.type)))]
    return build.slices(source, SliceSpec(tuple(axes)), bounds)


def _index(m: Making) -> Operation:
    source = array(m, 1)
    return build.index(source, of(m, "i64"), axis_of(m, source))


def _expand(m: Making) -> Operation:
    source = array(m)
    return build.expand(source, m.number(0, len(shape_of(source.type))))


def _broadcast(m: Making) -> Operation:
    source = array(m, most=2)
    front = any_shape(m, 0, 1)
    shape = (*front, *(m.one(*EXTENTS) if extent == 1 else extent for extent in shape_of(source.type)))
    return build.broadcast(source, shape, [of(m, "i64") for _ in shape])


def _concat(m: Making) -> Operation:
    first = array(m, 1)
    others = [of(m, m.one(*DTYPES), *shape_of(first.type)) for _ in m.times()]
    return build.concat([first, *others], axis_of(m, first))


def _topk(m: Making) -> Operation:
    return build.topk(array(m, 1), of(m, "i64"), m.one("", "k", 0, 1))


def _empty(m: Making) -> Operation:
    type_ = array_type(m.one(*DTYPES), any_shape(m, 1))
    return memory.empty([of(m, "i64") for _ in shape_of(type_)], type_)


def _reference(m: Making) -> SSAValue:
    return m.fitting(
        lambda type_: isinstance(type_, RefType),
        lambda: RefType(array_type(m.one(*DTYPES), any_shape(m, 1))),
    )


def _write(m: Making) -> Operation:
    target = m.made(memory.read(_reference(m)))
    for view in ("array.slice", "array.index", "array.expand")[: m.number(0, 3)]:
        if view == "array.slice" and shape_of(target.type):
            target = m.made(build.slices(target, SliceSpec((AxisSlice(1, None, 2),))))
        elif view == "array.index" and shape_of(target.type):
            target = m.made(build.index(target, of(m, "i64"), 0))
        elif view == "array.expand":
            target = m.made(build.expand(target, 0))
    dtype = dtype_of(target.type)
    return memory.write(of(m, dtype, *m.one((), shape_of(target.type))), target)


def _reshape(m: Making) -> Operation:
    shape = any_shape(m, 1)
    return reshape(array(m, 1), [of(m, "i64") for _ in shape], shape)


def _attention(m: Making) -> Operation:
    dtype, stack = m.one(*FLOATS), m.one((), (4,), ("b", 4))
    steps: list[tuple[str, SSAValue | None]] = []
    for _ in m.times():
        kind = m.one(*STEPS)
        other = of(m, "bool" if kind == "where" else m.one(*FLOATS), *m.one((), ("s", "t")))
        steps.append((kind, None if arity[kind] == 1 else other))
    return products_build.attention(
        of(m, dtype, *stack, "s", 8),
        of(m, dtype, *(*stack[:-1], 2)[: len(stack)], "t", 8),
        of(m, dtype, *(*stack[:-1], 2)[: len(stack)], "t", "e"),
        of(m, m.one("f32", "f64")),
        causal=m.sometimes(),
        window=m.one(None, 1, 7),
        hidden=m.one(None, -1e9, 0.0),
        steps=steps,
    )


def _convolve(m: Making) -> Operation:
    channels = m.one(*EXTENTS)
    return products_build.convolve(
        of(m, m.one("f32", "f16"), m.one("b", 2), m.one("h", 9), m.one("w", 9), channels),
        of(m, m.one("f32", "f16"), 3, m.one("q", 2), channels, "o"),
        (m.number(1, 3), m.number(1, 3)),
        [m.number(0, 2) for _ in range(4)],
    )


BODY: Recipes = {
    "array.argreduce": _argreduce,
    "array.attention": _attention,
    "array.broadcast": _broadcast,
    "array.cast": inline(lambda m: build.cast(array(m), m.one(*DTYPES))),
    "array.concat": inline(_concat),
    "array.constant": _constant,
    "array.contract": _contract,
    "array.convolve": _convolve,
    "array.dim": along(build.dim),
    "array.elementwise": inline(_elementwise),
    "array.empty": _empty,
    "array.expand": _expand,
    "array.index": _index,
    "array.iota": lambda m: build.iota(of(m, "i64"), m.one("", "k", 4)),
    "array.launch": lambda m: LaunchOp(m.one("other", "size"), [array(m) for _ in m.times()], [f64]),
    "array.read": lambda m: memory.read(_reference(m)),
    "array.reduce": inline(_reduce),
    "array.require": lambda m: require(m.value(i1), m.one(*REASONS)),
    "array.reshape": _reshape,
    "array.slice": _slice,
    "array.softmax": along(build.softmax),
    "array.topk": _topk,
    "array.transpose": _transpose,
    "array.variable": lambda m: memory.variable(array(m, 1)),
    "array.write": _write,
}
"""Operations in the body of a kernel."""
