"""The plan as JSON, both ways. What is read back is checked, for an artifact may come from anywhere."""

import json
from collections.abc import Callable, Mapping
from typing import TypeVar

from flowc.runtime.errors import FlowError, fail
from flowc.runtime.plan import (
    FORMAT_VERSION,
    Effect,
    Function,
    Json,
    Limits,
    Node,
    Operation,
    Parameter,
    Plan,
    Region,
)
from flowc.runtime.plan_check import check_plan
from flowc.runtime.types import Type
from flowc.runtime.types import from_json as type_from_json
from flowc.runtime.types import to_json as type_to_json

T = TypeVar("T")
Members = Mapping[str, object]


def to_json(plan: Plan) -> Json:
    """The plan as a plain JSON value that `from_json` reads back to an equal plan."""
    return {
        "format": plan.format_version,
        "source": plan.source,
        "optimisation": plan.optimisation,
        "functions": {name: _function(value) for name, value in plan.functions.items()},
        "operations": {name: _operation(value) for name, value in plan.operations.items()},
        "records": {
            name: [[member, _type(type_)] for member, type_ in members]
            for name, members in plan.records.items()
        },
        "enums": {name: list(members) for name, members in plan.enums.items()},
    }


def dumps(plan: Plan) -> str:
    """The plan as JSON text, with keys in a fixed order, so that equal plans give equal text."""
    return json.dumps(to_json(plan), ensure_ascii=False, separators=(",", ":"), sort_keys=False)


def from_json(value: object) -> Plan:
    """Reads and checks a plan; raises `FlowError` E0644 or E0645 where it is not one this runtime can run."""
    try:
        members = _members(value)
        version = _int(members["format"])
        if version > FORMAT_VERSION:
            raise fail(
                "E0645",
                f"this plan has format {version}, and this flowc reads formats up to {FORMAT_VERSION}",
                help="compile the program again with this flowc, or run it with the one that compiled it",
            )
        plan = Plan(
            source=_str(members["source"]),
            functions={name: _read_function(item) for name, item in _members(members["functions"]).items()},
            operations={
                name: _read_operation(item) for name, item in _members(members["operations"]).items()
            },
            records={name: _read_fields(item) for name, item in _members(members["records"]).items()},
            enums={name: tuple(map(_str, _list(item))) for name, item in _members(members["enums"]).items()},
            optimisation=_int(members["optimisation"]),
            format_version=version,
        )
        check_plan(plan)
    except FlowError:
        raise
    except (KeyError, ValueError, TypeError, RecursionError) as error:
        raise fail(
            "E0644",
            "this is not a plan that flowc can run",
            why=f"a member is missing or has the wrong form: {error}",
            help="compile the program again",
        ) from None
    return plan


