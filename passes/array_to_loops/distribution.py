"""Loops that carry numbers from round to round, and compute elementary functions beside: part by part.

In `s = s * exp(m - k) + exp(x[i] - k)` only `s` and the running maximum wait for the round before; the
exponentials of many rounds can be taken at once, as vectors. So some rounds at a time go through one loop for
what is carried, another for functions of it, another for what is carried and needs these, and so on (Allen
and Kennedy, Optimizing Compilers for Modern Architectures, chapter 6). What one hands to a later one is kept
in a little memory.
"""

from collections.abc import Callable, Mapping, Sequence

from attrs import frozen
from xdsl.dialects import memref, scf
from xdsl.dialects.builtin import AnyFloat, IntegerType, i1
from xdsl.ir import Block, Operation, SSAValue
from xdsl.rewriter import Rewriter

from flowc.passes.array_to_loops.builder import Index, LoopBuilder
from flowc.passes.array_to_loops.dependences import Parts, needed_by, parts_of

ROUNDS = 256
"""Rounds that are taken at a time."""


@frozen
class _Cut:
    """A loop with its parts, and the memory for what one of them hands to a later one."""

    loop: scf.ForOp
    parts: Parts
    kept: Mapping[SSAValue, SSAValue]


def part_loops(written: Sequence[Operation | Block]) -> None:
    """Parts those of a program's own loops in which functions stand beside what is carried."""
    for loop in written:
        parts = parts_of(loop) if isinstance(loop, scf.ForOp) else None
        if parts is None or not isinstance(loop, scf.ForOp):
            continue
        values = _handed_on(loop, parts)
        if all(isinstance(value.type, AnyFloat | IntegerType) and value.type != i1 for value in values):
            _rebuild(loop, parts, values)


def _handed_on(loop: scf.ForOp, parts: Parts) -> list[SSAValue]:
    """The values that later parts take from earlier ones."""
    found: list[SSAValue] = []
    for node, place in parts.place.items():
        if any(parts.place[user] > place for user in needed_by(loop, node) if user in parts.place):
            found += node.results if isinstance(node, Operation) else [node]
    return found


def _rebuild(loop: scf.ForOp, parts: Parts, values: Sequence[SSAValue]) -> None:
    """Replaces a loop by one over some rounds at a time, with a loop for each part in it."""
    b = LoopBuilder(Block(), loop.location)
    kept = {value: b.insert(memref.AllocaOp.get(value.type, 64, shape=[ROUNDS])) for value in values}
    cut = _Cut(loop, parts, kept)
    carried = list(loop.body.block.args[1:])

    def some(low: SSAValue, entering: tuple[SSAValue, ...]) -> Sequence[SSAValue]:
        high = b.min(b.add(low, ROUNDS), loop.ub)
        now = dict(zip(carried, entering, strict=True))
        for number in sorted(set(parts.place.values())):
            own = [value for value in carried if parts.place[value] == number]
            body = _part(b, cut, number, own, low)
            now |= zip(own, b.loop(low, high, [now[value] for value in own], body), strict=True)
        return [now[value] for value in carried]

    results = b.loop(loop.lb, loop.ub, loop.iter_args, some, step=ROUNDS)
    made = list(b.block.ops)
    for op in made:
        b.block.detach_op(op)
    Rewriter.replace_op(loop, made, results)


def _part(
    b: LoopBuilder, cut: _Cut, number: int, own: Sequence[SSAValue], low: Index
) -> Callable[[SSAValue, tuple[SSAValue, ...]], Sequence[SSAValue]]:
    """The body of the loop for one part, which carries `own`."""

    def body(i: SSAValue, entering: tuple[SSAValue, ...]) -> Sequence[SSAValue]:
        block, at = cut.loop.body.block, b.sub(i, low)
        now: dict[SSAValue, SSAValue] = {block.args[0]: i, **dict(zip(own, entering, strict=True))}

        def known(value: SSAValue) -> SSAValue:
            """A value of the loop in this part."""
            if value not in now:
                op = value.owner
                if value in cut.kept and value not in made:
                    now[value] = b.load(cut.kept[value], [at])
                elif isinstance(op, Operation) and op.parent is block:
                    copy(op)
                else:
                    now[value] = value
            return now[value]

        def copy(op: Operation) -> None:
            operands = [known(operand) for operand in op.operands]
            new = op.clone(dict(zip(op.operands, operands, strict=True)))
            b.append(new)
            now.update(zip(op.results, new.results, strict=True))

        nodes = [node for node, place in cut.parts.place.items() if place == number]
        made = {value for node in nodes if isinstance(node, Operation) for value in node.results}
        for node in nodes:
            if isinstance(node, Operation):
                copy(node)
        for value in (*own, *made):
            if value in cut.kept:
                b.store(now[value], cut.kept[value], [at])
        last = block.last_op
        assert last is not None
        return [known(last.operands[block.args.index(value) - 1]) for value in own]

    return body
