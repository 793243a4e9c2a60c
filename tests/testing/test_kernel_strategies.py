"""The kernels that are drawn: valid, many in a second, of every operator there is."""

from collections import Counter
from collections.abc import Callable
from random import Random

import numpy as np
from hypothesis import given, settings

from flowc.dialects.array import Array
from flowc.dialects.array.faults import KernelFault
from flowc.dialects.array.reference import evaluate_kernel
from flowc.testing.oracles import reached
from flowc.testing.strategies.choices import from_random
from flowc.testing.strategies.kernel_arrays import of_sort
from flowc.testing.strategies.kernel_sites import is_exact
from flowc.testing.strategies.kernels import DTYPES, SORTS, Program, drawn_kernel, every_program

DRAWN = 500
OF_FLOWS = {"array.launch"}
"""Operators that call kernels, and stand in none."""


def test_every_operator_of_the_dialect_is_drawn_and_most_pairs_of_them(
    record_property: Callable[[str, object], None],
) -> None:
    chance = Random(8)
    operations: Counter[str] = Counter()
    pairs: Counter[str] = Counter()
    failing = 0
    for _ in range(DRAWN):
        program = drawn_kernel(from_random(chance), sort=chance.choice(SORTS), sizes=(0, 1, 2, 3))
        operations += reached.operations(program.module)
        pairs += reached.pairs(program.module)
        try:
            with np.errstate(all="ignore"):
                evaluate_kernel(program.kernel, program.arguments)
        except (KernelFault, ValueError):
            failing += 1
    known = {op.name for op in Array.operations}
    givers = {
        name for name in known if name not in ("array.kernel", "array.return", "array.write", "array.require")
    }
    takers = known - {"array.kernel", "array.constant"}
    possible = len(givers - OF_FLOWS) * len(takers - OF_FLOWS)
    ours = [pair for pair in pairs if all(name.startswith("array.") for name in pair.split(">"))]
    record_property("pairs", f"{len(ours)} of at most {possible}, in {DRAWN} kernels")
    assert known - set(operations) == OF_FLOWS
    assert len(ours) >= 250
    assert failing < DRAWN / 4


@settings(max_examples=20)
@given(every_program())
def test_what_is_drawn_is_valid_and_has_a_meaning(program: Program) -> None:
    program.module.verify()
    try:
        with np.errstate(all="ignore"):
            results = evaluate_kernel(program.kernel, program.arguments)
    except (KernelFault, ValueError):
        return
    assert len(results) == len(program.kernel.returned)


def test_arrays_of_every_sort_hold_what_they_promise() -> None:
    for dtype in DTYPES:
        plain, extreme = (of_sort(sort, dtype, (400,), 3).astype(np.float64) for sort in ("plain", "extreme"))
        assert np.isfinite(plain).all()
        assert np.isfinite(extreme).all()
        if dtype != "bool":
            assert extreme.max() > 10 * plain.max()
    special = of_sort("special", "f32", (400,), 3)
    assert {"nan", "inf", "-inf", "-0.0"} <= {str(number) for number in special}
    tiny = of_sort("extreme", "f32", (400,), 3)
    assert np.any((np.abs(tiny) > 0) & (np.abs(tiny) < np.finfo(np.float32).tiny))


def test_sums_of_extremes_are_not_taken_for_exact() -> None:
    chance = Random(1)
    for _ in range(200):
        kernel = drawn_kernel(from_random(chance)).kernel
        for value in kernel.returned:
            assert is_exact(value) or not is_exact(value, rounds=True)
