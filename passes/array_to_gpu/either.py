"""Code of two forms, of which the host takes one: by vectors where memory allows it, else by elements."""

from collections.abc import Callable, Iterable

from xdsl.dialects import arith, memref, scf
from xdsl.ir import Block, Region, SSAValue

from flowc.passes.array_to_gpu.limits import VECTOR_BYTES
from flowc.passes.array_to_gpu.lowering import DeviceLowering, is_aligned
from flowc.passes.array_to_loops.builder import Index
from flowc.passes.array_to_loops.tiles import with_memory


def by_vectors(
    s: DeviceLowering,
    vectors: Callable[[], None],
    single: Callable[[], None],
    condition: SSAValue | bool = True,
) -> None:
    """Launches `vectors` where `condition` holds and all that it accesses by vectors is aligned, else
    `single`."""
    if condition is False:
        single()
        return
    s.vectored = set()
    first = _apart(s, vectors)
    aligned = _alignment(s, s.vectored)
    conditions = [each for each in (condition, aligned) if isinstance(each, SSAValue)]
    if not conditions:
        for op in list(first.ops):
            first.detach_op(op)
            s.b.block.add_op(op)
        return
    second = _apart(s, single)
    together = conditions[0]
    for each in conditions[1:]:
        together = s.b.insert(arith.AndIOp(together, each))
    for block in (first, second):
        block.add_op(scf.YieldOp())
    s.b.append(scf.IfOp(together, [], Region(first), Region(second)))


def either(
    s: DeviceLowering, condition: SSAValue | bool, then: Callable[[], None], otherwise: Callable[[], None]
) -> None:
    """Host code that takes one of two ways."""
    if isinstance(condition, bool):
        (then if condition else otherwise)()
        return
    first, second = _apart(s, then), _apart(s, otherwise)
    for block in (first, second):
        block.add_op(scf.YieldOp())
    s.b.append(scf.IfOp(condition, [], Region(first), Region(second)))


def both(s: DeviceLowering, one: SSAValue | bool, other: SSAValue | bool) -> SSAValue | bool:
    """Whether two conditions hold."""
    if isinstance(one, bool):
        return other if one else False
    if isinstance(other, bool):
        return one if other else False
    return s.b.insert(arith.AndIOp(one, other))


def is_below(s: DeviceLowering, number: Index, limit: int) -> SSAValue | bool:
    """Whether a number of the host is below a limit, as `either` asks for it."""
    return number < limit if isinstance(number, int) else s.b.compare("slt", number, s.b.index(limit))


def _apart(s: DeviceLowering, build: Callable[[], None]) -> Block:
    """A block of host code; what is worked out in it is known in it only, and its memory is its own."""
    outer, sizes = (s.b.block, s.top.block), s.known_sizes()
    block = s.b.block = s.top.block = Block()
    with s.forgetting():
        with_memory(s, build)
    s.b.block, s.top.block = outer
    s.restore_sizes(sizes)
    return block


def _alignment(s: DeviceLowering, buffers: Iterable[SSAValue]) -> SSAValue | None:
    """Whether memory that the caller gave begins where vectors may; None where there is none."""
    bits: SSAValue | None = None
    for buffer in sorted((each for each in buffers if not is_aligned(each)), key=_order):
        address = s.b.insert(memref.ExtractAlignedPointerAsIndexOp.get(buffer))
        bits = address if bits is None else s.b.insert(arith.OrIOp(bits, address))
    if bits is None:
        return None
    low = s.b.insert(arith.AndIOp(bits, s.b.index(VECTOR_BYTES - 1)))
    return s.b.compare("eq", low, s.b.index(0))


def _order(value: SSAValue) -> tuple[int, str]:
    """The same order in every process: that of arguments, before others."""
    index = getattr(value, "index", None)
    return (index if isinstance(index, int) else 1 << 30, value.name_hint or "")
