"""Values never change, whatever the Python around a program does with those it is given."""

import asyncio
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from flowc.runtime.batch import run_many
from flowc.runtime.coerce import Tables
from flowc.runtime.copies import copying, guarded
from flowc.runtime.environment import Environment
from flowc.runtime.execute import load, run
from flowc.runtime.types import BYTES, INT, JSON, STR, Array, Dict, Enum, List, Optional, Record, Tuple
from flowc.runtime.values import equal, record_class
from tests.runtime.batches import compiled
from tests.runtime.worlds import in_virtual_time

PROGRAM = """
record Page:
    title: str
    links: list[str]

tool fetch(i: int) -> list[str] reads web
tool grow(of: list[str]) -> int reads web
tool relink(of: Page) -> int reads web
tool patch(of: json) -> int reads web
tool count(of: list[str]) -> int pure
@retry(1)
tool shaky(of: list[str]) -> int reads web

flow twice(i: int) -> list[int]:
    found = fetch(i)
    first = grow(found)
    page = Page(title="t", links=found)
    second = relink(page)
    data = to_json(found)
    third = patch(data)
    return [first, second, third, count(found), len(found), len(page.links), len(elements(data))]

flow again(i: int) -> int:
    return shaky(fetch(i))

flow constant(i: int) -> list[int]:
    return [1, 2, 3]

flow both(i: int) -> list[list[str]]:
    return [fetch(0), fetch(0)]
"""
ARRAYS = """
tool get(i: int) -> f32[n] reads web
tool fill(x: f32[n]) -> int writes web
tool look(x: f32[n]) -> int reads web

flow main(i: int) -> list[int]:
    x = get(i)
    return [try fill(x) else -1, look(x)]
"""


class Tools:
    """Functions that change what they are given."""

    def __init__(self) -> None:
        self.seen: list[int] = []

    def fetch(self, i: int) -> list[str]:
        return ["a", "b"]

    def grow(self, of: list[str]) -> int:
        of.append("grown")
        return len(of)

    async def relink(self, of: Any) -> int:
        of.links.append("linked")
        return len(of.links)

    def patch(self, of: Any) -> int:
        of[0] = {}
        of.clear()
        return 0

    def count(self, of: list[str]) -> int:
        return len(of)

    def shaky(self, of: list[str]) -> int:
        of.append("tried")
        self.seen.append(len(of))
        if len(self.seen) == 1:
            raise ValueError("once")
        return len(of)

    def environment(self) -> Environment:
        names = ("fetch", "grow", "relink", "patch", "count", "shaky")
        return Environment(tools={name: getattr(self, name) for name in names})


@pytest.mark.parametrize("level", [0, 2])
def test_what_a_tool_does_to_its_arguments_nobody_else_sees(level: int) -> None:
    result = run(compiled(PROGRAM, level), "twice", {"i": 0}, environment=Tools().environment())
    assert result.result == [3, 3, 0, 2, 2, 2, 2], result.problem


def test_a_call_that_is_tried_again_is_given_what_the_first_one_was() -> None:
    tools = Tools()
    result = run(compiled(PROGRAM), "again", {"i": 0}, environment=tools.environment())
    assert (result.result, tools.seen) == (3, [3, 3]), result.problem


def test_a_tool_cannot_write_an_array_that_it_is_given() -> None:
    def fill(x: Any) -> int:
        x[:] = 7
        return 0

    get, look = (lambda i: np.ones(3, np.float32)), (lambda x: int(x.sum()))
    environment = Environment(tools={"get": get, "fill": fill, "look": look})
    result = run(compiled(ARRAYS), "main", {"i": 0}, environment=environment)
    assert result.result == [-1, 3], result.problem


def test_lines_of_a_batch_that_share_a_result_do_not_share_what_their_tools_change() -> None:
    loaded = load(compiled(PROGRAM), Tools().environment())
    lines = [{"i": 0}] * 20
    results = in_virtual_time(lambda: run_many(loaded, "twice", lines, width=5))
    assert [each.result for each in results] == [[3, 3, 0, 2, 2, 2, 2]] * 20


def test_a_caller_who_changes_a_result_changes_no_other_part_and_no_later_run() -> None:
    loaded = load(compiled(PROGRAM), Tools().environment())
    first: Any = run(loaded, "constant", {"i": 0}).result
    first.append(4)
    assert run(loaded, "constant", {"i": 0}).result == [1, 2, 3]
    pair: Any = run(loaded, "both", {"i": 0}).result
    pair[0].append("c")
    assert pair[1] == ["a", "b"]


def test_lines_of_a_batch_share_no_list_and_no_array_that_can_be_written() -> None:
    text = "tool get(i: int) -> f32[n] reads web\n\nflow main(i: int) -> f32[n]:\n    return get(0)\n"
    environment = Environment(tools={"get": lambda i: np.zeros(3, np.float32)})
    loaded = load(compiled(text), environment)
    one, other = in_virtual_time(lambda: run_many(loaded, "main", [{"i": 0}, {"i": 1}]))
    with pytest.raises(ValueError, match="read-only"):
        one.result[0] = 1
    assert other.result.tolist() == [0, 0, 0]
    alone: Any = run(load(compiled(text), environment), "main", {"i": 0}).result
    alone[0] = 1


TABLES = Tables(
    {
        "Flat": (("a", STR), ("b", Optional(INT))),
        "Chain": (("next", Optional(Record("Chain"))), ("of", Optional(Record("Flat")))),
        "Tree": (("name", STR), ("children", List(Record("Tree")))),
    },
    {"Verdict": ("yes", "no")},
)


@pytest.mark.parametrize(
    "type_", [STR, INT, BYTES, Enum("Verdict"), Record("Flat"), Record("Chain"), Tuple((INT, Optional(STR)))]
)
def test_what_cannot_be_changed_is_not_copied(type_: Any) -> None:
    assert copying(type_, TABLES) is None
    function = abs
    assert guarded(function, [type_], TABLES, waits=False) is function


TREE = record_class("Tree", ("name", "children"))
FLAT = record_class("Flat", ("a", "b"))


@pytest.mark.parametrize(
    ("type_", "value", "change"),
    [
        (List(STR), ["a"], lambda copy: copy.append("b")),
        (Dict(INT), {"a": 1}, lambda copy: copy.clear()),
        (List(List(INT)), [[1]], lambda copy: copy[0].append(2)),
        (List(Record("Flat")), [FLAT("a", 1)], lambda copy: copy.clear()),
        (JSON, {"a": [{"b": 1}]}, lambda copy: copy["a"][0].clear()),
        (Optional(List(INT)), [1], lambda copy: copy.clear()),
        (Tuple((INT, List(INT))), (1, [2]), lambda copy: copy[1].clear()),
        (Record("Tree"), TREE("a", [TREE("b", [])]), lambda copy: copy.children[0].children.append(1)),
        (Dict(Array("f32", (2,))), {"x": np.ones(2)}, lambda copy: copy.clear()),
    ],
)
def test_a_copy_is_equal_and_changes_alone(type_: Any, value: Any, change: Callable[[Any], None]) -> None:
    copy = copying(type_, TABLES)
    assert copy is not None
    before, made = copy(value), copy(value)
    assert equal(made, value)
    change(made)
    assert equal(before, value)
    assert not equal(made, value)


def test_a_coroutine_function_stays_one() -> None:
    async def waits(of: list[int]) -> list[int]:
        of.append(2)
        return of

    given = [1]
    function = guarded(waits, [List(INT)], TABLES, waits=True)
    assert asyncio.iscoroutinefunction(function)
    assert asyncio.run(function(given)) == [1, 2]
    assert given == [1]
