"""Why one call waits for another: said for each call that effects alone hold back."""

from collections.abc import Iterator

from xdsl.ir import Block, Operation

from flowc.dialects.agent.calls import EmbedOp, ExecuteOp
from flowc.dialects.flow.declarations import FuncOp
from flowc.dialects.flow.effects import Effects, Summary, join
from flowc.passes.facts import Named, blocks_inside, name_of
from flowc.passes.framework import Findings, line_of
from flowc.passes.order import effect_order, is_guarded

FAR = 200
"""How many values back it is looked whether a call waits for another one's result anyway."""


def explain_order(function: FuncOp, findings: Findings) -> None:
    """Remarks on each call that waits for an earlier one whose result it does not read."""
    effects = Effects()
    for block in blocks_inside(function):
        if not any(not effects.of(op).commutes_with_itself for op in block.ops):
            continue
        guarded = is_guarded(block)
        for op, earlier in effect_order(block, effects).items():
            if isinstance(op, Named | ExecuteOp) and (first := _unread(op, earlier)) is not None:
                said = _why(effects.of(op), effects.of(first), guarded)
                who, whom = name_of(op), culprit(first, effects)
                findings.remark(op, f"{who} waits for {name_of(whom)} on line {line_of(whom)}: {said}")


def _unread(op: Operation, earlier: tuple[Operation, ...]) -> Operation | None:
    """The first of the earlier operations whose results `op` does not need."""
    block = op.parent_block()
    needed: set[Operation] = set()
    pending = [op]
    while pending and len(needed) < FAR:
        for value in pending.pop().operands:
            owner = value.owner
            if isinstance(owner, Operation) and owner.parent_block() is block and owner not in needed:
                needed.add(owner)
                pending.append(owner)
    return next((each for each in earlier if each not in needed), None)


def _why(own: Summary, other: Summary, guarded: bool) -> str:
    if own.unknown or other.unknown:
        return "what it does is not known"
    if both := own.writes & other.writes:
        return f"both write {', '.join(sorted(both))}, in the order written"
    if read := own.writes & other.reads:
        return f"it writes {', '.join(sorted(read))}, which that reads"
    if written := own.reads & other.writes:
        return f"it reads {', '.join(sorted(written))}, which that writes"
    if own.human and other.human:
        return "a person is asked one thing after the other"
    if own.sleep or other.sleep:
        return "time goes by between them"
    return "a failure is caught around them, and what was written must not depend on it" if guarded else ""


def culprit(op: Operation, effects: Effects) -> Operation:
    """The call inside an operation that first does what cannot change places; else the first call."""
    inside: list[Operation] = [each for each in op.walk() if isinstance(each, Named | ExecuteOp | EmbedOp)]
    keeps = [each for each in inside if not effects.of(each).commutes_with_itself]
    return (keeps or inside or [op])[0]


def does(op: Operation, effects: Effects) -> str:
    """Where an operation is, and what it does that keeps its order."""
    summary = effects.of(op)
    what = "asks a person" if summary.human else "sleeps" if summary.sleep else "may do anything"
    if summary.writes:
        what = f"writes {', '.join(sorted(summary.writes))}"
    return f"{name_of(op)} on line {line_of(op)} {what}"


def first_keeping_order(block: Block, effects: Effects) -> Operation | None:
    """The first call of a block whose place among others matters."""
    found = next((op for op in block.ops if not effects.of(op).commutes_with_itself), None)
    return None if found is None else culprit(found, effects)


def kept_by_writes(block: Block, effects: Effects) -> Iterator[tuple[Operation, str]]:
    """The calls of a loop's round that read what a round writes: what that is, and who writes it."""
    inside = [op for op in block.walk() if isinstance(op, Named | ExecuteOp)]
    together = join(effects.of(op) for op in block.ops)
    for op in inside:
        summary = effects.of(op)
        if together.sleep and summary.commutes_with_itself and not summary.pure:
            yield op, "it waits for the time that goes by in each round"
            continue
        for resource in sorted(summary.reads & together.writes) if summary.commutes_with_itself else ():
            writer = next((each for each in inside if resource in effects.of(each).writes), op)
            yield op, f"it reads {resource}, which {name_of(writer)} on line {line_of(writer)} writes"
            break
