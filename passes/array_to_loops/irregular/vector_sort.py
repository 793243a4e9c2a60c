"""sort and argsort with vectors, for processors that can pack what a mask picks (AVX-512).

For argsort of keys of 32 bits a key and its position are one number of 64, so equal keys keep their order.
"""

from collections.abc import Sequence

from xdsl.dialects import arith
from xdsl.dialects.builtin import i32, i64
from xdsl.ir import SSAValue

from flowc.dialects.array import irregular
from flowc.dialects.array.types import dtype_of
from flowc.passes.array_to_loops import scalars
from flowc.passes.array_to_loops.builder import Index
from flowc.passes.array_to_loops.elements import Lowering
from flowc.passes.array_to_loops.irregular.buckets import NANOSECONDS, Vector, sort_vector
from flowc.passes.array_to_loops.irregular.keys import decode, encode, key_form
from flowc.passes.array_to_loops.irregular.partition import KeyVectors, Row
from flowc.passes.array_to_loops.irregular.quick import STACK, Work, quicksort
from flowc.passes.array_to_loops.irregular.ranges import in_blocks, rows

PACKING_BITS = 512
"""Vectors of this width can be packed by one instruction."""
POSITION_BITS = 32


def sorts_by_vectors(s: Lowering, op: irregular.SortOp | irregular.ArgsortOp) -> bool:
    """Whether `lower_by_vectors` is for this operator and processor."""
    form = key_form(dtype_of(op.source.type))
    positions = isinstance(op, irregular.ArgsortOp)
    wide = form.width + (POSITION_BITS if positions else 0)
    return s.vector_bits >= PACKING_BITS and form.digits >= (3 if positions else 2) and wide <= 64


def lower_by_vectors(s: Lowering, op: irregular.SortOp | irregular.ArgsortOp, destination: SSAValue) -> None:
    """Sorts each line along the axis."""
    b, axis = s.b, op.axis.value.data
    form, positions = key_form(dtype_of(op.source.type)), isinstance(op, irregular.ArgsortOp)
    type_ = i64 if positions or form.width == 64 else i32
    vectors = KeyVectors(b, type_, s.vector_bits // type_.width.data)
    sizes = s.sizes(op.source)
    extent = sizes[axis]
    outer = [size for k, size in enumerate(sizes) if k != axis]

    def line(at: tuple[Index, ...], keys: SSAValue, stack: SSAValue | None = None) -> None:
        def place(i: Index) -> Sequence[Index]:
            return (*at[:axis], i, *at[axis:])

        def key_of(i: Index) -> SSAValue:
            key = encode(b, form, s.element(op.source, place(i)), zeros_equal=positions)
            return _with_position(s, key, i) if positions else key

        def emit(row: Row, low: Index, high: Index) -> None:
            def one(i: Index) -> None:
                key = b.load(row.buffer, [*row.at, i])
                if positions:
                    b.store(_position(s, key), destination, place(i))
                else:
                    scalars.store(b, decode(b, form, key), destination, place(i))

            in_blocks(b, low, high, one)

        if stack is None:
            sort_vector(Vector(vectors, keys, extent, key_of), emit)
            return

        in_blocks(b, 0, extent, lambda i: b.store(key_of(i), keys, [0, i]))
        work = Work(vectors, Row(keys, [0]), Row(keys, [1]), stack)
        quicksort(work, 0, extent, (b.constant(0, type_), b.constant(-1, type_)))
        emit(work.row, 0, extent)

    wanted = [(type_, [2, extent]), *([STACK] if outer else [])]
    rows(b, outer, b.mul(extent, NANOSECONDS), line, wanted)


def _with_position(s: Lowering, key: SSAValue, i: Index) -> SSAValue:
    wide = s.b.convert(arith.ExtUIOp, key, i64)
    high = s.b.insert(arith.ShLIOp(wide, s.b.constant(POSITION_BITS, i64)))
    return s.b.insert(arith.OrIOp(high, s.b.to_integer(i)))


def _position(s: Lowering, key: SSAValue) -> SSAValue:
    return s.b.insert(arith.AndIOp(key, s.b.constant((1 << POSITION_BITS) - 1, i64)))
