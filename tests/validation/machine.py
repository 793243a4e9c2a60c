"""What the operators of lowered kernels mean, as terms of z3.

Whole numbers are bit vectors that wrap, floats IEEE numbers of their format, bools bools. An `index` is an
unbounded number, or 64 bits. What LLVM leaves open (a division by zero, a shift by the width, a float that no
whole number holds) is collected in `defined`: it must be proved never to happen.
"""

import operator
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import z3
from attrs import define, field
from xdsl.dialects import arith, math, scf
from xdsl.dialects.builtin import (
    BFloat16Type,
    Float16Type,
    Float32Type,
    Float64Type,
    FloatAttr,
    IndexType,
    IntegerAttr,
    IntegerType,
)  # fmt: skip
from xdsl.ir import Attribute, Block, Operation, SSAValue

from flowc.dialects.loops import OpaqueOp

NEAREST = z3.RNE()
Term = Any
"""A term of z3, whose own types say less."""

FORMATS: Mapping[type[Attribute], z3.FPSortRef] = {
    BFloat16Type: z3.FPSort(8, 8),
    Float16Type: z3.Float16(),
    Float32Type: z3.Float32(),
    Float64Type: z3.Float64(),
}


@define
class Machine:
    """Runs operators on terms. `index` is the sort of positions; `formats` may give smaller floats."""

    index: z3.SortRef = field(factory=z3.IntSort)
    formats: Mapping[type[Attribute], z3.FPSortRef] = FORMATS
    values: dict[SSAValue, Term] = field(factory=dict)
    defined: list[Term] = field(factory=list)

    def sort(self, type_: Attribute) -> z3.SortRef:
        """The sort of a type."""
        if isinstance(type_, IndexType):
            return self.index
        if isinstance(type_, IntegerType):
            return z3.BoolSort() if type_.width.data == 1 else z3.BitVecSort(type_.width.data)
        return self.formats[type(type_)]

    def fresh(self, name: str, value: SSAValue) -> Term:
        """A leaf: any number of the value's type."""
        self.values[value] = z3.Const(name, self.sort(value.type))
        return self.values[value]

    def run(self, block: Block) -> list[Term]:
        """Runs all operators of a block; gives what it yields."""
        for op in block.ops:
            if isinstance(op, scf.YieldOp):
                return [self.values[value] for value in op.operands]
            self.step(op)
        return []

    def step(self, op: Operation) -> None:
        """Runs one operator."""
        match op:
            case arith.ConstantOp() | OpaqueOp():
                self.values[op.results[0]] = self._constant(op.value, op.results[0].type)
            case scf.ForOp():
                self._unrolled(op)
            case _:
                operands = [self.values[value] for value in op.operands]
                self.values[op.results[0]] = self._result(op, operands)

    def _constant(self, value: Attribute, type_: Attribute) -> Term:
        if isinstance(value, FloatAttr):
            return z3.FPVal(value.value.data, self.sort(type_))
        assert isinstance(value, IntegerAttr)
        sort, number = self.sort(type_), value.value.data
        if z3.is_bv_sort(sort):
            return z3.BitVecVal(number, sort)
        return z3.BoolVal(number != 0) if sort == z3.BoolSort() else z3.IntVal(number)

    def _unrolled(self, op: scf.ForOp) -> None:
        """A loop whose bounds are numbers."""
        bounds = [z3.simplify(self.values[value]).as_long() for value in (op.lb, op.ub, op.step)]
        carried = [self.values[value] for value in op.iter_args]
        for counter in range(*bounds):
            position = z3.BitVecVal(counter, 64) if z3.is_bv_sort(self.index) else z3.IntVal(counter)
            self.values.update(zip(op.body.block.args, [position, *carried], strict=True))
            carried = self.run(op.body.block)
        self.values.update(zip(op.results, carried, strict=True))

    def _result(self, op: Operation, given: Sequence[Term]) -> Term:
        target = self.sort(op.results[0].type)
        match op:
            case arith.CmpiOp():
                return _compared(op.predicate.value.data, *given)
            case arith.CmpfOp():
                return _float_compared(op.predicate.value.data, *given)
            case arith.SelectOp():
                return z3.If(*given)
            case (
                arith.ExtSIOp() | arith.ExtUIOp() | arith.TruncIOp() | arith.IndexCastOp() | arith.BitcastOp()
            ):
                return _resized(op, given[0], target)
            case arith.SIToFPOp() | arith.UIToFPOp():
                return _number_to_float(op, given[0], target)
            case arith.FPToSIOp() | arith.FPToUIOp():
                return self._float_to_number(op, given[0], target)
            case arith.ExtFOp() | arith.TruncFOp():
                return z3.fpFPToFP(NEAREST, given[0], target)
        if isinstance(op, _DIVISIONS):
            self.require_quotient(*given, signed=isinstance(op, arith.DivSIOp))
        if isinstance(op, _SHIFTS):
            self.defined.append(z3.ULT(given[1], given[1].size()))
        if z3.is_bool(given[0]) and type(op) in _ON_BOOLS:
            return _ON_BOOLS[type(op)](*given)
        if given[0].sort() == z3.IntSort():
            return _ON_POSITIONS[type(op)](*given)
        if type(op) in _OPERATORS:
            return _OPERATORS[type(op)](*given)
        assert op.dialect_name() == "math", f"no meaning for {op.name}"
        return z3.Function(op.name, *(each.sort() for each in given), target)(*given)

    def require_quotient(self, left: Term, right: Term, signed: bool) -> None:
        """That hardware does not trap."""
        self.defined.append(right != 0)
        if signed and z3.is_bv(left):
            least = z3.BitVecVal(1 << left.size() - 1, left.size())
            self.defined.append(z3.Not(z3.And(left == least, right == -1)))

    def _float_to_number(self, op: Operation, value: Term, target: z3.SortRef) -> Term:
        width, signed = target.size(), isinstance(op, arith.FPToSIOp)
        low, high = (-(2 ** (width - 1)), 2 ** (width - 1)) if signed else (0, 2**width)
        whole = z3.fpRoundToIntegral(z3.RTZ(), value)
        self.defined += [
            z3.fpGEQ(whole, z3.FPVal(low, value.sort())),
            z3.fpLT(whole, z3.FPVal(high, value.sort())),
        ]
        return (z3.fpToSBV if signed else z3.fpToUBV)(z3.RTZ(), value, target)


