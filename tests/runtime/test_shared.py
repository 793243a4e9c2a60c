"""The table of shared operations: who makes a call, who is told, what is kept."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flowc.runtime.fingerprint import fingerprint
from flowc.runtime.scheduler.shared import ENTRY_BYTES, Shared, Told
from flowc.runtime.values import record_class
from tests.runtime.worlds import in_virtual_time


def taking(seconds: float, value: Any, made: list[Any]) -> Callable[[], Awaitable[Any]]:
    """Work that notes itself, takes its time and gives a value, or raises it."""

    async def work() -> Any:
        made.append(value)
        await asyncio.sleep(seconds)
        if isinstance(value, Exception):
            raise value
        return value

    return work


def test_who_comes_while_a_call_is_under_way_or_after_it_is_told_its_result() -> None:
    made: list[Any] = []

    async def go() -> list[tuple[Told, bool]]:
        table = Shared(tells_failures=True)
        calls = [table.tell(b"k", f"run {n}", taking(1, n, made)) for n in range(3)]
        return [*await asyncio.gather(*calls), await table.tell(b"k", "late", taking(1, 9, made))]

    told = in_virtual_time(go)
    assert made == [0]
    assert [each.value for each, _ in told] == [0, 0, 0, 0]
    assert [mine for _, mine in told] == [True, False, False, False]
    assert {each.run for each, _ in told} == {"run 0"}


@pytest.mark.parametrize("tells", [True, False])
def test_a_failure_is_told_only_where_the_table_says_so(tells: bool) -> None:
    made: list[Any] = []

    async def go() -> list[Any]:
        table = Shared(tells_failures=tells)

        async def one(n: int) -> Any:
            told, _ = await table.tell(b"k", str(n), taking(1, ValueError(str(n)), made))
            return told.result()

        return await asyncio.gather(one(0), one(1), one(2), return_exceptions=True)

    failures = in_virtual_time(go)
    assert len(made) == (1 if tells else 3)
    assert [str(each) for each in failures] == (["0", "0", "0"] if tells else ["0", "1", "2"])


def test_the_trace_of_a_failure_does_not_grow_with_those_that_are_told() -> None:
    async def go() -> list[int]:
        table = Shared(tells_failures=True)
        lengths = []
        for _ in range(20):
            told, _ = await table.tell(b"k", "run", taking(0, ValueError(), []))
            try:
                told.result()
            except ValueError as error:
                trace, length = error.__traceback__, 0
                while trace is not None:
                    trace, length = trace.tb_next, length + 1
                lengths.append(length)
        return lengths

    assert len(set(in_virtual_time(go))) == 1


@given(st.integers(0, 4), st.integers(2, 5))
def test_an_owner_that_is_cancelled_hands_over_to_one_that_waits(dropped: int, count: int) -> None:
    made: list[Any] = []

    async def go() -> list[Any]:
        table = Shared(tells_failures=True)
        tasks = [asyncio.create_task(table.tell(b"k", str(n), taking(1, n, made))) for n in range(count)]
        for task in tasks[:dropped]:
            await asyncio.sleep(0.1)
            task.cancel()
        return await asyncio.gather(*tasks, return_exceptions=True)

    ended = in_virtual_time(go)
    dropped = min(dropped, count)
    assert all(isinstance(each, asyncio.CancelledError) for each in ended[:dropped])
    assert len({told.value for told, _ in ended[dropped:]}) <= 1
    assert len(made) == min(dropped + 1, count)


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 3000))))
def test_what_is_kept_never_holds_more_than_the_limit(asked: list[tuple[int, int]]) -> None:
    limit = 4 * ENTRY_BYTES + 2000

    async def go() -> None:
        table = Shared(tells_failures=True, limit=limit)
        for key, size in asked:
            told, _ = await table.tell(str((key, size)).encode(), "run", taking(0, "x" * size, []))
            assert len(told.value) == size
            assert table.kept == sum(each for _, each in table.ended.values()) <= limit

    in_virtual_time(go)


def test_a_write_keeps_its_number_until_another_write_of_its_resources_begins() -> None:
    table = Shared(tells_failures=True)
    first = table.stamp(("db",), b"a")
    assert table.stamp(("db",), b"a") == first
    other = table.stamp(("db", "disk"), b"b")
    assert other != first
    assert table.stamp(("db", "disk"), b"b") == other
    assert table.stamp(("disk",), b"c") != other
    assert table.stamp(("db", "disk"), b"b") not in (first, other)
    assert table.stamp(("db",), b"a") not in (first, other)


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text() | st.binary(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)


@given(VALUES, VALUES)
def test_two_values_have_one_fingerprint_exactly_when_they_print_the_same(left: Any, right: Any) -> None:
    assert (fingerprint(left) == fingerprint(right)) == (repr(left) == repr(right))


def test_what_looks_alike_and_is_not_has_different_fingerprints() -> None:
    import numpy

    ones = numpy.ones(4, dtype="float32")
    record = record_class("Pair", ("left",))
    values: list[Any] = [
        *[1, 1.0, "1", True, b"1", [1], [[1]], {"left": 1}, record(1), record_class("Other", ("left",))(1)],
        *[{"a": 1, "b": 2}, {"b": 2, "a": 1}, 10**5000, 10**5000 + 1],
        *["nan", float("nan"), 0.0, -0.0, "", [], {}, None, ["a", "b"], ["ab"], ["a", "b", ""]],
        *[ones, ones.astype("float64"), ones.reshape(2, 2), ones[:2], ones[0]],
    ]
    assert len({fingerprint(value) for value in values}) == len(values)
    assert fingerprint(ones) == fingerprint(numpy.ones((4, 2), dtype="float32")[:, 0])


def test_a_write_is_the_same_only_while_it_is_the_last_of_each_of_its_resources() -> None:
    for other in (bytes([number]) for number in range(20)):  # whatever their order in a set
        table = Shared(tells_failures=False)
        first = table.stamp(("a", "b"), b"k")
        assert table.stamp(("a", "b"), b"k") == first
        table.stamp(("b",), other)
        assert table.stamp(("a", "b"), b"k") != first
