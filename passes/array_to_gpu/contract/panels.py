"""Panels: the part of a factor that a tile of the result needs for some steps, in memory that a block shares.

What lies in memory just as the panel wants it is copied there while the block computes. All else comes
through registers: its numbers are fetched before the block multiplies what it has, and put into the panel
after that.
"""

from collections.abc import Callable, Sequence

from attrs import evolve, frozen
from xdsl.dialects import memref, vector
from xdsl.dialects.builtin import FixedBitwidthType, VectorType
from xdsl.ir import Attribute, Block, SSAValue

from flowc.dialects import device
from flowc.passes.array_to_gpu.contract.cuts import Here, below, both
from flowc.passes.array_to_gpu.contract.factors import DEPTH, SIDE, Factor, Problem
from flowc.passes.array_to_gpu.limits import VECTOR_BYTES
from flowc.passes.array_to_gpu.lowering import DeviceLowering
from flowc.passes.array_to_loops import scalars
from flowc.passes.array_to_loops.builder import Index


@frozen
class Panel:
    """A panel of `sides` rows or columns by `steps`, for `threads` to fill.

    The factor is read in `chunk` neighbours along `axis`, by vectors if `vectors`; `copied` says that a chunk
    goes straight from memory to the panel. In the panel neighbours lie along `inner`; where that is not
    `axis`, a thread takes `lines` chunks and turns them. `pack` makes an element of the panel of a held
    number.
    """

    p: Problem
    factor: Factor
    extent: Index
    sides: int
    steps: int
    threads: int
    element: Attribute
    pack: Callable[[SSAValue], SSAValue]
    inner: str
    axis: str
    chunk: int
    lines: int
    vectors: bool
    copied: bool

    @property
    def shape(self) -> list[int]:
        """The extents of the panel in memory; a vector behind each line keeps lines in different banks."""
        outer, inner = (self.sides, self.steps) if self.inner == DEPTH else (self.steps, self.sides)
        return [outer, inner + VECTOR_BYTES // size_of(self.element)]

    @property
    def units(self) -> int:
        """What a thread fetches, in units of chunks that are turned together."""
        return self.sides * self.steps // (self.chunk * self.lines * self.threads)


def size_of(element: Attribute) -> int:
    """The bytes of an element."""
    assert isinstance(element, FixedBitwidthType)
    return element.size


def panel_of(
    s: DeviceLowering,
    p: Problem,
    factor: Factor,
    extent: Index,
    sizes: tuple[int, int, int],
    element: Attribute,
    pack: Callable[[SSAValue], SSAValue],
    inner: str,
    chunk: int,
    lines: int,
    *,
    vectors: bool,
    copies: bool,
) -> Panel:
    """The panel of a factor, given its sides, steps and threads; without `vectors` numbers are read one by
    one, and with `copies` they may be copied."""
    axis = factor.contiguous or DEPTH
    fits = vectors and factor.dense
    panel = Panel(
        p,
        factor,
        extent,
        *sizes,
        element,
        pack,
        inner,
        axis,
        chunk,
        1 if inner == axis else lines,
        fits,
        False,
    )
    return evolve(panel, copied=copies and fits and inner == axis and _element_of(s, panel) == element)


def _element_of(s: DeviceLowering, panel: Panel) -> Attribute:
    """The type of a factor's numbers in memory, found in code that is thrown away."""
    assert panel.factor.place is not None
    outer = s.b.block
    s.b.block = Block()
    zero = s.b.index(0)
    buffer, _ = panel.factor.place(tuple(zero for _ in panel.p.stack), zero, zero)
    s.b.block = outer
    return scalars.element_type(buffer)


@frozen
class Unit:
    """What a thread fetches at once: the position of its first number in a panel, by side and step, and as it
    lies there."""

    side: Index
    depth: Index
    outer: Index
    inner: Index


def _unit(s: DeviceLowering, panel: Panel, thread: Index, number: Index) -> Unit:
    b = s.b
    along = (panel.steps if panel.axis == DEPTH else panel.sides) // panel.chunk
    flat = b.add(thread, b.mul(number, panel.threads))
    near = b.mul(b.remainder(flat, along), panel.chunk)
    far = b.mul(b.quotient(flat, along), panel.lines)
    side, depth = (far, near) if panel.axis == DEPTH else (near, far)
    outer, inner = (side, depth) if panel.inner == DEPTH else (depth, side)
    return Unit(side, depth, outer, inner)


def _for_each_unit(
    s: DeviceLowering, panel: Panel, thread: Index, body: Callable[[Index, Unit], None]
) -> None:
    """Runs `body` for the units of a thread; the loop is written out when the code is compiled."""

    def one(number: SSAValue, _: tuple[SSAValue, ...]) -> Sequence[SSAValue]:
        body(number, _unit(s, panel, thread, number))
        return ()

    s.b.loop(0, panel.units, (), one)


def copy(
    s: DeviceLowering,
    panel: Panel,
    memory: SSAValue,
    slot: Index,
    origin: Index,
    here: Here,
    low: Index,
    thread: Index,
) -> None:
    """Starts to copy the steps from `low` on into a slot of a panel; zeros where there is nothing."""
    place = panel.factor.place
    assert place is not None

    def one(_: Index, unit: Unit) -> None:
        side, depth = s.b.add(origin, unit.side), s.b.add(low, unit.depth)
        buffer, at = place(here.stack, side, depth)
        wanted = _within(s, panel, here, side, depth)
        s.vectored.add(buffer)
        source, target = ([s.b.index(i) for i in each] for each in (at, (slot, unit.outer, unit.inner)))
        s.b.append(device.CopyAsyncOp(buffer, source, memory, target, wanted))

    _for_each_unit(s, panel, thread, one)


def _within(s: DeviceLowering, panel: Panel, here: Here, side: Index, depth: Index) -> SSAValue:
    """Whether there is a number at a position of a factor."""
    some = both(s, below(s, side, panel.extent), below(s, depth, here.high))
    if panel.factor.inside is None:
        return some
    return both(s, some, panel.factor.inside(here.stack, side, depth))


def fetch(s: DeviceLowering, panel: Panel, origin: Index, here: Here, low: Index, thread: Index) -> SSAValue:
    """The numbers of a panel from a step on that a thread is to put there: an array of its own, which has for
    each unit its lines, of a chunk of numbers each."""
    own = s.b.insert(memref.AllocaOp.get(panel.element, shape=[panel.units, panel.lines, panel.chunk]))

    def one(number: Index, unit: Unit) -> None:
        side, depth = s.b.add(origin, unit.side), s.b.add(low, unit.depth)
        for line in range(panel.lines):
            i = side if panel.axis == SIDE else s.b.add(side, line)
            k = depth if panel.axis == DEPTH else s.b.add(depth, line)
            (_fetch_vectors if panel.vectors else _fetch_numbers)(s, panel, here, (i, k), own, (number, line))

    _for_each_unit(s, panel, thread, one)
    return own


def _fetch_vectors(
    s: DeviceLowering,
    panel: Panel,
    here: Here,
    at: tuple[Index, Index],
    own: SSAValue,
    line: tuple[Index, int],
) -> None:
    """A chunk that lies in memory; zeros where there is nothing."""

    def read() -> list[SSAValue]:
        found: list[SSAValue] = []
        while len(found) < panel.chunk:
            i, k = _behind(s, panel, at, len(found))
            found += load_chunk(
                s, panel.p, panel.factor, here.stack, i, k, panel.chunk, panel.element, panel.pack
            )
        return found

    zero = s.b.constant(0, panel.element)
    values = s.b.branch(_within(s, panel, here, *at), read, lambda: [zero] * panel.chunk)
    for step, value in enumerate(values):
        s.b.store(value, own, [*line, step])


def _fetch_numbers(
    s: DeviceLowering,
    panel: Panel,
    here: Here,
    at: tuple[Index, Index],
    own: SSAValue,
    line: tuple[Index, int],
) -> None:
    """The numbers of a chunk, each on its own; 0 where there is nothing."""
    zero = s.b.constant(0, panel.element)

    def one(step: SSAValue, _: tuple[SSAValue, ...]) -> Sequence[SSAValue]:
        i, k = _behind(s, panel, at, step)
        (value,) = s.b.branch(
            _within(s, panel, here, i, k),
            lambda: (panel.pack(panel.factor.element(here.stack, i, k)),),
            lambda: (zero,),
        )
        s.b.store(value, own, [*line, step])
        return ()

    s.b.loop(0, panel.chunk, (), one)


def _behind(s: DeviceLowering, panel: Panel, at: tuple[Index, Index], step: Index) -> tuple[Index, Index]:
    """The position so many steps behind another along the panel's axis."""
    return (at[0], s.b.add(at[1], step)) if panel.axis == DEPTH else (s.b.add(at[0], step), at[1])


def load_chunk(
    s: DeviceLowering,
    p: Problem,
    factor: Factor,
    stack: tuple[Index, ...],
    side: Index,
    depth: Index,
    most: int,
    element: Attribute | None,
    pack: Callable[[SSAValue], SSAValue],
) -> list[SSAValue]:
    """Up to `most` numbers of a factor that lie behind one another, by one vector: as they are where they
    are of type `element`, else packed."""
    assert factor.place is not None
    buffer, at = factor.place(stack, side, depth)
    type_ = scalars.element_type(buffer)
    count = min(most, VECTOR_BYTES // size_of(type_))
    indices = [s.b.index(i) for i in at]
    if count == 1:
        values = [s.b.load(buffer, indices)]
    else:
        s.vectored.add(buffer)
        whole = s.b.insert(vector.LoadOp(buffer, indices, VectorType(type_, [count])))
        values = [s.b.insert(vector.ExtractOp(whole, (lane,), type_)) for lane in range(count)]
    if type_ == element:
        return values
    own = factor.stored
    held = [scalars.held(s.b, value, own) for value in values]
    return [
        pack(each if own == p.numbers.dtype else scalars.convert(s.b, each, own, p.numbers.dtype))
        for each in held
    ]


def put(s: DeviceLowering, panel: Panel, memory: SSAValue, slot: Index, thread: Index, own: SSAValue) -> None:
    """Stores what a thread has fetched in a slot of a panel."""

    def one(number: Index, unit: Unit) -> None:
        if panel.inner == panel.axis:
            values = [s.b.load(own, [number, 0, step]) for step in range(panel.chunk)]
            _store(s, memory, (slot, unit.outer, unit.inner), values)
            return
        for step in range(panel.chunk):
            values = [s.b.load(own, [number, line, step]) for line in range(panel.lines)]
            _store(s, memory, (slot, s.b.add(unit.outer, step), unit.inner), values)

    _for_each_unit(s, panel, thread, one)


def _store(s: DeviceLowering, memory: SSAValue, at: Sequence[Index], values: Sequence[SSAValue]) -> None:
    if len(values) == 1:
        s.b.store(values[0], memory, at)
        return
    s.b.append(vector.StoreOp(together(s, values), memory, [s.b.index(i) for i in at]))


def together(s: DeviceLowering, values: Sequence[SSAValue]) -> SSAValue:
    """Numbers as a vector."""
    whole = s.b.insert(vector.BroadcastOp(values[0], VectorType(values[0].type, [len(values)])))
    for lane, value in enumerate(values[1:], 1):
        whole = s.b.insert(vector.InsertOp(value, whole, (lane,)))
    return whole
