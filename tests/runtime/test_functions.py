"""The functions of `apply`: every built-in has one, and they mean what the language reference says."""

import io
import math
from typing import Any

import numpy
import pytest
from hypothesis import given
from hypothesis import strategies as st

from flowc.compiler.builtins import BUILTINS, OPERATORS, irregular
from flowc.runtime import people
from flowc.runtime.coerce import Tables
from flowc.runtime.functions import FUNCTIONS
from flowc.runtime.people import Question, answers, ask_terminal
from flowc.runtime.types import BOOL, INT, Enum
from flowc.runtime.values import equal, record_class

ARRAY_ONLY = frozenset(
    [
        "softmax",
        "attention",
        "conv2d",
        "topk",
        "gather",
        "matmul",
        "transpose",
        "expand",
        "zeros",
        "ones",
        "full",
        "iota",
        "size",
        "embed",
        "f64",
        "f32",
        "f16",
        "bf16",
        "i64",
        "i32",
        "i16",
        "i8",
        "u8",
        *(row.name for row in irregular.BUILTINS),
    ]
)


def test_every_builtin_that_is_not_for_arrays_alone_has_a_function() -> None:
    named = {name for name in BUILTINS if name not in ARRAY_ONLY}
    assert named | set(OPERATORS.values()) - {"matmul"} <= set(FUNCTIONS)


def call(name: str, *arguments: Any) -> Any:
    return FUNCTIONS[name](*arguments)


@pytest.mark.parametrize(
    ("name", "arguments", "expected"),
    [
        ("div", (7, 2), 3.5),
        ("floordiv", (-7, 2), -4),
        ("mod", (-7, 2), 1),
        ("pow", (2, 10), 1024),
        ("add", ("a", "b"), "ab"),
        ("add", ([1], [2]), [1, 2]),
        ("round", (2.5,), 2),
        ("round", (2.345, 1), 2.3),
        ("floor", (-1.5,), -2),
        ("sqrt", (9.0,), 3.0),
        ("int", (" 12 ",), 12),
        ("int", (-2.7,), -2),
        ("float", ("1,000.5",), 1000.5),
        ("str", (True,), "true"),
        ("str", (None,), "none"),
        ("str", (0.5,), "0.5"),
        ("format", ("x = ", 3, " and ", [1, "a"]), 'x = 3 and [1, "a"]'),
        ("split", ("a,b", ","), ["a", "b"]),
        ("join", ("-", ["a", "b"]), "a-b"),
        ("find", ("abc", "z"), -1),
        ("sentences", ("It rains. It pours!\n And",), ["It rains.", "It pours!", "And"]),
        ("range", (2, 8, 3), [2, 5]),
        ("zip", ([1, 2], ["a", "b", "c"]), [(1, "a"), (2, "b")]),
        ("unique", ([2, 1, 2, 1],), [2, 1]),
        ("unique", ([{"a": 1}, {"a": 1}],), [{"a": 1}]),
        ("majority", (["b", "a", "a", "b"],), "b"),
        ("agreement", ([1, 1, 2, 1],), 0.75),
        ("sum", ([0.1] * 10,), 1.0),
        ("min", (3, 1, 2), 1),
        ("max", ([3, 1, 2],), 3),
        ("argmax", ([1, 3, 3],), 1),
        ("get", ({"a": 1}, "b"), None),
        ("get", ({"a": 1}, "b", 7), 7),
        ("put", ({"a": 1}, "b", 2), {"a": 1, "b": 2}),
        ("or_else", (None, 3), 3),
        ("parse_json", ('{"a": [1]}',), {"a": [1]}),
        ("get_item", ([1, 2, 3], -1), 3),
        ("slice", ("abcdef", 1, None, 2), "bdf"),
        ("contains", ([1, 2], 2), True),
        ("where", (False, 1, 2), 2),
    ],
)
def test_a_function_gives_what_the_reference_says(
    name: str, arguments: tuple[Any, ...], expected: Any
) -> None:
    result = call(name, *arguments)
    assert equal(result, expected)
    assert type(result) is type(expected)


@pytest.mark.parametrize(
    ("name", "arguments", "error"),
    [
        ("div", (1, 0), ZeroDivisionError),
        ("get_item", ([1], 1), IndexError),
        ("get_item", ({"a": 1}, "b"), KeyError),
        ("get_item", (3, "b"), KeyError),
        ("int", ("many",), ValueError),
        ("first", ([],), ValueError),
        ("mean", ([],), ValueError),
        ("pow", (10, 10**9), ValueError),
        ("pow", (2, -1), ValueError),
        ("mul", ("x", 10**12), ValueError),
        ("range", (10**12,), ValueError),
        ("slice", ([1], 0, 1, 0), ValueError),
        ("parse_json", ("[" * 100_000,), ValueError),
    ],
)
def test_what_cannot_be_done_fails_at_once(
    name: str, arguments: tuple[Any, ...], error: type[Exception]
) -> None:
    with pytest.raises(error):
        call(name, *arguments)


ELEMENTARY = ("sqrt", "exp", "exp2", "expm1", "log", "log2", "log1p", "sin", "cos", "tanh")


@given(st.sampled_from(ELEMENTARY), st.floats(allow_nan=True, allow_infinity=True))
def test_mathematics_of_numbers_agrees_with_that_of_arrays(name: str, x: float) -> None:
    with numpy.errstate(all="ignore"):
        expected = float(getattr(numpy, name)(x))
    found = call(name, x)
    assert (
        math.isnan(found) if math.isnan(expected) else found == pytest.approx(expected, rel=1e-12, abs=1e-300)
    )


@given(st.lists(st.integers(0, 5), max_size=12), st.booleans())
def test_sorting_by_a_field_keeps_equal_records_as_they_stood(keys: list[int], reverse: bool) -> None:
    pair = record_class("Pair", ("key", "place"))
    records = [pair(key, place) for place, key in enumerate(keys)]
    ordered = call("sorted", records, "key", reverse)
    assert [(r.key, r.place) for r in ordered] == sorted(
        ((key, place) for place, key in enumerate(keys)), key=lambda p: (-p[0] if reverse else p[0], p[1])
    )


def test_functions_leave_their_arguments_alone() -> None:
    values, members = [3, 1, 2], {"a": 1}
    for name in ("sorted", "reversed", "unique"):
        call(name, values)
    call("append", values, 4)
    call("put", members, "b", 2)
    assert (values, members) == ([3, 1, 2], {"a": 1})


TABLES = Tables({}, {"V": ("approve", "reject")})


def test_a_person_at_the_terminal_is_asked_until_the_answer_fits(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(people.sys, "stdin", io.StringIO("maybe\nrej\n"))
    question = Question("check", "May it go?", Enum("V"), TABLES)
    assert ask_terminal(question) == "reject"
    said = capsys.readouterr().err
    assert "May it go?" in said
    assert "approve/reject" in said
    assert "maybe" in said
    monkeypatch.setattr(people.sys, "stdin", io.StringIO("y\n"))
    assert ask_terminal(Question("ok", "Ok?", BOOL, TABLES)) is True


def test_prepared_answers_are_read_by_type_and_missing_ones_are_noticed() -> None:
    ask = answers({"count": "3", "ready": True})
    assert ask(Question("count", "How many?", INT, TABLES)) == 3
    assert ask(Question("ready", "?", BOOL, TABLES)) is True
    with pytest.raises(LookupError):
        ask(Question("other", "?", BOOL, TABLES))
