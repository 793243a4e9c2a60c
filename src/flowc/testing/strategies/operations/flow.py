"""Operations of the flow dialect, drawn."""

from collections.abc import Sequence

from xdsl.dialects.builtin import ArrayAttr, StringAttr, f64, i1
from xdsl.ir import Attribute, Operation, Region

from flowc.dialects.array.types import array_type
from flowc.dialects.flow import compute, control, types
from flowc.dialects.flow.attributes import (
    LIMIT_NAMES,
    EffectItem,
    EffectsAttr,
    JsonAttr,
    LimitsAttr,
    ParameterAttr,
)
from flowc.dialects.flow.declarations import CallOp, EnumDeclOp, RecordDeclOp
from flowc.dialects.flow.signature import parameter
from flowc.dialects.flow.speculation import SpeculateOp
from flowc.testing.strategies.operations.making import IDENTIFIERS, Making, Recipes

KINDS = ("llm", "human", "sleep", "reads", "writes")


def any_type(m: Making, depth: int = 2) -> Attribute:
    """A type of values in flows."""
    if depth and m.sometimes():
        inner = any_type(m, depth - 1)
        several = ArrayAttr([any_type(m, depth - 1) for _ in m.times()])
        made: Attribute = m.one(
            types.ListType(inner), types.DictType(inner), types.OptionalType(inner), types.TupleType(several)
        )
        return made
    plain: Attribute = m.one(
        types.StrType(), types.IntType(), types.BytesType(), types.NoneType(), types.JsonType(), i1, f64,
        types.RecordType(StringAttr(m.name())), types.EnumType(StringAttr(m.name())),
        types.PlanType(ArrayAttr([StringAttr(m.name()) for _ in m.times()])),
        array_type(m.one("f32", "i64", "u8", "bf16"), m.one((), ("n",), (3, ""))),
    )  # fmt: skip
    return plain


def some_types(m: Making, most: int = 2) -> list[Attribute]:
    """Several types of values in flows."""
    return [any_type(m) for _ in m.times(most)]


def effects(m: Making, *kinds: str) -> EffectsAttr:
    """Effects of any kinds, or of these; in a transaction each write can be undone."""
    items = []
    for _ in m.times():
        kind = m.one(*(kinds or KINDS))
        writes = kind == "writes"
        undo = m.name() if writes and (m.undoable or m.sometimes()) else None
        resource = m.name() if kind in ("reads", "writes") else None
        items.append(EffectItem(kind, resource, writes and m.sometimes(), undo))
    return EffectsAttr(tuple(items))


def limits(m: Making) -> LimitsAttr:
    """Limits: some of those that there are, whole numbers and broken ones."""
    chosen = [name for name in LIMIT_NAMES if m.sometimes()]
    return LimitsAttr(tuple((name, m.one(0, 3, 10**12, 0.5, 1e-9, 30.0)) for name in chosen))


def parameters(m: Making, count: int) -> list[ParameterAttr]:
    """Parameters of different names, some with defaults and labels."""
    return [
        parameter(
            f"{m.one(*IDENTIFIERS)}{number}",
            JsonAttr.of(m.json()) if m.sometimes() else None,
            [m.name() for _ in m.times()],
        )
        for number in range(count)
    ]


def end(m: Making, results: Sequence[Attribute]) -> Operation:
    """Ends a region with values of these types."""
    return control.YieldOp(*m.values(results))


def _plain(m: Making, results: Sequence[Attribute]) -> Region:
    return m.inner((), results)


def _if(m: Making, started: bool = False) -> Operation:
    operands = [m.value(i1)]
    if started:
        needs = m.values(some_types(m))
        operands.append(m.made(SpeculateOp(needs, effects(m, "llm", "reads"), [3] if m.sometimes() else [])))
    results = some_types(m)
    branches = [_plain(m, results), _plain(m, results)]
    return control.IfOp.create(operands=operands, result_types=results, regions=branches)


def _for(m: Making) -> Operation:
    element, carried = any_type(m), m.values(some_types(m))
    held = [value.type for value in carried]
    body = m.inner((element, *held), (i1, *held))
    return control.ForOp(m.value(types.ListType(element)), carried, body)


def _while(m: Making) -> Operation:
    carried = m.values(some_types(m))
    held = [value.type for value in carried]
    return control.WhileOp(
        m.value(types.IntType()), carried, m.inner(held, (i1,)), m.inner(held, (i1, *held))
    )


