"""Asking for the rows to come while one is reduced: the processor finds long streams by itself, but is slow
to see that one row of a matrix follows another."""

from collections.abc import Sequence

from xdsl.dialects.builtin import MemRefType
from xdsl.ir import SSAValue

from flowc.dialects.array.types import bits, dtype_of, shape_of
from flowc.dialects.loops import PrefetchOp
from flowc.passes.array_to_loops.builder import Index
from flowc.passes.array_to_loops.elements import Lowering
from flowc.passes.array_to_loops.folds import ROWS_AT_ONCE
from flowc.passes.array_to_loops.groups import Group
from flowc.passes.array_to_loops.stored import has_unit_stride
from flowc.passes.array_to_loops.tiling import Tiling

AHEAD = 2
"""Rows between the first that is reduced and the first that is asked for, at least."""
AHEAD_BYTES = 8192
"""Bytes that lie between them, at least."""
SHORTEST = 64
"""Elements of a row that is asked for; shorter rows are one stream."""
LONGEST = 1024
"""Elements of a row that are asked for; the rest is a stream."""
LINE_BYTES = 64
LARGE_BYTES = 4 << 20
"""What is smaller is in the caches."""


def prefetched(s: Lowering, group: Group, tiling: Tiling) -> list[SSAValue]:
    """The matrices that a group goes through by one row or a few, reducing the rows."""
    few = tiling.single or tiling.tile == ROWS_AT_ONCE
    if not few or len(tiling.tracks) != 1 or not any(stage.combines for stage in group.stages):
        return []
    sources = {value for value, axis in tiling.tracks[0].sources if axis == 0}
    return [value for value in sources if _has_rows(s, value)]


def _has_rows(s: Lowering, value: SSAValue) -> bool:
    if len(shape_of(value.type)) != 2 or value not in s.buffers or value in s.tiles:
        return False
    return isinstance(s.buffers[value].type, MemRefType) and has_unit_stride(s.buffers[value])


def prefetch_rows(s: Lowering, values: Sequence[SSAValue], row: Index, count: int) -> None:
    """Asks for the lines of so many rows further on than a row; that there are none does no harm."""
    for value in values:
        size = max(bits(dtype_of(value.type)) // 8, 1)
        rows, columns = s.sizes(value)
        total = s.top.index(s.top.mul(rows, columns))
        large = s.top.compare("sge", total, s.top.index(LARGE_BYTES // size))
        long = s.top.compare("sge", s.top.index(columns), s.top.index(SHORTEST))
        asked = s.top.select(long, s.top.index(s.top.min(columns, LONGEST)), s.top.index(0))
        end = s.top.select(large, asked, s.top.index(0))
        between = s.top.max(s.top.quotient(AHEAD_BYTES // size, s.top.max(columns, 1)), max(AHEAD, count))
        first = s.b.add(row, between)

        def ask(
            i: SSAValue,
            _: tuple[SSAValue, ...],
            buffer: SSAValue = s.buffers[value],
            first: Index = first,
        ) -> Sequence[SSAValue]:
            for number in range(count):
                s.b.append(PrefetchOp(buffer, [s.b.index(s.b.add(first, number)), i]))
            return ()

        s.b.loop(0, end, (), ask, step=LINE_BYTES // size, plain=True)
