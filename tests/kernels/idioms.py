"""Programs of the forms that passes over kernels look for, as people write them."""

from collections.abc import Sequence

from xdsl.dialects import scf
from xdsl.ir import Block, Region, SSAValue

from flowc.dialects.array import build, irregular_build, memory
from flowc.dialects.array.slices import AxisSlice, SliceSpec
from flowc.dialects.array.types import array_type, shape_of
from flowc.testing.strategies.kernel_building import adding_to, place
from flowc.testing.strategies.kernels import Add, Program
from tests.kernels.sketch import FLOATS, Sketch, number, pair, unary


def attended(sketch: Sketch) -> Program:
    """softmax(scale * q @ k.T) @ v, by an operator or by hand, with a mask or without."""
    n, m, k, v = (sketch.extent(name, (1, 2, 3, 8, 17)) for name in "nmkv")
    dtype = sketch.one("f32", "f32", "f64", "f16")
    for shape in ([n, k], [m, k], [m, v], [n, m]):
        sketch.array(dtype, shape)
    by_hand, masked, late = (sketch.one(False, True) for _ in range(3))

    def body(add: Add, q: SSAValue, k: SSAValue, v: SSAValue, mask: SSAValue) -> SSAValue:
        scores = add(build.contract(q, add(build.transpose(k))))
        scores = pair(add, "mul", scores, number(add, 0.5, scores))
        if masked:
            scores = pair(add, "add", scores, mask)
        if not by_hand:
            return add(build.contract(add(build.softmax(scores, 1)), v))
        apart = pair(add, "sub", scores, add(build.reduce("max", scores, [1], True)))
        power = unary(add, "exp", apart)
        total = add(build.reduce("sum", power, [1], True))
        if late:
            return pair(add, "div", add(build.contract(power, v)), total)
        return add(build.contract(pair(add, "div", power, total), v))

    return sketch.done(body)


def scaled(sketch: Sketch) -> Program:
    """Products of rows over their lengths, and sums of few columns."""
    n, m = sketch.extent("n"), sketch.extent("m", (1, 2, 3, 8, 17, 64))
    dtype, kind = sketch.one(*FLOATS), sketch.one("cosine", "short", "turned")
    sketch.array(dtype, [n, 3 if kind == "short" else m])
    sketch.array(dtype, [m])

    def body(add: Add, x: SSAValue, y: SSAValue) -> SSAValue:
        squares = add(build.reduce("sum", pair(add, "mul", x, x), [1], True))
        if kind == "short":
            return squares
        length = pair(add, "add", unary(add, "sqrt", squares), number(add, 1, squares))
        rows = pair(add, "div", x, length)
        if kind == "turned":
            return add(build.contract(rows, add(build.transpose(pair(add, "add", x, x)))))
        return add(build.contract(rows, y))

    return sketch.done(body)


def byte_dots(sketch: Sketch) -> Program:
    """sum(a * b) along rows of bytes that are widened before, or after, and what only looks like it."""
    n, m = sketch.extent("n"), sketch.extent("m", (0, 1, 2, 3, 8, 17, 64, 257))
    kinds = [sketch.one(*["i8"] * 8, "u8", "i16") for _ in range(2)]
    rows, line = sketch.array(kinds[0], [n, m]), sketch.array(kinds[1], [m])
    wide = sketch.one("i32", "i32", "i32", "i64", "i64", "i16", "f32")
    exchanged, squared, keep = sketch.one(False, True), *(sketch.choices.seldom(8) for _ in range(2))
    last = sketch.one("none", "none", "i32", "i32", "i32", "i64", "bias", "both")

    def body(add: Add, *values: SSAValue) -> Sequence[SSAValue]:
        matrix = add(build.cast(values[rows], wide))
        vector = matrix if squared else add(build.cast(values[line], wide))
        terms = pair(add, "mul", vector, matrix) if exchanged else pair(add, "mul", matrix, vector)
        total = add(build.reduce("sum", terms, [1], keep))
        if last in ("i32", "i64"):
            return [add(build.cast(total, last))]
        if last == "bias":
            return [pair(add, "add", total, number(add, 3, total))]
        return [total, terms] if last == "both" else [total]

    return sketch.done(body)


def turned(sketch: Sketch) -> Program:
    """Operators on a matrix that is transposed, once or twice."""
    shape = [sketch.extent("n"), sketch.extent("m")]
    dtype = sketch.one("f64", "f32", "f16", "bf16", "i64", "i32")
    first, second = sketch.array(dtype, shape), sketch.array(dtype, shape)
    before = sketch.one("none", "abs", "add", "both")
    after = sketch.one("none", "sum", "scan", "slice", "turn")

    def body(add: Add, *values: SSAValue) -> SSAValue:
        value = add(build.transpose(values[first]))
        if before == "abs":
            value = unary(add, "abs", value)
        elif before != "none":
            other = add(build.transpose(values[second])) if before == "both" else number(add, 2, value)
            value = pair(add, "add", value, other)
        match after:
            case "sum":
                return add(build.reduce("sum", value, [1], sketch.sizes["n"] == 1))
            case "scan":
                return add(irregular_build.scan("max", value, 0))
            case "slice":
                return add(build.slices(value, SliceSpec((AxisSlice(None, None, -1), AxisSlice(0, 2)))))
            case "turn":
                return add(build.transpose(value))
        return value

    return sketch.done(body)


def rounds(sketch: Sketch) -> Program:
    """`for i in range(n): out[i] = x[i] @ w`."""
    n, k, m = (sketch.extent(name, (1, 2, 5, 8, 33)) for name in "nkm")
    dtype = sketch.one("f32", "f64", "i32")
    sketch.array(dtype, [n, k])
    sketch.array(dtype, [k, m])

    def body(add: Add, x: SSAValue, w: SSAValue) -> SSAValue:
        extents = add(build.dim(x, 0)), add(build.dim(w, 1))
        shape = (shape_of(x.type)[0], shape_of(w.type)[1])
        zero = add(build.broadcast(add(build.constant(0, dtype)), shape, extents))
        ref = add(memory.variable(zero))
        block = Block(arg_types=[array_type("i64", ())])
        inner = adding_to(block)
        row = inner(build.index(x, block.args[0]))
        product = inner(build.contract(row, w))
        target = inner(build.index(inner(memory.read(ref)), block.args[0]))
        place(block, memory.write(product, target))
        place(block, scf.YieldOp())
        assert isinstance(x.owner, Block)
        low, step = add(build.constant(0, "i64")), add(build.constant(1, "i64"))
        place(x.owner, scf.ForOp(low, extents[0], step, [], Region(block)))
        return add(memory.read(ref))

    return sketch.done(body)
