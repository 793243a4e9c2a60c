"""parallelise: what neither data nor effects order, nothing orders.

Flows are marked, so that their operations wait for data and effects instead of for the line above. Maps
whose bodies commute with themselves get their width. Of a loop, the part of each round that needs nothing
of the rounds before becomes a map in front of it; where what remains only adds to lists, on a condition or
always, the loop is gone. A chain of calls of what is declared `@associative` becomes a tree, and a call that
only reads, the same in every round, is made once in front of its loop.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from attrs import define
from xdsl.dialects.builtin import IntegerAttr, ModuleOp, UnitAttr, i64

from flowc.dialects.agent.calls import AskOp, GenerateOp, PromptOp
from flowc.dialects.flow import control
from flowc.dialects.flow.declarations import CallOp, FuncOp
from flowc.dialects.flow.effects import Effects, join
from flowc.passes.canonicalise import constant_of
from flowc.passes.cost.model import CostModel, cost_model
from flowc.passes.explain_order import does, explain_order, first_keeping_order, kept_by_writes
from flowc.passes.facts import (
    DISPATCHED,
    blocks_inside,
    callee_of,
    flows_of,
    is_dispatched,
    name_of,
    operations_inside,
)
from flowc.passes.fold_trees import Chain, against, associative_names, chains_of, explained, fold
from flowc.passes.framework import (
    Findings,
    FlowPass,
    OptionProblem,
    Report,
    line_of,
    place_before,
    replace_with,
)
from flowc.passes.hoist_calls import hoist_calls
from flowc.passes.inline import callees_first
from flowc.passes.loop_parts import Parts, parts_of, take_apart
from flowc.passes.loop_results import gathered
from flowc.passes.map_decisions import width_decision
from flowc.passes.merge_calls import Licence
from flowc.passes.order import GUARDED, is_guarded
from flowc.passes.share_calls import cached_tools, steady_flows, steady_models
from flowc.passes.split_branches import split_branches

WIDTH = 64
"""How many elements of a map run at once, where nothing says it."""
CHOSEN_WIDTH = "chosen_width"
"""The attribute of a module whose maps have a width that somebody chose: endpoints do not change it."""


@dataclass(frozen=True)
class ParallelisePass(FlowPass):
    """Relaxes program order to the order of data and effects; `width` bounds each map, whatever endpoints
    take at once.
    """

    name = "parallelise"
    width: int | None = None

    def __post_init__(self) -> None:
        if self.width is not None and self.width < 1:
            raise OptionProblem(f"width is at least 1, not {self.width}")

    def run(self, module: ModuleOp) -> Report:
        """Runs `parallelise`."""
        if self.width is None:
            return parallelise(module)
        module.attributes[CHOSEN_WIDTH] = UnitAttr()
        return parallelise(module, self.width)


@define
class _State:
    width: int
    licence: Licence
    associative: set[str]
    findings: Findings


def parallelise(module: ModuleOp, width: int = WIDTH) -> Report:
    """Marks flows, widens maps and takes loops apart; says which loops stay as they are, and why."""
    models = steady_models(module)
    licence = Licence(models, steady_flows(module, models), cached_tools(module))
    findings = Findings("parallelise")
    state = _State(width, licence, associative_names(module), findings)
    functions = flows_of(module)
    _mark_guarded(functions)
    for function in functions.values():
        if "parallel" not in function.attributes:
            function.attributes["parallel"] = UnitAttr()
            findings.fired += 1
        _hoist(function, state)
        _own_prompts(function)
        for block in reversed(list(blocks_inside(function))):  # inner loops first: the outer take their maps
            for op in list(block.ops):
                if isinstance(op, control.ForOp):
                    _loop(op, state)
        _widen(function, state)
        explain_order(function, findings)
    _decide(module, functions, findings)
    return findings.report()


def _decide(module: ModuleOp, functions: Mapping[str, FuncOp], findings: Findings) -> None:
    """Keeps how wide maps have become, of those worth it."""
    costs: CostModel | None = None
    for op in (each for function in functions.values() for each in operations_inside(function)):
        if isinstance(op, control.MapOp) and op.width.value.data > 1 and is_dispatched(op):
            costs = costs or cost_model(module)
            call = next((inner for inner in op.walk() if isinstance(inner, DISPATCHED)), op)
            findings.decisions.append(width_decision(op, costs, name_of(call)))


def _mark_guarded(functions: Mapping[str, FuncOp]) -> None:
    """Marks the flows that are called, directly or through others, where a failure is no end."""
    calls = {
        name: [op for op in operations_inside(function) if isinstance(op, CallOp)]
        for name, function in functions.items()
    }
    for name in reversed(callees_first(calls)):
        for call in calls[name]:
            callee = functions.get(callee_of(call))
            block = call.parent_block()
            if callee is not None and block is not None and is_guarded(block):
                callee.attributes[GUARDED] = UnitAttr()


def _hoist(function: FuncOp, state: _State) -> None:
    """Moves calls out of loops and comprehensions, of the innermost first."""
    effects = Effects()
    for block in reversed(list(blocks_inside(function))):
        for op in list(block.ops):
            if isinstance(op, control.ForOp | control.MapOp):
                before = len(op.body.block.ops)
                hoist_calls(op, state.licence, effects, state.findings)
                state.findings.fired += len(op.body.block.ops) < before


def _own_prompts(function: FuncOp) -> None:
    """Gives each call a prompt of its own, in its block: where calls part, a prompt must go with its own."""
    for op in operations_inside(function):
        prompt = op.prompt.owner if isinstance(op, GenerateOp | AskOp) else None
        if isinstance(prompt, PromptOp) and (
            prompt.parent is not op.parent or prompt.result.has_more_than_one_use()
        ):
            op.operands[0] = place_before(op, prompt.clone()).result


def _widen(function: FuncOp, state: _State) -> None:
    effects = Effects()
    for block in blocks_inside(function):
        for op in block.ops:
            if isinstance(op, control.MapOp) and op.width.value.data == 1:
                summary = effects.of_region(op.body)
                if summary.commutes_with_itself:
                    op.properties["width"] = IntegerAttr(state.width, i64)
                    state.findings.fired += 1
                elif (call := first_keeping_order(op.body.block, effects)) is not None:
                    state.findings.remark(op, f"this comprehension runs in order: {does(call, effects)}")


def _loop(op: control.ForOp, state: _State) -> None:
    """Makes trees of chains, then moves what each round need not wait for into a map in front of the loop."""
    if not is_dispatched(op):
        return
    op = _with_trees(op, state)
    block, effects = op.body.block, Effects()
    last = block.last_op
    if last is None:
        return
    stops = constant_of(last.operands[0]) is not False
    if not stops and not is_dispatched(op):  # a chain is gone, and what it combines is gathered
        if (results := gathered(op, op.iterable, state.width)) is not None:
            replace_with(op, results)
        return
    if stops:
        early = "it may stop early, and later rounds must not start before"
        state.findings.remark(op, f"this loop runs in order: {early}")
        return
    state.findings.fired += split_branches(block, block.args[1:], effects)
    effects = Effects()
    parts = parts_of(block, block.args[1:], effects)
    if not any(is_dispatched(inner) for inner in parts.ahead):
        if reason := _in_order(op, effects):
            state.findings.remark(op, f"this loop runs in order: {reason}")
        return
    if reason := _against_apart(op, parts, effects):
        state.findings.remark(op, f"this loop runs in order: {reason}")
        return
    for read, reason in kept_by_writes(block, effects):
        state.findings.remark(read, f"{name_of(read)} stays in its round: {reason}")
    take_apart(op, parts, state.width)
    state.findings.fired += 1


def _with_trees(op: control.ForOp, state: _State) -> control.ForOp:
    """The loop without the chains of calls of which the program says that they are associative."""
    effects = Effects()
    while (chain := _next_chain(op, state, effects)) is not None:
        side_by_side = "the calls of all rounds become a tree, neighbours side by side"
        state.findings.remark(chain.call, f"`{chain.name}` is associative: {side_by_side}")
        state.findings.fired += 1
        op = fold(op, chain, state.width)
        effects = Effects()
    for chain in chains_of(op):
        if chain.name in state.associative:
            state.findings.remark(chain.call, f"this chain stays one: {against(op, chain, effects)}")
    return op


def _next_chain(op: control.ForOp, state: _State, effects: Effects) -> Chain | None:
    licensed = (chain for chain in chains_of(op) if chain.name in state.associative)
    return next((chain for chain in licensed if not against(op, chain, effects)), None)


def _in_order(op: control.ForOp, effects: Effects) -> str:
    """Why no call of a round can run ahead."""
    for read, reason in kept_by_writes(op.body.block, effects):
        return f"{name_of(read)} on line {line_of(read)} {reason.removeprefix('it ')}"
    call = first_keeping_order(op.body.block, effects)
    if call is not None:
        return does(call, effects)
    chains = chains_of(op)
    waits = "each round asks about what the round before gave"
    if chains and not against(op, chains[0], effects):
        return f"{waits}; {explained(chains[0])}"
    return waits


def _against_apart(op: control.ForOp, parts: Parts, effects: Effects) -> str:
    """Why the part of a round that waits for nothing may not run ahead; empty where it may."""
    ahead = join(effects.of(inner) for inner in parts.ahead)
    behind = join(effects.of(inner) for inner in parts.behind)
    if behind.unknown or ahead.unknown:
        return "it may do anything"
    call = first_keeping_order(op.body.block, effects)
    if call is None:
        return ""
    writes = does(call, effects)
    return f"{writes}, and a failure in it is caught" if is_guarded(op.body.block) else ""
