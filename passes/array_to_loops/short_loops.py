"""Loops over short rows whose length is known: of which of their rounds a vector is made.

LLVM makes vectors that leave nothing over: of four numbers each for rows of 20. With masks the last vector
of a row may as well be a part of one, and the few vectors of a row are written out. Where rows are so short
that a vector has elements of several, those of eight numbers of 64 bits are the one kind that LLVM would
gather number by number.
"""

from xdsl.dialects import arith, memref, scf
from xdsl.dialects.builtin import FixedBitwidthType, IntegerAttr, MemRefType, UnitAttr, i64
from xdsl.ir import Operation, SSAValue

from flowc.dialects.loops import LANES, MASKED, PLAIN, ROLLED
from flowc.passes.array_to_loops.builder import FEW
from flowc.passes.array_to_loops.nests import nested

MASKS = 512
"""Vectors of so many bits have masks, on all processors that have them."""
ONE, MOST = 16, 64
"""Rounds of one vector of narrow numbers, and as many as may be written out."""


def mark_short_loops(function: Operation, vector_bits: int) -> None:
    """Marks the innermost loops of a lowered kernel of which LLVM would make other vectors."""
    if vector_bits < MASKS:
        return
    for op in nested(function):
        if not isinstance(op, scf.ForOp) or PLAIN in op.attributes or ROLLED in op.attributes:
            continue
        if any(isinstance(inner, scf.ForOp | scf.WhileOp) for inner in nested(op)):
            continue
        rounds = _rounds(op)
        if FEW < rounds <= MOST and rounds % ONE:
            op.attributes[MASKED] = UnitAttr()
        elif not rounds and any(map(_is_one_of_eight, op.body.walk())):
            op.attributes[LANES] = IntegerAttr(vector_bits // 128, i64)


def _rounds(loop: scf.ForOp) -> int:
    """How many rounds a loop has, 0 where that is not known."""
    bounds = [_known(value) for value in (loop.lb, loop.ub, loop.step)]
    known = [bound for bound in bounds if bound is not None]
    return len(range(*known)) if len(known) == len(bounds) else 0


def _known(value: SSAValue) -> int | None:
    op = value.owner
    if isinstance(op, arith.ConstantOp) and isinstance(op.value, IntegerAttr):
        return int(op.value.value.data)
    return None


def _is_one_of_eight(op: Operation) -> bool:
    """Whether an op takes or stores a certain number of a row of eight wide ones."""
    if not isinstance(op, memref.LoadOp | memref.StoreOp) or not isinstance(op.memref.type, MemRefType):
        return False
    element, shape = op.memref.type.get_element_type(), op.memref.type.get_shape()
    wide = isinstance(element, FixedBitwidthType) and element.bitwidth == 64
    return wide and len(shape) > 1 and shape[-1] == FEW and _known(op.indices[-1]) is not None
