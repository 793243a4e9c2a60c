"""Programs of the shapes that numeric kernels have: products, attention, convolutions, statistics of rows."""

from collections.abc import Mapping, Sequence

from xdsl.ir import SSAValue

from flowc.dialects.array import build, irregular_build, products_build
from flowc.dialects.array.slices import AxisSlice
from flowc.dialects.array.types import Extent, ShapeError, dtype_of, is_float, shape_of
from flowc.testing.strategies.kernels import Add, Program, is_exact
from tests.kernels.sketch import FLOATS, NUMBERS, Sketch, number, pair, ranked, sliced, unary

RANKS = ((2, 2), (2, 2), (2, 2), (1, 2), (2, 1), (1, 1), (3, 3), (3, 2), (2, 3), (4, 3))
AFTER = ("none", "bias", "relu", "residual", "cast", "tanh", "rows", "columns")
LAST = ("none", "none", "sum", "max", "argmin", "argmax", "topk", "softmax", "both", "transpose")
STEPS = (
    "centre", "centre", "softmax", "sum", "mean", "max", "min", "argmax", "argmin", "topk", "norm", "scan",
    "product", "residual", "scale", "variance", "any", "shift", "reverse", "transpose", "cast", "count",
)  # fmt: skip


def contractions(sketch: Sketch) -> Program:
    """A product of vectors, matrices or stacks, transposed and cast in any way, and what often follows it."""
    n, m, k = sketch.axes(3)
    left_rank, right_rank = sketch.one(*RANKS)
    dtype = sketch.one(*NUMBERS)
    other = sketch.one(dtype, dtype, dtype, *NUMBERS)
    cast = sketch.one(None, None, "i32", "f32", "i64", "f64", "i16")
    stack = [sketch.extent(f"s{axis}", (0, 1, 2, 3)) for axis in range(2)]
    swaps = sketch.one(False, True), sketch.one(False, True)
    left = _operand(sketch, dtype, left_rank, stack, [n, k], swaps[0], 1)
    right = _operand(sketch, other, right_rank, stack, [k, m], swaps[1], 0)
    before = sketch.one(None, None, "neg", "scale")
    after = [sketch.one(*AFTER) for _ in range(sketch.one(0, 1, 2))]
    last, axis, count = sketch.one(*LAST), sketch.one(0, -1), sketch.one(1, 2, 3, 5)
    bias = sketch.array(sketch.one(dtype, "f32"), [m])
    early = sketch.one(False, True)

    def body(add: Add, *values: SSAValue) -> Sequence[SSAValue]:
        a, b = values[left], values[right]
        if cast is not None:
            a, b = add(build.cast(a, cast)), add(build.cast(b, cast))
        a = unary(add, "neg", a) if before == "neg" else a
        b = pair(add, "mul", b, number(add, 2, b)) if before == "scale" else b
        a, b = (_swapped(add, each) if swap else each for each, swap in zip((a, b), swaps, strict=True))
        norms = _norms(add, after, a, b) if early else {}
        product = add(build.contract(a, b))
        norms = norms or _norms(add, after, a, b)
        result = product
        for step in after:
            result = _followed(add, step, result, values[bias], norms)
        return _finished(add, last, product, result, axis, count)

    return sketch.done(body)


def _operand(
    sketch: Sketch, dtype: str, rank: int, stack: Sequence[str], axes: list[str], swap: bool, inner: int
) -> int:
    """An operand; a vector has the axis that is summed over."""
    if rank == 1:
        return sketch.array(dtype, [axes[inner]])
    own: list[Extent] = [sketch.one(name, name, 1) for name in stack[4 - rank :]]
    return sketch.array(dtype, [*own, *(reversed(axes) if swap else axes)])


def _swapped(add: Add, value: SSAValue) -> SSAValue:
    rank = len(shape_of(value.type))
    if rank == 1:
        return value
    return add(build.transpose(value, [*range(rank - 2), rank - 1, rank - 2]))


