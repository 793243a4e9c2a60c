"""The rule by which results of the emulated device are compared."""

import ml_dtypes
import numpy as np
import pytest

from flowc.compiler.backends.cuda.emulation import emulate
from flowc.runtime.errors import fail
from tests.cuda.comparing import ULPS, agree, assert_agrees, copied, distance, on_device
from tests.cuda.written import module_of

NAN, INF = np.float32("nan"), np.float32("inf")


def f32(*values: float) -> np.ndarray:
    return np.array(values, np.float32)


def test_neighbouring_floats_are_a_unit_apart() -> None:
    for value in (1.0, -3.0, 1e-45, 0.0, 3e38):
        one = f32(value)
        assert distance(np.nextafter(one, np.float32(9)), one, "f32").tolist() == [1.0]
    half = np.array([2.5], ml_dtypes.bfloat16)
    assert distance((half.view(np.uint16) + 1).view(ml_dtypes.bfloat16), half, "bf16").tolist() == [1.0]


def test_small_numbers_beside_large_ones_may_be_off_by_more() -> None:
    off = distance(f32(1000.0, 1e-3 + 1e-6), f32(1000.0, 1e-3), "f32")
    assert off[0] == 0
    assert 5 < off[1] < 20
    assert distance(f32(1e-3 + 1e-6), f32(1e-3), "f32")[0] > 1000


@pytest.mark.parametrize(
    ("got", "wanted"),
    [
        (f32(1.0), f32(1.1)),
        (f32(NAN), f32(1.0)),
        (f32(1.0), f32(NAN)),
        (f32(INF), f32(-INF)),
        (f32(1.0), f32(INF)),
        (f32(1.0, 2.0), f32(1.0)),
        (np.array([1.0]), f32(1.0)),
        (np.array([3]), np.array([4])),
        (np.array([True]), np.array([False])),
        ((f32(1.0),), (f32(1.0), f32(2.0))),
        (f32(1.0), fail("E0751", "outside")),
        (fail("E0751", "outside"), f32(1.0)),
        (fail("E0751", "outside", line=3), fail("E0751", "outside", line=4)),
    ],
)
def test_what_differs_is_told(got: object, wanted: object) -> None:
    with pytest.raises(AssertionError):
        assert_agrees(got, wanted)


@pytest.mark.parametrize(
    "value",
    [f32(1.0, NAN, INF, -INF, -0.0), np.array([-3, 4]), (f32(1.0), None), np.float32(2.5), f32()],
)
def test_what_is_the_same_agrees(value: object) -> None:
    assert_agrees(value, value)


def test_a_float_may_be_off_by_a_few_units() -> None:
    wanted = f32(1.0)
    within = wanted + np.float32(ULPS["f32"]) * np.finfo(np.float32).eps
    assert_agrees(within, wanted)
    with pytest.raises(AssertionError, match="1 of 1 elements"):
        assert_agrees(within, wanted, ulps=ULPS["f32"] // 2)


@pytest.mark.parametrize("which", [0, 1, 2, 3])
def test_copies_lie_as_the_originals_do(which: int) -> None:
    x = np.arange(24.0).reshape(4, 6)
    array = [x, x[::2, ::-1], x.T[1:], np.broadcast_to(x[0], (3, 6))][which]
    (copy,) = copied([array])
    assert copy.strides == array.strides
    assert not np.may_share_memory(copy, array)
    np.testing.assert_array_equal(copy, array)


PICK = """kernel pick(x: f32[n, m], i: i64) -> f32[m]:
    return x[i] * 2
"""


@pytest.mark.skipif(not emulate.available(), reason="there is no C++ compiler")
@pytest.mark.parametrize("wide", [False, True])
def test_a_kernel_agrees_with_itself_and_its_errors_too(wide: bool) -> None:
    x = np.arange(15, dtype=np.float32).reshape(3, 5)
    first, second, third = agree(PICK, (x, 1), (x[::-1, ::2], -1), (x, 3), wide=wide)
    np.testing.assert_array_equal(first, x[1] * 2)
    np.testing.assert_array_equal(second, x[0, ::2] * 2)
    assert third.problem.code == "E0751"


def test_wide_code_has_no_narrow_positions() -> None:
    assert "using idx = int;" in on_device(module_of(PICK)).text
    assert "using idx = int;" not in on_device(module_of(PICK), wide=True).text
