"""What models and people answer: text that becomes a value of a type."""

import json
from collections.abc import Mapping
from contextlib import suppress
from functools import cache
from typing import Any

from flowc.runtime.coerce import Coercer, Mismatch, Tables, coercer
from flowc.runtime.durable.codec import packed, unpacked
from flowc.runtime.errors import FlowError
from flowc.runtime.json_stream import JsonReader
from flowc.runtime.people import Question, answers
from flowc.runtime.plan import Effect, Operation
from flowc.runtime.providers.base import Response, Usage
from flowc.runtime.reading import parse_text
from flowc.runtime.scheduler.plan_steps import ordered, read_steps
from flowc.runtime.scheduler.prompts import parse_answer
from flowc.runtime.text_stream import CUTS, TextReader
from flowc.runtime.types import (
    BOOL,
    BYTES,
    FLOAT,
    INT,
    JSON,
    NONE,
    STR,
    Array,
    Dict,
    Enum,
    List,
    Optional,
    PlanOf,
    Record,
    Scalar,
    Tuple,
    Type,
)  # fmt: skip
from flowc.runtime.values import as_text, canonical, to_json
from tests.fuzz.contract import Target
from tests.fuzz.mutation import by_json

RECORDS: Mapping[str, tuple[tuple[str, Type], ...]] = {
    "Item": (("name", STR), ("price", Optional(FLOAT)), ("more", Optional(Record("Item")))),
    "Mixed": (
        ("kind", Enum("Verdict")),
        ("n", INT),
        ("seen", List(BOOL)),
        ("by", Dict(JSON)),
        ("raw", BYTES),
    ),
}
TABLES = Tables(RECORDS, {"Verdict": ("yes", "no", "unsure")})
TYPES: tuple[Type, ...] = (
    JSON, INT, FLOAT, BOOL, BYTES, NONE, List(Record("Item")), Record("Mixed"), Enum("Verdict"), Dict(FLOAT),
    Tuple((STR, INT)), *(Scalar(each) for each in ("f16", "bf16", "i8", "u8", "i64", "f32")), Array("f32",
    ("n", 3)),
    Array("i8", ("",)), Array("bool", (2,)), Array("f16", ()), Optional(List(Optional(INT))), PlanOf(("find",
    "send")),
)  # fmt: skip
TOOLS = {
    "find": Operation("tool", "find", (), JSON, (Effect("reads", "web"),)),
    "send": Operation("tool", "send", (), NONE, (Effect("writes", "mail"),)),
}
VALUES = (
    {"value": [1, -2, 2.5, None, True, "x"]}, {"name": "a", "price": 2, "more": {"name": "b"}}, "yes", 3,
    [[1, 2, 3]],
    {"kind": "no", "n": 1, "seen": [True], "by": {"a": [1]}, "raw": {"$bytes": "eA=="}}, ["a", 1],
    {"a": "nan"},
    {"data": [[1, 2, 3]], "shape": [1, 3], "dtype": "float32"}, [{"name": "c"}], "inf", None,
    {"$bytes": "eA=="},
    {"steps": [{"id": "a", "tool": "find", "arguments": {}}, {"id": "b", "tool": "send", "arguments": {}}]},
)  # fmt: skip
WORDS = by_json(
    "value", "name", "price", "more", "kind", "n", "seen", "by", "raw", "yes", "no", "unsure", "$bytes",
    "data", "shape",
    "dtype", "steps", "id", "tool", "arguments", "find", "send", "$a", "$b", "nan", "inf", "```json\n",
    "```",
)  # fmt: skip


@cache
def _coercers() -> tuple[tuple[Type, Coercer], ...]:
    return tuple((each, coercer(each, TABLES)) for each in TYPES)


def _typed(data: bytes) -> None:
    """An answer for each type: a value of it, which can be printed, hashed, kept and read again."""
    text_of = data.decode("utf-8", "surrogateescape" if data[:1] == b"\xff" else "replace")
    response = Response(text_of, Usage())
    for type_, convert in _coercers():
        with suppress(FlowError):
            value = parse_answer("ask", type_, convert, response)
            _value(value)
            if isinstance(type_, PlanOf):
                ordered(read_steps(value, TOOLS))


def _value(value: Any) -> None:
    to_json(value)
    as_text(value)
    kept = packed(value, blobs := [])
    assert canonical(unpacked(kept, dict(blobs).__getitem__)) == canonical(value), "kept as something else"


def _told(data: bytes) -> None:
    """What a person types, or the command line gives as NAME=VALUE."""
    given = data.decode("utf-8", "replace")
    for type_ in TYPES:
        with suppress(FlowError, Mismatch):
            _value(parse_text(type_, given, TABLES))
    ask = answers({"ask": given})
    with suppress(FlowError, Mismatch):
        ask(Question("ask", "?", BOOL, TABLES))


def _stream(data: bytes) -> None:
    """An answer in parts of any length: what is read early is a prefix of what the whole says."""
    text_of = data.decode("utf-8", "replace")
    readers = [TextReader(CUTS["lines"]()), TextReader(CUTS["sentences"]()), TextReader(CUTS["split"](","))]
    json_reader = JsonReader(frozenset({("value",), ("steps",)}))
    size = 1 + len(data) % 13
    for start in range(0, len(text_of), size):
        json_reader.feed(text_of[start : start + size])
        for reader in readers:
            reader.feed(text_of[start : start + size])


def _texts() -> list[bytes]:
    bare = [json.dumps(each).encode() for each in VALUES]
    return [*bare, b"```json\n" + bare[0] + b"\n```", b"It rains. It pours!\nSo, a, b"]


TARGETS = (
    Target("answer", _typed, _texts, WORDS, share=1.0),
    Target("told", _told, _texts, WORDS, share=1.2),
    Target("stream", _stream, _texts, WORDS, share=0.25),
)
