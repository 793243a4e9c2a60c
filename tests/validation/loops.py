"""Which positions a nest of loops visits, for extents that are symbols.

A lowering builds its loops with a body that says where it is. Each visit is a position, the counters of the
loops around it, and the conditions under which they are reached; from these follows what is to be proved: no
position outside, none twice, none left out. Chunks of `loops.parallel` are rounds of a loop like others.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import z3
from attrs import define, field, frozen
from xdsl.dialects import scf
from xdsl.dialects.builtin import IndexType, UnknownLoc
from xdsl.dialects.test import TestOp
from xdsl.ir import Block, Operation, SSAValue

from flowc.dialects.loops import EndOp, ParallelOp
from flowc.passes.array_to_loops.builder import Index, LoopBuilder
from tests.validation.machine import Machine, Term
from tests.validation.prover import prove

Mark = Callable[[LoopBuilder, Sequence[Index]], None]
Build = Callable[[LoopBuilder, Sequence[SSAValue], Mark], None]


@frozen
class Round:
    """A counter of a loop, whose position is `low + counter * step`."""

    counter: Term
    low: Term
    step: Term


@frozen
class Visit:
    """One place in the loops: the position that it visits, the loops around it, the outermost first, and when
    it is reached.
    """

    position: tuple[Term, ...]
    rounds: tuple[Round, ...]
    reached: Term

    @property
    def counters(self) -> tuple[Term, ...]:
        """The counters of the loops around it."""
        return tuple(each.counter for each in self.rounds)

    def again(self) -> "Visit":
        """The same place in other rounds."""
        return self._with([(each, z3.FreshConst(each.sort())) for each in self.counters])

    def _with(self, pairs: Sequence[tuple[Term, Term]]) -> "Visit":
        rounds = [
            Round(other, each.low, each.step) for each, (_, other) in zip(self.rounds, pairs, strict=True)
        ]
        position = tuple(z3.substitute(each, *pairs) for each in self.position)
        return Visit(position, tuple(rounds), z3.substitute(self.reached, *pairs))

    def nearest(self, at: Sequence[Term]) -> Term:
        """That a certain round visits `at`: in each loop the last one that does not begin behind it."""
        pairs: list[tuple[Term, Term]] = []
        for each in self.rounds:
            along = next(axis for axis, place in enumerate(self.position) if _depends(place, each.counter))
            low, step = (z3.substitute(part, *pairs) if pairs else part for part in (each.low, each.step))
            pairs.append((each.counter, (at[along] - low) / step))
        there = self._with(pairs) if pairs else self
        return z3.And(there.reached, *(one == other for one, other in zip(there.position, at, strict=True)))


@define
class Nest(Machine):
    """Reads loops: counters are rounds, numbered from 0; a carried value is not known."""

    visits: list[Visit] = field(factory=list)
    rounds: list[Round] = field(factory=list)
    path: list[Term] = field(factory=list)

    def step(self, op: Operation) -> None:
        """Reads one operator."""
        match op:
            case TestOp():
                position = tuple(self.values[value] for value in op.operands)
                self.visits.append(Visit(position, tuple(self.rounds), z3.And(*self.path)))
            case scf.ForOp():
                low, high, step = (self.values[value] for value in (op.lb, op.ub, op.step))
                for value in (*op.body.block.args[1:], *op.results):
                    self.values[value] = z3.FreshConst(self.sort(value.type))
                with self._round(low, step, high) as place:
                    self.values[op.body.block.args[0]] = place
                    self._inside(op.body.block)
            case ParallelOp():
                extent, grain = self.values[op.extent], self.values[op.grain]
                with self._round(z3.IntVal(0), grain, extent) as low:
                    ends = [low, z3.If(low + grain < extent, low + grain, extent)]
                    self.values.update(zip(op.body.block.args, ends, strict=True))
                    self._inside(op.body.block)
            case scf.IfOp():
                for region, condition in ((op.true_region, self.values[op.cond]), (op.false_region, None)):
                    self.path.append(z3.Not(self.values[op.cond]) if condition is None else condition)
                    self._inside(region.block)
                    self.path.pop()
            case _:
                super().step(op)

    def _inside(self, block: Block) -> None:
        for op in block.ops:
            if not isinstance(op, scf.YieldOp | EndOp):
                self.step(op)

    @contextmanager
    def _round(self, low: Term, step: Term, high: Term) -> Iterator[Term]:
        count, depth = z3.FreshConst(z3.IntSort(), "round"), len(self.path)
        self.rounds.append(Round(count, low, step))
        place = low + count * step
        self.path += [count >= 0, place < high]
        yield place
        self.rounds.pop()
        del self.path[depth:]


def _depends(term: Term, counter: Term) -> bool:
    return any(each.eq(counter) for each in _constants(term))


def _constants(term: Term) -> Iterator[Term]:
    if not term.num_args():
        yield term
    for each in term.children():
        yield from _constants(each)


def visits_of(build: Build, count: int) -> tuple[list[Term], Nest]:
    """The leaves of loops over so many symbolic numbers, and what they visit."""
    block, nest = Block(arg_types=[IndexType()] * count), Nest()
    leaves = [nest.fresh(f"n{number}", value) for number, value in enumerate(block.args)]

    def mark(b: LoopBuilder, at: Sequence[Index]) -> None:
        b.append(TestOp([b.index(each) for each in at]))

    build(LoopBuilder(block, UnknownLoc()), list(block.args), mark)
    nest._inside(block)
    return leaves, nest


def prove_each_once(
    visits: Sequence[Visit], inside: Callable[[Sequence[Term]], Term], given: Sequence[Term], name: str
) -> None:
    """Every position that lies inside is visited in exactly one round, and no other position at all."""
    rank = len(visits[0].position)
    for visit in visits:
        shown = {f"at[{axis}]": each for axis, each in enumerate(visit.position)}
        prove(inside(visit.position), [*given, visit.reached], shown, f"{name}: that all lie inside")
    for number, visit in enumerate(visits):
        for other in visits[number:]:
            twin = other.again()
            same = [a == b for a, b in zip(visit.position, twin.position, strict=True)]
            alike = (a == b for a, b in zip(visit.counters, twin.counters, strict=False))
            apart = z3.And(*alike) if other is visit else z3.BoolVal(False)
            shown = {f"at[{axis}]": each for axis, each in enumerate(visit.position)}
            prove(
                apart,
                [*given, visit.reached, twin.reached, *same],
                shown,
                f"{name}: that none is visited twice",
            )
    at = [z3.Int(f"at{axis}") for axis in range(rank)]
    shown = {str(each): each for each in at}
    found = z3.Or(*(visit.nearest(at) for visit in visits))
    prove(found, [*given, inside(at)], shown, f"{name}: that none is left out")
