"""`loops.sort` and `loops.pack` as LLVM text, and masks.

Rows of vectors are sorted as columns first, by Batcher's network (Sorting networks and their applications,
1968), which needs no shuffles. Neighbouring columns are then merged, two, four, ... at a time, by a bitonic
network: an exchange between a column and the mirror image of the other makes two halves, exchanges across
columns and then across rows sort each. At last, shuffles bring the columns into the order of memory.
"""

from collections.abc import Callable, Iterator, Sequence

from xdsl.dialects import vector
from xdsl.dialects.builtin import VectorType
from xdsl.ir import Attribute

from flowc.compiler.backends.llvm.function import FunctionEmitter, llvm_type, suffix
from flowc.dialects import loops

Rows = list[str]


def emit_pack(e: FunctionEmitter, op: loops.PackOp) -> None:
    """Writes the instruction that picks elements, and the count of the mask's bits."""
    assert isinstance(op.vector.type, VectorType)
    type_, lanes = llvm_type(op.vector.type), op.vector.type.element_count()
    name = f"llvm.experimental.vector.compress.{suffix(op.vector.type)}"
    e.values[op.packed] = e.call(name, type_, [e.typed(op.vector), e.typed(op.mask), f"{type_} poison"])
    bits = e.emit(f"bitcast {e.typed(op.mask)} to i{lanes}")
    count = e.call(f"llvm.ctpop.i{lanes}", f"i{lanes}", [f"i{lanes} {bits}"])
    e.values[op.count] = e.emit(f"zext i{lanes} {count} to i64")


def emit_mask(e: FunctionEmitter, op: vector.CreateMaskOp) -> None:
    """Writes which lanes stand before a place; it may be negative or behind all lanes."""
    type_ = op.mask_vector.type
    assert isinstance(type_, VectorType)
    lanes = type_.element_count()
    place = e.operand(op.mask_dim_sizes[0])
    low = e.call("llvm.smax.i64", "i64", [f"i64 {place}", "i64 0"])
    narrow = e.emit(f"trunc i64 {e.call('llvm.smin.i64', 'i64', [f'i64 {low}', f'i64 {lanes}'])} to i32")
    one = e.emit(f"insertelement <{lanes} x i32> poison, i32 {narrow}, i64 0")
    splat = _shuffled(e, f"<{lanes} x i32>", one, one, [0] * lanes)
    order = ", ".join(f"i32 {lane}" for lane in range(lanes))
    e.values[op.mask_vector] = e.emit(f"icmp ult <{lanes} x i32> <{order}>, {splat}")


def emit_sort(e: FunctionEmitter, op: loops.SortOp) -> None:
    """Writes the networks that sort vectors as one sequence."""
    type_ = op.vectors[0].type
    assert isinstance(type_, VectorType)
    network = _Network(e, type_)
    rows = [e.operand(value) for value in op.vectors]
    for one, other in exchanges(len(rows)):
        rows[one], rows[other] = network.ordered(rows[one], rows[other])
    span = 1
    while span < network.lanes:
        rows = _merged(network, rows, span)
        span *= 2
    for _ in range(len(rows).bit_length() - 1):
        rows = _interleaved(network, rows)
    e.values.update(zip(op.sorted, rows, strict=True))


def exchanges(count: int) -> Iterator[tuple[int, int]]:
    """The pairs that Batcher's odd-even merge sort of a power of two compares, in order."""
    block = 1
    while block < count:
        distance = block
        while distance:
            for first in range(distance % block, count - distance, 2 * distance):
                for one in range(first, min(first + distance, count - distance)):
                    if one // (2 * block) == (one + distance) // (2 * block):
                        yield one, one + distance
            distance //= 2
        block *= 2


class _Network:
    """Exchanges of vectors of one type."""

    def __init__(self, e: FunctionEmitter, type_: Attribute) -> None:
        assert isinstance(type_, VectorType)
        self._e = e
        self._type = llvm_type(type_)
        self._suffix = suffix(type_)
        self.lanes: int = type_.element_count()

    def ordered(self, one: str, other: str) -> tuple[str, str]:
        """The lesser and the greater, lane by lane."""
        operands = [f"{self._type} {one}", f"{self._type} {other}"]
        lesser, greater = (
            self._e.call(f"llvm.{kind}.{self._suffix}", self._type, operands) for kind in ("umin", "umax")
        )
        return lesser, greater

    def moved(self, one: str, other: str, places: Sequence[int]) -> str:
        """Lanes of two vectors: those from `lanes` on are the other's."""
        return _shuffled(self._e, self._type, one, other, places)

    def chosen(self, one: str, other: str, first: Callable[[int], bool]) -> str:
        """Each lane of one vector or of the other."""
        lanes = range(self.lanes)
        return self.moved(one, other, [lane if first(lane) else lane + self.lanes for lane in lanes])


def _merged(network: _Network, rows: Rows, span: int) -> Rows:
    """Merges pairs of sorted blocks of `span` columns."""
    lanes, rows = range(network.lanes), list(rows)
    mirror = [lane ^ (2 * span - 1) for lane in lanes]

    def before(lane: int) -> bool:
        return not lane & span

    for one in range(len(rows) // 2):
        other = len(rows) - 1 - one
        image = network.moved(rows[other], rows[other], mirror)
        lesser, greater = network.ordered(rows[one], image)
        rows[one] = network.chosen(lesser, greater, before)
        swapped = [mirror[lane] + (0 if before(mirror[lane]) else network.lanes) for lane in lanes]
        rows[other] = network.moved(greater, lesser, swapped)
    distance = span // 2
    while distance:
        rows = [_exchanged(network, row, distance) for row in rows]
        distance //= 2
    distance = len(rows) // 2
    while distance:
        for one in range(len(rows)):
            if not one & distance:
                rows[one], rows[one + distance] = network.ordered(rows[one], rows[one + distance])
        distance //= 2
    return rows


def _exchanged(network: _Network, row: str, distance: int) -> str:
    """Orders columns of one row that stand some columns apart."""
    image = network.moved(row, row, [lane ^ distance for lane in range(network.lanes)])
    lesser, greater = network.ordered(row, image)
    return network.chosen(lesser, greater, lambda lane: not lane & distance)


def _interleaved(network: _Network, rows: Rows) -> Rows:
    """The lanes of the first half of the rows, each followed by that of the second half."""
    half, lanes = len(rows) // 2, network.lanes
    found = []
    for one, other in zip(rows[:half], rows[half:], strict=True):
        for start in (0, lanes // 2):
            places = [start + lane // 2 + lanes * (lane % 2) for lane in range(lanes)]
            found.append(network.moved(one, other, places))
    return found


def _shuffled(e: FunctionEmitter, type_: str, one: str, other: str, places: Sequence[int]) -> str:
    mask = ", ".join(f"i32 {place}" for place in places)
    return e.emit(f"shufflevector {type_} {one}, {type_} {other}, <{len(places)} x i32> <{mask}>")
