"""Arguments of functions under `@jit`: what tells calls apart, and what becomes of unusual kinds."""

import enum
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import flowc
from flowc.compiler.diagnostics.model import CompileError


class Colour(enum.IntEnum):
    RED = 2


def picked(x: Any, how: Any = "sum") -> Any:
    return x.sum() if how == "sum" else x.max()


def reshaped(x: Any, shape: Any) -> Any:
    return x.reshape(shape)


def scaled(x: Any, factors: Any) -> Any:
    return x * factors[0]


def times(x: Any, k: Any) -> Any:
    return x * k


def summed(x: Any, axis: Any) -> Any:
    return x.sum(axis=axis)


def taken(x: Any, positions: Any) -> Any:
    return x[positions]


def counted(x: Any, *rest: Any) -> Any:
    return x + len(rest) + sum(rest)


def alone(x: Any) -> Any:
    return (x + 1,)


def alone_in_a_list(x: Any) -> Any:
    return [x + 1]


def both(a: Any, b: Any) -> Any:
    return a + b, a & b


def test_a_text_decides_at_every_call_and_not_only_at_the_first() -> None:
    x, compiled = np.arange(4.0), flowc.jit(picked)
    assert [compiled(x, how) for how in ("sum", "max", "sum")] == [6.0, 3.0, 6.0]
    assert compiled(x, how="max") == 3.0
    assert compiled(x) == 6.0


def test_a_tuple_decides_at_every_call_and_not_only_at_the_first() -> None:
    x, compiled = np.arange(6.0), flowc.jit(reshaped)
    shapes = [(2, 3), (3, 2), (6, 1), (2, 3)]
    assert [compiled(x, shape).shape for shape in shapes] == shapes


def test_equal_tuples_of_other_numbers_have_code_of_their_own() -> None:
    x, compiled = np.arange(3), flowc.jit(scaled)
    for factors in ((1, 2), (1.0, 2), (True, 2), (0.0,), (-0.0,)):
        got, wanted = compiled(x, factors), scaled(x, factors)
        assert got.dtype == wanted.dtype
        assert np.array_equal(np.signbit(got), np.signbit(wanted))


def test_members_of_enumerations_are_numbers() -> None:
    assert flowc.jit(times)(np.arange(3), Colour.RED).tolist() == [0, 2, 4]


def test_a_number_of_numpys_may_be_an_axis() -> None:
    x, compiled = np.arange(6.0).reshape(2, 3), flowc.jit(summed)
    for axis in (np.int64(1), np.int64(0), np.int8(1), 1, 0):
        assert np.array_equal(compiled(x, axis), x.sum(axis=axis))


def test_an_axis_in_an_array_is_refused_and_not_waited_for() -> None:
    with pytest.raises(flowc.FlowError, match="E0093"):
        flowc.jit(summed)(np.ones((2, 3)), np.array(1))


@pytest.mark.parametrize("dtype", ["u2", "u4", ">u4"])
def test_unsigned_positions_are_read_as_i64(dtype: str) -> None:
    positions = np.array([3, 1, 0], dtype)[::-1]
    assert flowc.jit(taken)(np.arange(5.0), positions).tolist() == [0.0, 1.0, 3.0]


def test_uint64_is_refused_with_the_way_out() -> None:
    with pytest.raises(flowc.FlowError, match="E0093") as caught:
        flowc.jit(taken)(np.arange(5.0), np.array([1], np.uint64))
    assert "astype(np.int64)" in str(caught.value.problem.help)


def test_the_rest_of_the_arguments_is_a_tuple() -> None:
    compiled, x = flowc.jit(counted), np.arange(2.0)
    assert compiled(x).tolist() == [0.0, 1.0]
    assert compiled(x, 2, 3.5).tolist() == counted(x, 2, 3.5).tolist()


def test_numpys_bools_are_added_as_bools_and_pythons_as_numbers() -> None:
    compiled = flowc.jit(both)
    assert [type(each) for each in compiled(np.True_, np.True_)] == [np.bool_, np.bool_]
    assert compiled(True, True) == (2, True)
    assert type(compiled(True, True)[0]) is int


