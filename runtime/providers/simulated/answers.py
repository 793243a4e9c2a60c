"""Answers that fit their type, from chance alone."""

import math
import random

from flowc.runtime.coerce import Tables
from flowc.runtime.plan import Json
from flowc.runtime.randomness import seed_of
from flowc.runtime.types import Array, Dict, Enum, List, Optional, PlanOf, Record, Scalar, Tuple, Type

TEXT = (
    "the plan waits for its longest branch while every other call has ended and nothing is "
    "repeated because an answer that was obtained stays with the run until a person or a tool "
    "needs it again"
)
WORDS = TEXT.split(" ")
"""What simulated texts are made of."""
DEEPEST = 4
"""How deep a simulated record may contain itself."""
EMBEDDING = 64
"""Dimensions of simulated vectors."""


def value_of(type_: Type, tables: Tables, chance: random.Random, depth: int = 0) -> Json:
    """A JSON value of a type, as chance has it."""
    match type_:
        case Scalar(name):
            return _scalar(name, chance)
        case Enum(name):
            return chance.choice(tables.enums[name])
        case Optional(inner):
            absent = depth >= DEEPEST or chance.random() < 0.25
            return None if absent else value_of(inner, tables, chance, depth + 1)
        case List(element):
            count = 0 if depth >= DEEPEST else chance.randint(1, 4)
            return [value_of(element, tables, chance, depth + 1) for _ in range(count)]
        case Dict(value):
            count = 0 if depth >= DEEPEST else chance.randint(1, 3)
            return {chance.choice(WORDS): value_of(value, tables, chance, depth + 1) for _ in range(count)}
        case Tuple(items):
            return [value_of(item, tables, chance, depth + 1) for item in items]
        case Record(name):
            return {field: value_of(of, tables, chance, depth + 1) for field, of in tables.records[name]}
        case Array(dtype, dims):
            return _array(dtype, tuple(dim if isinstance(dim, int) else 4 for dim in dims), chance)
        case PlanOf(tools):
            count = chance.randint(1, 3) if tools else 0
            return {
                "steps": [_step(str(n), chance.choice(tools), tables, chance) for n in range(1, count + 1)]
            }


def _step(id_: str, tool: str, tables: Tables, chance: random.Random) -> Json:
    """A call of a tool; null leaves a default to it."""
    arguments: dict[str, Json] = {}
    for each in tables.tools.get(tool, ()):
        is_left = each.optional and chance.random() < 0.5
        arguments[each.name] = None if is_left else value_of(each.type, tables, chance, 1)
    return {"id": id_, "tool": tool, "arguments": arguments}


def _scalar(name: str, chance: random.Random) -> Json:
    match name:
        case "str":
            return text_of(chance, 8)
        case "bool":
            return chance.random() < 0.5
        case "none":
            return None
        case "bytes":
            return {"$bytes": ""}
        case "json":
            return {"text": text_of(chance, 8)}
        case "int" | "i64" | "i32" | "i16" | "i8" | "u8":
            return chance.randint(0, 100)
    return round(chance.random(), 6)


def _array(dtype: str, shape: tuple[int, ...], chance: random.Random) -> Json:
    if not shape:
        return _scalar("bool" if dtype == "bool" else dtype, chance)
    return [_array(dtype, shape[1:], chance) for _ in range(shape[0])]


def text_of(chance: random.Random, tokens: int) -> str:
    """A sentence of about so many tokens."""
    words = [chance.choice(WORDS) for _ in range(max(1, tokens * 4 // 6))]
    return (" ".join(words)).capitalize() + "."


def vector_of(seed: int, text: str) -> tuple[float, ...]:
    """A unit vector that depends on the seed and the text alone."""
    chance = random.Random(seed_of(seed, "vector", text))
    numbers = [chance.gauss(0.0, 1.0) for _ in range(EMBEDDING)]
    length = math.sqrt(sum(number * number for number in numbers))
    return tuple(number / length for number in numbers)
