"""What a pass is, what it reports, and the small rewriting engine that the simplifying ones share.

A rule looks at one operation and gives the values that replace its results, or None. Operations that it
needs stand before the old one and take its location, so that no rewrite loses the line it came from.
"""

import math
from abc import abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from attrs import define, field, frozen
from xdsl.context import Context
from xdsl.dialects.builtin import FileLineColLoc, ModuleOp
from xdsl.ir import Block, Operation, SSAValue
from xdsl.passes import ModulePass

from flowc.passes.cost.decisions import Decision


@frozen
class Remark:
    """Something a pass did or could not do, for the author of the program."""

    pass_name: str
    line: int
    message: str


@frozen
class Report:
    """How often a pass fired, its remarks, and what it decided by expected costs."""

    fired: int = 0
    remarks: tuple[Remark, ...] = ()
    decisions: tuple[Decision, ...] = ()


@define
class Findings:
    """What a pass finds out while it works: how often it fired so far, what it decided and has to say."""

    pass_name: str
    fired: int = 0
    remarks: list[Remark] = field(factory=list)
    decisions: list[Decision] = field(factory=list)

    def remark(self, op: Operation, message: str) -> None:
        """Says of an operation what became of it, or why it stays."""
        self.remarks.append(Remark(self.pass_name, line_of(op), message))

    def report(self) -> Report:
        """All that was found."""
        return Report(self.fired, tuple(self.remarks), tuple(self.decisions))


class OptionProblem(ValueError):
    """An option of a pass has a value that it cannot have; the message says which ones it can."""


def check_worth(worth: float) -> None:
    """Refuses what no second can be worth."""
    if not 0 <= worth < math.inf:
        raise OptionProblem(f"worth is in dollars a second, 0 or more, not {worth:g}")


def check_lines(lines: Iterable[int]) -> None:
    """Refuses what is no line of a program."""
    for line in lines:
        if line < 1:
            raise OptionProblem(f"without is lines of the program, from 1 on, not {line}")


@dataclass(frozen=True)
class FlowPass(ModulePass):
    """A pass of ours: a plain function under a name, that says how often it fired."""

    @abstractmethod
    def run(self, module: ModuleOp) -> Report:
        """Changes the module in place."""

    def apply(self, ctx: Context, op: ModuleOp) -> None:
        """Runs the pass where xDSL's own pass manager wants it."""
        self.run(op)


def line_of(op: Operation) -> int:
    """The line an operation comes from; 0 where it is not known."""
    location = op.location
    return location.line.data if isinstance(location, FileLineColLoc) else 0


Rule = Callable[[Operation], Sequence[SSAValue] | None]
"""Gives the replacements of an operation's results, or None to leave it."""

Rules = Mapping[type[Operation], Sequence[Rule]]


OpT = TypeVar("OpT", bound=Operation)


def place_before(op: Operation, new: OpT) -> OpT:
    """Puts a new operation before `op`, with the location and the labels of `op`."""
    stamp(new, op)
    block_of(op).insert_op_before(new, op)
    return new


def place_last(block: Block, new: OpT, origin: Operation) -> OpT:
    """Puts a new operation at the end of a block, with the location and the labels of `origin`."""
    stamp(new, origin)
    block.add_op(new)
    return new


def stamp(new: Operation, origin: Operation) -> None:
    """Gives a new operation the location and the labels of the one it stands for."""
    new.location = origin.location
    if "labels" in origin.attributes:
        new.attributes["labels"] = origin.attributes["labels"]


def block_of(op: Operation) -> Block:
    """The block in which an operation stands."""
    block = op.parent_block()
    if block is None:
        raise ValueError(f"{op.name} stands in no block")
    return block


def rewrite(module: ModuleOp, rules: Rules) -> int:
    """Applies rules until none fires; gives the number of firings.

    Each firing removes its operation and looks again only at the neighbours, so the cost is linear in the
    module and in the firings.
    """
    work = [op for op in module.walk() if type(op) in rules]
    work.reverse()
    waiting = set(work)
    fired = 0
    while work:
        op = work.pop()
        waiting.discard(op)
        if op.parent is None:
            continue
        for rule in rules[type(op)]:
            replacements = rule(op)
            if replacements is not None:
                fired += 1
                for neighbour in _replace(op, replacements):
                    if type(neighbour) in rules and neighbour not in waiting:
                        waiting.add(neighbour)
                        work.append(neighbour)
                break
    return fired


def _replace(op: Operation, replacements: Sequence[SSAValue]) -> list[Operation]:
    """Puts values in the place of an operation's results; gives the operations worth another look."""
    users = [use.operation for result in op.results for use in result.uses]
    sources = [value.owner for value in (*op.operands, *replacements) if isinstance(value.owner, Operation)]
    nested = [inner for region in op.regions for block in region.blocks for inner in block.ops]
    replace_with(op, replacements)
    parent = [inner for each in users if (inner := each.parent_op()) is not None]
    return [each for each in (*sources, *users, *parent, *nested) if each.parent is not None]


def replace_with(op: Operation, replacements: Sequence[SSAValue]) -> None:
    """Puts values in the place of an operation's results and erases it."""
    for old, new in zip(op.results, replacements, strict=True):
        if new.name_hint is None:
            new.name_hint = old.name_hint
        old.replace_all_uses_with(new)
    block_of(op).erase_op(op)


def inline_block(op: Operation, block: Block, arguments: Sequence[SSAValue]) -> Sequence[SSAValue]:
    """Moves the operations of a region's block before `op`; gives the values that the block ended with."""
    for argument, value in zip(block.args, arguments, strict=True):
        argument.replace_all_uses_with(value)
    target = block_of(op)
    operations = list(block.ops)
    *body, last = operations
    for inner in body:
        block.detach_op(inner)
        target.insert_op_before(inner, op)
    return tuple(last.operands)
