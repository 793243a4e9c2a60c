"""Least squares without negative members, against the one that is worked out with NumPy."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from flowc.passes.cost.least_squares import non_negative
from flowc.runtime.providers.simulated.fitting import non_negative as with_numpy


@given(st.integers(0, 10_000), st.integers(1, 4), st.integers(4, 30))
def test_it_gives_what_numpy_gives(seed: int, columns: int, rows: int) -> None:
    chance = np.random.default_rng(seed)
    matrix = chance.normal(size=(rows, columns)) * 10.0 ** chance.integers(-3, 4, size=columns)
    wanted = chance.normal(size=rows)
    found = np.array(non_negative(matrix.tolist(), wanted.tolist()))
    true = np.array(with_numpy(matrix, wanted))
    assert (found >= 0).all()
    error, least = (((matrix @ each - wanted) ** 2).sum() for each in (found, true))
    assert error == pytest.approx(least, rel=1e-6, abs=1e-9)


def test_columns_that_say_the_same_are_counted_once() -> None:
    found = non_negative([[1.0, 2.0], [2.0, 4.0], [3.0, 6.0]], [2.0, 4.0, 6.0])
    assert found[0] + 2 * found[1] == pytest.approx(2.0)