def _norms(add: Add, after: Sequence[str], a: SSAValue, b: SSAValue) -> dict[str, SSAValue]:
    """What the rows of a left operand and the columns of a right one give, as far as it is used."""
    found = {}
    if "rows" in after and len(shape_of(a.type)) == 2:
        found["rows"] = add(build.reduce("sum", a, [1], True))
    if "columns" in after and len(shape_of(b.type)) == 2:
        found["columns"] = add(build.reduce("max", pair(add, "mul", b, b), [0], True))
    return found


def _followed(
    add: Add, step: str, value: SSAValue, bias: SSAValue, norms: Mapping[str, SSAValue]
) -> SSAValue:
    rank, dtype = len(shape_of(value.type)), dtype_of(value.type)
    if step == "bias" and rank:
        return pair(add, "add", value, bias)
    if step == "relu":
        return pair(add, "maximum", value, number(add, 0, value))
    if step == "residual":
        return pair(add, "add", value, value)
    if step == "cast":
        return add(build.cast(value, "f32"))
    if step == "tanh" and is_float(dtype):
        return unary(add, "tanh", value)
    if step in norms and rank == 2:
        return pair(add, "sub" if step == "rows" else "add", value, norms[step])
    return value


def _finished(
    add: Add, last: str, product: SSAValue, value: SSAValue, axis: int, count: int
) -> Sequence[SSAValue]:
    if last == "both":
        return product, value
    if not shape_of(value.type):
        return [value]
    if last in ("sum", "max"):
        return [add(build.reduce(last, value, [axis]))]
    if last in ("argmin", "argmax") and "tanh" not in str(value.owner):
        return [add(build.argreduce(last, value, axis))]
    if last == "topk" and "tanh" not in str(value.owner):
        return ranked(add, value, count)[: 2 if axis else 1]
    if last == "softmax":
        return [add(build.softmax(value, axis))]
    return [add(build.transpose(value))] if last == "transpose" else [value]


def rows(sketch: Sketch) -> Program:
    """Normalisations and statistics of rows or columns of one or two arrays, one after the other."""
    rank = sketch.one(1, 2, 2, 2, 3)
    names = sketch.axes(rank)
    dtype = sketch.one(*FLOATS, *FLOATS, *NUMBERS)
    for shape in (names, names, names[-1:]):
        sketch.array(sketch.one(dtype, "f32"), shape)
    steps = [
        (
            sketch.one(*STEPS),
            sketch.one(*range(rank)),
            sketch.one(True, False),
            sketch.choices.number(0, 99),
        )
        for _ in range(sketch.one(1, 2, 3, 4, 5, 6))
    ]
    returned = sketch.choices.several(range(100), 1, 3)

    def body(add: Add, *values: SSAValue) -> Sequence[SSAValue]:
        pool = list(values)
        for name, axis, keep, chosen in steps:
            try:
                pool += _row_step(add, name, pool[chosen % len(pool)], axis, keep, pool)
            except ShapeError:
                continue
        found = pool[len(values) :] or pool[:1]
        return [found[-1 - number % len(found)] for number in returned]

    return sketch.done(body)


def _row_step(
    add: Add, name: str, value: SSAValue, axis: int, keep: bool, pool: Sequence[SSAValue]
) -> list[SSAValue]:
    rank = len(shape_of(value.type))
    axis %= max(rank, 1)
    if not rank or name == "residual":
        return [pair(add, "add", value, pool[0])]
    if name in ("argmax", "argmin", "topk", "count"):
        return _ranked_step(add, name, value, axis, keep) if is_exact(value) else []
    if name in ("centre", "variance", "norm"):
        return _normal_step(add, name, value, axis)
    if name in ("sum", "mean", "max", "min", "any"):
        return [add(build.reduce(name, value, [axis], keep))]
    if name == "softmax":
        return [add(build.softmax(value, axis))]
    if name == "scan":
        return [add(irregular_build.scan("max" if keep else "sum", value, axis))]
    if name in ("product", "scale"):
        return [pair(add, "mul", value, pool[-1 if name == "product" else 2])]
    if name == "shift":
        apart = sliced(add, value, axis, AxisSlice(1, None)), sliced(add, value, axis, AxisSlice(None, -1))
        return [pair(add, "sub", *apart)]
    if name == "reverse":
        return [sliced(add, value, axis, AxisSlice(None, None, -1))]
    if name == "transpose":
        return [add(build.transpose(value))]
    return [add(build.cast(value, "f64" if keep and is_exact(value) else "f16"))]


