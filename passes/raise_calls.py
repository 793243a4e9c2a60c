"""Calls that both branches of an `if` make are made before it, once, whatever the condition says: part of
merge-calls.

A call may leave the branches where each makes it for values known before, and nothing is written and nobody
asked in the branch before it: then it happens anyway, only sooner. What fills its prompt goes with it.
"""

from collections.abc import Callable, Hashable

from attrs import define, field
from xdsl.ir import Block, Operation, SSAValue

from flowc.dialects.agent.calls import PromptOp
from flowc.dialects.flow.control import IfOp
from flowc.dialects.flow.declarations import FuncOp
from flowc.dialects.flow.effects import Effects, Summary
from flowc.passes.facts import is_terminator, is_total, operations_inside
from flowc.passes.framework import Findings, block_of, line_of

Allows = Callable[[Operation, Summary], bool]


def raise_common_calls(function: FuncOp, allows: Allows, findings: Findings) -> int:
    """Raises the calls that both branches of an `if` make; gives how many."""
    effects = Effects()
    found = [op for op in operations_inside(function) if isinstance(op, IfOp)]
    return sum(_raise(op, allows, effects, findings) for op in reversed(found))


@define
class _Branch:
    """What of a branch is known before it: each operation by what it computes, in order."""

    numbers: dict[SSAValue, Hashable] = field(factory=dict)
    operations: dict[Hashable, Operation] = field(factory=dict)
    calls: list[Hashable] = field(factory=list)


def _raise(op: IfOp, allows: Allows, effects: Effects, findings: Findings) -> int:
    then = _known_before(op.then_region.block, allows, effects)
    otherwise = _known_before(op.else_region.block, allows, effects)
    common = [key for key in then.calls if key in otherwise.operations]
    for key in common:
        call, other = then.operations[key], otherwise.operations[key]
        _move_before(op, call)
        for old, new in zip(other.results, call.results, strict=True):
            old.replace_all_uses_with(new)
        block_of(other).erase_op(other)
        said = "makes the same call in the other branch: one call, before the condition"
        findings.remark(call, f"line {line_of(other)} {said}")
    return len(common)


def _known_before(block: Block, allows: Allows, effects: Effects) -> _Branch:
    branch = _Branch()
    for op in block.ops:
        summary = effects.of(op)
        if not summary.commutes_with_itself:
            break  # in an attempt, what is written must not depend on who fails first
        call = allows(op, summary)
        if op.regions or is_terminator(op) or not (call or isinstance(op, PromptOp) or is_total(op, effects)):
            continue
        operands = [_number(value, block, branch) for value in op.operands]
        if None in operands:
            continue
        attributes = (*op.properties.items(), *op.attributes.items())
        key = (op.name, tuple(operands), tuple(op.result_types), frozenset(attributes))
        if key in branch.operations:
            continue
        branch.operations[key] = op
        for index, result in enumerate(op.results):
            branch.numbers[result] = (key, index)
        if call:
            branch.calls.append(key)
    return branch


def _number(value: SSAValue, block: Block, branch: _Branch) -> Hashable | None:
    """A value of before the branch by itself, one of the branch by what computes it, if that is known."""
    owner = value.owner
    inside = owner if isinstance(owner, Block) else owner.parent_block()
    return branch.numbers.get(value) if inside is block else value


def _move_before(op: IfOp, call: Operation) -> None:
    """Moves a call before the `if`, and what it needs before the call."""
    inside = call.parent_block()
    for value in call.operands:
        if isinstance(value.owner, Operation) and value.owner.parent_block() is inside:
            _move_before(op, value.owner)
    block_of(call).detach_op(call)
    block_of(op).insert_op_before(call, op)
