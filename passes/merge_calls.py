"""merge-calls: equal calls of the outside world are made once, where effects and settings license it.

Licensed are pure tools, reads of what nothing wrote in between, embeddings, and models at temperature 0 or
marked `@cached`. People and writes are never merged; nor is anything across the ballots of a vote or the
arms of a race, which exist to ask more than once.
"""

from collections.abc import Hashable
from dataclasses import dataclass

from attrs import define, field
from xdsl.dialects.builtin import ModuleOp
from xdsl.ir import Block, Operation

from flowc.dialects.agent.calls import EmbedOp, GenerateOp, ToolCallOp
from flowc.dialects.agent.declarations import DeclarationOp
from flowc.dialects.flow.control import RaceOp, VoteOp
from flowc.dialects.flow.declarations import FuncOp
from flowc.dialects.flow.effects import Effects, Summary
from flowc.passes.cse import expression_key
from flowc.passes.framework import FlowPass, Remark, Report, line_of, replace_with

Known = dict[Hashable, Operation]


@dataclass(frozen=True)
class MergeCallsPass(FlowPass):
    """Makes equal calls once where that is licensed."""

    name = "merge-calls"

    def run(self, module: ModuleOp) -> Report:
        """Runs `merge_calls`."""
        return merge_calls(module)


def merge_calls(module: ModuleOp) -> Report:
    """Merges calls; says of equal model calls why they stay apart."""
    settings = {op.sym_name.data: op.setting for op in module.ops if isinstance(op, DeclarationOp)}
    steady = {name for name, each in settings.items() if each.get("cached") or each.get("temperature") == 0}
    state = _State(steady)
    for op in module.ops:
        if isinstance(op, FuncOp):
            _block(op.body.block, {}, state)
    return Report(state.fired, tuple(state.remarks))


@define
class _State:
    """`versions` counts the writes of each resource so far; a read belongs to the version it saw."""

    steady: set[str]
    effects: Effects = field(factory=Effects)
    versions: dict[str, int] = field(factory=dict)
    epoch: int = 0
    fired: int = 0
    remarks: list[Remark] = field(factory=list)
    refused: Known = field(factory=dict)

    def write(self, summary: Summary) -> None:
        """Forgets what was read of what is written."""
        for resource in summary.writes:
            self.versions[resource] = self.versions.get(resource, 0) + 1
        if summary.unknown:
            self.epoch += 1

    def seen(self, summary: Summary) -> tuple[tuple[str, int], ...]:
        """The versions of the resources that a call reads."""
        return tuple((name, self.versions.get(name, 0)) for name in sorted(summary.reads))


def _block(block: Block, known: Known, state: _State) -> None:
    own: list[Hashable] = []
    for op in list(block.ops):
        if op.regions:
            _inside(op, known, state)
            continue
        summary = state.effects.of(op)
        key = _key(op, summary, state)
        if key is None:
            state.write(summary)
            _remark(op, state)
        elif (first := known.setdefault(key, op)) is op:
            own.append(key)
        else:
            replace_with(op, list(first.results))
            state.fired += 1
    for key in own:
        del known[key]


def _inside(op: Operation, known: Known, state: _State) -> None:
    """A region may run again after its own writes, so those count before it as well as after."""
    summary = state.effects.of(op)
    state.write(summary)
    for region in op.regions:
        for block in region.blocks:
            _block(block, {} if isinstance(op, RaceOp | VoteOp) else known, state)
    state.write(summary)


def _key(op: Operation, summary: Summary, state: _State) -> Hashable | None:
    """Equal for calls that may be one; None for what must stay."""
    if isinstance(op, GenerateOp):
        licensed = op.callee.root_reference.data in state.steady
    else:
        licensed = isinstance(op, EmbedOp | ToolCallOp)
    if not licensed or summary.writes or summary.human or summary.unknown:
        return None
    return expression_key(op), state.seen(summary), state.epoch


def _remark(op: Operation, state: _State) -> None:
    if not isinstance(op, GenerateOp):
        return
    first = state.refused.setdefault(expression_key(op), op)
    if first is not op:
        name = op.callee.root_reference.data
        earlier = f"`{name}` is asked the same as on line {line_of(first)}"
        message = f"{earlier}: merged only at temperature 0 or with @cached"
        state.remarks.append(Remark("merge-calls", line_of(op), message))
