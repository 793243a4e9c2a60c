"""The numbers of a product: how factors are widened, multiplied and added up, and what a sum is in the end.

Integers of up to 32 bits are summed in 32 and cut to the result's: sums wrap around, so that comes to the
same. Half floats are summed in f32. A bool is 1 or 0, and a sum of bools whether any is 1.
"""

from attrs import frozen
from xdsl.dialects import arith, math
from xdsl.dialects.builtin import IntegerType, f32, f64, i1, i32, i64
from xdsl.ir import Attribute, SSAValue

from flowc.dialects.array.types import bits, is_float
from flowc.passes.array_to_gpu.lowering import DeviceLowering
from flowc.passes.array_to_loops import scalars


@frozen
class Numbers:
    """What a product of a dtype adds up: factors and sums of the type `sums`."""

    dtype: str
    sums: Attribute

    @property
    def bytes(self) -> int:
        """The size of a sum."""
        return 8 if self.sums in (f64, i64) else 4

    def zero(self, s: DeviceLowering) -> SSAValue:
        """The sum of nothing."""
        return s.b.constant(0, self.sums)

    def widened(self, s: DeviceLowering, held: SSAValue) -> SSAValue:
        """A held number of the dtype as a factor."""
        if held.type == self.sums:
            return held
        signed = isinstance(held.type, IntegerType) and self.dtype not in scalars.UNSIGNED
        return s.b.convert(arith.ExtSIOp if signed else arith.ExtUIOp, held, self.sums)

    def multiplied(self, s: DeviceLowering, one: SSAValue, other: SSAValue, total: SSAValue) -> SSAValue:
        """`total + one * other`; in a kernel that asks for the written order two operations of floats."""
        if is_float(self.dtype):
            if not s.b.precise:
                return s.b.insert(math.FmaOp(one, other, total))
            return s.b.insert(arith.AddfOp(total, s.b.insert(arith.MulfOp(one, other))))
        product = s.b.insert((arith.AndIOp if self.dtype == "bool" else arith.MuliOp)(one, other))
        return self.added(s, total, product)

    def added(self, s: DeviceLowering, one: SSAValue, other: SSAValue) -> SSAValue:
        """Two sums as one."""
        if is_float(self.dtype):
            return s.b.insert(arith.AddfOp(one, other))
        return s.b.insert((arith.OrIOp if self.dtype == "bool" else arith.AddiOp)(one, other))

    def result(self, s: DeviceLowering, total: SSAValue) -> SSAValue:
        """A sum as a held number of the dtype."""
        held = scalars.held_type(self.dtype)
        if held == i1:
            return s.b.compare("ne", total, s.b.constant(0, total.type))
        if total.type == held:
            return total
        wider = bits(self.dtype) > 32
        return s.b.convert(arith.ExtSIOp if wider else arith.TruncIOp, total, held)


def numbers_of(dtype: str) -> Numbers:
    """What the threads of a device add up for a product of a dtype, each on its own."""
    if is_float(dtype):
        return Numbers(dtype, f64 if dtype == "f64" else f32)
    return Numbers(dtype, i64 if dtype == "i64" else i32)
