"""The order of operations: chains of products and sums that become fused ones, and lanes that begin with what
changes nothing, to the sign of a zero.
"""

from collections.abc import Sequence
from itertools import product

import pytest
import z3
from attrs import define
from xdsl.dialects import arith, func, math, scf
from xdsl.dialects.builtin import IndexType, UnknownLoc, f32, f64, i1, i16
from xdsl.ir import Attribute, Block, Operation, Region

from flowc.passes.array_to_loops import order
from flowc.passes.array_to_loops.builder import CONTRACT, LoopBuilder
from flowc.passes.array_to_loops.chains import fuse_chains
from tests.validation.machine import Machine, Term
from tests.validation.prover import prove

FLOATS = (arith.AddfOp, arith.MulfOp, arith.MinimumfOp, arith.MaximumfOp)
WHOLE = tuple(each for each in order._COMBINING if each not in FLOATS)


@pytest.mark.parametrize(
    ("kind", "type_"),
    [*product(FLOATS, (f32, f64)), *product(WHOLE, (i16,)), (arith.AndIOp, i1), (arith.OrIOp, i1)],
    ids=lambda each: str(getattr(each, "name", each)),
)
def test_what_a_lane_begins_with_changes_nothing_at_all(kind: type[Operation], type_: Attribute) -> None:
    machine, block = Machine(), Block(arg_types=[type_])
    x = machine.fresh("x", block.args[0])
    b = LoopBuilder(block, UnknownLoc())
    op = kind.create(operands=[block.args[0]] * 2, result_types=[type_])
    step = order._Step(op, block.args[0])
    first = order._held(b, step, order._neutral(b, step))
    result = b.insert(kind.create(operands=[first, block.args[0]], result_types=[type_]))
    machine.run(block)
    prove(machine.values[result] == x, shown={"x": x}, name=f"{kind.name} of {type_}")


@define
class Exact(Machine):
    """Floats are real numbers, of which nothing is rounded."""

    def sort(self, type_: Attribute) -> z3.SortRef:
        """That of real numbers for floats."""
        return z3.RealSort() if type_ in (f32, f64) else super().sort(type_)

    def _result(self, op: Operation, given: Sequence[Term]) -> Term:
        match op:
            case arith.AddfOp():
                return given[0] + given[1]
            case arith.SubfOp():
                return given[0] - given[1]
            case arith.MulfOp():
                return given[0] * given[1]
            case arith.NegfOp():
                return -given[0]
            case math.FmaOp():
                return given[0] * given[1] + given[2]
        return super()._result(op, given)


@pytest.mark.parametrize("sum_", [arith.AddfOp, arith.SubfOp])
@pytest.mark.parametrize("first_waits", [True, False])
def test_a_product_that_waits_for_the_round_before_is_fused_into_the_same_number(
    sum_: type[Operation], first_waits: bool
) -> None:
    outer, inner = Block(arg_types=[IndexType(), *[f64] * 4]), Block(arg_types=[IndexType(), f64])
    end, start, *others = outer.args
    b = LoopBuilder(inner, UnknownLoc())
    pairs = [(others[0], inner.args[1]), (others[1], others[2])]
    products = [b.insert(arith.MulfOp(*pair, CONTRACT)) for pair in (pairs if first_waits else pairs[::-1])]
    total = b.insert(sum_.create(operands=products, result_types=[f64], properties={"fastmath": CONTRACT}))
    b.append(scf.YieldOp(total))
    around = LoopBuilder(outer, UnknownLoc())
    around.append(scf.ForOp(around.index(0), end, around.index(1), [start], Region(inner)))
    around.append(func.ReturnOp())
    function = func.FuncOp("k", ([IndexType(), *[f64] * 4], []), Region(outer))

    def one_round() -> tuple[dict[str, Term], Term]:
        machine = Exact()
        values = {"carried": inner.args[1], "a": others[0], "b": others[1], "c": others[2]}
        leaves = {name: machine.fresh(name, value) for name, value in values.items()}
        return leaves, machine.run(inner)[0]

    leaves, before = one_round()
    fuse_chains(function)
    assert sum(isinstance(op, math.FmaOp) for op in inner.ops) == 1
    prove(before == one_round()[1], shown=leaves, name="a fused product")
