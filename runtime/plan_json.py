"""The plan as JSON, both ways. What is read back is checked, for an artifact may come from anywhere."""

import json

from flowc.runtime import expectations_json
from flowc.runtime.errors import FlowError, fail
from flowc.runtime.json_members import as_json, as_list, as_number, as_object, exactly, or_none
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
        **_expectations(plan),
    }


def dumps(plan: Plan) -> str:
    """The plan as JSON text, with keys in a fixed order, so that equal plans give equal text."""
    return json.dumps(to_json(plan), ensure_ascii=False, separators=(",", ":"), sort_keys=False)


def from_json(value: object) -> Plan:
    """Reads and checks a plan; raises `FlowError` E0644 or E0645 where it is not one this runtime can run."""
    try:
        members = as_object(value)
        version = _int(members["format"])
        if version > FORMAT_VERSION:
            raise fail(
                "E0645",
                f"this plan has format {version}, and this flowc reads formats up to {FORMAT_VERSION}",
                help="compile the program again with this flowc, or run it with the one that compiled it",
            )
        plan = Plan(
            source=_str(members["source"]),
            functions={name: _read_function(item) for name, item in as_object(members["functions"]).items()},
            operations={
                name: _read_operation(item) for name, item in as_object(members["operations"]).items()
            },
            records={name: _read_fields(item) for name, item in as_object(members["records"]).items()},
            enums={
                name: tuple(map(_str, as_list(item))) for name, item in as_object(members["enums"]).items()
            },
            optimisation=_int(members["optimisation"]),
            expectations=or_none(expectations_json.from_json, members.get("expectations")),
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


def _expectations(plan: Plan) -> dict[str, Json]:
    return {} if plan.expectations is None else {"expectations": expectations_json.to_json(plan.expectations)}


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


_int = exactly(int)
_str = exactly(str)
_bool = exactly(bool)


def _ints(value: object) -> tuple[int, ...]:
    return tuple(map(_int, as_list(value)))


def _read_limits(value: object) -> Limits:
    members = as_object(value)
    if unknown := set(members) - set(_LIMITS):
        raise ValueError(f"unknown limit {sorted(unknown)[0]!r}")
    return Limits(
        timeout=or_none(as_number, members.get("timeout")),
        money=or_none(as_number, members.get("money")),
        tokens=or_none(_int, members.get("tokens")),
        calls=or_none(_int, members.get("calls")),
        memory=or_none(_int, members.get("memory")),
        retries=_int(members.get("retries", 0)),
        backoff=as_number(members.get("backoff", 0.0)),
    )


def _read_effect(value: object) -> Effect:
    kind, resource, idempotent, undo = as_list(value)
    return Effect(_str(kind), or_none(_str, resource), _bool(idempotent), or_none(_str, undo))


def _read_parameter(value: object) -> Parameter:
    members = as_object(value)
    return Parameter(
        _str(members["name"]),
        type_from_json(members["type"]),
        as_json(members.get("default")),
        "default" in members,
    )


def _read_fields(value: object) -> tuple[tuple[str, Type], ...]:
    pairs = [as_list(item) for item in as_list(value)]
    return tuple((_str(name), type_from_json(type_)) for name, type_ in pairs)


def _read_function(value: object) -> Function:
    members = as_object(value)
    return Function(
        name=_str(members["name"]),
        parameters=tuple(map(_read_parameter, as_list(members["parameters"]))),
        result=type_from_json(members["result"]),
        body=_read_region(members["body"]),
        limits=_read_limits(members["limits"]),
        effects=tuple(map(_read_effect, as_list(members["effects"]))),
        documentation=_str(members["documentation"]),
        line=_int(members["line"]),
    )


def _read_operation(value: object) -> Operation:
    members = as_object(value)
    return Operation(
        kind=_str(members["kind"]),
        name=_str(members["name"]),
        parameters=tuple(map(_read_parameter, as_list(members["parameters"]))),
        result=type_from_json(members["result"]),
        effects=tuple(map(_read_effect, as_list(members["effects"]))),
        limits=_read_limits(members["limits"]),
        model=or_none(_str, members["model"]),
        temperature=or_none(as_number, members["temperature"]),
        max_tokens=or_none(_int, members["max_tokens"]),
        cached=_bool(members["cached"]),
        pruned=tuple(map(_str, as_list(members.get("pruned", [])))),
        latency=or_none(as_number, members.get("latency")),
        module=or_none(_str, members["module"]),
        function=or_none(_str, members["function"]),
        documentation=_str(members["documentation"]),
        line=_int(members["line"]),
    )


def _read_region(value: object) -> Region:
    members = as_object(value)
    captures = tuple(_ints(pair) for pair in as_list(members["captures"]))
    constants = [as_list(pair) for pair in as_list(members["constants"])]
    return Region(
        size=_int(members["size"]),
        parameters=_ints(members["parameters"]),
        captures=tuple((outer, inner) for outer, inner in captures),
        constants=tuple((_int(slot), as_json(item)) for slot, item in constants),
        nodes=tuple(map(_read_node, as_list(members["nodes"]))),
        results=_ints(members["results"]),
    )


def _read_node(value: object) -> Node:
    members = as_object(value)
    line, column = _ints(members["at"])
    return Node(
        op=_str(members["op"]),
        name=_str(members["name"]),
        inputs=_ints(members["in"]),
        outputs=_ints(members["out"]),
        settings={name: as_json(item) for name, item in as_object(members.get("settings", {})).items()},
        regions=tuple(map(_read_region, as_list(members.get("regions", [])))),
        after=_ints(members.get("after", [])),
        rank=as_number(members.get("rank", 0.0)),
        line=line,
        column=column,
    )