def _map(m: Making) -> Operation:
    elements, result, filtered = [any_type(m) for _ in m.times(2, 1)], any_type(m), m.sometimes()
    body = m.inner(elements, (i1, result) if filtered else (result,))
    lists = m.values([types.ListType(element) for element in elements])
    return control.MapOp(lists, result, body, width=m.number(1, 64), filtered=filtered)


def _race(m: Making) -> Operation:
    results = some_types(m)
    return control.RaceOp(results, [_plain(m, results) for _ in m.times(3, 1)])


def _vote(m: Making) -> Operation:
    result = any_type(m)
    ballot = m.inner((types.IntType(),), (result,))
    return control.VoteOp(result, ballot, max=m.number(1, 9), lead=m.number(1, 3))


def _attempt(m: Making) -> Operation:
    results = some_types(m)
    return control.AttemptOp(results, _plain(m, results), _plain(m, results))


def _limit(m: Making) -> Operation:
    results = some_types(m)
    return control.LimitOp(limits(m), results, _plain(m, results))


def _transaction(m: Making) -> Operation:
    results, outer = some_types(m), m.undoable
    m.undoable = True
    body = _plain(m, results)
    m.undoable = outer
    return control.TransactionOp(results, body)


def _list(m: Making) -> Operation:
    element = any_type(m)
    return compute.ListOp(m.values([element] * m.number(0, 3)), types.ListType(element))


def _dict(m: Making) -> Operation:
    value = any_type(m)
    return compute.DictOp(m.values([types.StrType(), value] * m.number(0, 2)), types.DictType(value))


def _item(m: Making) -> Operation:
    items = [any_type(m) for _ in m.times(3, 1)]
    return compute.ItemOp(m.value(types.TupleType(ArrayAttr(items))), m.number(0, len(items) - 1))


def _select(m: Making) -> Operation:
    type_ = any_type(m)
    return compute.SelectOp(m.value(i1), m.value(type_), m.value(type_))


def _field(m: Making) -> Operation:
    source: Attribute = m.one(types.RecordType(StringAttr(m.name())), types.JsonType())
    return compute.FieldOp(m.value(source), m.name(), any_type(m))


def _record(m: Making) -> Operation:
    return compute.RecordOp(m.values(some_types(m, 3)), types.RecordType(StringAttr(m.name())))


def _call(m: Making) -> Operation:
    return CallOp(m.name(), m.values(some_types(m)), any_type(m), effects(m))


BODY: Recipes = {
    "flow.absent": lambda m: compute.AbsentOp(any_type(m)),
    "flow.apply": lambda m: compute.ApplyOp(m.one("add", "len", "in"), m.values(some_types(m)), any_type(m)),
    "flow.attempt": _attempt,
    "flow.call": _call,
    "flow.cast": lambda m: compute.CastOp(m.value(any_type(m)), any_type(m)),
    "flow.constant": lambda m: compute.ConstantOp(m.json(), any_type(m)),
    "flow.declassify": lambda m: compute.DeclassifyOp(m.value(any_type(m)), m.text()),
    "flow.dict": _dict,
    "flow.endorse": lambda m: compute.EndorseOp(m.value(any_type(m)), m.text()),
    "flow.field": _field,
    "flow.for": _for,
    "flow.if": _if,
    "flow.item": _item,
    "flow.limit": _limit,
    "flow.list": _list,
    "flow.map": _map,
    "flow.race": _race,
    "flow.record": _record,
    "flow.select": _select,
    "flow.speculate": lambda m: _if(m, started=True),
    "flow.transaction": _transaction,
    "flow.tuple": lambda m: compute.TupleOp(m.values(some_types(m, 3))),
    "flow.vote": _vote,
    "flow.while": _while,
}
"""Operations in the body of a flow."""

PACKAGING: Recipes = {
    name: BODY[name] for name in ("flow.constant", "flow.apply", "flow.record", "flow.field", "flow.list")
}
"""Operations that neither wait nor have regions."""


def _record_declaration(m: Making) -> Operation:
    return RecordDeclOp(m.symbol(), [(f"{m.name()}{number}", any_type(m)) for number in m.times(3)])


DECLARATIONS: Recipes = {
    "flow.enum_decl": lambda m: EnumDeclOp(m.symbol(), [f"{m.name()}{number}" for number in m.times(3)]),
    "flow.record_decl": _record_declaration,
}
"""Operations at the top of a module."""
