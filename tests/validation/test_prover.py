"""That the proofs can fail: wrong rules are refuted, and the counterexample is one that a person can try."""

from collections.abc import Sequence
from typing import Any

import pytest
import z3
from xdsl.dialects import arith
from xdsl.dialects.builtin import ModuleOp
from xdsl.ir import SSAValue

from flowc.dialects.array import build, ops
from flowc.dialects.array.slices import AxisSlice
from flowc.dialects.array.types import array_type
from flowc.dialects.flow import compute
from flowc.passes import array_extents, canonicalise, hoist_transposes
from flowc.passes.array_to_loops import reductions, scalar_integers, scalars
from flowc.passes.array_to_loops.builder import LoopBuilder
from flowc.passes.framework import rewrite
from flowc.testing.strategies.kernels import Add, as_module, make_kernel
from tests.validation.arrays import prove_kernels
from tests.validation.extents import prove_slice
from tests.validation.flow_rules import prove_passes
from tests.validation.flow_trees import Builder, flow
from tests.validation.loops import Mark, prove_each_once, visits_of
from tests.validation.machine import NEAREST
from tests.validation.prover import Refuted, Unproved, prove, same, text_of
from tests.validation.reductions import closed
from tests.validation.scalars import prove_conversion, prove_operator
from tests.validation.test_flow_rules import choice_of_optionals

X = z3.FP("x", z3.Float32())
ZERO = z3.FPVal(0.0, z3.Float32())


@pytest.mark.parametrize("before", [z3.fpMul(NEAREST, X, ZERO), z3.fpSub(NEAREST, X, X)])
def test_neither_zero_times_a_float_nor_a_float_less_itself_is_zero(before: Any) -> None:
    with pytest.raises(Refuted, match=r"folding to zero does not hold for\n  x = (nan|-?inf|-.*)"):
        prove(same(before, ZERO), shown={"x": X}, name="folding to zero")
    ordinary = z3.Not(z3.Or(z3.fpIsNaN(X), z3.fpIsInf(X)))
    prove(same(before, ZERO, zeros_alike=True), [ordinary])


def test_a_question_without_an_answer_is_no_proof() -> None:
    x, y, z = z3.Ints("x y z")
    with pytest.raises(Unproved, match="no answer in"):
        prove(x**3 + y**3 != z**3, [x > 1, y > 1, z > 1], name="a theorem", seconds=0.05)


def test_values_are_printed_as_they_are_written() -> None:
    assert [text_of(z3.FPVal(each, z3.Float64())) for each in (0.1, 1e300)] == ["0.1", "1e+300"]
    assert text_of(z3.BitVecVal(200, 8)) == "-56"


def test_a_lowering_that_takes_the_wrong_operator_is_refuted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(scalar_integers._unsigned_extreme, "minimum", arith.MinSIOp)
    with pytest.raises(Refuted, match=r"minimum of u8 does not hold for\n  x0 .*\n  x1 .*\n  result"):
        prove_operator("minimum", "u8")


def test_a_lowering_that_does_what_llvm_leaves_open_is_refuted(monkeypatch: pytest.MonkeyPatch) -> None:
    def bare(b: LoopBuilder, shift: Any, value: SSAValue, places: SSAValue) -> SSAValue:
        return b.insert(shift(value, places))

    monkeypatch.setattr(scalar_integers, "_shifted", bare)
    with pytest.raises(Refuted, match="shl of i16: that it is defined"):
        prove_operator("shl", "i16")


def test_a_conversion_that_forgets_nan_is_refuted(monkeypatch: pytest.MonkeyPatch) -> None:
    def hasty(b: LoopBuilder, value: SSAValue, target: str) -> SSAValue:
        return b.convert(arith.FPToSIOp, value, scalars.held_type(target))

    monkeypatch.setattr(scalars, "_clamped_to_integer", hasty)
    with pytest.raises(Refuted, match="f32 as i8"):
        prove_conversion("f32", "i8")


