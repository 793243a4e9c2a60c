"""Kernels of the array dialect for tests: a way to write one, and Hypothesis strategies that invent them."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from attrs import frozen
from hypothesis import strategies as st
from xdsl.dialects.builtin import FileLineColLoc, FunctionType, IntAttr, ModuleOp, StringAttr
from xdsl.ir import Attribute, Operation, SSAValue

from flowc.dialects.array import KernelOp, ReturnOp, build, irregular, irregular_build, kinds, ops
from flowc.dialects.array.reference import numpy_dtypes
from flowc.dialects.array.slices import AxisSlice, SliceSpec
from flowc.dialects.array.types import Extent, ShapeError, array_type, dtype_of, is_float, shape_of

Draw = Callable[[st.SearchStrategy[Any]], Any]
Add = Callable[[Operation], SSAValue]

DTYPES = ("f64", "f32", "f16", "bf16", "i64", "i32", "i16", "i8", "u8", "bool")
TOLERANCE = {"f64": 1e-11, "f32": 2e-5, "f16": 4e-3, "bf16": 3e-2}


@frozen
class Program:
    """A kernel, alone in a module, and arguments for it."""

    module: ModuleOp
    kernel: KernelOp
    arguments: tuple[Any, ...]

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:
        printer.text(f"{self.module}\non {self.arguments}")


def make_kernel(
    parameters: Mapping[str, Attribute], body: Callable[..., Sequence[SSAValue] | SSAValue], name: str = "k"
) -> KernelOp:
    """A kernel with results `body(add, *arguments)`; each op gets a source line of its own."""
    kernel = KernelOp(name, (list(parameters.values()), []), arg_names=list(parameters))
    block = kernel.body.block

    def add(op: Operation) -> SSAValue:
        op.location = FileLineColLoc(StringAttr("k.flow"), IntAttr(len(block.ops) + 1), IntAttr(1))
        block.add_op(op)
        return op.results[0]

    returned = body(add, *block.args)
    values = [returned] if isinstance(returned, SSAValue) else list(returned)
    end = ReturnOp(*values)
    end.location = FileLineColLoc(StringAttr("k.flow"), IntAttr(len(block.ops) + 1), IntAttr(1))
    block.add_op(end)
    types = [value.type for value in values]
    kernel.properties["function_type"] = FunctionType.from_lists(list(parameters.values()), types)
    return kernel


def as_module(*kernels: KernelOp) -> ModuleOp:
    """The kernels in a module that verifies."""
    module = ModuleOp(list(kernels))
    module.verify()
    return module


def array_of(dtype: str, shape: Sequence[int], seed: int, special: bool = False) -> Any:
    """Numbers that add and multiply exactly: multiples of a quarter, with NaN and infinities if wanted."""
    rng = np.random.default_rng(seed)
    if not is_float(dtype):
        low, high = {"bool": (0, 2), "u8": (0, 11)}.get(dtype, (-5, 6))
        return rng.integers(low, high, shape).astype(numpy_dtypes[dtype])
    values = rng.integers(-8, 9, shape) / 4
    if special:
        odd = np.array([np.nan, np.inf, -np.inf, -0.0])
        values = np.where(rng.random(shape) < 0.15, odd[rng.integers(0, 4, shape)], values)
    return np.asarray(values).astype(numpy_dtypes[dtype])


def strided(array: Any, layout: int) -> Any:
    """The same values in another layout: as they are, column-major, every second element, or reversed."""
    if layout == 1 and array.ndim:
        return np.asfortranarray(array)
    if layout == 2 and array.ndim:
        wide = np.repeat(array, 2, axis=-1)
        return wide[..., ::2]
    if layout == 3 and array.ndim:
        return np.ascontiguousarray(array[::-1])[::-1]
    return array


def assert_close(got: Any, wanted: Any, dtype: str, factor: float = 1.0) -> None:
    """Same shape and dtype; equal for integers and bools, close for floats, NaN where NaN is wanted."""
    got, wanted = np.asarray(got), np.asarray(wanted)
    assert got.shape == wanted.shape
    assert got.dtype == wanted.dtype == numpy_dtypes[dtype]
    if not is_float(dtype):
        np.testing.assert_array_equal(got, wanted)
        return
    tolerance = TOLERANCE[dtype] * factor
    with np.errstate(all="ignore"):
        a, b = got.astype(np.float64), wanted.astype(np.float64)
        scale = float(np.max(np.abs(b[np.isfinite(b)]), initial=1.0))
        np.testing.assert_allclose(a, b, rtol=tolerance, atol=tolerance * scale)


@st.composite
def programs(draw: Draw, special: bool = False) -> Program:
    """A kernel of up to eight operators on one to three arguments, and arguments in any layout."""
    sizes = {name: draw(st.sampled_from([0, 1, 2, 3, 5, 17, 70])) for name in ("n", "m")}
    parameters: dict[str, Attribute] = {}
    arguments = []
    for number in range(draw(st.integers(1, 3))):
        dtype = draw(st.sampled_from(DTYPES))
        shape: list[Extent] = draw(st.lists(st.sampled_from(["n", "m", 1, 3]), max_size=3))
        parameters[f"a{number}"] = array_type(dtype, shape)
        concrete = [sizes[extent] if isinstance(extent, str) else extent for extent in shape]
        array = array_of(dtype, concrete, draw(st.integers(0, 999)), special)
        arguments.append(strided(array, draw(st.integers(0, 3))))

    def body(add: Add, *values: SSAValue) -> Sequence[SSAValue]:
        pool = list(values)
        for _ in range(draw(st.integers(1, 8))):
            pool += _step(draw, add, pool)
        return draw(st.lists(st.sampled_from(pool[len(values) :] or pool), min_size=1, max_size=2))

    kernel = make_kernel(parameters, body)
    return Program(as_module(kernel), kernel, tuple(arguments))


_EXACT = (
    "add", "sub", "mul", "minimum", "maximum", "neg", "abs", "where", "and", "or", "not", "bitand", "bitor",
    "bitxor", "invert", "shl", "shr",
)  # fmt: skip
_STEPPED = (
    "eq", "ne", "lt", "le", "gt", "ge", "sign", "floor", "ceil", "trunc", "round", "floordiv", "mod",
)  # fmt: skip
"""Operators whose results leap, so that they are applied to nothing that may be off by a rounding."""
_SMOOTH = (
    *kinds.TRANSCENDENTAL, *kinds.PAIRED, "isnan", "is_finite", "div", "pow",
)  # fmt: skip


def _step(draw: Draw, add: Add, pool: list[SSAValue]) -> list[SSAValue]:
    """One more operator, or none where what was drawn does not fit together."""
    makers = [_elementwise, _elementwise, _reduced, _viewed, _special, _irregular]
    try:
        return draw(st.sampled_from(makers))(draw, add, st.sampled_from(pool))
    except ShapeError:
        return []


def is_exact(value: SSAValue) -> bool:
    """Whether every way of computing the value gives the same bits."""
    op = value.owner
    if not isinstance(op, Operation):
        return True
    if isinstance(op, ops.ElementwiseOp) and op.kind.data in (*_SMOOTH, "mod", "floordiv"):
        return False
    if isinstance(op, ops.SoftmaxOp | ops.ContractOp | irregular.ScanOp):
        return False
    if isinstance(op, ops.ReduceOp) and op.kind.data in ("mean", "sum", "prod"):
        return False
    return all(map(is_exact, op.operands))


def _elementwise(draw: Draw, add: Add, pick: st.SearchStrategy[SSAValue]) -> list[SSAValue]:
    kind = draw(st.sampled_from(_EXACT + _STEPPED + _SMOOTH))
    operands = [draw(pick) for _ in range(kinds.arity[kind])]
    if draw(st.booleans()) and len(operands) > 1:
        dtype = build.weak_dtype(2, dtype_of(operands[0].type))
        operands[1] = add(build.constant(draw(st.integers(1, 3)), dtype))
    if kind in _STEPPED and not all(map(is_exact, operands)):
        return []
    if kind == "where" and dtype_of(operands[0].type) != "bool":
        if not is_exact(operands[0]):
            return []
        operands[0] = add(
            build.elementwise("gt", [operands[0], add(build.constant(0, dtype_of(operands[0].type)))])
        )
    return [add(build.elementwise(kind, operands))]


def _reduced(draw: Draw, add: Add, pick: st.SearchStrategy[SSAValue]) -> list[SSAValue]:
    source = draw(pick)
    rank = len(shape_of(source.type))
    axes = draw(st.sets(st.integers(0, rank - 1))) if rank else set()
    kind = draw(st.sampled_from(["sum", "mean", "max", "min", "any", "all"]))
    return [add(build.reduce(kind, source, sorted(axes) or None, draw(st.booleans())))]


def _viewed(draw: Draw, add: Add, pick: st.SearchStrategy[SSAValue]) -> list[SSAValue]:
    source = draw(pick)
    rank = len(shape_of(source.type))
    choice = draw(st.sampled_from(["transpose", "slice", "expand", "cast"]))
    if choice == "transpose":
        return [add(build.transpose(source, draw(st.permutations(range(rank)))))] if rank else []
    if choice == "expand":
        return [add(build.expand(source, draw(st.integers(0, rank))))] if rank < 4 else []
    if choice == "cast":
        return [add(build.cast(source, draw(st.sampled_from(DTYPES))))]
    bound = st.none() | st.integers(-4, 4)
    step = st.sampled_from([1, 1, 2, -1, -2])
    axes = tuple(AxisSlice(draw(bound), draw(bound), draw(step)) for _ in range(draw(st.integers(0, rank))))
    return [add(build.slices(source, SliceSpec(axes)))]


def _special(draw: Draw, add: Add, pick: st.SearchStrategy[SSAValue]) -> list[SSAValue]:
    choice = draw(st.sampled_from(["contract", "softmax", "cumsum", "concat", "dim"]))
    source = draw(pick)
    rank = len(shape_of(source.type))
    if choice == "contract":
        return [add(build.contract(source, draw(pick)))]
    if not rank:
        return []
    axis = draw(st.integers(0, rank - 1))
    if choice == "softmax":
        return [add(build.softmax(source, axis))]
    if choice == "cumsum":
        return [add(irregular_build.scan("sum", source, axis))]
    if choice == "concat":
        return [add(build.concat([source, draw(pick)], axis))]
    return [add(build.dim(source, axis))]


def _irregular(draw: Draw, add: Add, pick: st.SearchStrategy[SSAValue]) -> list[SSAValue]:
    """Operators that place by value: only of exact values, since equal ones keep their order."""
    source = draw(pick)
    rank = len(shape_of(source.type))
    if not rank or not is_exact(source):
        return []
    axis = draw(st.integers(0, rank - 1))
    choice = draw(st.sampled_from(["sort", "argsort", "scan", "argmax", "argmin", "topk", "searchsorted"]))
    if choice == "sort":
        return [add(irregular_build.sort(source, axis))]
    if choice == "argsort":
        return [add(irregular_build.argsort(source, axis))]
    if choice == "scan":
        return [add(irregular_build.scan(draw(st.sampled_from(["max", "min"])), source, axis))]
    if choice == "topk":
        best = build.topk(source, add(build.constant(1, "i64")))
        add(best)
        return [best.values, best.indices]
    if choice == "searchsorted":
        line = add(irregular_build.sort(source, 0)) if rank == 1 else None
        values = draw(pick)
        if line is None or dtype_of(values.type) != dtype_of(source.type) or not is_exact(values):
            return []
        return [add(irregular_build.searchsorted(line, values))]
    return [add(build.argreduce(choice, source, axis))]
