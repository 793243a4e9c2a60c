"""The steps of reductions on symbolic elements: what changes nothing, in what order elements may meet, what
rounding loses.
"""

from collections.abc import Callable, Sequence
from types import SimpleNamespace
from typing import Any

import z3
from xdsl.dialects.builtin import Float64Type, UnknownLoc, f64
from xdsl.ir import Block, SSAValue

from flowc.dialects.array import build, ops
from flowc.dialects.array.types import array_type
from flowc.passes.array_to_loops import positions, reductions, scalars
from flowc.passes.array_to_loops.builder import LoopBuilder
from tests.validation.machine import Machine, Term
from tests.validation.prover import prove

Step = Callable[[LoopBuilder, Sequence[SSAValue]], Sequence[SSAValue]]
TINY = z3.FPSort(3, 3)
"""A float small enough for exact sums to be compared, in which rounding is that of all IEEE formats."""


def run(step: Step, types: Sequence[Any], machine: Machine | None = None) -> tuple[list[Term], list[Term]]:
    """The leaves and the results of some operators on values of these types."""
    machine = machine or Machine()
    block = Block(arg_types=types)
    leaves = [machine.fresh(f"x{number}", value) for number, value in enumerate(block.args)]
    results = step(LoopBuilder(block, UnknownLoc()), block.args)
    machine.run(block)
    return leaves, [machine.values[value] for value in results]


def combined(kind: str, dtype: str) -> Callable[[Term, Term], Term]:
    """One step of a reduction, as a function on terms."""
    held = scalars.held_type(dtype)
    (x, y), (result,) = run(lambda b, xs: [reductions.combine(b, kind, *xs, dtype)], [held, held])
    return lambda a, c: z3.substitute(result, (x, a), (y, c))


def neutral(kind: str, dtype: str) -> Term:
    """What a reduction begins with."""
    _, (result,) = run(lambda b, _: [reductions.identity(b, kind, dtype)], [])
    return result


def extreme(kind: str, dtype: str, meet: Callable[..., Any]) -> Callable[..., tuple[Term, Term]]:
    """How `positions.better` or `folding.nearer` chooses between two values with positions, on terms."""
    block = Block(arg_types=[array_type(dtype, ("n",))])
    op = build.argreduce(f"arg{kind}", block.args[0], 0)
    assert isinstance(op, ops.ArgReduceOp)
    types = [scalars.held_type(dtype), positions.i64] * 2

    def step(b: LoopBuilder, xs: Sequence[SSAValue]) -> Sequence[SSAValue]:
        s: Any = SimpleNamespace(b=b)
        return list(meet(s, op, tuple(xs[:2]), tuple(xs[2:])))

    leaves, results = run(step, types)

    def choose(one: tuple[Term, Term], other: tuple[Term, Term]) -> tuple[Term, Term]:
        pairs = list(zip(leaves, (*one, *other), strict=True))
        value, place = (z3.substitute(result, *pairs) for result in results)
        return value, place

    return choose


def add_block(b: LoopBuilder, xs: Sequence[SSAValue]) -> Sequence[SSAValue]:
    """The sum of a total, of which nothing is lost yet, and a block; and what rounding loses."""
    return reductions._add_block(b, (xs[0], b.constant(0.0, f64)), xs[1])


def prove_two_sum(seconds: float) -> None:
    """What a compensated sum says that it lost is what it lost, unless something overflows."""
    (total, block), (new, lost) = run(add_block, [f64, f64], Machine(formats={Float64Type: TINY}))
    shown = {"total": total, "block": block, "new": new, "lost": lost}
    exact = [z3.fpFPToFP(z3.RNE(), each, z3.FPSort(5, 12)) for each in shown.values()]
    before, after = z3.fpAdd(z3.RNE(), *exact[:2]), z3.fpAdd(z3.RNE(), *exact[2:])
    finite = [z3.Not(z3.Or(z3.fpIsInf(each), z3.fpIsNaN(each))) for each in shown.values()]
    prove(z3.fpEQ(before, after), finite, shown, "two-sum", seconds)


def closed() -> tuple[Term, Term, Term]:
    """A total, what it lost, and what a compensated sum makes of them."""
    (total, lost), (result,) = run(lambda b, xs: [reductions.close(b, tuple(xs))], [f64, f64])
    return total, lost, result
