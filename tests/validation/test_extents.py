"""The algebra of extents and the arithmetic of slices, proved for all extents and bounds."""

from itertools import product
from random import Random

import pytest

from flowc.dialects.array.slices import AxisSlice
from tests.validation.extents import LEAVES, drawn, prove_combination, prove_sign, prove_slice


def test_every_operator_of_two_leaves_is_combined_to_the_same_number() -> None:
    for left, right in product(LEAVES, LEAVES):
        for operator in ("add", "sub", "min", "max", "wrap"):
            prove_combination((operator, left, right))
        if isinstance(right, int):
            prove_combination(("mul", left, right))
            if right > 0:
                prove_combination(("floordiv", left, right))


@pytest.mark.parametrize("seed", range(60))
def test_longer_expressions_are_combined_to_the_same_number(seed: int) -> None:
    prove_combination(drawn(Random(seed), 4))


def test_what_is_found_never_to_be_negative_is_not() -> None:
    found = sum(prove_sign(drawn(Random(seed), 3)) for seed in range(300))
    assert found > 50


BOUNDS = (None, 0, 2, -3, "$0")


@pytest.mark.parametrize("step", [1, 2, 3, -1, -2])
def test_slices_take_what_python_takes(step: int) -> None:
    for start, stop in product(BOUNDS, (*BOUNDS[:-1], "$1")):
        second = "$0" if stop == "$1" and start != "$0" else stop
        prove_slice(AxisSlice(start, second, step))
