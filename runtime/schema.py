"""JSON Schema of a type: what an `llm` must answer, told to providers that can constrain their output."""

from collections.abc import Mapping

from flowc.runtime.coerce import Tables
from flowc.runtime.dtypes import INTEGERS
from flowc.runtime.plan import Json, Parameter
from flowc.runtime.types import Array, Dict, Enum, List, Optional, PlanOf, Record, Scalar, Tuple, Type

SCALARS: Mapping[str, Json] = {
    "str": {"type": "string"},
    "int": {"type": "integer"},
    "float": {"type": "number"},
    "bool": {"type": "boolean"},
    "bytes": {
        "type": "object",
        "properties": {"$bytes": {"type": "string"}},
        "required": ["$bytes"],
        "additionalProperties": False,
    },
    "none": {"type": "null"},
    "json": {},
}
REFERENCE: Mapping[str, Json] = {"type": "string", "pattern": r"^\$[A-Za-z0-9_-]+$"}
"""What stands for the result of another step of a plan."""


def schema(type_: Type, tables: Tables) -> dict[str, Json]:
    """The schema of a JSON value of `type_`; records stand under `$defs`, since they may contain
    themselves.
    """
    definitions: dict[str, Json] = {}
    written = _schema(type_, tables, definitions)
    return {**written, "$defs": definitions} if definitions else written


def wrapped(type_: Type, tables: Tables) -> dict[str, Json]:
    """The schema of `{"value": ...}`: providers constrain objects only."""
    inner = schema(type_, tables)
    definitions = inner.pop("$defs", None)
    outer = _object({"value": inner})
    return {**outer, "$defs": definitions} if definitions else outer


def closed(value: Json) -> bool:
    """Whether every object in a schema names all of its members, as strict structured output demands."""
    if isinstance(value, list):
        return all(map(closed, value))
    if not isinstance(value, dict):
        return True
    if value.get("type") == "object":
        if value.get("additionalProperties") is not False:
            return False
        value = {name: item for name, item in value.items() if (name, item) != ("properties", {})}
    return value != {} and all(closed(item) for item in value.values())


def _object(members: dict[str, Json]) -> dict[str, Json]:
    return {
        "type": "object",
        "properties": members,
        "required": list(members),
        "additionalProperties": False,
    }


def _schema(type_: Type, tables: Tables, definitions: dict[str, Json]) -> dict[str, Json]:
    match type_:
        case Scalar(name):
            known = SCALARS.get(name, {"type": "integer" if name in INTEGERS else "number"})
            return dict(known) if isinstance(known, dict) else {}
        case Enum(name):
            return {"type": "string", "enum": list(tables.enums[name])}
        case List(element):
            return {"type": "array", "items": _schema(element, tables, definitions)}
        case Dict(value):
            return {"type": "object", "additionalProperties": _schema(value, tables, definitions)}
        case Optional(inner):
            return {"anyOf": [_schema(inner, tables, definitions), {"type": "null"}]}
        case Tuple(items):
            return {
                "type": "array",
                "prefixItems": [_schema(item, tables, definitions) for item in items],
                "minItems": len(items),
                "maxItems": len(items),
            }
        case Array(dtype, dims):
            number = "boolean" if dtype == "bool" else "integer" if dtype in INTEGERS else "number"
            written: dict[str, Json] = {"type": number}
            for dim in reversed(dims):
                bounds: dict[str, Json] = {"minItems": dim, "maxItems": dim} if isinstance(dim, int) else {}
                written = {"type": "array", "items": written, **bounds}
            return written
        case Record(name):
            if name not in definitions:
                definitions[name] = None
                fields = tables.records[name]
                definitions[name] = _object({field: _schema(of, tables, definitions) for field, of in fields})
            return {"$ref": f"#/$defs/{name}"}
        case PlanOf(tools):
            return _plan_schema(tools, tables, definitions)


def _plan_schema(tools: tuple[str, ...], tables: Tables, definitions: dict[str, Json]) -> dict[str, Json]:
    """Steps, each a call of one of the tools with its parameters by name."""
    steps: list[Json] = [
        _object(
            {
                "id": {"type": "string"},
                "tool": {"type": "string", "enum": [tool]},
                "arguments": _arguments(tables.tools[tool], tables, definitions)
                if tool in tables.tools
                else {"type": "object", "additionalProperties": {}},
            }
        )
        for tool in tools
    ]
    return _object({"steps": {"type": "array", "items": steps[0] if len(steps) == 1 else {"anyOf": steps}}})


def _arguments(
    parameters: tuple[Parameter, ...], tables: Tables, definitions: dict[str, Json]
) -> dict[str, Json]:
    """The arguments of a step. Strict structured output has no members that may be left out: null stands for
    a default.
    """
    members: dict[str, Json] = {}
    for parameter in parameters:
        written = _referring(_schema(parameter.type, tables, definitions))
        members[parameter.name] = _or(written, {"type": "null"}) if parameter.optional else written
    return _object(members)


def _referring(written: dict[str, Json]) -> dict[str, Json]:
    """The schema of what may also be the result of another step, as a whole or in its parts."""
    for part in ("items", "additionalProperties"):
        if isinstance(inner := written.get(part), dict):
            written = {**written, part: _referring(inner)}
    return _or(written, dict(REFERENCE))


def _or(written: dict[str, Json], other: dict[str, Json]) -> dict[str, Json]:
    """The schema of what fits either; as it was where the one takes what the other does."""
    found = written.get("anyOf")
    choices: list[Json] = found if isinstance(found, list) else [written]
    wide: list[Json] = [{}, {"type": "string"}] if other["type"] == "string" else [{}, {"type": "null"}]
    if any(choice in wide for choice in choices):
        return written
    return {"anyOf": [*choices, other]}
