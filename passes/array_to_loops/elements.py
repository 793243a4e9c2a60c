"""The state of one kernel's lowering, and how an element of any value is obtained at given positions.

A value lies in a buffer, is a scalar in a register, or is recomputed where it is used: views always, other
operators when fusion has marked them `inline`.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from attrs import frozen
from xdsl.dialects import memref
from xdsl.dialects.builtin import LocationAttr, MemRefType, NoneAttr
from xdsl.ir import Attribute, Block, Operation, SSAValue

from flowc.dialects.array import irregular, ops
from flowc.dialects.array.inference import elementwise_operand_dtype
from flowc.dialects.array.kernel import PRECISE, REPRODUCIBLE, KernelOp
from flowc.dialects.array.kinds import compute_dtype
from flowc.dialects.array.types import Shape, dtype_of, promote, shape_of
from flowc.passes.array_extents import Expression, ExtentAnalysis, combine, says_extent
from flowc.passes.array_to_loops import scalars
from flowc.passes.array_to_loops.builder import Index, LoopBuilder
from flowc.passes.array_to_loops.random import draw
from flowc.passes.array_to_loops.search import insertion_point
from flowc.passes.array_to_loops.spacing import spaced
from flowc.passes.kernel_choices import choices_of

Indices = tuple[Index, ...]
Viewing = ops.TransposeOp | ops.SliceOp | ops.IndexOp | ops.ExpandOp | ops.GatherOp
"""Operators each of whose elements is one of their source."""


def same_position(at: Sequence[Index]) -> Sequence[Index]:
    """Where an element stands in a buffer that holds its value and nothing else."""
    return at


@frozen
class Place:
    """Where the elements of a value are kept: a buffer, and the position in it of a position in the value."""

    buffer: SSAValue
    position: Callable[[Sequence[Index]], Sequence[Index]] = same_position

    @property
    def whole(self) -> bool:
        """Whether the buffer holds the value and nothing else, in its own axes."""
        return self.position is same_position

    @property
    def dense(self) -> bool:
        """Whether the buffer holds the value and nothing else, in row-major order without gaps."""
        layout = self.buffer.type.layout if isinstance(self.buffer.type, MemRefType) else None
        return self.whole and isinstance(layout, NoneAttr)


@frozen
class Between:
    """What is known of positions: they are at least each of `lows`, and below each of `highs`."""

    lows: tuple[Expression, ...]
    highs: tuple[Expression, ...]

    def moved(self, by: Expression) -> "Between":
        """The same of positions so much further on."""
        return Between(*(tuple(combine("add", at, by) for at in side) for side in (self.lows, self.highs)))


class Lowering:
    """What is known of a kernel while it is lowered.

    `b` builds where the lowering stands, `top` in the enclosing straight-line code, before the loop being
    built; `scope` at the beginning of the innermost code that may own memory: `top`, or a parallel chunk.
    `tiles` has the values of which only a part is at hand; `groups` the operators lowered together so far;
    `nested` counts the loops and branches of the kernel itself around the code being built; `scattered` has
    the values that go to memory which does not hold them in row-major order, `inside` the operators whose
    positions are known to lie where they may; `between` says what is known of positions, and `written` has
    the loops of the program itself that carry numbers. `asked` names the choices that made a difference.
    `number_places` are the places that want numbers of the code being lowered; `ways` says how code for one
    kind of machine is made (`ways.ways_of`).
    """

    def __init__(
        self,
        kernel: KernelOp,
        block: Block,
        location: LocationAttr,
        ways: object,
        vector_bits: int = 256,
        bf16_dots: bool = False,
    ) -> None:
        self.ways = ways
        self.b = LoopBuilder(block, location, PRECISE in kernel.attributes)
        self.top = LoopBuilder(block, location)
        self.scope = self.top
        self.vector_bits = vector_bits
        self.bf16_dots = bf16_dots
        self.choices = choices_of(kernel)
        self.asked: set[str] = set()
        self.ordered = PRECISE in kernel.attributes or REPRODUCIBLE in kernel.attributes
        self.extents = ExtentAnalysis(kernel)
        self.arguments: list[SSAValue] = []
        self.contiguous: set[SSAValue] = set()
        self.tiles: dict[SSAValue, Place] = {}
        self.buffers: dict[SSAValue, SSAValue] = {}
        self.registers: dict[SSAValue, SSAValue] = {}
        self.positions: dict[SSAValue, Index] = {}
        self.allocated: list[SSAValue] = []
        self.groups: list[tuple[Operation, ...]] = []
        self.nested = 0
        self.written: list[Operation | Block] = []
        self.number_places: dict[SSAValue, Place] = {}
        self.scattered: set[SSAValue] = set()
        self.inside: set[Operation] = set()
        self.between: dict[SSAValue, Between] = {}
        self._sizes: dict[Expression, Index] = {}
        self._seen: dict[tuple[Block, SSAValue, Indices], SSAValue] = {}

    def choice(self, name: str) -> int:
        """One of the kernel's choices."""
        self.asked.add(name)
        return int(getattr(self.choices, name))

    def size(self, expression: Expression) -> Index:
        """An extent expression as index arithmetic, computed once, ahead of every loop."""
        if isinstance(expression, int):
            return expression
        if expression not in self._sizes:
            self._sizes[expression] = self._computed(expression)
        return self._sizes[expression]

    def known_sizes(self) -> dict[Expression, Index]:
        """What `size` has computed so far; a nested block forgets at its end what it adds."""
        return dict(self._sizes)

    def restore_sizes(self, sizes: dict[Expression, Index]) -> None:
        """Forgets what was computed since `known_sizes` gave these."""
        self._sizes = sizes

    @contextmanager
    def forgetting(self) -> Iterator[None]:
        """What is settled within is forgotten at the end: code in one of two branches."""
        places = dict(self.tiles), dict(self.buffers), dict(self.registers), set(self.contiguous)
        others = list(self.groups), self.scattered
        yield
        self.tiles, self.buffers, self.registers, self.contiguous = places
        self.groups, self.scattered = others

    def sizes(self, value: SSAValue) -> list[Index]:
        """The extents of a value."""
        return [self.size(extent) for extent in self.extents.shape(value)]

    def _computed(self, expression: tuple[object, ...]) -> Index:
        match expression:
            case ("dim", int(position), int(axis)):
                return self.top.insert(memref.DimOp(self.arguments[position], self.top.index(axis)))
            case ("scalar", int(position)):
                return self.top.to_index(self.arguments[position])
            case ("value", SSAValue() as value):
                return self.top.to_index(self.registers[value])
            case ("step", extent):
                return self.top.step(self.size(extent))  # type: ignore[arg-type]
            case (str(operator), left, right):
                operands = (self.size(left), self.size(right))  # type: ignore[arg-type]
                result: Index = getattr(self.top, operator)(*operands)
                return result
        raise ValueError(f"not an extent: {expression}")

    def allocate(self, element: Attribute, extents: Sequence[Index]) -> SSAValue:
        """Memory that lasts to the end of the scope in which the lowering stands."""
        buffer = self.scope.allocate(element, extents)
        self.allocated.append(buffer)
        return buffer

    def temporary(self, value: SSAValue) -> Place:
        """Memory for the whole of a value, in the form in which values are held."""
        element = scalars.stored_type(compute_dtype(dtype_of(value.type)))
        return Place(self.allocate(element, self.sizes(value)))

    def store(self, value: SSAValue, place: Place, at: Sequence[Index]) -> None:
        """Stores a held value as the element at a position."""
        scalars.store(self.b, value, place.buffer, place.position(at))

    def settle(self, value: SSAValue, place: Place) -> None:
        """From here on the whole of a value is found at a place."""
        if not place.whole:
            self.tiles[value] = place
            return
        self.buffers[value] = place.buffer
        if place.dense:
            self.contiguous.add(value)

    def stored(self, value: SSAValue) -> bool:
        """Whether a value is read from where it is kept, not computed anew."""
        return value in self.registers or value in self.tiles or value in self.buffers

    def element(self, value: SSAValue, at: Sequence[Index]) -> SSAValue:
        """The held value of an element, recomputed at most once a block."""
        key = (self.b.block, value, tuple(at))
        if key not in self._seen:
            self._seen[key] = self._element(value, tuple(at))
        return self._seen[key]

    def assume(self, value: SSAValue, at: Sequence[Index], held: SSAValue) -> None:
        """Says what an element is, to code that comes right after in the same block."""
        self._seen[(self.b.block, value, tuple(at))] = held

    def _element(self, value: SSAValue, at: Indices) -> SSAValue:
        if value in self.registers:
            return self.registers[value]
        if value in self.tiles:
            place = self.tiles[value]
            return scalars.load(self.b, place.buffer, place.position(at), dtype_of(value.type))
        if value in self.buffers:
            return scalars.load(self.b, self.buffers[value], at, dtype_of(value.type))
        op = value.owner
        match op:
            case ops.ConstantOp():
                return self.b.constant(op.value.value.data, scalars.held_type(dtype_of(value.type)))
            case ops.ElementwiseOp():
                return self._elementwise(op, at)
            case ops.CastOp():
                source, target = dtype_of(op.source.type), dtype_of(op.result.type)
                return scalars.convert(self.b, self.element(op.source, at), source, target)
            case irregular.TakeAlongOp():
                return self._taken(op, at)
            case irregular.SearchSortedOp():
                return self._searched(op, at)
            case irregular.LinspaceOp():
                count = self.size(self.extents.extent(op.result, 0))
                return spaced(self.b, self.element(op.low, ()), self.element(op.high, ()), count, at[0])
            case irregular.RandomOp():
                seed, dtype = self.element(op.seed, ()), dtype_of(op.result.type)
                return draw(self.b, op.kind.data, dtype, seed, self.b.to_integer(self._flat(op.result, at)))
            case ops.ConcatOp():
                return self._joined(op, at)
            case ops.BroadcastOp():
                return self.element(op.source, self.stretched(op, op.source, at))
            case ops.IotaOp():
                return self.b.to_integer(at[0])
            case ops.DimOp():
                return self.b.to_integer(self.size(self.extents.extent(op.source, op.axis.value.data)))
            case ops.TransposeOp() | ops.SliceOp() | ops.IndexOp() | ops.ExpandOp() | ops.GatherOp():
                return self.element(op.source, self.viewed(op, at))
        raise ValueError(f"{op} has neither storage nor a recipe")

    def viewed(self, op: Viewing, at: Indices) -> Indices:
        """The position in the source of a view, or of what is picked, that a position in it means."""
        match op:
            case ops.TransposeOp():
                source = list(at)
                for axis, origin in enumerate(op.permutation.get_values()):
                    source[int(origin)] = at[axis]
                return tuple(source)
            case ops.IndexOp():
                axis = op.axis.value.data
                return (*at[:axis], self.positions[op.result], *at[axis:])
            case ops.ExpandOp():
                axis = op.axis.value.data
                return (*at[:axis], *at[axis + 1 :])
            case ops.GatherOp():
                rank = len(shape_of(op.indices.type))
                place: Index = self.b.to_index(self.as_dtype(op.indices, at[:rank], "i64"))
                if op not in self.inside:
                    place = self.checked(place, self.size(self.extents.extent(op.source, 0)))
                return (place, *at[rank:])
        return tuple(self._sliced(op, axis, i) for axis, i in enumerate(at))

    def checked(self, place: Index, extent: Index) -> Index:
        """The position that one computed by the program means, which was checked before: a negative one
        counts from the end."""
        return self.b.wrap(place, extent)

    def _sliced(self, op: ops.SliceOp, axis: int, i: Index) -> Index:
        start, step, _ = self.extents.slice_range(op, axis)
        place = self.b.add(self.size(start), self.b.mul(i, step))
        if step == 1:
            self._move(i, start, place)
        return place

    def _move(self, i: Index, by: Expression, place: Index) -> None:
        """Says of a place what is known of the position before it."""
        if isinstance(i, SSAValue) and isinstance(place, SSAValue) and i in self.between:
            self.between[place] = self.between[i].moved(by)

    def _is_inside(self, i: Index, extent: Expression) -> bool | None:
        """Whether a position lies within an extent, if that is known of all positions of a sweep."""
        between = self.between.get(i) if isinstance(i, SSAValue) else None
        if between is None:
            return None
        if extent in between.highs or any(self.extents.is_below(high, extent) for high in between.highs):
            return True
        below = extent in between.lows or any(self.extents.is_below(extent, low) for low in between.lows)
        return False if below else None

    def _elementwise(self, op: ops.ElementwiseOp, at: Indices) -> SSAValue:
        kind = op.kind.data
        dtype = elementwise_operand_dtype(kind, op.operand_types)
        operands = []
        for position, operand in enumerate(op.inputs):
            held = self.element(operand, self.stretched(op, operand, at))
            own = dtype_of(operand.type)
            wanted = own if kind == "where" and position == 0 else dtype
            operands.append(held if own == wanted else self._widened(held, own, wanted))
        return scalars.apply(self.b, kind, dtype, operands)

    def aligned(self, operand: SSAValue, at: Indices) -> Indices:
        """The position in an operand; each of its axes is as long as the result's, or proved to be 1."""
        extents = self.extents.shape(operand)
        own = at[len(at) - len(extents) :]
        return tuple(0 if extent == 1 else i for extent, i in zip(extents, own, strict=True))

    def stretched(self, op: ops.ElementwiseOp | ops.BroadcastOp, operand: SSAValue, at: Indices) -> Indices:
        """The position in an operand; where it may turn out to have extent 1, the run stretches it."""
        place = list(self.aligned(operand, at))
        offset = len(at) - len(place)
        for axis, (own, said) in enumerate(
            zip(self.extents.shape(operand), shape_of(operand.type), strict=True)
        ):
            whole = self.extents.extent(op.result, axis + offset)
            if said == "" and own not in (1, whole) and says_extent(op, axis + offset):
                place[axis] = self.b.mul(place[axis], self.size(("step", own)))
        return tuple(place)

    def _widened(self, held: SSAValue, own: str, wanted: str) -> SSAValue:
        """Promotion: an operand brought to the dtype of the operator; never rounds to a half format."""
        if scalars.held_type(own) == scalars.held_type(wanted):
            return held
        return scalars.convert(self.b, held, own, wanted)

    def _taken(self, op: irregular.TakeAlongOp, at: Indices) -> SSAValue:
        axis = op.axis.value.data
        place = self.b.to_index(self.as_dtype(op.indices, at, "i64"))
        extent = self.size(self.extents.extent(op.source, axis))
        return self.element(op.source, (*at[:axis], self.checked(place, extent), *at[axis + 1 :]))

    def _searched(self, op: irregular.SearchSortedOp, at: Indices) -> SSAValue:
        dtype = promote(dtype_of(op.sorted.type), dtype_of(op.values.type))
        extent = self.size(self.extents.extent(op.sorted, 0))
        value = self.as_dtype(op.values, at, dtype)

        def load(i: Index) -> SSAValue:
            return self.as_dtype(op.sorted, (i,), dtype)

        return self.b.to_integer(insertion_point(self.b, load, extent, value, dtype, op.side.data))

    def _flat(self, value: SSAValue, at: Indices) -> Index:
        """The row-major position of an element."""
        position: Index = 0
        for extent, i in zip(self.sizes(value), at, strict=True):
            position = self.b.add(self.b.mul(position, extent), i)
        return position

    def _joined(self, op: ops.ConcatOp, at: Indices) -> SSAValue:
        """Asks which part a position falls into; memory outside that part is never read."""
        axis, target = op.axis.value.data, dtype_of(op.result.type)

        def part(number: int, i: Index) -> SSAValue:
            source = op.inputs[number]

            def own() -> Sequence[SSAValue]:
                held = self.element(source, (*at[:axis], i, *at[axis + 1 :]))
                return (self._widened(held, dtype_of(source.type), target),)

            def after() -> Sequence[SSAValue]:
                return (part(number + 1, self._beyond(i, source, axis)),)

            known = self._is_inside(i, self.extents.extent(source, axis))
            if known or number == len(op.inputs) - 1:
                return own()[0]
            extent = self.size(self.extents.extent(source, axis))
            if known is False:
                return after()[0]
            inside = self.b.compare("slt", self.b.index(i), self.b.index(extent))
            if any(isinstance(each.owner, ops.BroadcastOp) for each in op.inputs[number : number + 2]):
                return self.b.branch(inside, own, after)[0]
            # LLVM would make one load of two on both sides of a condition, which vectors have to gather.
            rest = self.b.index(self._beyond(i, source, axis))
            beyond = self.b.compare("sge", rest, self.b.index(0))
            nothing = self.b.constant(0, scalars.held_type(target))
            (first,) = self.b.branch(inside, own, lambda: (nothing,))
            (later,) = self.b.branch(beyond, lambda: (part(number + 1, rest),), lambda: (nothing,))
            return self.b.select(inside, first, later)

        return part(0, at[axis])

    def _beyond(self, i: Index, part: SSAValue, axis: int) -> Index:
        """A position behind a part, counted from its end."""
        extent = self.extents.extent(part, axis)
        place = self.b.sub(i, self.size(extent))
        self._move(i, combine("sub", 0, extent), place)
        return place

    def as_dtype(self, value: SSAValue, at: Sequence[Index], dtype: str) -> SSAValue:
        """An element promoted to another dtype."""
        return self._widened(self.element(value, at), dtype_of(value.type), dtype)


def aligned(operand: SSAValue, at: Indices) -> Indices:
    """The position in an operand that broadcasts to the result of which `at` is a position."""
    shape: Shape = shape_of(operand.type)
    own = at[len(at) - len(shape) :]
    return tuple(0 if extent == 1 else i for extent, i in zip(shape, own, strict=True))
