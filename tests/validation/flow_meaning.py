"""What the operations of a flow mean, as terms of z3.

An int is an unbounded number, a list one of so many elements, an optional a pair of "is there" and a value.
What can fail is collected with the conditions under which it is reached: a rewrite may not change whether a
flow fails.
"""

import operator
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import z3
from attrs import define, field, frozen
from xdsl.dialects.builtin import i1
from xdsl.ir import Attribute, Block, Operation, SSAValue

from flowc.dialects.flow import compute, control
from flowc.dialects.flow.declarations import FuncOp, ReturnOp
from flowc.dialects.flow.types import IntType, OptionalType, StrType

Term = Any
"""A term of z3; a list or a tuple of such; or an `Optional`."""


@frozen
class Optional:
    """A value that may be none."""

    there: Term
    value: Term


SORTS: Mapping[Attribute, Callable[[str], Term]] = {IntType(): z3.Int, i1: z3.Bool, StrType(): z3.String}


@define
class Flow:
    """One reading of a flow; `fails` says under which conditions it does. All records have these `fields`."""

    values: dict[SSAValue, Term] = field(factory=dict)
    fails: list[Term] = field(factory=list)
    path: list[Term] = field(factory=list)
    fields: Sequence[str] = ()

    def result(self, function: FuncOp, arguments: Sequence[Term]) -> Term:
        """What a flow gives for its arguments."""
        self.values.update(zip(function.body.block.args, arguments, strict=True))
        return self.block(function.body.block)[0]

    def block(self, block: Block) -> list[Term]:
        """The values with which a block ends."""
        for op in block.ops:
            if isinstance(op, ReturnOp | control.YieldOp):
                return [self.values[value] for value in op.operands]
            self.values.update(zip(op.results, self._results(op), strict=True))
        raise ValueError("a block without an end")

    def _results(self, op: Operation) -> Sequence[Term]:
        given = [self.values[value] for value in op.operands]
        match op:
            case compute.ConstantOp():
                return [constant(op.value.value, op.result.type)]
            case compute.AbsentOp():  # any value: nothing may depend on it
                return [unknown(op.result.type)]
            case compute.ApplyOp():
                return [self._applied(op.function.data, given)]
            case compute.SelectOp():
                return [chosen(*given)]
            case compute.ListOp():
                return [list(given)]
            case compute.TupleOp() | compute.RecordOp():
                return [tuple(given)]
            case compute.ItemOp():
                return [given[0][op.index.value.data]]
            case compute.CastOp():
                return [cast(given[0], op.source.type, op.result.type)]
            case control.IfOp():
                sides = [self._on(condition, op.regions[n].block) for n, condition in self._sides(given[0])]
                return [chosen(given[0], *pair) for pair in zip(*sides, strict=True)]
            case compute.FieldOp():
                return [given[0][self.fields.index(op.field.data)]]
            case control.MapOp():
                return [self._mapped(op, given[0])]
            case control.AttemptOp():
                return self._attempted(op)
            case control.ForOp():
                return self._repeated(op, given[0], given[1:])
        raise ValueError(f"no meaning for {op.name}")

    @staticmethod
    def _sides(condition: Term) -> list[tuple[int, Term]]:
        return [(0, condition), (1, z3.Not(condition))]

    def _on(self, condition: Term, block: Block) -> list[Term]:
        self.path.append(condition)
        results = self.block(block)
        self.path.pop()
        return results

    def _repeated(self, op: control.ForOp, items: Sequence[Term], carried: list[Term]) -> list[Term]:
        """Rounds over a list of a known length, none of which leaves the loop."""
        for item in items:
            self.values.update(zip(op.body.block.args, [item, *carried], strict=True))
            _, *carried = self.block(op.body.block)
        return carried

    def _mapped(self, op: control.MapOp, items: Sequence[Term]) -> list[Term]:
        found = []
        for item in items:
            self.values[op.body.block.args[0]] = item
            found += self.block(op.body.block)
        return found

    def _attempted(self, op: control.AttemptOp) -> list[Term]:
        """What the body gives unless it fails."""
        outer, self.fails = self.fails, []
        body = self.block(op.regions[0].block)
        failed, self.fails = z3.Or(*self.fails), outer
        otherwise = self._on(failed, op.regions[1].block)
        return [chosen(failed, *pair) for pair in zip(otherwise, body, strict=True)]

    def _applied(self, name: str, given: Sequence[Term]) -> Term:
        if name == "len":
            return z3.IntVal(len(given[0]))
        if name == "get_item":
            return self._picked(*given)
        if name == "floordiv":
            self._fail_where(given[1] == 0)
            # z3 rounds towards the side on which the remainder is not negative.
            return z3.If(given[1] > 0, given[0] / given[1], -given[0] / -given[1])
        return FUNCTIONS[name](*given)

    def _picked(self, items: Sequence[Term], place: Term) -> Term:
        self._fail_where(z3.Or(place < -len(items), place >= len(items)))
        found = z3.IntVal(0)
        for number, item in enumerate(items):
            found = z3.If(z3.Or(place == number, place == number - len(items)), item, found)
        return found

    def _fail_where(self, condition: Term) -> None:
        self.fails.append(z3.And(*self.path, condition))


def unknown(type_: Attribute) -> Term:
    """A value of which nothing is known."""
    if isinstance(type_, OptionalType):
        return Optional(z3.FreshConst(z3.BoolSort()), unknown(type_.inner))
    return z3.FreshConst(SORTS[type_]("").sort())


def constant(value: Any, type_: Attribute) -> Term:
    """A constant of the types that there are here."""
    if isinstance(type_, OptionalType):
        inner = {IntType(): 0, i1: False, StrType(): ""}[type_.inner]
        return Optional(
            z3.BoolVal(value is not None), constant(inner if value is None else value, type_.inner)
        )
    if isinstance(value, bool):
        return z3.BoolVal(value)
    return z3.StringVal(value) if isinstance(value, str) else z3.IntVal(value)


def cast(value: Term, source: Attribute, target: Attribute) -> Term:
    """Conversions from T to T? and back, which nothing asks of what is none."""
    if source == target:
        return value
    return Optional(z3.BoolVal(True), value) if isinstance(target, OptionalType) else value.value


def chosen(condition: Term, first: Term, second: Term) -> Term:
    """One of two values, part by part."""
    if isinstance(first, Optional):
        return Optional(
            z3.If(condition, first.there, second.there), z3.If(condition, first.value, second.value)
        )
    if isinstance(first, list | tuple):
        return type(first)(chosen(condition, *pair) for pair in zip(first, second, strict=True))
    return z3.If(condition, first, second)


def equal(first: Term, second: Term) -> Term:
    """Whether two values are one."""
    if isinstance(first, Optional):
        return z3.And(first.there == second.there, z3.Implies(first.there, first.value == second.value))
    if isinstance(first, list | tuple):
        return z3.And(len(first) == len(second), *(equal(*pair) for pair in zip(first, second, strict=False)))
    return first == second


FUNCTIONS: Mapping[str, Callable[..., Term]] = {
    "add": lambda a, b: z3.Concat(a, b) if z3.is_string(a) else a + b,
    "sub": operator.sub, "mul": operator.mul, "neg": operator.neg,
    "and": z3.And, "or": z3.Or, "xor": z3.Xor, "not": z3.Not,
    "eq": operator.eq, "ne": operator.ne,
    "lt": operator.lt, "le": operator.le, "gt": operator.gt, "ge": operator.ge,
}  # fmt: skip
