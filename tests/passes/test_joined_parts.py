"""Joined arrays: each part is read under a condition of its own, so that vectors are loaded, not gathered."""

from typing import Any

import numpy as np
import pytest
from xdsl.dialects import memref, scf
from xdsl.ir import Region

import flowc
from tests.passes.test_array_writes import lowered

pytestmark = pytest.mark.usefixtures("unoptimised")


def joined(x: Any, y: Any) -> Any:
    return np.concatenate((x, y[::-1], x[:3], y))


def joined_in_columns(x: Any, y: Any) -> Any:
    return np.concatenate((x[:, 1:], y, x[:, :1]), axis=1) + 1


def bordered(x: Any, y: Any) -> Any:
    return np.concatenate((np.zeros(3), x, y, np.ones(2)))


def _loads(region: Region) -> bool:
    return any(isinstance(op, memref.LoadOp) for op in region.walk())


@pytest.mark.parametrize("function", [joined, bordered])
def test_no_condition_chooses_between_two_loads(function: Any) -> None:
    module = lowered(function, (np.arange(40.0), np.arange(20.0)))
    conditions = [op for op in module.walk() if isinstance(op, scf.IfOp)]
    assert sum(_loads(op.true_region) != _loads(op.false_region) for op in conditions) >= 2
    inner = [op for op in conditions if not any(isinstance(other, memref.StoreOp) for other in op.walk())]
    assert inner
    assert not any(_loads(op.true_region) and _loads(op.false_region) for op in inner)


@pytest.mark.parametrize("sizes", [(3, 0), (3, 1), (17, 40), (64, 33), (1000, 1)])
@pytest.mark.parametrize("dtypes", [("f8", "f8"), ("f4", "f8"), ("u1", "i2"), ("?", "?"), ("f2", "f2")])
def test_parts_of_any_length_and_dtype_follow_one_another(
    sizes: tuple[int, int], dtypes: tuple[str, str]
) -> None:
    x, y = ((np.arange(size) % 7 % 2).astype(dtype) for size, dtype in zip(sizes, dtypes, strict=True))
    for function in (joined, bordered):
        np.testing.assert_array_equal(flowc.jit(function)(x, y), function(x, y), strict=True)
    if dtypes[0] != "?":
        a, b = np.tile(x, (5, 1)), np.tile(y, (5, 1))
        got = flowc.jit(joined_in_columns)(a, b)
        np.testing.assert_array_equal(got, joined_in_columns(a, b), strict=True)
