"""Another program for a run that has begun: whether it could have come as far, and how the run takes it up.

The proof is a replay: the new plan runs over what is kept. It is compatible if it asks for every step that is
kept, with the same operation, inputs, prompt and model, and nothing that is kept is left over. What it will
do beyond that is its own matter. Nothing is called for this, not even a pure tool.
"""

import time
from collections.abc import Mapping, Sequence
from typing import Any

from attrs import evolve, frozen

from flowc.runtime.coerce import Mismatch
from flowc.runtime.durable.codec import Blobs, encode_json, packed
from flowc.runtime.durable.kept import OPEN
from flowc.runtime.durable.moving import Moves
from flowc.runtime.durable.past import GONE, Outcome, Past
from flowc.runtime.durable.places import calls_to, outline
from flowc.runtime.durable.replay import PROMPTED, replayed
from flowc.runtime.durable.replaying import Difference, Replaying
from flowc.runtime.durable.runs import Journal, held, past_of, pinned, plan_of
from flowc.runtime.environment import Environment
from flowc.runtime.execute import Loaded
from flowc.runtime.journal.store import Store
from flowc.runtime.plan import Json, Limits, Operation, Plan
from flowc.runtime.registry import Registry
from flowc.runtime.scheduler.binding import Bindings
from flowc.runtime.scheduler.blocks import Instruction
from flowc.runtime.scheduler.frames import Frame
from flowc.runtime.scheduler.prompts import Template, rendered

GIVES_UP = frozenset({"race", "vote", "attempt", "limit", "transaction"})
"""Control flow that may give up calls inside: those that ended all the same are kept, and need not be asked
for.
"""


def explain_change(store: Store, past: Past, plan: Plan, environment: Environment) -> tuple[Difference, ...]:
    """Why a run cannot go on with this plan as if it had begun with it; empty where it can. `environment` has
    the code of the plan's kernels.
    """
    flow: str = past.head["flow"]
    old = plan_of(store, past.head)
    if flow not in plan.functions:
        return (Difference(flow, flow, "gone", "is no flow of the program any more"),)
    if not _takes(plan, old, flow):
        return (Difference(flow, flow, "inputs", "takes other parameters than it did"),)
    keeper = _replay(store, past, old, plan, environment, frozenset())
    moved = _moved_in_flight(past_of(store, past.run, whole=True), old, plan)
    told = [evolve(each, wrote=_writes(old.operations.get(each.operation))) for each in keeper.differences]
    return (*moved, *told, *_left_over(keeper, old, outline(plan), flow))


def follow(
    store: Store, past: Past, plan: Plan, environment: Environment, found: Sequence[Difference]
) -> tuple[str, ...]:
    """The steps that may be made again because those of the differences found are: kept calls that come
    after.
    """
    flow: str = past.head["flow"]
    old = plan_of(store, past.head)
    dropped = dropped_by(found)
    if flow not in plan.functions or not _takes(plan, old, flow):
        return tuple(past_of(store, past.run, whole=True).outcomes)
    keeper = _replay(store, past, old, plan, environment, dropped)
    return tuple(
        each.step for each in _left_over(keeper, old, outline(plan), flow) if each.step not in dropped
    )


def dropped_by(found: Sequence[Difference]) -> frozenset[str]:
    """The steps whose ends do not count for the new program."""
    return frozenset(each.step for each in found)


def adopt(
    journal: Journal,
    run: str,
    plan: Plan,
    found: Sequence[Difference],
    *,
    parts: Mapping[str, bytes],
    settings: Mapping[str, Json],
) -> None:
    """Has a run go on with this plan from now on, without the ends of the steps that differ. `parts` are the
    texts that belong to the plan, as for `begin`, `settings` those that are others now. Raises E0921 where
    another process has the run.
    """
    with held(journal, run):
        past = past_of(journal.store, run, whole=True)
        blobs: Blobs = []
        moved: Json = dict(moves(past, plan_of(journal.store, past.head), plan))
        record = {
            **pinned(plan, parts, blobs),
            "before": past.head["program"],
            "settings": dict(settings),
            "moved": moved,
            "dropped": sorted(dropped_by(found)),
        }
        payload = encode_json(["migrated", round(time.time(), 3), record]).encode("ascii")
        position = journal.writer.append(run, payload, blobs=blobs, status=OPEN)
        journal.writer.wait(position, sync=True)


def moves(past: Past, old: Plan, plan: Plan) -> dict[str, str]:
    """The kept steps and timers that stand elsewhere in the new plan, with where they do."""
    flow: str = past.head["flow"]
    if flow not in plan.functions:
        return {}
    found = Moves(outline(old), outline(plan), flow)
    places = {name: found.of(name) for name in past.names()}
    return {name: place for name, place in places.items() if place != name}


def _takes(plan: Plan, old: Plan, flow: str) -> bool:
    """Whether a flow can be called with the arguments that the run has."""
    before, now = (each.functions[flow].parameters for each in (old, plan))
    return [(each.name, each.type) for each in before] == [(each.name, each.type) for each in now]


