"""What is different in a program that has changed since its run began."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from attrs import evolve

from flowc.runtime.durable.past import GONE
from flowc.runtime.durable.runs import plan_of, program_hash
from flowc.runtime.errors import fail
from flowc.runtime.plan import Plan

if TYPE_CHECKING:
    from flowc.cli.loaded import Loaded
    from flowc.runtime.durable.past import Past
    from flowc.runtime.durable.replaying import Difference
    from flowc.runtime.durable.runs import Journal

MOST = 3
"""So many changes are named."""


def check_changed(journal: "Journal", past: "Past", loaded: "Loaded", found: "Sequence[Difference]") -> None:
    """Refuses to go on with a run that could not have come to where it is under the program it has now."""
    steps = _some([f"{each.step.removeprefix(GONE)} {each.told}" for each in found])
    declared = _some(changes(plan_of(journal.store, past.head), loaded.plan) or ["what a kernel computes"])
    raise fail(
        "E0925",
        f"the program has changed since run {past.run} began, and the run does not fit it",
        why=f"{steps}; what has changed: {declared}",
        help="go on with the program as it was, named with --program "
        f"(`flowc show {past.run} --source` prints it), or with the new one: --migrate",
    )


def _some(words: Sequence[str]) -> str:
    return ", ".join(words[:MOST]) + (f", and {len(words) - MOST} more" if len(words) > MOST else "")


def changes(before: Plan, after: Plan) -> list[str]:
    """The declarations in which two programs differ, in words."""
    return [
        *_differences("flow", before.functions, after.functions),
        *_differences("", before.operations, after.operations),
        *_differences("record", before.records, after.records),
        *_differences("enum", before.enums, after.enums),
    ]


def _differences(kind: str, before: Mapping[str, Any], after: Mapping[str, Any]) -> list[str]:
    found: list[str] = []
    for name in sorted(before.keys() | after.keys()):
        what = kind or (before.get(name) or after[name]).kind
        if name not in after:
            found.append(f"{what} {name} is gone")
        elif name not in before:
            found.append(f"{what} {name} is new")
        elif before[name] != after[name] and _alone(kind, before, name) != _alone(kind, after, name):
            found.append(f"{what} {name}")
    return found


def _alone(kind: str, members: Mapping[str, Any], name: str) -> object:
    """A declaration for comparison: a flow by its hash, for its lines mean nothing."""
    if kind == "flow":
        return program_hash(Plan("", {name: members[name]}, {}, {}, {}))
    if kind == "":
        return evolve(members[name], line=0)
    return members[name]
