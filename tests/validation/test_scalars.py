"""Each elementwise operator, conversion and step of a reduction, proved for all elements."""

import numpy as np
import pytest
import z3

import flowc
from flowc.dialects.array.kinds import LOGICAL, PAIRED, TRANSCENDENTAL, arity
from flowc.passes.array_to_gpu.folding import nearer
from flowc.passes.array_to_loops import positions
from tests.validation import reductions
from tests.validation.machine import Term
from tests.validation.prover import prove, same
from tests.validation.scalar_meaning import BOOL_KINDS, FLOAT_KINDS, INTEGER_KINDS
from tests.validation.scalars import prove_conversion, prove_operator, prove_power

BY_LAW = ("floordiv", "mod", "pow")
"""Of whole numbers: see test_exhaustive."""
BY_LIBRARY = (*TRANSCENDENTAL, *PAIRED, "pow", "floordiv", "mod", "atan2")
"""Of floats: functions that LLVM or a library computes; tests/backends compares them with NumPy."""
DTYPES = ("f64", "f32", "f16", "bf16", "i64", "i32", "i16", "i8", "u8", "bool")
SLOW = {("f64", "i32"), *((source, "i64") for source in ("f64", "f32", "f16", "bf16"))}
"""Conversions that the campaign proves."""


def test_every_operator_has_a_meaning_here_or_a_reason_why_not() -> None:
    assert set(arity) <= {*INTEGER_KINDS, *BY_LAW, *BY_LIBRARY, *LOGICAL, "div", "where"}
    assert set(arity) <= {
        *FLOAT_KINDS,
        *BY_LIBRARY,
        *LOGICAL,
        "where",
        "bitand",
        "bitor",
        "bitxor",
        "shl",
        "shr",
        "invert",
    }


@pytest.mark.parametrize("dtype", ["i64", "i8", "u8"])
def test_operators_on_whole_numbers_give_what_they_mean(dtype: str) -> None:
    for kind in INTEGER_KINDS:
        if kind not in BY_LAW:
            prove_operator(kind, dtype)


def test_operators_on_bools_give_what_they_mean() -> None:
    for kind in BOOL_KINDS:
        prove_operator(kind, "bool")


def test_operators_on_floats_give_what_they_mean_for_nan_and_signed_zeros_too() -> None:
    for kind in FLOAT_KINDS:
        prove_operator(kind, "f32")


@pytest.mark.parametrize("target", DTYPES)
def test_conversions_give_the_nearest_number_or_the_clipped_one(target: str) -> None:
    for source in DTYPES:
        if (source, target) not in SLOW:
            prove_conversion(source, target)


@pytest.mark.parametrize("exponent", [1.0, 2.0, -1.0, 0.5])
def test_powers_of_a_few_steps_are_powers(exponent: float) -> None:
    prove_power(exponent)


REDUCTIONS = [
    (kind, dtype)
    for kind in ("sum", "prod", "min", "max", "any", "all")
    for dtype in ("i16", "u8", "f32", "bool")
    if (kind in ("any", "all")) == (dtype == "bool") or (kind in ("min", "max") and dtype == "bool")
]


@pytest.mark.parametrize(("kind", "dtype"), REDUCTIONS)
def test_what_a_reduction_begins_with_changes_nothing(kind: str, dtype: str) -> None:
    start, combine = reductions.neutral(kind, dtype), reductions.combined(kind, dtype)
    x = z3.Const("x", start.sort())
    for claim in (same(x, combine(start, x), zeros_alike=True), same(x, combine(x, start), zeros_alike=True)):
        prove(claim, shown={"x": x}, name=f"{kind} of {dtype}")


@pytest.mark.parametrize(("kind", "dtype"), [each for each in REDUCTIONS if each != ("prod", "i16")])
def test_elements_may_meet_in_any_order_where_nothing_is_rounded(kind: str, dtype: str) -> None:
    combine = reductions.combined(kind, dtype)
    x, y, z = (z3.Const(name, combine(*[reductions.neutral(kind, dtype)] * 2).sort()) for name in "xyz")
    shown = {"x": x, "y": y, "z": z}
    prove(same(combine(x, y), combine(y, x), zeros_alike=True), shown=shown, name=f"{kind}: turned round")
    if dtype != "f32" or kind in ("min", "max"):
        grouped = same(combine(combine(x, y), z), combine(x, combine(y, z)), zeros_alike=True)
        prove(grouped, shown=shown, name=f"{kind} of {dtype}: grouped otherwise")


def _pairs(dtype: str, count: int) -> list[tuple[Term, Term]]:
    sort = {"f32": z3.Float32(), "i32": z3.BitVecSort(32), "u8": z3.BitVecSort(8)}[dtype]
    return [(z3.Const(f"x{n}", sort), z3.BitVec(f"p{n}", 64)) for n in range(count)]


def _shown(pairs: list[tuple[Term, Term]]) -> dict[str, Term]:
    return {str(term): term for pair in pairs for term in pair}


def _one(first: tuple[Term, Term], second: tuple[Term, Term]) -> Term:
    return z3.And(same(first[0], second[0], zeros_alike=True), first[1] == second[1])


@pytest.mark.parametrize("kind", ["min", "max"])
@pytest.mark.parametrize("dtype", ["f32", "i32", "u8"])
def test_threads_may_compare_what_they_found_in_any_order(kind: str, dtype: str) -> None:
    nearest = reductions.extreme(kind, dtype, nearer)
    a, b, c = pairs = _pairs(dtype, 3)
    apart = [z3.Distinct(*(place for _, place in pairs))]
    prove(_one(nearest(a, b), nearest(b, a)), apart, _shown(pairs), f"arg{kind}: turned round")
    grouped = _one(nearest(nearest(a, b), c), nearest(a, nearest(b, c)))
    prove(grouped, apart, _shown(pairs), f"arg{kind}: grouped otherwise")


@pytest.mark.parametrize("kind", ["min", "max"])
@pytest.mark.parametrize("dtype", ["f32", "i32"])
def test_of_equal_extremes_the_first_stays(kind: str, dtype: str) -> None:
    better, nearest = (reductions.extreme(kind, dtype, each) for each in (positions.better, nearer))
    a, b = pairs = _pairs(dtype, 2)
    in_order = [a[1] < b[1]]
    prove(_one(better(a, b), nearest(b, a)), in_order, _shown(pairs), f"arg{kind}: the first")


def _finite(value: Term) -> Term:
    return z3.Not(z3.Or(z3.fpIsInf(value), z3.fpIsNaN(value)))


def test_a_compensated_sum_that_is_a_number_stays_one_whatever_it_lost() -> None:
    total, lost, result = reductions.closed()
    shown = {"total": total, "lost": lost, "result": result}
    prove(_finite(result), [_finite(total)], shown, "a finite sum")
    prove(result == total, [z3.fpIsInf(total)], shown, "an infinite sum")


@flowc.jit
def total(x: np.ndarray) -> np.float64:
    return np.sum(x)


def test_the_sum_of_a_total_and_a_block_that_nearly_overflow_is_finite() -> None:
    x = np.zeros(4096)
    x[0], x[1500] = 2.0**1021 + 2.0**971 + 2.0**970, -np.finfo(float).max
    assert total(x) == np.sum(x)
