"""speculate: calls behind a condition start while the condition is still being found out.

Of a branch that part starts early which does nothing that would have to be taken back: model calls, pure
tools, reads of what nothing writes that ends as late as the condition. What it needs must be there before the
condition is. A branch is worth it where the time it is expected to save is worth more than the calls that are
expected to be made for nothing. After speculative execution of hardware; of language models, Kim et al.,
"LLMCompiler", 2023, and Ye et al., "Speculative actions", 2025, name the case.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from attrs import define, field, frozen
from xdsl.dialects.builtin import ModuleOp, UnitAttr
from xdsl.ir import Block, Operation, Region, SSAValue

from flowc.dialects.agent.calls import PromptOp
from flowc.dialects.agent.declarations import DeclarationOp
from flowc.dialects.flow.attributes import EffectsAttr
from flowc.dialects.flow.compute import ConstantOp
from flowc.dialects.flow.control import IfOp
from flowc.dialects.flow.effects import Effects, Summary, join, to_items
from flowc.dialects.flow.speculation import EARLY, SpeculateOp
from flowc.passes.block_times import Deadlines, Inside, Times, made_in
from flowc.passes.cost.decisions import Alternative, Decision
from flowc.passes.cost.model import CostModel, cost_model
from flowc.passes.cost.money import WORTH, Prices
from flowc.passes.cost.spreads import ENOUGH
from flowc.passes.facts import blocks_of_flows, is_terminator
from flowc.passes.framework import (
    Findings,
    FlowPass,
    OptionProblem,
    Report,
    check_lines,
    check_worth,
    line_of,
    place_before,
)
from flowc.passes.order import effect_order
from flowc.passes.spending import Spendings

PROBABILITY = 0.5
"""How likely the first branch is taken, where nothing is known of it."""
LEAST = 5.0
"""Milliseconds below which nothing is worth starting early."""
WAIT, EARLY_CALLS = "when the condition is known", "before the condition is known"


@dataclass(frozen=True)
class SpeculatePass(FlowPass):
    """Starts calls behind conditions early; `probability` of the first branch, where no run has shown it, and
    `worth` in $ a second.

    The branches on the lines `without` wait for their conditions.
    """

    name = "speculate"
    probability: float = PROBABILITY
    worth: float = WORTH
    without: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        if not 0 <= self.probability <= 1:
            raise OptionProblem(f"probability is between 0 and 1, not {self.probability}")
        check_worth(self.worth)
        check_lines(self.without)

    def run(self, module: ModuleOp) -> Report:
        """Runs `speculate`."""
        return speculate(module, self.probability, self.worth, self.without)


def speculate(
    module: ModuleOp,
    probability: float = PROBABILITY,
    worth: float = WORTH,
    without: Collection[int] = (),
) -> Report:
    """Marks what may start early in branches; says what that is expected to save, or why it stays."""
    effects = Effects()
    declarations = {op.sym_name.data: op for op in module.ops if isinstance(op, DeclarationOp)}
    spendings = Spendings(declarations, effects)
    state = _State(
        probability, worth, cost_model(module), Prices(module), effects, spendings, Deadlines(module)
    )
    # Innermost first: a branch that starts early takes along what starts early in it.
    for block in reversed(blocks_of_flows(module)):
        _block(block, without, state)
    found = state.findings
    remarks = sorted(found.remarks, key=lambda each: each.line)
    return Report(found.fired, tuple(remarks), tuple(found.decisions))


@define
class _State:
    probability: float
    worth: float
    costs: CostModel
    prices: Prices
    effects: Effects
    spendings: Spendings
    deadlines: Deadlines
    inside: Inside = field(factory=Inside)
    findings: Findings = field(factory=lambda: Findings("speculate"))


@frozen
class _Early:
    """What of a branch may start early, what it needs, and what that is expected to bring: milliseconds
    `saved` with a probability of `chance`, dollars of `cost` else. `waiting` is when it ends without that.
    """

    region: Region
    operations: tuple[Operation, ...]
    needs: tuple[SSAValue, ...]
    lines: tuple[int, ...]
    saved: float
    chance: float
    gain: float
    cost: float
    waiting: float


def _block(block: Block, without: Collection[int], state: _State) -> None:
    branches = [
        op
        for op in block.ops
        if isinstance(op, IfOp)
        and op.started is None
        and line_of(op) not in without
        and state.inside.lines(op)
    ]
    if not branches:
        return
    times = Times(block, state.inside, state.effects, state.costs)
    for op in branches:
        _branch(op, times, state)


def _branch(op: IfOp, times: Times, state: _State) -> None:
    decided = times.of(op.condition)
    if decided < LEAST:
        return
    likely, _ = state.costs.taken(op, state.probability)
    chances = (likely, 1.0 - likely)
    found = [
        _early(region, chance, op, times, state) for region, chance in zip(op.regions, chances, strict=True)
    ]
    wanted = [each for each in found if each is not None and _is_worth(each, op, state)]
    if not wanted:
        _decide(op, found, (), state)
        return
    wanted.sort(key=lambda each: each.cost - each.gain)
    known = state.spendings.around(op, wanted[0].region)
    if known.unknown:
        state.findings.remark(op, f"`if`: no branch starts early: {known.unknown}")
        return
    chosen = wanted[:1] if known.others else wanted
    _decide(op, found, chosen, state)
    _start(op, chosen, known.others, state)


def _decide(op: IfOp, found: Sequence[_Early | None], chosen: Sequence[_Early], state: _State) -> None:
    """Keeps what was decided of each branch that could start early."""
    likely, samples = state.costs.taken(op, state.probability)
    seen = f"the first branch is taken {likely:.0%} of the time by {samples} runs"
    for early in found:
        if early is None:
            continue
        begins = early in chosen
        gain = early.chance * early.saved - (1e3 * early.cost / state.worth if state.worth else 0.0)
        state.findings.decisions.append(
            Decision(
                "start",
                line_of(op),
                EARLY_CALLS if begins else WAIT,
                (
                    Alternative(WAIT, early.waiting),
                    Alternative(EARLY_CALLS, early.waiting - early.chance * early.saved, early.cost),
                ),
                gain=gain if begins else 0.0,
                sure=samples >= ENOUGH,
                subject=_calls(early),
                basis=seen if samples else f"no run seen: a chance of {early.chance:.0%} is assumed",
            )
        )


def _is_worth(early: _Early, op: IfOp, state: _State) -> bool:
    if early.gain > early.cost:
        return True
    state.findings.remark(
        op,
        f"`if`: {_calls(early)} could start before the condition is known and save up to"
        f" {_seconds(early.saved)}, worth ${early.gain:.4f}; made for nothing they are expected to cost"
        f" ${early.cost:.4f}: a higher `worth` or `probability` of the pass would start them",
    )
    return False


def _early(region: Region, chance: float, op: IfOp, times: Times, state: _State) -> _Early | None:
    """The part of a branch that may start early and is worth a look; None where there is none."""
    decided = times.of(op.condition)
    made = made_in(region)
    places = set(region.block.ops)
    own: set[Operation] = set()
    start, late = 0.0, ""
    refused: Operation | None = None
    for inner, earlier in effect_order(region.block, state.effects).items():
        if is_terminator(inner):
            continue
        summary = state.effects.of(inner)
        values = state.inside.reads(inner)
        begin = max(
            (times.last_write(summary, op), *(times.of(value) for value in values if value not in made))
        )
        mine = (value.owner for value in values if value.owner in places)
        ahead = all(each in own for each in (*mine, *earlier))
        free = summary.commutes_with_itself and not state.deadlines.inside(inner)
        if free and ahead and begin <= decided - LEAST:
            own.add(inner)
            start = max(start, begin)
        elif state.inside.lines(inner) and refused is None:
            refused, late = inner, _reason(summary, ahead, state.deadlines.inside(inner))
    kept = _needed_by_calls(region.block, own, state.inside)
    if not kept:
        if refused is not None:
            state.findings.remark(refused, f"this call waits for the condition on line {line_of(op)}: {late}")
        return None
    saved = min(decided - start, _path(kept, state))
    if saved < LEAST:
        return None
    read = (value for each in kept for value in state.inside.reads(each) if value not in made)
    needs = dict.fromkeys(hole for value in read for hole in _filled(value))
    cost = (1.0 - chance) * sum(map(state.prices.of, kept))
    wanted = tuple(value for value in needs if not isinstance(value.owner, ConstantOp))
    lines = tuple(sorted(frozenset().union(*map(state.inside.lines, kept))))
    gain = chance * saved / 1e3 * state.worth
    return _Early(region, kept, wanted, lines, saved, chance, gain, cost, decided + _path(kept, state))


def _reason(summary: Summary, ahead: bool, deadline: bool) -> str:
    if summary.human:
        return "it asks a person"
    if summary.sleep:
        return "it sleeps"
    if summary.writes:
        return f"it writes {', '.join(sorted(summary.writes))}, which could not be taken back"
    if summary.unknown:
        return "what it does is not known"
    if deadline:
        return "its time limit would run while it waits"
    return "what it needs is there no sooner" if ahead else "it comes after something that has to wait"


def _needed_by_calls(block: Block, allowed: set[Operation], inside: Inside) -> tuple[Operation, ...]:
    """Of the operations that may start early the calls, and what calls need."""
    kept: list[Operation] = []
    wanted: set[SSAValue] = set()
    for op in reversed(list(block.ops)):
        if op in allowed and (inside.lines(op) or any(result in wanted for result in op.results)):
            kept.append(op)
            wanted.update(inside.reads(op))
    return tuple(reversed(kept))


def _path(operations: Sequence[Operation], state: _State) -> float:
    """The longest path through the data of some operations of a block."""
    ends: dict[Operation, float] = {}
    for op in operations:
        before = [v.owner for v in state.inside.reads(op) if isinstance(v.owner, Operation)]
        ends[op] = max((ends.get(each, 0.0) for each in before), default=0.0) + state.costs.cost(op)
    return max(ends.values(), default=0.0)


def _filled(value: SSAValue) -> Sequence[SSAValue]:
    """A value, or what fills the holes of a prompt, which is no value of its own in a plan."""
    return value.owner.values if isinstance(value.owner, PromptOp) else (value,)


def _start(op: IfOp, chosen: Sequence[_Early], others: tuple[int, ...], state: _State) -> None:
    """Puts a `flow.speculate` before a branch and marks what it starts."""
    operations = [each for early in chosen for each in early.operations]
    effects = EffectsAttr(to_items(join(map(state.effects.of, operations))))
    needs = dict.fromkeys(value for early in chosen for value in early.needs)
    started = SpeculateOp(tuple(needs), effects, others)
    place_before(op, started)
    op.operands = [op.condition, started.result]
    state.inside.forget(op)
    for each in operations:
        each.attributes[EARLY] = UnitAttr()
    state.findings.fired += 1
    for early in chosen:
        state.findings.remark(
            op,
            f"`if`: {_calls(early)} {'starts' if len(early.lines) == 1 else 'start'} before the condition is"
            f" known: saves up to {_seconds(early.saved)}, worth ${early.gain:.4f}, where"
            f" ${early.cost:.4f} are expected to be spent for nothing",
        )


def _calls(early: _Early) -> str:
    numbers = ", ".join(map(str, early.lines))
    return f"the call on line {numbers}" if len(early.lines) == 1 else f"the calls on lines {numbers}"


def _seconds(milliseconds: float) -> str:
    return f"{milliseconds / 1e3:.2g} s" if milliseconds >= 1e3 else f"{milliseconds:.0f} ms"
