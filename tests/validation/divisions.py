"""Division of wide numbers, proved from its law: x = q * d + r with r smaller than d and of x's sign.

No solver multiplies 64 unknown bits by 64 others in a useful time, so q and r stand for any numbers for which
the law holds, and what the lowering makes of them must be the floor.
"""

from collections.abc import Sequence

import z3
from attrs import define, field
from xdsl.dialects import arith
from xdsl.ir import Operation

from flowc.passes.array_to_loops.scalar_integers import _integer_division
from tests.validation.machine import Machine, Term
from tests.validation.prover import prove
from tests.validation.scalars import built


@define
class ByLaw(Machine):
    """Quotients towards zero are unknown, and so are the remainders that make up for them."""

    law: list[Term] = field(factory=list)
    quotient: Term = None
    remainder: Term = None
    divided: Term = None

    def _result(self, op: Operation, given: Sequence[Term]) -> Term:
        if isinstance(op, arith.DivSIOp):
            return self._quotient(*given)
        if isinstance(
            op, arith.DivfOp
        ):  # see test_exhaustive: rounding this one towards zero is the quotient
            return self._quotient(*(each.arg(1) for each in given))
        if isinstance(op, arith.FPToSIOp):
            return given[0]
        if isinstance(op, arith.MuliOp) and given[0] is self.quotient:
            return self.divided - self.remainder
        return super()._result(op, given)

    def _quotient(self, x: Term, d: Term) -> Term:
        self.require_quotient(x, d, signed=True)
        self.divided = x
        self.quotient, self.remainder = z3.Const("q", x.sort()), z3.Const("r", x.sort())
        r = self.remainder
        size = [z3.If(each < 0, -z3.SignExt(1, each), z3.SignExt(1, each)) for each in (r, d)]
        self.law += [z3.ULT(*size), z3.Implies(r != 0, (r < 0) == (x < 0))]
        return self.quotient


def prove_division(kind: str, dtype: str) -> None:
    """Floor division, or its remainder, is Python's for all numbers of the dtype."""
    machine = ByLaw()
    (x, y), result, _ = built(lambda b, xs: _integer_division(b, kind, *xs), [dtype, dtype], machine)
    q, r = machine.quotient, machine.remainder
    apart = z3.And(r != 0, (r < 0) != (y < 0))
    plain = z3.If(apart, q - 1, q) if kind == "floordiv" else z3.If(apart, r + y, r)
    by_minus_one = -x if kind == "floordiv" else z3.BitVecVal(0, x.size())
    wanted = z3.If(y == 0, z3.BitVecVal(0, x.size()), z3.If(y == -1, by_minus_one, plain))
    shown = {"x": x, "y": y, "q": q, "r": r, "result": result}
    for condition in machine.defined:
        prove(condition, machine.law, shown, f"{kind} of {dtype}: that it is defined")
    prove(result == wanted, machine.law, shown, f"{kind} of {dtype}")
