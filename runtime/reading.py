"""Arguments of a run: texts typed by the flow's signature, JSON members, and Python values."""

import json
from collections.abc import Mapping
from difflib import get_close_matches
from pathlib import Path

from flowc.runtime.arrays import read_npy
from flowc.runtime.coerce import Mismatch, Tables, bind_extents, coercer
from flowc.runtime.errors import FlowError, fail
from flowc.runtime.plan import Function, Plan
from flowc.runtime.types import Array, Enum, Optional, Scalar, Type, text
from flowc.runtime.values import from_constant

TRUTH = {"true": True, "false": False, "yes": True, "no": False, "1": True, "0": False}
EXAMPLES = {"int": "3", "float": "0.5", "bool": "true", "json": '{"a": 1}', "list": '["a", "b"]'}


def tables_of(plan: Plan) -> Tables:
    """The records, enums and tools of a plan, for coercers."""
    tools = {name: each.parameters for name, each in plan.operations.items() if each.kind == "tool"}
    return Tables(plan.records, plan.enums, tools)


def parse_text(type_: Type, given: str, tables: Tables, *, folder: Path | None = None) -> object:
    """The value that `given` stands for, as in NAME=VALUE; raises `Mismatch`, or `FlowError` for a bad .npy
    file.

    A str is taken as it stands, `none` is the empty optional, an array is a .npy path or JSON, the rest is
    JSON.
    """
    match type_:
        case Scalar("str") | Enum():
            return coercer(type_, tables)(given)
        case Optional(inner):
            return None if given == "none" else parse_text(inner, given, tables, folder=folder)
        case Scalar("bool"):
            if given.lower() not in TRUTH:
                raise Mismatch("true or false", given)
            return TRUTH[given.lower()]
        case Array() if given.endswith(".npy"):
            return coercer(type_, tables)(read_npy((folder or Path()) / given))
        case Scalar("bytes"):
            return given.encode()
    try:
        value = json.loads(given)
    except (ValueError, RecursionError):
        if given in ("nan", "inf", "-inf"):
            return coercer(type_, tables)(given)
        raise Mismatch(f"{text(type_)} written as JSON", given) from None
    return coercer(type_, tables)(value)


def bind_arguments(plan: Plan, function: Function, given: Mapping[str, object]) -> list[object]:
    """The arguments of a run in order of the parameters, converted and checked; raises E0702, E0703 or
    E0704.
    """
    tables = tables_of(plan)
    signature = ", ".join(f"{parameter.name}: {text(parameter.type)}" for parameter in function.parameters)
    names = [parameter.name for parameter in function.parameters]
    for name in given:
        if name not in names:
            raise fail(
                "E0702",
                f"flow `{function.name}` has no parameter `{name}`",
                help=_near(name, names) or (f"its parameters are: {signature}" if names else "it takes none"),
                line=function.line,
            )
    values: list[object] = []
    extents: dict[str, int] = {}
    for parameter in function.parameters:
        if parameter.name in given:
            try:
                value = coercer(parameter.type, tables)(given[parameter.name])
                bind_extents(parameter.type, value, extents, "")
            except Mismatch as mismatch:
                raise wrong_argument(function, parameter.name, parameter.type, mismatch) from None
            values.append(value)
        elif parameter.optional:
            values.append(coercer(parameter.type, tables)(from_constant(parameter.default)))
        else:
            raise fail(
                "E0703",
                f"`{parameter.name}` is missing",
                why=f"flow `{function.name}` takes {signature}",
                help=f"give {parameter.name}=VALUE",
                line=function.line,
            )
    return values


def _near(name: str, names: list[str]) -> str:
    close = get_close_matches(name, names, n=1)
    return f"did you mean `{close[0]}`?" if close else ""


def wrong_argument(function: Function, name: str, type_: Type, mismatch: Mismatch) -> FlowError:
    """The error for an argument that is not of its parameter's type."""
    form = EXAMPLES.get(text(type_).split("[")[0])
    return fail(
        "E0704",
        f"`{name}` is not a {text(type_)}",
        why=str(mismatch),
        help=f"write it like {name}='{form}'" if form else f"`{name}` of `{function.name}` is {text(type_)}",
        line=function.line,
    )


def read_text_arguments(
    plan: Plan, function: Function, pairs: Mapping[str, str], *, folder: Path | None = None
) -> dict[str, object]:
    """Types NAME=VALUE pairs by the flow's signature; an unknown name is left for `bind_arguments` to
    refuse.
    """
    tables = tables_of(plan)
    types = {parameter.name: parameter.type for parameter in function.parameters}
    values: dict[str, object] = {}
    for name, given in pairs.items():
        if name not in types:
            values[name] = given
            continue
        try:
            values[name] = parse_text(types[name], given, tables, folder=folder)
        except Mismatch as mismatch:
            raise wrong_argument(function, name, types[name], mismatch) from None
    return values