def _resized(op: Operation, value: Term, target: z3.SortRef) -> Term:
    if isinstance(op, arith.BitcastOp):
        return z3.fpToIEEEBV(value) if z3.is_fp(value) else z3.fpBVToFP(value, target)
    if value.sort() == target:
        return value
    if target == z3.IntSort() or value.sort() == z3.IntSort():
        return z3.BV2Int(value, is_signed=True) if target == z3.IntSort() else z3.Int2BV(value, target.size())
    if z3.is_bool(value):
        ones = -1 if isinstance(op, arith.ExtSIOp) else 1
        return z3.If(value, z3.BitVecVal(ones, target), z3.BitVecVal(0, target))
    more = target.size() - value.size() if target != z3.BoolSort() else 0
    if more > 0:
        return z3.ZeroExt(more, value) if isinstance(op, arith.ExtUIOp) else z3.SignExt(more, value)
    if target == z3.BoolSort():
        return z3.Extract(0, 0, value) == 1
    return z3.Extract(target.size() - 1, 0, value)


def _number_to_float(op: Operation, value: Term, target: z3.SortRef) -> Term:
    if z3.is_bool(value):
        one = -1.0 if isinstance(op, arith.SIToFPOp) else 1.0
        return z3.If(value, z3.FPVal(one, target), z3.FPVal(0.0, target))
    return (z3.fpSignedToFP if isinstance(op, arith.SIToFPOp) else z3.fpUnsignedToFP)(NEAREST, value, target)


_COMPARISONS: tuple[Callable[..., Term], ...] = (
    operator.eq, operator.ne, operator.lt, operator.le, operator.gt, operator.ge,
    z3.ULT, z3.ULE, z3.UGT, z3.UGE,
)  # fmt: skip
"""By the numbers that `arith` gives its predicates."""


def _compared(predicate: int, left: Term, right: Term) -> Term:
    if left.sort() == z3.IntSort() and predicate > 5:
        left, right = (z3.If(each < 0, each + 2**64, each) for each in (left, right))
        predicate -= 4
    if z3.is_bool(left) and predicate > 1:
        left, right = (z3.If(each, z3.BitVecVal(1, 1), z3.BitVecVal(0, 1)) for each in (left, right))
    return _COMPARISONS[predicate](left, right)


