"""merge-calls: equal calls of the outside world are made once, where effects and settings license it.

Licensed are pure and `@cached` tools, reads of what nothing wrote in between, embeddings, models at
temperature 0 or `@cached`, flows that do nothing else, and writes declared idempotent where the same
write was the last one of its resource. A call that both branches of an `if` make is made before it.
People and other writes are never merged, nor reads before and after a sleep; nor is anything across the
ballots of a vote or the arms of a race, which exist to ask more than once. What may be shared by the runs of
a batch is marked so (`passes/share_calls.py`).
"""

from collections.abc import Hashable
from dataclasses import dataclass

from attrs import define, field
from xdsl.dialects.builtin import ModuleOp
from xdsl.ir import Block, Operation

from flowc.dialects.agent.calls import AskOp, EmbedOp, GenerateOp, ToolCallOp
from flowc.dialects.flow.control import IfOp, RaceOp, VoteOp
from flowc.dialects.flow.declarations import CallOp
from flowc.dialects.flow.effects import Effects, Summary
from flowc.passes.cse import eliminate_common_subexpressions, expression_key
from flowc.passes.facts import Named, callee_of, flows_of, name_of
from flowc.passes.framework import Findings, FlowPass, Report, line_of, replace_with
from flowc.passes.raise_calls import raise_common_calls
from flowc.passes.share_calls import cached_tools, is_idempotent, share_calls, steady_flows, steady_models

Known = dict[Hashable, Operation]

NAME = "merge-calls"


@dataclass(frozen=True)
class MergeCallsPass(FlowPass):
    """Makes equal calls once where that is licensed, in a run and in the runs of a batch."""

    name = NAME

    def run(self, module: ModuleOp) -> Report:
        """Runs `merge_calls`."""
        return merge_calls(module)


def merge_calls(module: ModuleOp) -> Report:
    """Merges calls; says of equal ones why they stay apart, and which ones a batch shares."""
    models = steady_models(module)
    tools = cached_tools(module)
    licensed = Licence(models, steady_flows(module, models), tools)
    findings = Findings(NAME)
    functions = list(flows_of(module).values())
    raised = sum(raise_common_calls(op, licensed.allows, findings) for op in functions)
    if raised:
        eliminate_common_subexpressions(module)  # what was raised may fill its prompt as others do
    findings.fired += raised
    for op in functions:
        _block(op.body.block, {}, _State(licensed, findings))
    shared = Findings(NAME)
    share_calls(module, models, tools, shared)
    return Report(findings.fired, (*shared.remarks, *findings.remarks), tuple(findings.decisions))


@define
class Licence:
    """Which calls may be one with an equal one: models that answer steadily, flows of nothing but such."""

    models: set[str]
    flows: set[str]
    tools: set[str]

    def is_cached(self, op: Operation) -> bool:
        """Whether a tool's equal calls may be answered once, whatever is written in between."""
        return isinstance(op, ToolCallOp) and callee_of(op) in self.tools

    def allows(self, op: Operation, summary: Summary) -> bool:
        """Whether a call does nothing but read, and gives the same for the same."""
        if not summary.commutes_with_itself:
            return False
        match op:
            case GenerateOp():
                return callee_of(op) in self.models
            case CallOp():
                return callee_of(op) in self.flows and not summary.pure
        return isinstance(op, EmbedOp | ToolCallOp)


Seen = tuple[tuple[tuple[str, int], ...], int]
"""The versions of the world that a call saw."""