def loads(text: str) -> Plan:
    """Reads a plan from JSON text; raises as `from_json` does."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise fail("E0644", "this is not a plan that flowc can run", why=f"it is not JSON: {error}") from None
    return from_json(value)


# ---- writing


def _type(type_: Type) -> Json:
    value: Json = json.loads(json.dumps(type_to_json(type_)))
    return value


def _limits(limits: Limits) -> Json:
    bare = Limits()
    return {name: value for name in _LIMITS if (value := getattr(limits, name)) != getattr(bare, name)}


def _effect(effect: Effect) -> Json:
    return [effect.kind, effect.resource, effect.idempotent, effect.undo]


def _parameter(parameter: Parameter) -> Json:
    written: dict[str, Json] = {"name": parameter.name, "type": _type(parameter.type)}
    if parameter.optional:
        written["default"] = parameter.default
    return written


def _function(function: Function) -> Json:
    return {
        "name": function.name,
        "parameters": [_parameter(parameter) for parameter in function.parameters],
        "result": _type(function.result),
        "body": _region(function.body),
        "limits": _limits(function.limits),
        "effects": [_effect(effect) for effect in function.effects],
        "documentation": function.documentation,
        "line": function.line,
    }


def _operation(operation: Operation) -> Json:
    return {
        "kind": operation.kind,
        "name": operation.name,
        "parameters": [_parameter(parameter) for parameter in operation.parameters],
        "result": _type(operation.result),
        "effects": [_effect(effect) for effect in operation.effects],
        "limits": _limits(operation.limits),
        "model": operation.model,
        "temperature": operation.temperature,
        "max_tokens": operation.max_tokens,
        "cached": operation.cached,
        **({"pruned": list(operation.pruned)} if operation.pruned else {}),
        **({} if operation.latency is None else {"latency": operation.latency}),
        "module": operation.module,
        "function": operation.function,
        "documentation": operation.documentation,
        "line": operation.line,
    }


def _region(region: Region) -> Json:
    return {
        "size": region.size,
        "parameters": list(region.parameters),
        "captures": [list(pair) for pair in region.captures],
        "constants": [[slot, value] for slot, value in region.constants],
        "nodes": [_node(node) for node in region.nodes],
        "results": list(region.results),
    }


def _node(node: Node) -> Json:
    written: dict[str, Json] = {
        "op": node.op,
        "name": node.name,
        "in": list(node.inputs),
        "out": list(node.outputs),
        "at": [node.line, node.column],
    }
    if node.settings:
        written["settings"] = dict(node.settings)
    if node.regions:
        written["regions"] = [_region(region) for region in node.regions]
    if node.after:
        written["after"] = list(node.after)
    if node.rank:
        written["rank"] = node.rank
    return written


# ---- reading

_LIMITS = ("timeout", "money", "tokens", "calls", "memory", "retries", "backoff")


def _members(value: object) -> dict[str, object]:
    if not isinstance(value, dict):
        raise ValueError(f"an object was expected, not {value!r:.60}")
    return value


def _list(value: object) -> list[object]:
    if not isinstance(value, list):
        raise ValueError(f"a list was expected, not {value!r:.60}")
    return value


def _exactly(kind: type[T]) -> Callable[[object], T]:
    def read(value: object) -> T:
        if type(value) is not kind:
            raise ValueError(f"{kind.__name__} was expected, not {value!r:.60}")
        return value

    return read


_int = _exactly(int)
_str = _exactly(str)
_bool = _exactly(bool)


def _float(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError(f"a number was expected, not {value!r:.60}")
    return float(value)


def _or_none(read: Callable[[object], T], value: object) -> T | None:
    return None if value is None else read(value)


def _ints(value: object) -> tuple[int, ...]:
    return tuple(map(_int, _list(value)))


def _json(value: object) -> Json:
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, list):
        return [_json(item) for item in value]
    if isinstance(value, dict):
        return {_str(name): _json(item) for name, item in value.items()}
    raise ValueError(f"not a JSON value: {value!r:.60}")


def _read_limits(value: object) -> Limits:
    members = _members(value)
    if unknown := set(members) - set(_LIMITS):
        raise ValueError(f"unknown limit {sorted(unknown)[0]!r}")
    return Limits(
        timeout=_or_none(_float, members.get("timeout")),
        money=_or_none(_float, members.get("money")),
        tokens=_or_none(_int, members.get("tokens")),
        calls=_or_none(_int, members.get("calls")),
        memory=_or_none(_int, members.get("memory")),
        retries=_int(members.get("retries", 0)),
        backoff=_float(members.get("backoff", 0.0)),
    )


def _read_effect(value: object) -> Effect:
    kind, resource, idempotent, undo = _list(value)
    return Effect(_str(kind), _or_none(_str, resource), _bool(idempotent), _or_none(_str, undo))


def _read_parameter(value: object) -> Parameter:
    members = _members(value)
    return Parameter(
        _str(members["name"]),
        type_from_json(members["type"]),
        _json(members.get("default")),
        "default" in members,
    )


def _read_fields(value: object) -> tuple[tuple[str, Type], ...]:
    pairs = [_list(item) for item in _list(value)]
    return tuple((_str(name), type_from_json(type_)) for name, type_ in pairs)


def _read_function(value: object) -> Function:
    members = _members(value)
    return Function(
        name=_str(members["name"]),
        parameters=tuple(map(_read_parameter, _list(members["parameters"]))),
        result=type_from_json(members["result"]),
        body=_read_region(members["body"]),
        limits=_read_limits(members["limits"]),
        effects=tuple(map(_read_effect, _list(members["effects"]))),
        documentation=_str(members["documentation"]),
        line=_int(members["line"]),
    )


def _read_operation(value: object) -> Operation:
    members = _members(value)
    return Operation(
        kind=_str(members["kind"]),
        name=_str(members["name"]),
        parameters=tuple(map(_read_parameter, _list(members["parameters"]))),
        result=type_from_json(members["result"]),
        effects=tuple(map(_read_effect, _list(members["effects"]))),
        limits=_read_limits(members["limits"]),
        model=_or_none(_str, members["model"]),
        temperature=_or_none(_float, members["temperature"]),
        max_tokens=_or_none(_int, members["max_tokens"]),
        cached=_bool(members["cached"]),
        pruned=tuple(map(_str, _list(members.get("pruned", [])))),
        latency=_or_none(_float, members.get("latency")),
        module=_or_none(_str, members["module"]),
        function=_or_none(_str, members["function"]),
        documentation=_str(members["documentation"]),
        line=_int(members["line"]),
    )


def _read_region(value: object) -> Region:
    members = _members(value)
    captures = tuple(_ints(pair) for pair in _list(members["captures"]))
    constants = [_list(pair) for pair in _list(members["constants"])]
    return Region(
        size=_int(members["size"]),
        parameters=_ints(members["parameters"]),
        captures=tuple((outer, inner) for outer, inner in captures),
        constants=tuple((_int(slot), _json(item)) for slot, item in constants),
        nodes=tuple(map(_read_node, _list(members["nodes"]))),
        results=_ints(members["results"]),
    )


def _read_node(value: object) -> Node:
    members = _members(value)
    line, column = _ints(members["at"])
    return Node(
        op=_str(members["op"]),
        name=_str(members["name"]),
        inputs=_ints(members["in"]),
        outputs=_ints(members["out"]),
        settings={name: _json(item) for name, item in _members(members.get("settings", {})).items()},
        regions=tuple(map(_read_region, _list(members.get("regions", [])))),
        after=_ints(members.get("after", [])),
        rank=_float(members.get("rank", 0.0)),
        line=line,
        column=column,
    )
