"""Forks: new runs that share with another one what it did before a step, and go their own way from there.

What was shared is not made again, and not copied: the new run's journal refers to the other one's records. A
call that was under way when the step began, and has ended since, has ended so for the fork, too: it cannot be
taken back. The step itself and all that came after it are made again.
"""

import time
from collections.abc import Mapping
from difflib import get_close_matches
from typing import Any

from flowc.runtime.coerce import Mismatch, coercer
from flowc.runtime.durable.changing import settable
from flowc.runtime.durable.codec import Blobs, encode_json, packed
from flowc.runtime.durable.past import Past, is_under
from flowc.runtime.durable.places import calls_to, outline
from flowc.runtime.durable.records import Record, placed, read_records
from flowc.runtime.durable.runs import Journal, arguments_of, begin, part_of, past_of, plan_of
from flowc.runtime.durable.telling import UNDO
from flowc.runtime.errors import FlowError, fail
from flowc.runtime.plan import Json, Operation, Plan
from flowc.runtime.reading import parse_text, tables_of
from flowc.runtime.types import Type, text

RESULT = "result"
"""What is set in place of a step itself: it is not made then."""


def fork(journal: Journal, run: str, at: str, values: Mapping[str, object]) -> str:
    """Begins a fork of a run at a step, with these values of parameters of the step's call, or of its
    `result`; at the flow's own name, with these arguments of the flow. Texts are read by type. Gives the name
    of the fork, which is not gone on with yet.

    Raises E0931 where the run has no such step, E0932 where the step has no such parameter, E0933 where a
    value is not of its type, E0935 where what it would share was taken back later.
    """
    past = past_of(journal.store, run)
    plan = plan_of(journal.store, past.head)
    flow: str = past.head["flow"]
    if at == flow:
        return _afresh(journal, past, plan, values)
    records = placed(list(read_records(journal.store, run)))
    step = _step(records, run, at)
    first = next(each.number for each in records if is_under(each.step, step))
    _check_shared(records, run, first)
    blobs: Blobs = []
    told, changed = _set(plan, flow, step, records, values, blobs)
    own = _ends(records, step, first)
    if told is not None:
        own.append(["told", round(time.time(), 3), step, "done", told])
    return _begin(journal, past.head, plan, {"run": run, "records": first, "at": step}, changed, own, blobs)


def _afresh(journal: Journal, past: Past, plan: Plan, values: Mapping[str, object]) -> str:
    """A fork at the very beginning: nothing is shared."""
    head = past.head
    function = plan.functions[head["flow"]]
    types = {parameter.name: parameter.type for parameter in function.parameters}
    arguments = dict(zip(types, arguments_of(journal.store, head), strict=True))
    for name, given in values.items():
        if name not in types:
            raise _no_parameter(name, function.name, [*types])
        arguments[name] = _value(plan, types[name], given, name)
    forked: dict[str, Json] = {"run": past.run, "records": 0, "at": function.name}
    return _begin(journal, head, plan, forked, {}, [], [], [*arguments.values()])


def _begin(
    journal: Journal,
    head: Mapping[str, Any],
    plan: Plan,
    forked: dict[str, Json],
    changed: dict[str, Json],
    own: list[list[Any]],
    blobs: Blobs,
    arguments: list[Any] | None = None,
) -> str:
    """Begins the run of a fork, its `own` records first, and lets go of it."""
    store = journal.store
    forked["set"] = {**head.get("forked", {}).get("set", {}), **changed}
    store.append([], dict(blobs), sync=True)
    values = arguments_of(store, head) if arguments is None else arguments
    parts = {name: part_of(store, head, name) or b"" for name in head["parts"]}
    keeping = begin(journal, plan, head["flow"], values, head["settings"], parts=parts, forked=forked)
    position = 0
    for record in own:
        position = journal.writer.append(keeping.run, encode_json(record).encode("ascii"))
    if own:
        journal.writer.wait(position, sync=True)
    store.release(keeping.run)
    return keeping.run


