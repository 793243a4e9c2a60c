"""A matrix that is read across its rows block by block, and elsewhere in another way as well."""

from typing import Any

import numpy as np
import pytest

import flowc


def picked_and_mirrored(x, i):
    columns = np.take(x, i, axis=1)
    return columns + columns[::-1]


def mirrored(x):
    turned = x.T
    return turned + turned[::-1, ::-1]


@pytest.mark.parametrize("options", [{}, {"precise": True}, {"reproducible": True}, {"level": 0}])
def test_other_positions_of_a_turned_matrix_are_not_looked_for_in_its_block(options: dict[str, Any]) -> None:
    generator = np.random.default_rng(0)
    x, i = generator.random((40, 150), np.float32), generator.integers(0, 150, 130)
    for function, arguments in ((picked_and_mirrored, (x, i)), (mirrored, (x,))):
        found = flowc.jit(**options)(function)(*arguments)
        np.testing.assert_array_equal(found, function(*arguments))