def _replay(
    store: Store, past: Past, old: Plan, plan: Plan, environment: Environment, dropped: frozenset[str]
) -> Replaying:
    """The new plan over what is kept, without what is dropped."""
    whole = past_of(store, past.run, whole=True)
    moved = moves(whole, old, plan)
    whole.move(moved)
    for step in dropped:
        whole.outcomes.pop(step, None)
    bindings = outline(plan, environment.kernels)
    loaded = Loaded(plan, environment, bindings, Registry(environment))
    back = {new: step for step, new in moved.items()}
    comparison = Comparison(outline(old), bindings, past.head["flow"], back)
    keeper = Replaying(whole, store.blob, {}, comparison.check)
    replayed(store, whole, loaded, keeper)
    return keeper


@frozen(eq=False)
class Comparison:
    """Two plans, the flow that runs, and where its moved steps were before."""

    old: Bindings
    new: Bindings
    flow: str
    back: Mapping[str, str]

    def check(
        self, frame: Frame, instruction: Instruction, outcome: Outcome, value: Any
    ) -> Sequence[Difference]:
        """Whether the new plan means by a call what the old one meant, and can take what is kept."""
        before = calls_to(self.old, self.flow, self.back.get(outcome.step, outcome.step))
        was = before[-1].operation if before else None
        now = instruction.operation
        if now is None:
            return ()
        if outcome.problem is None and not self._fits(now, value):
            return (_differs(outcome, "type", "has another type of result, and what is kept is none of it"),)
        if was is not None and now.model != was.model:
            return (_differs(outcome, "model", f"asks the model `{now.model}`, and asked `{was.model}`"),)
        if before and self._asks_otherwise(frame, instruction, before[-1]):
            return (_differs(outcome, "prompt", "has another prompt than it had"),)
        return ()

    def _fits(self, operation: Operation, value: Any) -> bool:
        try:
            return packed(self.new.convert(operation.result)(value), []) == packed(value, [])
        except Mismatch:
            return False

    def _asks_otherwise(self, frame: Frame, now: Instruction, before: Instruction) -> bool:
        """Whether the prompt is another one, for the same values in its holes."""
        if (
            now.node.op not in PROMPTED
            or before.node.op != now.node.op
            or len(before.inputs) != len(now.inputs)
        ):
            return False
        values = [frame.slots[slot] for slot in now.inputs]
        prompts = [rendered(Template.of(each.node).fill(values)) for each in (before, now)]
        return prompts[0] != prompts[1]


def _differs(outcome: Outcome, what: str, told: str) -> Difference:
    return Difference(outcome.step, outcome.operation, what, told)


def _writes(operation: Operation | None) -> bool:
    return operation is not None and any(effect.kind == "writes" for effect in operation.effects)


def _left_over(keeper: Replaying, old: Plan, new: Bindings, flow: str) -> list[Difference]:
    """What is kept, and not asked for any more."""
    past = keeper.past
    kept = {step: intent.operation for step, intent in past.intents.items() if step not in past.cancelled}
    kept |= {step: outcome.operation for step, outcome in past.outcomes.items()}
    return [
        Difference(step, name, "gone", "is not called any more", wrote=_writes(old.operations.get(name)))
        for step, name in kept.items()
        if not _is_part(keeper, step) and not _may_be_given_up(new, flow, step, name)
    ]


def _moved_in_flight(past: Past, old: Plan, plan: Plan) -> list[Difference]:
    """Writes that may have happened, and would be made again by another name: not even an idempotency key
    tells.
    """
    moved = moves(past, old, plan)
    told = (
        "may have happened, and stands at another place now: it would be called with another idempotency key"
    )
    return [
        Difference(moved[step], intent.operation, "place", told, wrote=True)
        for step, intent in past.intents.items()
        if not moved.get(step, GONE).startswith(GONE)
        and _writes(old.operations.get(intent.operation))
        and step not in past.outcomes
    ]


def _is_part(keeper: Replaying, step: str) -> bool:
    """Whether a step has been asked for, or is a part of one that has."""
    ends = [at for at, letter in enumerate(step) if letter == "/"]
    return any(keeper.is_asked_for(step[:end]) for end in (*ends, len(step)))


def _may_be_given_up(new: Bindings, flow: str, step: str, name: str) -> bool:
    """Whether the new plan has the step where it need not come to it, though it came to it then."""
    calls = calls_to(new, flow, step)
    if not calls or calls[-1].node.name != name:
        return False
    return any(
        each.node.op in GIVES_UP or each.node.settings.get("early") or _is_limited(new, each)
        for each in calls[:-1]
    )


def _is_limited(new: Bindings, call: Instruction) -> bool:
    name = call.node.settings.get("function")
    return call.node.op == "call" and new.plan.functions[str(name)].limits != Limits()
