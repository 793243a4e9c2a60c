"""Division and powers of narrow whole numbers, on every pair that there is: their lowerings go by way of
floats and by squaring, of which z3 has no quick proof.
"""

import numpy as np
import pytest
from xdsl.dialects.builtin import UnknownLoc, f64
from xdsl.ir import Block

from flowc.passes.array_to_loops import scalars
from flowc.passes.array_to_loops.builder import LoopBuilder
from tests.validation import exhaustive
from tests.validation.divisions import prove_division
from tests.validation.reductions import add_block


def lowered(kind: str, dtype: str, first: np.ndarray, second: np.ndarray) -> np.ndarray:
    held = scalars.held_type(dtype)
    block = Block(arg_types=[held, held])
    result = scalars.apply(LoopBuilder(block, UnknownLoc()), kind, dtype, block.args)
    return exhaustive.run(block, [first, second])[result]


def all_pairs() -> tuple[np.ndarray, np.ndarray]:
    numbers = np.arange(-128, 128, dtype=np.int64)
    first, second = np.meshgrid(numbers, numbers, indexing="ij")
    return first.ravel(), second.ravel()


def wanted(kind: str, first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """By Python's own whole numbers."""

    def one(x: int, y: int) -> int:
        if kind == "pow":
            return {1: 1, -1: 1 if y % 2 == 0 else -1}.get(x, 0) if y < 0 else pow(x, y, 256)
        if y == 0:
            return 0
        return x // y if kind == "floordiv" else x % y

    return np.array([one(x, y) for x, y in zip(first.tolist(), second.tolist(), strict=True)], np.int64)


@pytest.mark.parametrize("kind", ["floordiv", "mod", "pow"])
@pytest.mark.parametrize("dtype", ["i8", "u8"])
def test_bytes_are_divided_and_raised_as_python_does_it(kind: str, dtype: str) -> None:
    first, second = all_pairs()
    own = [each.astype(np.int8) for each in (first, second)]
    if dtype == "u8":
        first, second = first % 256, second % 256
    got = lowered(kind, dtype, *own)
    np.testing.assert_array_equal(got, wanted(kind, first, second).astype(np.int8))


@pytest.mark.parametrize("kind", ["floordiv", "mod"])
@pytest.mark.parametrize("dtype", ["i32", "i64"])
def test_what_follows_a_quotient_makes_it_pythons(kind: str, dtype: str) -> None:
    prove_division(kind, dtype)


def test_a_compensated_sum_keeps_all_that_rounding_loses_unless_it_overflows() -> None:
    """In f16, of which doubles hold every sum: each 97th number with each."""
    with np.errstate(all="ignore"):
        numbers = np.arange(0, 1 << 16, 97, dtype=np.uint16).view(np.float16)
        numbers = numbers[np.isfinite(numbers)]
        total, block = (each.ravel() for each in np.meshgrid(numbers, numbers))
        place = Block(arg_types=[f64, f64])
        results = add_block(LoopBuilder(place, UnknownLoc()), place.args)
        values = exhaustive.run(place, [total, block], "f2")
        new, lost = (values[each].astype(np.float64) for each in results)
        finite = np.isfinite(new) & np.isfinite(lost)
        exact = total.astype(np.float64) + block.astype(np.float64)
    assert finite.mean() > 0.9
    np.testing.assert_array_equal((new + lost)[finite], exact[finite])
