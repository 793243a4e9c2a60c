"""The roles in a product on a device: which numbers meet, where they lie, and where a result belongs."""

from collections.abc import Callable, Sequence

from attrs import evolve, frozen
from xdsl.dialects import memref
from xdsl.dialects.builtin import DYNAMIC_INDEX, MemRefType, NoneAttr
from xdsl.ir import Block, Operation, SSAValue

from flowc.dialects.array import ops
from flowc.dialects.array.types import dtype_of, is_float, shape_of
from flowc.passes.array_to_gpu.contract.numbers import Numbers, numbers_of
from flowc.passes.array_to_gpu.launch import unravelled
from flowc.passes.array_to_gpu.lowering import DeviceLowering
from flowc.passes.array_to_loops import scalars
from flowc.passes.array_to_loops.builder import Index, index_type
from flowc.passes.array_to_loops.elements import Indices, aligned
from flowc.passes.array_to_loops.stored import contiguous_axis, is_viewed, located

DEPTH, SIDE = "depth", "side"
"""The axes of a factor: along the contraction, and along the rows or columns of the result."""
Stack = tuple[Index, ...]
WORDS_DEEP = 1 << 16
"""Products of two bytes, each at most 2**14, of which 32 bits hold the sum."""

_WIDER = {
    "f16": ("f32", "f64"), "bf16": ("f32", "f64"), "f32": ("f64",),
    "i8": ("i16", "i32", "i64", "f16", "bf16", "f32", "f64"),
    "u8": ("i16", "i32", "i64", "f16", "bf16", "f32", "f64"),
    "i16": ("i32", "i64", "f32", "f64"), "i32": ("i64", "f64"),
}  # fmt: skip
"""The dtypes that have every number of another."""


@frozen
class Factor:
    """One side of a product.

    `element(stack, side, depth)` is a number in the dtype of the product, computed where it is asked for.
    `place` says where it lies, if it lies in memory, as a number of `stored`, which has no more bits.
    `inside` says of a position whether there is anything; else the number is 0, and nothing may be read.
    Neighbours lie together along the `contiguous` axis, if along any; with `dense`, so many as a vector has
    lie in memory one behind the other, where the extent along that axis is a multiple of their number.
    """

    element: Callable[[Stack, Index, Index], SSAValue]
    place: Callable[[Stack, Index, Index], tuple[SSAValue, Sequence[Index]]] | None
    stored: str
    contiguous: str | None
    dense: bool
    inside: Callable[[Stack, Index, Index], SSAValue] | None = None


@frozen
class Problem:
    """`result[..., i, j] = sum over k of left[..., i, k] * right[..., k, j]`.

    `tensor` is the dtype in which tensor cores may multiply the factors, empty if none. `position` is where
    in the result an element belongs. Only within each `run` steps of the contraction neighbours lie together.
    """

    op: Operation
    numbers: Numbers
    tensor: str
    stack: Stack
    rows: Index
    columns: Index
    depth: Index
    left: Factor
    right: Factor
    position: Callable[[Stack, Index, Index], Indices]
    run: Index

    def transposed(self) -> "Problem":
        """The product whose result has rows and columns exchanged."""
        return evolve(
            self,
            rows=self.columns,
            columns=self.rows,
            left=self.right,
            right=self.left,
            position=lambda at, i, j: self.position(at, j, i),
        )


def problem_of(s: DeviceLowering, op: ops.ContractOp) -> Problem:
    """The roles in `@`; a vector is a matrix of one row or one column."""
    dtype = dtype_of(op.result.type)
    left, right = s.sizes(op.left), s.sizes(op.right)
    is_row, is_column = len(left) == 1, len(right) == 1
    stack = tuple(s.sizes(op.result)[: max(len(left), len(right), 2) - 2])
    folds = len(right) == 2 and len(left) > 2 and op.left in s.contiguous and op.left in s.buffers

    def position(at: Stack, i: Index, j: Index) -> Indices:
        rows = unravelled(s, i, left[:-1]) if folds else () if is_row else (i,)
        return (*at, *rows, *(() if is_column else (j,)))

    return Problem(
        op=op,
        numbers=numbers_of(dtype),
        tensor=_tensor(s, op, left[-1]),
        stack=() if folds else stack,
        rows=1 if is_row else s.top.product(left[:-1]) if folds else left[-2],
        columns=1 if is_column else right[-1],
        depth=left[-1],
        left=_folded(s, op.left, dtype) if folds else factor_of(s, op.left, dtype, None if is_row else 0),
        right=factor_of(s, op.right, dtype, None if is_column else 1),
        position=position,
        run=left[-1],
    )


