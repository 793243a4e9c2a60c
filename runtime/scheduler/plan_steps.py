"""The steps of a plan that a model wrote: read, checked against the tools they call, put in order."""

import re
from collections.abc import Iterable, Mapping
from typing import Any

from attrs import evolve, frozen

from flowc.runtime.errors import fail
from flowc.runtime.plan import Operation, Parameter
from flowc.runtime.types import JSON, NONE, Optional

REFERENCE = re.compile(r"\$[A-Za-z0-9_-]+")

MOST_STEPS = 1000
"""Steps that a plan may have."""


@frozen
class Step:
    """One call: of which tool, with which arguments, after which steps."""

    id: str
    tool: str
    arguments: Mapping[str, Any]
    after: tuple[str, ...]


def read_steps(plan: Any, operations: Mapping[str, Operation]) -> list[Step]:
    """The steps of a plan, found sound; raises E0840 (form), E0841 (references) or E0842 (arguments)."""
    steps = plan.get("steps") if isinstance(plan, Mapping) else None
    if not isinstance(steps, list) or len(steps) > MOST_STEPS:
        raise fail("E0840", f"a plan is an object with a list of at most {MOST_STEPS} `steps`")
    read: list[Step] = []
    ids: set[str] = set()
    for number, written in enumerate(steps, 1):
        read.append(step := read_step(number, written, ids, operations))
        ids.add(step.id)
    for step in read:
        check_arguments(step, operations[step.tool])
        for other in step.after:
            if other not in ids:
                raise fail("E0841", f"step `{step.id}` refers to `${other}`, and there is no such step")
    return _with_order(read, operations)


def read_step(number: int, written: Any, ids: set[str], operations: Mapping[str, Operation]) -> Step:
    """One step, which comes after those with these ids; raises E0840."""
    match written:
        case {"id": str(id_), "tool": str(tool), "arguments": dict(arguments)}:
            pass
        case _:
            raise fail(
                "E0840", f"step {number} of the plan has not the form of a step", why=repr(written)[:200]
            )
    if tool not in operations:
        raise fail(
            "E0840",
            f"step `{id_}` of the plan calls `{tool}`, which it may not",
            help="it may call: " + ", ".join(sorted(operations)),
        )
    if id_ in ids:
        raise fail("E0840", f"two steps of the plan are called `{id_}`")
    return Step(id_, tool, arguments, tuple(dict.fromkeys(references(arguments))))


def is_given(step: Step, parameter: Parameter) -> bool:
    """Whether a step gives its tool this argument. In place of a default null may stand, since a schema for
    strict output demands all members; where null is a value itself, it is that value.
    """
    given = step.arguments.get(parameter.name)
    nullable = isinstance(parameter.type, Optional) or parameter.type in (JSON, NONE)
    is_default = given is None and parameter.optional and not nullable
    return parameter.name in step.arguments and not is_default


def check_arguments(step: Step, operation: Operation) -> None:
    """Raises E0842 where a step gives its tool too much or too little."""
    names = {parameter.name for parameter in operation.parameters}
    if unknown := sorted(set(step.arguments) - names):
        raise fail(
            "E0842", f"step `{step.id}` gives `{step.tool}` the argument `{unknown[0]}`, which it has not"
        )
    for parameter in operation.parameters:
        if parameter.name not in step.arguments and not parameter.optional:
            raise fail("E0842", f"step `{step.id}` calls `{step.tool}` without `{parameter.name}`")


def _with_order(steps: list[Step], operations: Mapping[str, Operation]) -> list[Step]:
    """Writes of a resource keep their place among all uses of it; the rest is free."""
    ordered_steps: list[Step] = []
    uses: list[tuple[str, str, str]] = []
    for step in steps:
        after = list(step.after)
        mine = [(effect.kind, effect.resource or "") for effect in operations[step.tool].effects]
        for kind, resource in mine:
            for other, other_kind, other_resource in uses:
                if resource == other_resource and "writes" in (kind, other_kind) and other not in after:
                    after.append(other)
        uses.extend((step.id, kind, resource) for kind, resource in mine if kind != "pure")
        ordered_steps.append(evolve(step, after=tuple(after)))
    return ordered_steps


def ordered(steps: list[Step]) -> list[Step]:
    """The steps, each after those it waits for; raises E0841 where they wait for each other."""
    done: set[str] = set()
    left = list(steps)
    result: list[Step] = []
    while left:
        ready = [step for step in left if done.issuperset(step.after)]
        if not ready:
            names = ", ".join(f"`{step.id}`" for step in left[:5])
            raise fail("E0841", f"the steps {names} of the plan wait for each other")
        result.extend(ready)
        done.update(step.id for step in ready)
        left = [step for step in left if step.id not in done]
    return result


def references(value: Any) -> Iterable[str]:
    """The step ids that a value refers to."""
    if isinstance(value, str) and REFERENCE.fullmatch(value):
        yield value[1:]
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from references(item)
    elif isinstance(value, list):
        for item in value:
            yield from references(item)


def substituted(value: Any, results: Mapping[str, Any]) -> Any:
    """The value with results in place of its references."""
    if isinstance(value, str) and value.startswith("$") and value[1:] in results:
        return results[value[1:]]
    if isinstance(value, Mapping):
        return {name: substituted(item, results) for name, item in value.items()}
    if isinstance(value, list):
        return [substituted(item, results) for item in value]
    return value
