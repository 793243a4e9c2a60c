"""Ranges of an irregular operator that run on several threads, cut by extents alone, so that results do not
depend on the number of threads."""

from collections.abc import Callable, Sequence

from xdsl.dialects import arith, memref
from xdsl.ir import Attribute, SSAValue

from flowc.passes.array_to_loops.builder import Index, LoopBuilder

BLOCK = 16
"""LLVM makes vectors of so many rounds, and leaves none over."""
CHUNKS = 64
"""At most this many chunks; more would leave each too little work."""


def ceil_divide(b: LoopBuilder, a: Index, by: Index) -> Index:
    """`a / by`, rounded up; both positive, `a` may be 0."""
    if isinstance(a, int) and isinstance(by, int):
        return -(-a // by)
    above = b.add(a, b.sub(by, 1))
    return b.insert(arith.DivUIOp(b.index(above), b.index(by)))


def grain_of(b: LoopBuilder, extent: Index, least: Index) -> Index:
    """The length of chunks: at least `least`, and no more than CHUNKS of them."""
    return b.max(b.max(ceil_divide(b, extent, CHUNKS), least), 1)


def rows(
    b: LoopBuilder,
    extents: Sequence[Index],
    cost: Index,
    body: Callable[..., None],
    wanted: Sequence[tuple[Attribute, Sequence[Index]]] = (),
) -> None:
    """`body` at every position below `extents`, in parallel over the first; `cost` is a position's in ns.

    Each chunk has memory as `wanted` (see `scratch`), which `body` gets behind the position.
    """
    if not extents:
        scratch(b, wanted, lambda *buffers: body((), *buffers))
        return
    first, *others = extents
    work = cost
    for extent in extents:
        work = b.mul(work, extent)

    def chunk(low: SSAValue, high: SSAValue) -> None:
        def inside(*buffers: SSAValue) -> None:
            def row(i: SSAValue, _: tuple[SSAValue, ...]) -> Sequence[SSAValue]:
                b.nest(others, lambda at: body((i, *at), *buffers))
                return ()

            b.loop(low, high, (), row)

        scratch(b, wanted, inside)

    b.parallel(first, grain_of(b, first, 1), work, chunk)


def scratch(
    b: LoopBuilder, wanted: Sequence[tuple[Attribute, Sequence[Index]]], body: Callable[..., None]
) -> None:
    """Memory of these element types and extents, for the time of `body`."""
    buffers = [b.allocate(element, extents) for element, extents in wanted]
    body(*buffers)
    for buffer in reversed(buffers):
        b.append(memref.DeallocOp.get(buffer))


def in_blocks(b: LoopBuilder, low: Index, high: Index, body: Callable[[Index], None]) -> None:
    """`body` at each position of a range, by vectors also in a short one; at some positions it runs twice."""

    def block(first: Index) -> None:
        b.nest([BLOCK], lambda at: body(b.add(first, at[0])))

    def whole(first: SSAValue, _: tuple[SSAValue, ...]) -> Sequence[SSAValue]:
        block(first)
        return ()

    def one(i: SSAValue, _: tuple[SSAValue, ...]) -> Sequence[SSAValue]:
        body(i)
        return ()

    def single() -> None:
        b.loop(low, high, (), one, plain=True)

    length = b.sub(high, low)
    even = b.add(low, b.mul(b.floordiv(length, BLOCK), BLOCK))
    b.loop(low, even, (), whole, BLOCK, plain=True)

    def rest() -> None:
        long = b.compare("sge", b.index(length), b.index(BLOCK))
        b.either(long, lambda: block(b.sub(high, BLOCK)), single)

    b.either(b.compare("slt", b.index(even), b.index(high)), rest, lambda: None)
