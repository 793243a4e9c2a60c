"""The state of one kernel's lowering for a device: what a processor's has, and vectors of neighbours.

Host code stands in the function itself; what is built within a launch runs on the device. Numbers that the
device computes lie in its memory, as arrays without axes; the host reads one where an extent or a condition
needs it.
"""

from collections.abc import Sequence

from attrs import frozen
from xdsl.dialects import arith, memref, vector
from xdsl.dialects.builtin import FixedBitwidthType, MemRefType, NoneAttr, VectorType
from xdsl.ir import Attribute, Block, SSAValue

from flowc.dialects import loops
from flowc.dialects.array import ops
from flowc.dialects.array.kernel import KernelOp
from flowc.dialects.array.kinds import compute_dtype
from flowc.dialects.array.types import dtype_of, shape_of
from flowc.passes.array_extents import Expression
from flowc.passes.array_to_gpu.limits import MOST_NARROW, TOO_WIDE, VECTOR_BYTES
from flowc.passes.array_to_loops import scalars
from flowc.passes.array_to_loops.builder import Index, LoopBuilder
from flowc.passes.array_to_loops.elements import Indices, Lowering, Place
from flowc.passes.array_to_loops.ways import Ways

HALVES = ("f16", "bf16")


class TooWide(Exception):
    """Narrow code would have to count more positions than it can."""


@frozen
class Lane:
    """One of `count` neighbours along the last axis, `number` behind the position `base`."""

    base: SSAValue
    number: int
    count: int


class DeviceLowering(Lowering):
    """What is known of a kernel while it is lowered for a device.

    `narrow` says that positions are numbers of 32 bits. `lanes` has the positions that are visited as
    neighbours: what lies dense is then loaded by vectors, from the memory in `vectored`. `rounds`, `visited`
    and `inner` have the positions that the rounds of a thread visit, by the block of code that knows them.
    `returned` are the places of numbers that the kernel returns, `given_shapes` the extents of the arrays
    that it is called with.
    """

    def __init__(self, kernel: KernelOp, block: Block, ways: Ways, narrow: bool) -> None:
        super().__init__(kernel, block, kernel.location, ways)
        self.narrow = narrow
        self.lanes: dict[SSAValue, Lane] = {}
        self.vectored: set[SSAValue] = set()
        self.returned: dict[SSAValue, Place] = {}
        values = (*kernel.body.block.args, *kernel.returned)
        self.given_shapes = [self.extents.shape(value) for value in values if shape_of(value.type)]
        self._expressions: dict[SSAValue, Expression] = {}
        self.rounds: dict[tuple[Block, int, int, int], tuple[Index, SSAValue, SSAValue | None]] = {}
        self.visited: dict[tuple[Block, SSAValue, int], list[SSAValue]] = {}
        self.inner: dict[tuple[Block, SSAValue, Indices], Indices] = {}
        self._vectors: dict[tuple[Block, SSAValue, Indices], SSAValue] = {}

    def allocate(self, element: Attribute, extents: Sequence[Index]) -> SSAValue:
        """Memory of the device that lasts to the end of the scope in which the lowering stands."""
        self.counted(extents, self.scope)
        return super().allocate(element, extents)

    def counted(self, extents: Sequence[Index], b: LoopBuilder | None = None) -> Index:
        """How many positions there are below some extents, as host code. Narrow code ends where they are
        more than it can count; raises TooWide where that is known now."""
        b = b or self.top
        count = b.product(extents)
        if not self.narrow or self._are_known_to_fit(extents):
            return count
        if isinstance(count, int):
            if count >= MOST_NARROW:
                raise TooWide
        else:
            fits = b.compare("slt", count, b.index(MOST_NARROW))
            b.append(loops.RequireOp(fits, TOO_WIDE))
        return count

    def size(self, expression: Expression) -> Index:
        """An extent expression as index arithmetic."""
        found = super().size(expression)
        if isinstance(found, SSAValue):
            self._expressions[found] = expression
        return found

    def _are_known_to_fit(self, extents: Sequence[Index]) -> bool:
        """Whether these are extents of one array of the caller's, which was looked at before."""
        wanted = [e if isinstance(e, int) else self._expressions.get(e) for e in extents if e != 1]
        return any(_is_part(wanted, shape) for shape in self.given_shapes)

    def temporary(self, value: SSAValue) -> Place:
        """Memory for the whole of a value: in the form in which values are held, but halves that only
        tensor cores read as they take them."""
        dtype = dtype_of(value.type)
        if dtype not in HALVES or self.ordered or not is_factor(value):
            return super().temporary(value)
        return Place(self.allocate(scalars.stored_type(dtype), self.sizes(value)))

    def wanted(self, value: SSAValue) -> Place | None:
        """The place that wants a number, if one does."""
        return self.number_places.get(value) or self.returned.get(value)

    def number(self, value: SSAValue) -> Place:
        """Memory for a number that the device computes: where it is wanted, or its own."""
        wanted = self.wanted(value)
        held = scalars.stored_type(compute_dtype(dtype_of(value.type)))
        if wanted is not None and wanted.whole and scalars.element_type(wanted.buffer) == held:
            return wanted
        return Place(self.allocate(held, []))

    def checked(self, place: Index, extent: Index) -> Index:
        """A position inside, whatever was computed: a launch that finds a wrong one goes on to its end, and
        the status says so afterwards."""
        wrapped = self.b.wrap(place, extent)
        return self.b.max(self.b.min(wrapped, self.b.sub(extent, 1)), 0)

    def _element(self, value: SSAValue, at: Indices) -> SSAValue:
        lane = self.lanes.get(at[-1]) if at and isinstance(at[-1], SSAValue) else None
        if lane is None or value in self.registers:
            return super()._element(value, at)
        place = self.tiles.get(value) or (Place(self.buffers[value]) if value in self.buffers else None)
        if place is None or not place.whole or not fits_vectors(place.buffer, lane.count):
            return super()._element(value, at)
        loaded = self._loaded(place.buffer, (*at[:-1], lane.base), lane.count)
        picked = self.b.insert(vector.ExtractOp(loaded, (lane.number,), scalars.element_type(place.buffer)))
        return scalars.held(self.b, picked, dtype_of(value.type))

    def _joined(self, op: ops.ConcatOp, at: Indices) -> SSAValue:
        """Neighbours may lie in different parts, whose rows need not begin where vectors may: no lanes."""
        last = at[-1]
        if isinstance(last, SSAValue) and last in self.lanes and op.axis.value.data == len(at) - 1:
            alone = self.b.insert(arith.AddiOp(last, self.b.index(0)))
            if last in self.between:
                self.between[alone] = self.between[last]
            at = (*at[:-1], alone)
        return super()._joined(op, at)

    def _sliced(self, op: ops.SliceOp, axis: int, i: Index) -> Index:
        """A part of a row need not be as many vectors as the row, nor begin where one does: no lanes."""
        place = super()._sliced(op, axis, i)
        if place is not i or not isinstance(i, SSAValue) or i not in self.lanes:
            return place
        if self.extents.extent(op.result, axis) == self.extents.extent(op.source, axis):
            return place
        alone = self.b.insert(arith.AddiOp(i, self.b.index(0)))
        if i in self.between:
            self.between[alone] = self.between[i]
        return alone

    def _computed(self, expression: tuple[object, ...]) -> Index:
        """An extent as host code: a number that the device computes, or each use would, is read or computed
        by the host."""
        match expression:
            case ("value", SSAValue() as value) if value not in self.registers:
                here, self.b = self.b, self.top
                number = self.element(value, ())
                self.b = here
                return self.top.to_index(number)
        return super()._computed(expression)

    def _loaded(self, buffer: SSAValue, at: Indices, count: int) -> SSAValue:
        """Neighbours from a position on, loaded at most once a block."""
        key = (self.b.block, buffer, at)
        if key not in self._vectors:
            self.vectored.add(buffer)
            type_ = VectorType(scalars.element_type(buffer), [count])
            indices = [self.b.index(i) for i in at]
            self._vectors[key] = self.b.insert(vector.LoadOp(buffer, indices, type_))
        return self._vectors[key]

    def store_lanes(self, values: Sequence[SSAValue], place: Place, at: Sequence[Sequence[Index]]) -> None:
        """Stores neighbours, by a vector where their place allows it."""
        lane = self.lanes.get(at[0][-1]) if len(at) > 1 and isinstance(at[0][-1], SSAValue) else None
        if lane is None or not place.whole or not fits_vectors(place.buffer, lane.count):
            for value, position in zip(values, at, strict=True):
                self.store(value, place, position)
            return
        self.vectored.add(place.buffer)
        type_ = VectorType(scalars.element_type(place.buffer), [lane.count])
        stored = [scalars.stored(self.b, value, type_.element_type) for value in values]
        whole = self.b.insert(vector.BroadcastOp(stored[0], type_))
        for number, value in enumerate(stored[1:], 1):
            whole = self.b.insert(vector.InsertOp(value, whole, (number,)))
        indices = [self.b.index(i) for i in (*at[0][:-1], lane.base)]
        self.b.append(vector.StoreOp(whole, place.buffer, indices))