@pytest.mark.parametrize("mode", ["native", "interpret"])
def test_a_tuple_of_one_buffer_takes_the_result(mode: Any) -> None:
    compiled, x = flowc.jit(mode=mode)(times), np.arange(3.0)
    for _ in range(3):
        buffer = np.zeros(3)
        assert compiled(x, x, out=(buffer,)) is buffer
        assert buffer.tolist() == [0.0, 1.0, 4.0]
        assert compiled(x, x, out=(None,)).tolist() == [0.0, 1.0, 4.0]
    for wrong in ((), (np.zeros(3), np.zeros(3))):
        with pytest.raises(flowc.FlowError, match="E0760"):
            compiled(x, x, out=wrong)


@pytest.mark.parametrize("mode", ["native", "interpret"])
@pytest.mark.parametrize("function", [alone, alone_in_a_list])
def test_a_buffer_for_the_only_item_of_a_tuple_is_given_back_in_one(function: Any, mode: Any) -> None:
    compiled, x, buffer = flowc.jit(mode=mode)(function), np.arange(3.0), np.zeros(3)
    for out in (buffer, (buffer,)) * 2:
        found = compiled(x, out=out)
        assert type(found) is type(function(x))
        (item,) = found
        assert item is buffer
        assert buffer.tolist() == [1.0, 2.0, 3.0]
    (item,) = compiled(x, out=(None,))
    assert item.tolist() == [1.0, 2.0, 3.0]


def added(x: Any) -> Any:
    return x + 300


def chosen(x: Any) -> Any:
    return np.where(x > 1, x, 300)


def listed(x: Any) -> Any:
    return np.asarray([[1], [-1]], dtype=np.uint8) + x


def scalar(x: Any) -> Any:
    return np.uint8(300) + x


@pytest.mark.parametrize("function", [added, chosen, listed, scalar])
def test_a_written_number_that_a_dtype_cannot_hold_is_refused(function: Callable[..., Any]) -> None:
    with pytest.raises(CompileError, match="E0141"):
        flowc.jit(function)(np.zeros(3, np.uint8))


def test_a_number_is_converted_where_the_dtype_holds_it() -> None:
    def converted(x: Any, k: int) -> Any:
        return np.uint8(k) + x, np.array([k, 255, True], np.uint8), np.array([1.9, -0.5], np.int8)

    given = np.ones(3, np.uint8)
    for want, have in zip(converted(given, 7), flowc.jit(converted)(given, 7), strict=True):
        assert (have.dtype, have.tolist()) == (want.dtype, want.tolist())
    with pytest.raises(flowc.FlowError, match="E0755"):
        flowc.jit(converted)(given, 300)


def brightened(image: Any, by: Any) -> Any:
    return image + by


def filled(image: Any, number: Any) -> Any:
    image[:] = number
    return image


@pytest.mark.parametrize("function", [brightened, filled])
@pytest.mark.parametrize("number", [300, -1])
def test_a_number_that_has_no_place_beside_narrow_elements_is_an_error(
    function: Callable[..., Any], number: int
) -> None:
    compiled, image = flowc.jit(function), np.zeros(3, np.uint8)
    for _ in range(2):
        assert compiled(image.copy(), 7).tolist() == [7, 7, 7]
        with pytest.raises(flowc.FlowError, match="does not fit in u8"):
            compiled(image, number)
    assert compiled(image.astype(np.int64), number).tolist() == [number] * 3


def test_entries_of_the_cache_that_are_exchanged_are_made_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FLOWC_CACHE_DIR", str(tmp_path))
    x = np.arange(3.0)
    flowc.jit(brightened)(x, x)
    before = sorted((tmp_path / "kernels").iterdir())
    flowc.jit(times)(x, x)
    content = before[0].read_bytes()
    for entry in (tmp_path / "kernels").iterdir():
        entry.write_bytes(content)
    assert flowc.jit(times)(x, x).tolist() == [0.0, 1.0, 4.0]
