"""share-prefix: what many prompts have in common comes first, and the runtime is told how far it reaches.

Providers keep what they computed for the beginning of a prompt, and charge less for it. A prompt begins
alike in several calls as far as its texts, and the holes that hold the same value in all of them, reach.
Moving a paragraph changes what the model is asked, so that only an llm declared `@reorder` is rearranged:
texts first, then what the calls share, then the rest; a hole never leaves its paragraph
(`passes/paragraphs.py`).
"""

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from attrs import define, field, frozen
from xdsl.dialects.builtin import IntegerAttr, ModuleOp, i64
from xdsl.ir import Block, Operation, SSAValue

from flowc.dialects.agent.calls import GenerateOp, PromptOp
from flowc.dialects.agent.declarations import LlmOp
from flowc.dialects.flow import control
from flowc.dialects.flow.attributes import Json
from flowc.dialects.flow.effects import Effects
from flowc.passes.facts import callee_of, name_of, operations_of_flows
from flowc.passes.framework import Findings, FlowPass, Report, check_lines, line_of, place_before
from flowc.passes.paragraphs import joined, paragraphs, place_word
from flowc.runtime.expected import HOLE_TOKENS

PREFIX = "prefix"
"""The attribute of a call that says how many leading parts of its prompt other calls share."""

REPEATED = (control.ElementwiseOp, control.ForOp, control.WhileOp, control.VoteOp)
"""Operations that run a region several times."""


@dataclass(frozen=True)
class SharePrefixPass(FlowPass):
    """Brings forward what prompts share, and marks how far it reaches.

    Calls on the lines `without` are left as they are.
    """

    name = "share-prefix"
    without: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        check_lines(self.without)

    def run(self, module: ModuleOp) -> Report:
        """Runs `share_prefix`."""
        return share_prefix(module, self.without)


@frozen
class _Hole:
    """A hole of a prompt: its name, the value that fills it, whether that is the same in the calls around."""

    name: str
    value: SSAValue
    shared: bool


Parts = list[str | _Hole]


@define
class _State:
    findings: Findings = field(factory=lambda: Findings("share-prefix"))
    effects: Effects = field(factory=Effects)
    varying: dict[Block, set[SSAValue]] = field(factory=dict)


def share_prefix(module: ModuleOp, without: Collection[int] = ()) -> Report:
    """Rearranges what may be, marks every call, and says what a prompt repeats for want of `@reorder`."""
    state = _State()
    movable = {op.sym_name.data for op in module.ops if isinstance(op, LlmOp) and op.setting.get("reorder")}
    calls: dict[str, list[GenerateOp]] = {}
    for op in operations_of_flows(module):
        if isinstance(op, GenerateOp) and line_of(op) not in without:
            calls.setdefault(callee_of(op), []).append(op)
    for name, group in calls.items():
        filled = _filled(group)
        known = [(op, parts) for op in group if (parts := _parts(op, filled, state)) is not None]
        for op, parts in known:
            _one_call(op, parts, name in movable, len(group) > 1, state)
    return state.findings.report()


def _filled(group: Sequence[GenerateOp]) -> Counter[tuple[int, SSAValue]]:
    """How many of these calls have a value in the hole of a number."""
    prompts = (op.prompt.owner for op in group)
    return Counter(
        pair for prompt in prompts if isinstance(prompt, PromptOp) for pair in enumerate(prompt.values)
    )


def _parts(op: GenerateOp, filled: Counter[tuple[int, SSAValue]], state: _State) -> Parts | None:
    """The parts of a call's prompt; None where the prompt is not made beside it."""
    prompt = op.prompt.owner
    if not isinstance(prompt, PromptOp):
        return None
    around = _repeated_around(op)
    parts: Parts = []
    number = 0
    for part in prompt.parts:
        if isinstance(part, str):
            parts.append(part)
            continue
        value = prompt.values[number]
        same = filled[number, value] > 1
        number += 1
        invariant = around is not None and value not in _varying(around, state)
        parts.append(_Hole(part["hole"], value, same or invariant))
    return parts


def _repeated_around(op: Operation) -> Block | None:
    """The innermost block around an operation that runs several times."""
    block = op.parent_block()
    while block is not None:
        outer = block.parent_op()
        if outer is None or isinstance(outer, REPEATED):
            return block if outer is not None else None
        block = outer.parent_block()
    return None


def _varying(around: Block, state: _State) -> set[SSAValue]:
    """The values made in a block that need not be the same each time it runs."""
    if around not in state.varying:
        found: set[SSAValue] = set(around.args)
        state.varying[around] = found
        for top in around.ops:
            for op in top.walk():
                pure = not op.regions and state.effects.of(op).pure
                if not pure or any(value in found for value in op.operands):
                    found.update(op.results)
                for region in op.regions:
                    found.update(argument for block in region.blocks for argument in block.args)
    return state.varying[around]


def _one_call(op: GenerateOp, parts: Parts, movable: bool, repeated: bool, state: _State) -> None:
    """Rearranges and marks one call."""
    before = _leading(parts)
    found = paragraphs(parts)
    best = joined(sorted(found, key=_kind))
    gain = _tokens(best[: _leading(best)]) - _tokens(parts[:before])
    many = repeated or _repeated_around(op) is not None
    if many and gain > 0:
        word = place_word(found)
        if movable and not word:
            _rearrange(op, best)
            parts, before = best, _leading(best)
            said = f"shared paragraphs first, {gain} more tokens of each prompt are cached"
        elif movable:
            said = f"its paragraphs stay, since one speaks of its place: `{word}`"
        else:
            same = f"{gain} tokens of each prompt are the same in every call"
            least = "bring them forward, or say `@reorder` if its paragraphs may stand in any order"
            said = f"{same}, but stand behind what differs; {least}"
        state.findings.remark(op, f"{name_of(op)}: {said}")
    if before:
        op.attributes[PREFIX] = IntegerAttr(before, i64)
        state.findings.fired += 1
        if many:
            tokens = _tokens(parts[:before])
            said = f"the first {tokens} tokens are the same in every call"
            state.findings.remark(op, f"{name_of(op)}: {said}")


def _leading(parts: Sequence[str | _Hole]) -> int:
    """How many parts at the beginning are shared."""
    for number, part in enumerate(parts):
        if isinstance(part, _Hole) and not part.shared:
            return number
    return len(parts)


def _kind(paragraph: Sequence[str | _Hole]) -> int:
    """Texts first, then what is shared, then the rest; among equals the order stays."""
    holes = [part for part in paragraph if isinstance(part, _Hole)]
    if not holes:
        return 0
    return 1 if all(hole.shared for hole in holes) else 2


def _tokens(parts: Sequence[str | _Hole]) -> int:
    """About how many tokens these parts have."""
    return round(sum(len(part) / 4 if isinstance(part, str) else HOLE_TOKENS for part in parts))


def _rearrange(op: GenerateOp, parts: Sequence[str | _Hole]) -> None:
    """Gives a call a prompt of these parts."""
    holes = [part for part in parts if isinstance(part, _Hole)]
    segments: list[Json] = [part if isinstance(part, str) else {"hole": part.name} for part in parts]
    made = place_before(op, PromptOp(segments, [hole.value for hole in holes]))
    op.operands = [made.result, *op.arguments]
