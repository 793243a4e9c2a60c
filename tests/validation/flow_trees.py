"""Flows to be rewritten: expressions drawn at random over their parameters, deep enough for rules to meet."""

from collections.abc import Callable
from random import Random

from attrs import define
from xdsl.dialects.builtin import ModuleOp, i1
from xdsl.ir import Attribute, Block, Operation, Region, SSAValue

from flowc.dialects.flow import compute, control
from flowc.dialects.flow.attributes import EffectsAttr
from flowc.dialects.flow.declarations import FuncOp, ReturnOp
from flowc.dialects.flow.signature import parameter
from flowc.dialects.flow.types import IntType, ListType, OptionalType, StrType

INT, STR, BOOL = IntType(), StrType(), i1
INTS, SURE = ListType(INT), OptionalType(BOOL)
PARAMETERS: tuple[Attribute, ...] = (INT, INT, BOOL, BOOL, STR, INTS)
KINDS: tuple[Attribute, ...] = (INT, BOOL, STR, INTS, SURE, OptionalType(INT))

Body = Callable[["Builder", list[SSAValue]], SSAValue]


@define
class Builder:
    """Appends operations to a block."""

    place: Block

    def add(self, op: Operation) -> SSAValue:
        """Appends an operation; gives its first result."""
        self.place.add_op(op)
        return op.results[0]

    def apply(self, name: str, arguments: list[SSAValue], type_: Attribute) -> SSAValue:
        """A function of the runtime."""
        return self.add(compute.ApplyOp(name, arguments, type_))

    def region(
        self, body: Callable[["Builder"], list[SSAValue]], arguments: tuple[Attribute, ...] = ()
    ) -> Region:
        """A region that yields what `body` gives."""
        inner = Builder(Block(arg_types=arguments))
        inner.place.add_op(control.YieldOp(*body(inner)))
        return Region(inner.place)


def flow(body: Body) -> ModuleOp:
    """A module with one flow of parameters of PARAMETERS."""
    block = Block(arg_types=PARAMETERS)
    result = body(Builder(block), list(block.args))
    block.add_op(ReturnOp(result))
    names = [parameter(f"p{number}") for number in range(len(PARAMETERS))]
    module = ModuleOp([FuncOp("main", names, result.type, Region(block), effects=EffectsAttr(()))])
    module.verify()
    return module


def drawn(chance: Random, depth: int = 4) -> ModuleOp:
    """A flow whose result is a tuple of random expressions."""

    def body(b: Builder, parameters: list[SSAValue]) -> SSAValue:
        pool = list(parameters)
        for _ in range(chance.randint(1, 4)):
            pool.append(_expression(b, chance, pool, chance.choice(KINDS), depth))
        return b.add(compute.TupleOp(pool[len(parameters) :]))

    return flow(body)


def _expression(b: Builder, chance: Random, pool: list[SSAValue], type_: Attribute, depth: int) -> SSAValue:
    fitting = [value for value in pool if value.type == type_]
    if depth == 0 or chance.random() < 0.15:
        return chance.choice(fitting) if fitting and chance.random() < 0.7 else _constant(b, chance, type_)

    def inner(kind: Attribute) -> SSAValue:
        return _expression(b, chance, pool, kind, depth - 1)

    choice = chance.random()
    if choice < 0.2 and type_ != INTS:
        return b.add(compute.SelectOp(inner(BOOL), inner(type_), inner(type_)))
    if choice < 0.35 and type_ != INTS:
        return _branch(b, chance, pool, type_, depth)
    if choice < 0.45:
        packed = b.add(compute.TupleOp([inner(BOOL), inner(type_)]))
        return b.add(compute.ItemOp(packed, 1))
    if choice < 0.5 and not isinstance(type_, OptionalType | ListType):
        return b.add(compute.CastOp(b.add(compute.CastOp(inner(type_), OptionalType(type_))), type_))
    return _applied(b, chance, type_, inner)


def _applied(
    b: Builder, chance: Random, type_: Attribute, inner: Callable[[Attribute], SSAValue]
) -> SSAValue:
    if type_ == BOOL:
        name = chance.choice(("not", "not", "and", "or", "eq", "ne", "lt", "ge"))
        if name == "not":
            return b.apply("not", [inner(BOOL)], BOOL)
        kind = BOOL if name in ("and", "or") else INT
        return b.apply(name, [inner(kind), inner(kind)], BOOL)
    if type_ == INT:
        name = chance.choice(("add", "sub", "mul", "neg", "floordiv", "len", "get_item"))
        if name == "len":
            return b.apply("len", [inner(INTS)], INT)
        if name == "get_item":
            return b.apply("get_item", [inner(INTS), inner(INT)], INT)
        return b.apply(name, [inner(INT)] if name == "neg" else [inner(INT), inner(INT)], INT)
    if type_ == STR:
        return b.apply("add", [inner(STR), inner(STR)], STR)
    if type_ == INTS:
        return b.add(compute.ListOp([inner(INT) for _ in range(chance.randint(1, 3))], INTS))
    assert isinstance(type_, OptionalType)
    return b.add(compute.CastOp(inner(type_.inner), type_))


def _branch(b: Builder, chance: Random, pool: list[SSAValue], type_: Attribute, depth: int) -> SSAValue:
    """A branch of two results, one of which may be of no use."""

    def side(inner: Builder) -> list[SSAValue]:
        return [_expression(inner, chance, pool, kind, depth - 1) for kind in (BOOL, type_)]

    condition = _expression(b, chance, pool, BOOL, depth - 1)
    op = control.IfOp(condition, [BOOL, type_], b.region(side), b.region(side))
    b.add(op)
    return op.res[1]


def _constant(b: Builder, chance: Random, type_: Attribute) -> SSAValue:
    if type_ == INTS:
        return b.add(compute.ListOp([b.add(compute.ConstantOp(chance.randint(-2, 2), INT))], INTS))
    kind = type_.inner if isinstance(type_, OptionalType) else type_
    value = {INT: chance.randint(-2, 2), BOOL: chance.random() < 0.5, STR: chance.choice(("", "a"))}[kind]
    return b.add(compute.ConstantOp(value, type_))