@define
class _State:
    """`versions` numbers the writes of each resource; a read belongs to the version it saw. `written` has the
    last write of each resource where that was an idempotent one, `equal` the first of equal calls.
    """

    licence: Licence
    findings: Findings
    effects: Effects = field(factory=Effects)
    versions: dict[str, int] = field(factory=dict)
    written: dict[str, tuple[Hashable, Operation]] = field(factory=dict)
    writes: int = 0
    epoch: int = 0
    slept: int = 0
    equal: dict[Hashable, tuple[Operation, Seen]] = field(factory=dict)

    def write(self, summary: Summary, made: tuple[Hashable, Operation] | None = None) -> None:
        """Forgets what was read of what is written, and notes the write where it is idempotent."""
        self.writes += 1
        for resource in summary.writes:
            self.versions[resource] = self.writes
            self.written.pop(resource, None)
            if made is not None:
                self.written[resource] = made
        if summary.unknown:
            self.epoch = self.writes
        if summary.sleep:
            self.slept = self.writes
        if summary.unknown or summary.sleep:
            self.written.clear()

    def seen(self, summary: Summary) -> Seen:
        """The versions of the resources that a call reads."""
        read = tuple((name, self.versions.get(name, 0)) for name in sorted(summary.reads))
        return read, max(self.epoch, self.slept if read else 0)

    def last_write(self, summary: Summary, key: Hashable) -> Operation | None:
        """The equal write that was the last one of all its resources."""
        last = [self.written.get(resource, (None, None)) for resource in summary.writes]
        same = [op for known, op in last if known == key]
        return same[0] if len(same) == len(last) else None


def _block(block: Block, known: Known, state: _State) -> None:
    own: list[Hashable] = []
    equal = len(state.equal)
    for op in list(block.ops):
        summary = state.effects.of(op)
        if op.regions:
            _inside(op, summary, known, state)
            continue
        seen = state.seen(summary) if not state.licence.is_cached(op) else None
        key: Hashable = (expression_key(op), seen)
        if state.licence.allows(op, summary):
            first = known.setdefault(key, op)
            if first is op:
                own.append(key)
        elif is_idempotent(op):
            first = state.last_write(summary, key) or op
        else:
            first = op
        if first is not op:
            _merge(op, first, state)
            continue
        _say_why_not(op, summary, state)
        if not summary.commutes_with_itself:
            state.write(summary, (key, op) if is_idempotent(op) else None)
    for key in own:
        del known[key]
    while len(state.equal) > equal:
        state.equal.popitem()


def _inside(op: Operation, summary: Summary, known: Known, state: _State) -> None:
    """A region may run again after its own writes, so those count before it as well as after; the branches
    of an `if` run once, and each without the other.
    """
    if not isinstance(op, IfOp):
        state.write(summary)
    apart = isinstance(op, RaceOp | VoteOp)
    versions, written = state.versions.copy(), {} if apart else state.written.copy()
    for region in op.regions:
        state.written = written.copy()
        if isinstance(op, IfOp):
            state.versions = versions.copy()
        for block in region.blocks:
            _block(block, {} if apart else known, state)
        if not isinstance(op, IfOp):
            state.write(summary)
            written = {name: made for name, made in written.items() if name in state.written}
    state.written = written
    state.write(summary)


def _merge(op: Operation, first: Operation, state: _State) -> None:
    state.findings.remark(op, f"{_same(op, first)}: one call")
    replace_with(op, list(first.results))
    state.findings.fired += 1


def _same(op: Operation, first: Operation) -> str:
    return f"{name_of(op)} is called the same as on line {line_of(first)}"


def _say_why_not(op: Operation, summary: Summary, state: _State) -> None:
    """Of two equal calls that both stay, why, and what would make them one."""
    if not isinstance(op, Named):
        return
    seen = state.seen(summary)
    first, before = state.equal.setdefault(expression_key(op), (op, seen))
    if first is op:
        return
    if reason := _reason(op, summary, seen != before, state.licence):
        state.findings.remark(op, f"{_same(op, first)}: {reason}")


def _reason(op: Operation, summary: Summary, changed: bool, licence: Licence) -> str:
    written, read = ", ".join(sorted(summary.writes)), ", ".join(sorted(summary.reads))
    if isinstance(op, AskOp):
        return "a person is asked each time"
    if isinstance(op, GenerateOp) and not licence.allows(op, summary):
        return "merged only at temperature 0 or with @cached"
    if summary.writes and is_idempotent(op):
        return f"something else may have written {written} in between"
    if summary.writes:
        return f"merged only where it `writes {written} idempotent`"
    if changed:
        return f"{read} may have been written in between"
    return ""  # the other branch of an `if`, a ballot, an arm; or a flow that does more than read
