"""The roles in a product of two arrays: which elements meet, which operand lies in memory as it is read."""

from collections.abc import Callable, Sequence

from attrs import evolve, frozen
from xdsl.dialects import arith, memref
from xdsl.dialects.builtin import DYNAMIC_INDEX, MemRefType, f32, f64, i1
from xdsl.ir import SSAValue

from flowc.dialects import loops
from flowc.dialects.array import ops
from flowc.dialects.array.types import bits, dtype_of, is_float, shape_of
from flowc.passes.array_to_loops import scalars
from flowc.passes.array_to_loops.builder import REASSOCIATE, Index, LoopBuilder
from flowc.passes.array_to_loops.elements import Lowering, aligned
from flowc.passes.array_to_loops.stored import contiguous_axis, located, stored_as, stored_as_held

NARROW = {True: "bf16", False: "i8"}
"""What is widened for a product of floats, and for one of integers."""

WIDENED = {"bf16": ("f32",), "i8": ("i16", "i32", "i64")}
"""The dtypes in which narrow numbers stay what they are."""

DEPTH, SIDE = "depth", "side"
"""The axes of an operand: along the contraction, and along the rows or columns of the result."""

LINE = 64
"""Bytes of a cache line."""

Stack = Sequence[Index]


@frozen
class Operand:
    """One side of a product.

    `element(stack, side, depth)` is an element in the dtype of the product, computed where it is asked for.
    `place` says where it lies, if it lies in memory just so. `contiguous` is the axis along which neighbours
    lie together, if any. `narrow` is the operand as numbers in memory that are widened for the product:
    signed bytes for one of integers, bf16 for one of floats. `inner` is `element` for steps other than the
    last, where those are simpler.
    """

    element: Callable[[Stack, Index, Index], SSAValue]
    place: Callable[[Stack, Index, Index], tuple[SSAValue, list[Index]]] | None
    contiguous: str | None
    narrow: "Operand | None" = None
    inner: Callable[[Stack, Index, Index], SSAValue] | None = None

    def stored_as(self, dtype: str) -> tuple["Operand", int]:
        """The operand as it lies in memory, if it does, with the bytes of an element of it."""
        if self.narrow is None:
            return self, max(bits(dtype) // 8, 1)
        return self.narrow, bits(NARROW[is_float(dtype)]) // 8

    def prefetch(self, s: Lowering, at: Stack, side: Index, low: Index, high: Index, size: int) -> None:
        """Asks for part of a row of elements of `size` bytes, which need not exist, if it lies as one."""
        if self.place is None or self.contiguous != DEPTH:
            return

        def line(k: SSAValue, _: tuple[SSAValue, ...]) -> Sequence[SSAValue]:
            self.ask(s, at, side, k)
            return ()

        s.b.loop(low, high, (), line, step=max(LINE // size, 1), plain=True)

    def ask(self, s: Lowering, at: Stack, side: Index, depth: Index) -> None:
        """Asks for the line of an element, which lies in memory but need not exist."""
        assert self.place is not None
        buffer, position = self.place(at, side, depth)
        s.b.append(loops.PrefetchOp(buffer, [s.b.index(i) for i in position]))

    def shifted(self, b: LoopBuilder, side: Index) -> "Operand":
        """The operand from a position of its side on."""
        place, inner = self.place, self.inner
        return evolve(
            self,
            element=lambda at, i, k: self.element(at, b.add(side, i), k),
            place=None if place is None else lambda at, i, k: place(at, b.add(side, i), k),
            inner=None if inner is None else lambda at, i, k: inner(at, b.add(side, i), k),
            narrow=None if self.narrow is None else self.narrow.shifted(b, side),
        )

    def deeper(self, b: LoopBuilder, depth: Index) -> "Operand":
        """The operand from a step of the contraction on."""
        place, inner = self.place, self.inner
        return evolve(
            self,
            element=lambda at, i, k: self.element(at, i, b.add(depth, k)),
            place=None if place is None else lambda at, i, k: place(at, i, b.add(depth, k)),
            inner=None if inner is None else lambda at, i, k: inner(at, i, b.add(depth, k)),
            narrow=None if self.narrow is None else self.narrow.deeper(b, depth),
        )


@frozen
class Product:
    """`result[..., i, j] = sum over k of left[..., i, k] * right[..., k, j]`. Where `folded` is not empty the
    rows are those of a stack of matrices, one after the other; it has the extents of that stack. Where there
    is `single`, the elements are words of several steps each of that product, whose first `skipped` words are
    left out."""

    dtype: str
    stack: tuple[Index, ...]
    rows: Index
    columns: Index
    depth: Index
    left: Operand
    right: Operand
    folded: tuple[Index, ...] = ()
    single: "Product | None" = None
    skipped: Index = 0

    @property
    def together(self) -> int:
        """Steps of `single` in an element."""
        return 1 if self.single is None else 32 // bits(NARROW[is_float(self.single.dtype)])

    def transposed(self) -> "Product":
        """The product whose result has rows and columns exchanged."""
        return evolve(self, rows=self.columns, columns=self.rows, left=self.right, right=self.left)

    def of_depth(self, b: LoopBuilder, low: Index, count: Index) -> "Product":
        """Part of the sums."""
        left, right = self.left.deeper(b, low), self.right.deeper(b, low)
        return evolve(self, depth=count, left=left, right=right, skipped=b.add(self.skipped, low))

    def of_columns(self, b: LoopBuilder, low: Index, count: Index) -> "Product":
        """The product of some of the columns."""
        if low == 0:
            return evolve(self, columns=count)
        return evolve(self, columns=count, right=self.right.shifted(b, low))


def product_of(s: Lowering, op: ops.ContractOp) -> Product:
    """The roles of the operands of `@`; a vector is a matrix of one row or one column."""
    dtype = dtype_of(op.result.type)
    left_sizes, right_sizes = s.sizes(op.left), s.sizes(op.right)
    is_row, is_column = len(left_sizes) == 1, len(right_sizes) == 1
    stack = s.sizes(op.result)[: max(len(left_sizes), len(right_sizes), 2) - 2]
    if len(right_sizes) == 2 and len(left_sizes) > 2 and op.left in s.contiguous and op.left in s.buffers:
        return _folded(s, op, dtype, left_sizes, right_sizes)
    return Product(
        dtype=dtype,
        stack=tuple(stack),
        rows=1 if is_row else left_sizes[-2],
        columns=1 if is_column else right_sizes[-1],
        depth=left_sizes[-1],
        left=operand_of(s, op.left, dtype, side=None if is_row else 0),
        right=operand_of(s, op.right, dtype, side=None if is_column else 1),
    )


def _folded(
    s: Lowering, op: ops.ContractOp, dtype: str, left: Sequence[Index], right: Sequence[Index]
) -> Product:
    """A stack of matrices, which lie one after the other, times one matrix: a product of two matrices."""
    *stack, depth = left
    rows: Index = 1
    for extent in stack:
        rows = s.b.mul(rows, extent)
    buffer = _as_matrix(s, s.buffers[op.left], rows, depth)
    stored = stored_as_held(s, op.left, dtype)

    def element(_: Stack, i: Index, k: Index) -> SSAValue:
        own = dtype_of(op.left.type)
        held = scalars.load(s.b, buffer, [i, k], own)
        same = scalars.held_type(own) == scalars.held_type(dtype)
        return held if same else scalars.convert(s.b, held, own, dtype)

    def place(_: Stack, i: Index, k: Index) -> tuple[SSAValue, list[Index]]:
        return buffer, [i, k]

    half = scalars.element_type(buffer) == scalars.stored_type("bf16")
    narrow = Operand(element, place, DEPTH) if half else None
    return Product(
        dtype=dtype,
        stack=(),
        rows=rows,
        columns=right[1],
        depth=depth,
        left=Operand(element, place if stored else None, DEPTH, narrow),
        right=operand_of(s, op.right, dtype, side=1),
        folded=tuple(stack),
    )


def _as_matrix(s: Lowering, buffer: SSAValue, rows: Index, columns: Index) -> SSAValue:
    """Dense memory as rows of so many columns."""
    shape = [extent if isinstance(extent, int) else DYNAMIC_INDEX for extent in (rows, columns)]
    type_ = MemRefType(scalars.element_type(buffer), shape)
    extents = [rows, columns]
    return s.b.insert(memref.ReinterpretCastOp.from_dynamic(buffer, [0], extents, [columns, 1], type_))


def operand_of(s: Lowering, value: SSAValue, dtype: str, side: int | None) -> Operand:
    """An operand whose side is its last axis but one (0), its last (1), or which is a vector (None)."""
    return evolve(
        _operand(s, value, dtype, side, stored_as_held(s, value, dtype)),
        narrow=_narrow(s, value, dtype, side),
    )


def _operand(s: Lowering, value: SSAValue, dtype: str, side: int | None, in_memory: bool) -> Operand:
    def position(at: Stack, i: Index, k: Index) -> tuple[Index, ...]:
        inner = (k,) if side is None else (k, i) if side else (i, k)
        return aligned(value, (*at, *inner))

    axis = contiguous_axis(s, value)
    rank = len(shape_of(value.type))
    names = {rank - 1: SIDE if side else DEPTH, rank - 2: DEPTH if side else SIDE}
    return Operand(
        element=lambda at, i, k: s.as_dtype(value, position(at, i, k), dtype),
        place=(lambda at, i, k: located(s, value, position(at, i, k))) if in_memory else None,
        contiguous=names.get(axis) if axis is not None else None,
    )


def _narrow(s: Lowering, value: SSAValue, dtype: str, side: int | None) -> Operand | None:
    """The narrow numbers in memory that an operand's numbers are."""
    narrow = NARROW[is_float(dtype)]
    lies = stored_as(s, value, narrow, scalars.stored_type(narrow), WIDENED[narrow])
    return _operand(s, value, dtype, side, in_memory=True) if lies else None


def multiplied(b: LoopBuilder, a: SSAValue, c: SSAValue) -> SSAValue:
    """The product of two held numbers."""
    if a.type in (f32, f64):
        return b.insert(arith.MulfOp(a, c, REASSOCIATE))
    return b.insert((arith.AndIOp if a.type == i1 else arith.MuliOp)(a, c))