def is_factor(value: SSAValue) -> bool:
    """Whether a value is read by products alone whose factors have its dtype, perhaps through views."""
    for use in value.uses:
        user = use.operation
        if isinstance(user, ops.ContractOp):
            if dtype_of(user.result.type) != dtype_of(value.type):
                return False
        elif not isinstance(user, ops.TransposeOp | ops.ExpandOp | ops.IndexOp | ops.SliceOp):
            if not isinstance(user, ops.DimOp):
                return False
        elif use.index or not is_factor(user.results[0]):
            return False
    return True


def _is_part(some: Sequence[Expression | None], shape: Sequence[Expression]) -> bool:
    """Whether extents are among those of a shape, each as often as there; the others might be 0."""
    return sorted(map(str, some)) == sorted(map(str, (extent for extent in shape if extent != 1)))


def is_dense(buffer: SSAValue) -> bool:
    """Whether memory is row-major without gaps."""
    return isinstance(buffer.type, MemRefType) and isinstance(buffer.type.layout, NoneAttr)


def fits_vectors(buffer: SSAValue, count: int) -> bool:
    """Whether neighbours along the last axis of memory may be accessed as one vector."""
    if not is_dense(buffer):
        return False
    element = scalars.element_type(buffer)
    size = element.size if isinstance(element, FixedBitwidthType) else 0
    return count > 1 and 0 < size * count <= VECTOR_BYTES


def is_aligned(buffer: SSAValue) -> bool:
    """Whether memory is known to begin where every vector may: the kernel itself has asked for it."""
    return isinstance(buffer.owner, memref.AllocOp)