def _float_compared(predicate: int, left: Term, right: Term) -> Term:
    """Ordered comparisons are 1 to 6, 7 says that both are numbers; 8 to 13 hold for NaN, too, as does 14."""
    order = (z3.fpEQ, z3.fpGT, z3.fpGEQ, z3.fpLT, z3.fpLEQ, z3.fpNEQ)
    strange = z3.Or(z3.fpIsNaN(left), z3.fpIsNaN(right))
    if predicate in (7, 14):
        return strange if predicate == 14 else z3.Not(strange)
    if predicate < 7:
        return z3.And(z3.Not(strange), order[predicate - 1](left, right))
    return z3.Or(strange, order[predicate - 8](left, right))


def _float_extreme(least: bool) -> Callable[[Term, Term], Term]:
    def extreme(left: Term, right: Term) -> Term:
        strange = z3.Or(z3.fpIsNaN(left), z3.fpIsNaN(right))
        below = z3.fpLEQ(left, right) if least else z3.fpGEQ(left, right)
        return z3.If(strange, z3.fpNaN(left.sort()), z3.If(below, left, right))

    return extreme


def _with_sign(value: Term, sign: Term) -> Term:
    """NaN counts as positive: nothing may depend on its sign."""
    return z3.If(z3.fpIsNegative(sign), z3.fpNeg(z3.fpAbs(value)), z3.fpAbs(value))


def _rounded(mode: Term) -> Callable[[Term], Term]:
    return lambda value: z3.fpRoundToIntegral(mode, value)


_DIVISIONS = arith.DivSIOp | arith.DivUIOp | arith.RemUIOp | arith.RemSIOp | arith.FloorDivSIOp
_SHIFTS = arith.ShLIOp | arith.ShRUIOp | arith.ShRSIOp
_ON_BOOLS: dict[type[Operation], Callable[..., Term]] = {
    arith.AndIOp: z3.And, arith.OrIOp: z3.Or, arith.XOrIOp: z3.Xor,
}  # fmt: skip
_ON_POSITIONS: dict[type[Operation], Callable[..., Term]] = {
    arith.AddiOp: operator.add, arith.SubiOp: operator.sub, arith.MuliOp: operator.mul,
    arith.DivUIOp: operator.truediv, arith.RemUIOp: operator.mod, arith.FloorDivSIOp: operator.truediv,
    arith.MinSIOp: lambda a, b: z3.If(a <= b, a, b), arith.MaxSIOp: lambda a, b: z3.If(a >= b, a, b),
}  # fmt: skip
"""z3 rounds quotients of whole numbers down where the divisor is positive."""
_OPERATORS: dict[type[Operation], Callable[..., Term]] = {
    arith.AddiOp: operator.add, arith.SubiOp: operator.sub, arith.MuliOp: operator.mul,
    arith.DivSIOp: operator.truediv, arith.DivUIOp: z3.UDiv, arith.RemUIOp: z3.URem, arith.RemSIOp: z3.SRem,
    arith.MinSIOp: lambda a, b: z3.If(a <= b, a, b), arith.MaxSIOp: lambda a, b: z3.If(a >= b, a, b),
    arith.MinUIOp: lambda a, b: z3.If(z3.ULE(a, b), a, b),
    arith.MaxUIOp: lambda a, b: z3.If(z3.UGE(a, b), a, b),
    arith.AndIOp: operator.and_, arith.OrIOp: operator.or_, arith.XOrIOp: operator.xor,
    arith.ShLIOp: operator.lshift, arith.ShRUIOp: z3.LShR, arith.ShRSIOp: operator.rshift,
    arith.AddfOp: lambda a, b: z3.fpAdd(NEAREST, a, b), arith.SubfOp: lambda a, b: z3.fpSub(NEAREST, a, b),
    arith.MulfOp: lambda a, b: z3.fpMul(NEAREST, a, b), arith.DivfOp: lambda a, b: z3.fpDiv(NEAREST, a, b),
    arith.NegfOp: z3.fpNeg, math.AbsFOp: z3.fpAbs, math.CopySignOp: _with_sign,
    math.SqrtOp: lambda a: z3.fpSqrt(NEAREST, a),
    arith.MinimumfOp: _float_extreme(True), arith.MaximumfOp: _float_extreme(False),
    math.FloorOp: _rounded(z3.RTN()), math.CeilOp: _rounded(z3.RTP()),
    math.TruncOp: _rounded(z3.RTZ()), math.RoundEvenOp: _rounded(z3.RNE()),
}  # fmt: skip