def test_a_slice_that_is_off_by_one_is_refuted(monkeypatch: pytest.MonkeyPatch) -> None:
    right = array_extents.ExtentAnalysis._resolved

    def wrong(self: Any, op: ops.SliceOp, bounds: AxisSlice, whole: Any) -> Any:
        start, step, count = right(self, op, bounds, whole)
        return start, step, array_extents.combine("add", count, 1)

    monkeypatch.setattr(array_extents.ExtentAnalysis, "_resolved", wrong)
    with pytest.raises(Refuted, match=r"the slice \$0:: its length does not hold for\n  extent = \d"):
        prove_slice(AxisSlice("$0", None, 1))


def test_a_rule_of_flows_that_takes_the_wrong_side_is_refuted() -> None:
    def wrong(op: Any) -> Sequence[SSAValue]:
        return [op.second]

    def body(b: Builder, p: list[SSAValue]) -> SSAValue:
        return b.add(compute.SelectOp(p[2], p[0], p[1]))

    def rule(module: ModuleOp) -> int:
        return rewrite(module, {compute.SelectOp: (wrong,)})

    with pytest.raises(Refuted, match=r"(?s)rule on.*which then is.*flow\.return %3?.*p2 = True"):
        prove_passes(flow(body), [rule])


def test_a_choice_of_optionals_is_no_bool(monkeypatch: pytest.MonkeyPatch) -> None:
    """The rule as it once was: the module does not verify any more."""

    def careless(condition: SSAValue, first: SSAValue, second: SSAValue) -> bool:
        return canonicalise.constant_of(first) is True and canonicalise.constant_of(second) is False

    monkeypatch.setattr(canonicalise, "_says_condition", careless)
    with pytest.raises(Exception, match="must have the type of its result"):
        prove_passes(flow(choice_of_optionals), [canonicalise.canonicalise])


def test_a_transpose_that_goes_the_wrong_way_is_refuted(monkeypatch: pytest.MonkeyPatch) -> None:
    def body(add: Add, x: SSAValue) -> SSAValue:
        return add(build.elementwise("exp", [add(build.transpose(x, (1, 2, 0)))]))

    def back(value: SSAValue, order: Sequence[int], add: Add) -> SSAValue:
        return add(build.transpose(value, [list(order).index(axis) for axis in range(len(order))]))

    kernel = make_kernel({"x": array_type("f32", (2, 2, 2))}, body)
    before = kernel.clone()
    monkeypatch.setattr(hoist_transposes, "_turned", back)
    assert hoist_transposes.hoist_transposes(as_module(kernel)) == 1
    with pytest.raises(Refuted, match=r"(?s)which then is.*x\[\d, \d, \d\] ="):
        prove_kernels(before, kernel, {})


@pytest.mark.parametrize(
    ("wrong", "complaint"), [(0, "that none is left out"), (2, "that none is visited twice")]
)
def test_a_loop_that_forgets_or_repeats_the_last_ones_is_refuted(wrong: int, complaint: str) -> None:
    def build(b: LoopBuilder, ns: Sequence[SSAValue], mark: Mark) -> None:
        def visit(i: SSAValue, count: int) -> Sequence[SSAValue]:
            for k in range(count):
                mark(b, [b.add(i, k)])
            return ()

        even = b.mul(b.floordiv(ns[0], 4), 4)
        b.loop(0, even, (), lambda i, _: visit(i, 4), step=4)
        low, high = (even, b.sub(ns[0], 1)) if wrong == 0 else (b.sub(even, 1), ns[0])
        b.loop(low, high, (), lambda i, _: visit(i, 1))

    (n,), nest = visits_of(build, 1)
    with pytest.raises(Refuted, match=complaint):
        prove_each_once(nest.visits, lambda at: z3.And(at[0] >= 0, at[0] < n), [n > 3], "a loop")


def test_a_sum_that_forgets_an_overflow_is_refuted(monkeypatch: pytest.MonkeyPatch) -> None:
    def once(b: LoopBuilder, carried: Sequence[SSAValue]) -> SSAValue:
        return b.insert(arith.AddfOp(*carried))

    monkeypatch.setattr(reductions, "close", once)
    total, lost, result = closed()
    with pytest.raises(Refuted, match=r"lost   = (nan|-?inf)|result = -?inf"):
        prove(
            z3.Not(z3.fpIsNaN(result)),
            [z3.Not(z3.fpIsNaN(total))],
            {"total": total, "lost": lost, "result": result},
        )