def _ranked_step(add: Add, name: str, value: SSAValue, axis: int, keep: bool) -> list[SSAValue]:
    if name == "topk":
        return ranked(add, value, axis + 1)[0 if keep else 1 :]
    if name == "count":
        positive = pair(add, "gt", value, number(add, 0, value))
        return [add(build.reduce("sum", positive, [axis], keep))]
    return [add(build.argreduce(name, value, axis, keep))]


def _normal_step(add: Add, name: str, value: SSAValue, axis: int) -> list[SSAValue]:
    if name == "centre":
        return [pair(add, "sub", value, add(build.reduce("max", value, [axis], True)))]
    if name == "variance":
        apart = pair(add, "sub", value, add(build.reduce("mean", value, [axis], True)))
        return [add(build.reduce("mean", pair(add, "mul", apart, apart), [axis], True)), apart]
    squares = add(build.reduce("sum", pair(add, "mul", value, value), [axis], True))
    length = pair(add, "add", unary(add, "sqrt", squares), number(add, 1, value))
    return [pair(add, "div", value, length)]


def attentions(sketch: Sketch) -> Program:
    """Attention with every option."""
    length, keys = sketch.extent("n"), sketch.extent("m")
    features, width = sketch.extent("k", (0, 1, 3, 8, 16, 17, 64)), sketch.extent("v", (0, 1, 5, 16, 33, 64))
    rank, dtype = sketch.one(2, 3, 4), sketch.one(*FLOATS)
    heads, shared = sketch.one((1, 1), (2, 2), (4, 2), (3, 1), (0, 1)) if rank > 2 else (1, 1)
    batch: list[Extent] = [2] if rank == 4 else []
    many, few = ([*batch, heads], [*batch, shared]) if rank > 2 else ([], [])
    sketch.array(dtype, [*many, length, features])
    sketch.array(dtype, [*few, keys, features])
    sketch.special, special = False, sketch.special  # a NaN that a mask hides may show or not
    sketch.array(dtype, [*few, keys, width])
    sketch.special = special
    mask = sketch.one(None, None, "bool", "f32", dtype)
    if mask is not None:
        shape: list[Extent] = [sketch.one(length, 1), sketch.one(keys, 1)]
        sketch.array(mask, [sketch.one(heads, 1), *shape] if rank > 2 and sketch.one(True, False) else shape)
    bounded = sketch.one(True, False)
    causal, window, scale = sketch.one(True, False), sketch.one(None, None, 1, 2, 17), sketch.one(None, 0.5)

    def body(add: Add, q: SSAValue, k: SSAValue, v: SSAValue, mask: SSAValue | None = None) -> SSAValue:
        factor = products_build.scale_of(add, q, scale)
        steps = [("tanh", None), ("mul", add(build.constant(3.0, dtype)))] if bounded else []
        return add(products_build.attention(q, k, v, factor, mask, causal, window, steps=steps))

    return sketch.done(body)


def convolutions(sketch: Sketch) -> Program:
    """Convolutions with strides and padding."""
    dtype = sketch.one(*NUMBERS)
    images, channels, filters = sketch.one(0, 1, 2), sketch.one(0, 1, 3, 16), sketch.one(0, 1, 5, 16, 17, 33)
    height, width = sketch.extent("n", (0, 1, 2, 5, 7, 16, 33)), sketch.extent("m", (0, 1, 3, 6, 17, 49))
    sketch.array(dtype, [images, height, width, channels])
    sketch.array(sketch.one(dtype, "f32"), [sketch.one(1, 2, 3), sketch.one(1, 3, 5), channels, filters])
    stride = [sketch.one(1, 1, 2, 3) for _ in range(2)]
    padding = [sketch.one(0, 0, 1, 2) for _ in range(4)]
    relu = sketch.one(True, False)

    def body(add: Add, source: SSAValue, filters: SSAValue) -> SSAValue:
        result = add(products_build.convolve(source, filters, stride, padding))
        return pair(add, "maximum", result, number(add, 0, result)) if relu else result

    return sketch.done(body)