def _tensor(s: DeviceLowering, op: ops.ContractOp, depth: Index) -> str:
    """The dtype in which tensor cores may multiply, whose sums come in no fixed order."""
    dtype = dtype_of(op.result.type)
    narrow = {narrowed(s, op.left)[0], narrowed(s, op.right)[0]}
    return tensor_dtype(s, dtype, narrow, depth)


def tensor_dtype(s: DeviceLowering, dtype: str, narrow: set[str], depth: Index) -> str:
    """The dtype in which tensor cores may multiply numbers of some dtypes for a product of one."""
    own = narrow.pop() if len(narrow) == 1 else ""
    if is_float(dtype):
        half = dtype if dtype in ("f16", "bf16") else own if dtype == "f32" and own in ("f16", "bf16") else ""
        return "" if s.ordered else half
    if own not in ("i8", "u8") or dtype == "bool":
        return ""
    shallow = isinstance(depth, int) and depth <= WORDS_DEEP
    return own if dtype != "i64" or (shallow and own == "i8") else ""


def narrowed(s: DeviceLowering, value: SSAValue) -> tuple[str, bool]:
    """The dtype of the numbers that those of a value are, perhaps widened, and whether they lie in memory."""
    target = dtype_of(value.type)
    while value not in s.buffers and value not in s.tiles and value not in s.registers:
        op = value.owner
        if isinstance(op, ops.CastOp):
            if target not in _WIDER.get(dtype_of(op.source.type), ()) and dtype_of(op.source.type) != target:
                break
        elif not is_viewed(op, s):
            break
        assert isinstance(op, Operation)
        value = op.operands[0]
    return dtype_of(value.type), value in s.buffers and value not in s.tiles


def factor_of(s: DeviceLowering, value: SSAValue, dtype: str, side: int | None) -> Factor:
    """A factor whose side is its last axis but one (0), its last (1), or which is a vector (None)."""

    def position(at: Stack, i: Index, k: Index) -> Indices:
        inner = (k,) if side is None else (k, i) if side else (i, k)
        return aligned(value, (*at, *inner))

    stored, lies = narrowed(s, value)
    axis, rank = contiguous_axis(s, value), len(shape_of(value.type))
    names = {rank - 1: SIDE if side else DEPTH, rank - 2: DEPTH if side else SIDE}
    contiguous = names.get(axis) if axis is not None else None

    def place(at: Stack, i: Index, k: Index) -> tuple[SSAValue, Sequence[Index]]:
        return located(s, value, position(at, i, k))

    return Factor(
        element=lambda at, i, k: s.as_dtype(value, position(at, i, k), dtype),
        place=place if lies else None,
        stored=stored,
        contiguous=contiguous,
        dense=lies and contiguous is not None and _is_dense(s, place, rank, contiguous),
    )


def _is_dense(
    s: DeviceLowering,
    place: Callable[[Stack, Index, Index], tuple[SSAValue, Sequence[Index]]],
    rank: int,
    axis: str,
) -> bool:
    """Whether neighbours along an axis lie behind one another in dense memory: found in code that is thrown
    away."""
    outer = s.b.block
    s.b.block = Block(arg_types=[index_type] * max(rank, 2))
    *stack, side, depth = s.b.block.args
    buffer, at = place(tuple(stack), side, depth)
    s.b.block = outer
    base = depth if axis == DEPTH else side
    return is_packed(buffer) and bool(at) and at[-1] is base and not any(each is base for each in at[:-1])


def is_packed(buffer: SSAValue) -> bool:
    """Whether memory lies in row-major order without gaps."""
    return isinstance(buffer.type, MemRefType) and isinstance(buffer.type.layout, NoneAttr)


def _folded(s: DeviceLowering, value: SSAValue, dtype: str) -> Factor:
    """A stack of matrices that lie one after the other, as one matrix."""
    *stack, depth = s.sizes(value)
    matrix = as_matrix(s, s.buffers[value], s.top.product(stack), depth)
    own = dtype_of(value.type)

    def element(_: Stack, i: Index, k: Index) -> SSAValue:
        held = scalars.load(s.b, matrix, [i, k], own)
        return held if own == dtype else scalars.convert(s.b, held, own, dtype)

    return Factor(element, lambda _, i, k: (matrix, [i, k]), own, DEPTH, dense=True)


def as_matrix(s: DeviceLowering, buffer: SSAValue, rows: Index, columns: Index) -> SSAValue:
    """Dense memory as rows of so many columns."""
    shape = [extent if isinstance(extent, int) else DYNAMIC_INDEX for extent in (rows, columns)]
    type_ = MemRefType(scalars.element_type(buffer), shape)
    return s.b.insert(
        memref.ReinterpretCastOp.from_dynamic(buffer, [0], [rows, columns], [columns, 1], type_)
    )