def _step(records: list[Record], run: str, at: str) -> str:
    """The step that is meant: by its path, or by the name of what only one step calls."""
    steps = list(dict.fromkeys(each.step for each in records if each.step))
    if any(is_under(step, at) for step in steps):
        return at
    named = [step for step in steps if step.rsplit(":", 1)[-1] == at]
    if len(named) == 1:
        return named[0]
    near = named[:3] or get_close_matches(at, steps, n=1, cutoff=0.5)
    raise fail(
        "E0931",
        f"run {run} has made no step `{at}`" if not named else f"run {run} has made several steps `{at}`",
        why=f"it has made {len(steps)} steps",
        help=f"write --at {' or --at '.join(near)}" if near else f"`flowc show {run}` lists its steps",
    )


def _check_shared(records: list[Record], run: str, first: int) -> None:
    """A fork counts on the writes before it: they must be there still."""
    written = {each.step for each in records if each.number < first and each.kind in ("done", "told")}
    for each in records:
        write, undone, _ = each.step.rpartition(UNDO)
        if undone and each.number >= first and write in written:
            raise fail(
                "E0935",
                f"what run {run} wrote before that was taken back later",
                why=f"a fork shares {write}, which the transaction around it has undone",
                help=f"begin before the transaction: --at {write}, or the first write in it",
            )


def _ends(records: list[Record], step: str, first: int) -> list[list[Any]]:
    """What ended calls that were under way when the step began."""
    under_way: set[str] = set()
    found: list[list[Any]] = []
    for each in records:
        kind = each.kind
        if each.number < first:
            if kind == "intent":
                under_way.add(each.step)
            elif kind in ("done", "failed", "cancelled", "tried", "told"):
                under_way.discard(each.step)
        elif each.step in under_way and kind in ("done", "failed", "cancelled", "tried", "told"):
            found.append(each.written)
            under_way.discard(each.step)
    return found


def _set(
    plan: Plan, flow: str, step: str, records: list[Record], values: Mapping[str, object], blobs: Blobs
) -> tuple[Json, dict[str, Json]]:
    """What is set in place of the step's result, and of its parameters."""
    if not values:
        return None, {}
    operation = _operation(plan, step, records)
    calls = calls_to(outline(plan), flow, step)
    own = bool(calls) and calls[-1].operation is operation
    names = settable(calls[-1]) if own else []
    if operation is None or (RESULT in values and RESULT not in names and len(values) > 1):
        raise _no_parameter(next(name for name in values), step, names)
    if RESULT in values and RESULT not in names:
        return packed(_value(plan, operation.result, values[RESULT], RESULT), blobs), {}
    types = {parameter.name: parameter.type for parameter in operation.parameters}
    for name in values:
        if name not in names:
            raise _no_parameter(name, step, [*names, RESULT])
    given = {name: packed(_value(plan, types[name], value, name), blobs) for name, value in values.items()}
    changed: Json = dict(given)
    return None, {step: changed}


def _operation(plan: Plan, step: str, records: list[Record]) -> Operation | None:
    """What is called at a step."""
    for each in records:
        if each.step == step and each.kind in ("intent", "done", "failed"):
            return plan.operations.get(each.written[3])
        if each.step == step and each.kind == "asked":
            return plan.operations.get(each.written[3]["operation"])
    return None


def _value(plan: Plan, type_: Type, given: object, name: str) -> Any:
    tables = tables_of(plan)
    try:
        return parse_text(type_, given, tables) if isinstance(given, str) else coercer(type_, tables)(given)
    except Mismatch as mismatch:
        raise fail(
            "E0933",
            f"`{name}` cannot be set to that: it is a {text(type_)}",
            why=str(mismatch),
            help=f"write --set {name}=VALUE with a {text(type_)}",
        ) from None


def _no_parameter(name: str, step: str, names: list[str]) -> FlowError:
    return fail(
        "E0932",
        f"`{name}` cannot be set at {step}",
        why="what can be set there is " + ", ".join(f"`{each}`" for each in names)
        if names
        else "nothing can be set there",
        help=f"write --set {names[0]}=VALUE" if names else "leave --set out: the step is made again",
    )
