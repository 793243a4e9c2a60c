"""`for` and `while` as regions: what they run over, and how they are left."""

import ast
from collections.abc import Sequence
from typing import TypeVar

from xdsl.dialects import scf
from xdsl.ir import Block, Region, SSAValue

from flowc.compiler.python.numeric.arithmetic import settled
from flowc.compiler.python.numeric.binding import bind
from flowc.compiler.python.numeric.carrying import Loop, carry
from flowc.compiler.python.numeric.context import Context
from flowc.compiler.python.numeric.expressions import evaluate, truth
from flowc.compiler.python.numeric.frame import Frame
from flowc.compiler.python.numeric.jumps import EscapingFor, EscapingWhile, running
from flowc.compiler.python.numeric.liveness import Names, assigned, live_at_head
from flowc.compiler.python.numeric.methods import Method
from flowc.compiler.python.numeric.outcome import Runner
from flowc.compiler.python.numeric.spans import item_at, span_of
from flowc.compiler.python.numeric.values import Number
from flowc.dialects.array.types import type_of_dtype

UNROLLED_ROUNDS, UNROLLED_STATEMENTS = 8, 10
"""A loop of so few rounds with so small a body is written out, loops in it included."""


def run_for(frame: Frame, node: ast.For, live: Names, run: Runner) -> None:
    """A `for` over a range, an array, or a sequence that is known now."""
    sequence = settled(frame.c, evaluate(frame, node.iter))
    items = _known_items(sequence, node)
    head = live_at_head(node, live)
    if items is not None:
        _write_out(frame, node, items, head, run)
        return
    start, count, step = span_of(frame.c, sequence)
    if isinstance(node, EscapingFor):
        _run_escaping(frame, node, sequence, (start, count, step), live, run)
        return

    def enter(place: SSAValue) -> None:
        bind(frame, node.target, item_at(frame.c, sequence, Number(place, weak=True)))

    names = assigned(node.body) | _targets(node.target)
    outcome = carry(frame, Loop(node, names, head, live, run, enter))
    c = frame.c
    low, high = c.extent_value(start), c.extent_value(count)
    one = c.constant(step, "i64")
    op = scf.ForOp(low, high, one, outcome.round.starts, outcome.round.body)
    with c.inside(outcome.round.body):
        c.append(scf.YieldOp(*outcome.round.ends))
    c.append(op)
    outcome.leave(frame, op.results)


def _write_out(frame: Frame, node: ast.For, items: Sequence[object], head: Names, run: Runner) -> None:
    """One round after the other; each under its test where the loop may be left."""
    for number, item in enumerate(items):
        if isinstance(node, EscapingFor):
            name = f".item{number}{node.flag}"
            frame.names[name] = item
            entered = ast.Assign([node.target], ast.Name(name, ast.Load()))
            guarded = ast.If(running(node.flag, node), [_placed(entered, node), *node.body], [])
            run(frame, [_placed(guarded, node)], head)
        else:
            bind(frame, node.target, item)
            run(frame, node.body, head)


def _run_escaping(
    frame: Frame,
    node: EscapingFor,
    sequence: object,
    span: tuple[object, object, int],
    live: Names,
    run: Runner,
) -> None:
    """A `for` that may be left, as the `while` that counts its rounds."""
    start, end, step = span
    place, stop, items = (f"{word}{node.flag}" for word in (".place", ".stop", ".items"))
    frame.names.update({place: start, stop: end, items: Method(sequence, "item", _nth)})
    position = ast.Name(place, ast.Load())
    entered = ast.Assign([node.target], ast.Call(ast.Name(items, ast.Load()), [position], []))
    counted = ast.AugAssign(ast.Name(place, ast.Store()), ast.Add(), ast.Constant(step))
    more = ast.Compare(position, [ast.Lt()], [ast.Name(stop, ast.Load())])
    test = ast.BoolOp(ast.And(), [running(node.flag, node), more])
    loop = EscapingWhile(test, [_placed(entered, node), _placed(counted, node), *node.body], [])
    loop.kept = node.kept
    run_while(frame, _placed(loop, node), live, run)


def _nth(c: Context, sequence: object, place: object) -> object:
    """What a loop over a sequence gives at a place."""
    return item_at(c, sequence, place)


N = TypeVar("N", bound=ast.stmt)


def _placed(made: N, node: ast.stmt) -> N:
    return ast.fix_missing_locations(ast.copy_location(made, node))


def run_while(frame: Frame, node: ast.While, live: Names, run: Runner) -> None:
    """A `while`: the condition in its first region, the body in its second."""
    c = frame.c
    outcome = carry(frame, Loop(node, assigned(node.body), live_at_head(node, live), live, run))
    travelling = list(outcome.carried.numbers)
    types = [type_of_dtype[outcome.carried.numbers[name][0]] for name in travelling]
    before = Block(arg_types=types)
    names = dict(frame.names)
    with c.inside(before, loops=1):
        for name, argument in zip(travelling, before.args, strict=True):
            frame.names[name] = Number(argument, outcome.carried.numbers[name][1])
        frame.names.update(outcome.arrays)
        condition = truth(frame, evaluate(frame, node.test))
        c.append(scf.ConditionOp(condition, *before.args))
    frame.names = names
    with c.inside(outcome.round.body):
        c.append(scf.YieldOp(*outcome.round.ends))
    op = scf.WhileOp(outcome.round.starts, types, Region(before), Region(outcome.round.body))
    c.append(op)
    outcome.leave(frame, op.results)


def _targets(target: ast.expr) -> Names:
    return frozenset(part.id for part in ast.walk(target) if isinstance(part, ast.Name))


def _known_items(sequence: object, node: ast.For) -> Sequence[object] | None:
    if isinstance(sequence, tuple | list):
        return sequence
    if isinstance(sequence, range):
        statements = _statements(node.body)
        if len(sequence) <= 1:
            return sequence
        if len(sequence) <= UNROLLED_ROUNDS and statements is not None and statements <= UNROLLED_STATEMENTS:
            return sequence
    return None


def _statements(body: Sequence[ast.stmt]) -> int | None:
    """How many statements a body has when its loops are written out; None if one of them is not."""
    total = 0
    for statement in body:
        nested = [part for part in ast.walk(statement) if isinstance(part, ast.For | ast.While)]
        inner = _written_rounds(statement)
        if inner is not None and isinstance(statement, ast.For):
            each = _statements(statement.body)
            if each is None:
                return None
            total += inner * each
        elif nested:
            return None
        else:
            total += sum(isinstance(part, ast.stmt) for part in ast.walk(statement))
    return total


def _written_rounds(node: ast.stmt) -> int | None:
    """The rounds of a loop over a short range of numbers that stand in the program."""
    match node:
        case ast.For(iter=ast.Call(func=ast.Name("range"), args=arguments, keywords=[])) if arguments:
            try:
                rounds = len(range(*map(ast.literal_eval, arguments)))
            except (TypeError, ValueError):
                return None
            return rounds if rounds <= UNROLLED_ROUNDS else None
    return None
