"""`replay`: whether a run, made once more over what is kept of it, is the run that it was."""

from collections.abc import Sequence
from functools import partial
from typing import Any

from attrs import frozen

from flowc.runtime.durable.codec import packed
from flowc.runtime.durable.past import Outcome, Past, problem_from_json
from flowc.runtime.durable.replaying import AT_REST, FINAL, Difference, Pure, Replaying
from flowc.runtime.durable.runs import arguments_of, past_of, plan_of
from flowc.runtime.environment import Environment
from flowc.runtime.errors import CANCELLED, FlowError
from flowc.runtime.execute import Loaded, load, run
from flowc.runtime.fingerprint import fingerprint
from flowc.runtime.journal.store import Store
from flowc.runtime.plan import Operation
from flowc.runtime.result import RunResult
from flowc.runtime.scheduler.blocks import Instruction
from flowc.runtime.scheduler.frames import Frame
from flowc.runtime.scheduler.prompts import Template, rendered
from flowc.runtime.types import NONE

PROMPTED = frozenset({"generate", "human"})
"""Nodes that ask with a prompt."""


@frozen
class Replayed:
    """What a replay came to: how many steps it asked for, how many of them it made again, whether it came to
    the end of the run, and where it differs.
    """

    steps: int
    made: int
    whole: bool
    differences: tuple[Difference, ...]


def replay(store: Store, run_name: str, environment: Environment) -> Replayed:
    """Replays a run of a journal, as far as it goes; `environment` has the code of its kernels and pure
    tools.

    Raises `FlowError` where there is no such run, or no code for it.
    """
    past = past_of(store, run_name, whole=True)
    loaded = load(plan_of(store, past.head), environment)
    keeper = Replaying(past, store.blob, pure_tools(loaded), partial(_prompt_differs, past))
    replayed(store, past, loaded, keeper)
    return Replayed(
        len(keeper.asked),
        keeper.made,
        keeper.problem is not AT_REST,
        (*keeper.differences, *_end(past, keeper)),
    )


def replayed(store: Store, past: Past, loaded: Loaded, keeper: Replaying) -> RunResult:
    """Runs a plan over what is kept of a run."""
    head = past.head
    function = plan_of(store, head).functions[head["flow"]]
    names = [parameter.name for parameter in function.parameters]
    given = dict(zip(names, arguments_of(store, head), strict=True))
    result = run(loaded, function.name, given, keeper=keeper)
    if result.problem is not None and result.problem.code == CANCELLED and past.status != "cancelled":
        raise FlowError(result.problem)
    return result


def pure_tools(loaded: Loaded) -> dict[str, Pure]:
    """The tools of a plan that a replay makes again, by name."""
    found: dict[str, Pure] = {}
    for name, operation in loaded.plan.operations.items():
        function = loaded.bindings.function(operation) if is_pure_tool(operation) else None
        if function is not None:
            convert = _nothing if operation.result == NONE else loaded.bindings.convert(operation.result)
            found[name] = function, convert
    return found


def is_pure_tool(operation: Operation) -> bool:
    """Whether a call of it leaves no trace, and may be made again at any time."""
    return operation.kind == "tool" and all(effect.kind == "pure" for effect in operation.effects)


def prompt_hash(frame: Frame, call: Instruction) -> str:
    """The hash of the prompt of a call; "" where it has none."""
    if call.node.op not in PROMPTED:
        return ""
    values = [frame.slots[slot] for slot in call.inputs]
    return fingerprint(rendered(Template.of(call.node).fill(values))).hex()


def _prompt_differs(
    past: Past, frame: Frame, call: Instruction, outcome: Outcome, value: object
) -> Sequence[Difference]:
    """Whether a model was asked something else."""
    known = past.models.get(outcome.step, [])
    changed = outcome.step in past.head.get("forked", {}).get("set", {})
    if len(known) < 3 or changed or known[2] == prompt_hash(frame, call):
        return ()
    return (Difference(outcome.step, outcome.operation, "prompt", "asks with another prompt than it did"),)


def _nothing(value: object) -> None:
    """What a tool gives that gives nothing."""


def _end(past: Past, keeper: Replaying) -> list[Difference]:
    """Where the end of a run is not what it was."""
    flow: str = past.head["flow"]
    if past.status not in FINAL:
        return []
    if keeper.problem is AT_REST:
        wanted = next(iter(keeper.parked), "")
        told = f"ended as {past.status}, and now asks for {wanted or 'a step'}, of which nothing is kept"
        return [Difference(flow, flow, "end", told)]
    if keeper.status != past.status:
        return [Difference(flow, flow, "end", f"ended as {past.status}, and now as {keeper.status}")]
    if keeper.problem is None:
        if packed(keeper.value, []) == past.ending["result"]:
            return []
        return [Difference(flow, flow, "end", "comes to another result than it did")]
    kept: Any = problem_from_json(past.ending["problem"])
    if (kept.code, kept.message) == (keeper.problem.code, keeper.problem.message):
        return []
    return [Difference(flow, flow, "end", f"failed with {kept.code}, and now with {keeper.problem.code}")]
