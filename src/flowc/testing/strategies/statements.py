"""Generated statements: what they define is in sight of those behind them."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache, partial

from attrs import evolve

from flowc.compiler import syntax as s
from flowc.runtime.types import NUMERIC
from flowc.testing.strategies.acts import act, ask_on, launch, repeat
from flowc.testing.strategies.answers import idempotent, undone
from flowc.testing.strategies.expressions import Maker, expression, filled, leaf, risk
from flowc.testing.strategies.forms import Form, form
from flowc.testing.strategies.phrases import TYPES
from flowc.testing.strategies.trees import PLACE, assign, binary, call, compare, constant, name, ref

INT, STR, BOOL, INTS, STRS = (TYPES[hole] for hole in ("INT", "STR", "BOOL", "INTS", "STRS"))
FLOAT, ITEM, MAYBE = TYPES["FLOAT"], TYPES["ITEM"], TYPES["MAYBE"]
_OFTEN = ("INT", "FLOAT", "STR", "BOOL", "INTS", "STRS", "FLOAT", "ITEM")
_DEFINED = (
    *_OFTEN, *_OFTEN, "STRS", "MOOD", "MOOD", "FLOATS", "TABLE", "ITEMS", "PARCEL", "JSON", "MAYBE",
    "VECTOR", "VECTOR",
)  # fmt: skip
"""The types of variables: what is defined more often stands there more often."""

IDEMPOTENT = idempotent()
"""Writes that may be repeated, or raced."""

UNDONE = frozenset(undone())
"""Writes that a transaction takes back."""


def block(maker: Maker, least: int, most: int) -> tuple[s.Statement, ...]:
    """Statements; what they define is in sight afterwards.

    One number says whether there is another one, and which: so a program shrinks statement by statement.
    """
    found: list[s.Statement] = []
    stops = len(_STATEMENTS) // 4
    while len(found) < most and maker.budget > 0:
        drawn = maker.number(stops if len(found) < least else 0, stops + len(_STATEMENTS) - 1)
        if drawn < stops:
            break
        maker.budget -= 1
        found.append(_STATEMENTS[drawn - stops](maker))
    return tuple(found) or (s.Pass(span=PLACE),)


@contextmanager
def _inside(maker: Maker, writable: frozenset[str] | None = None) -> Iterator[None]:
    """A block: what it defines is forgotten behind it. Only `writable` may be written in it."""
    outer, allowed = dict(maker.variables), maker.writable
    maker.writable = allowed if writable is None else allowed & writable
    yield
    maker.variables, maker.writable = outer, allowed


def _inner(maker: Maker, least: int, most: int) -> tuple[s.Statement, ...]:
    with _inside(maker):
        return block(maker, least, most)


def _define(maker: Maker) -> s.Statement:
    type_ = TYPES[maker.pick(_DEFINED)]
    value = expression(maker, type_, 2)
    target = maker.fresh("v")
    maker.variables[target] = type_
    said = maker.number(0, 7)
    if said < 5 and type_ != MAYBE:
        return assign(target, value)
    maker.uses.add("labels")
    return assign(target, value, evolve(type_, labels=((), ("untrusted",), ("secret", "high"))[said % 3]))


def _number(maker: Maker) -> s.Statement:
    """A number of some width."""
    type_, target = ref(maker.pick(NUMERIC)), maker.fresh("n")
    maker.variables[target] = type_
    maker.fixed.add(target)
    return assign(target, filled(maker, _numbers()[type_.name], 1), type_)


@cache
def _numbers() -> Mapping[str, Form]:
    return {each: form(f"{each}({'HALF' if 'f' in each else 'DIGIT'})") for each in NUMERIC}


def _rebind(maker: Maker) -> s.Statement:
    targets = [key for key in maker.variables if key not in maker.fixed]
    if not targets:
        return _define(maker)
    target = maker.pick(targets)
    type_ = maker.variables[target]
    if type_ == INT and maker.number(0, 2) == 0:
        return s.Assign((target,), constant(maker.number(0, 9)), None, maker.pick("+-"), span=PLACE)
    value = expression(maker, type_, 2)
    if type_ == INT:
        value = binary("%", value, constant(9973))
    return assign(target, value)


def _if(maker: Maker) -> s.Statement:
    branches = []
    for _ in range(maker.number(1, 2)):
        test = expression(maker, BOOL, 1)
        branches.append((test, _inner(maker, 1, 3)))
    otherwise = _inner(maker, 1, 2) if maker.number(0, 1) else ()
    return s.If(tuple(branches), otherwise, span=PLACE)


def _leave(maker: Maker) -> s.Statement:
    """A way out of the flow."""
    left = s.Return(expression(maker, INT, 1), span=PLACE)
    return s.If(((expression(maker, BOOL, 1), (left,)),), span=PLACE)


def _for(maker: Maker) -> s.Statement:
    first, second = maker.fresh("j"), maker.fresh("j")
    sources: list[tuple[dict[str, s.TypeRef], Callable[[], s.Expression]]] = [
        ({first: INT}, lambda: call("range", constant(maker.number(0, 3)))),
        ({first: INT}, lambda: leaf(maker, INTS)),
        ({first: STR}, lambda: leaf(maker, STRS)),
        ({first: INT, second: STR}, lambda: call("enumerate", leaf(maker, STRS))),
        ({first: ITEM}, lambda: leaf(maker, TYPES["ITEMS"])),
        ({first: STR, second: INT}, lambda: call("items", leaf(maker, TYPES["TABLE"]))),
    ]
    bound, source = maker.pick(sources)
    iterable = source()
    outer = dict(maker.variables)
    maker.variables |= bound
    maker.fixed |= bound.keys()
    body = _loop_body(maker)
    maker.variables = outer
    return s.For(tuple(bound), iterable, body, span=PLACE)


def _loop_body(maker: Maker) -> tuple[s.Statement, ...]:
    maker.loops += 1
    body = _inner(maker, 1, 3)
    maker.loops -= 1
    if maker.number(0, 2) == 0:
        leave: s.Statement = s.Continue(span=PLACE) if maker.number(0, 1) else s.Break(span=PLACE)
        body = (s.If(((expression(maker, BOOL, 1), (leave,)),), span=PLACE), *body)
    return body


def _while(maker: Maker) -> s.Statement:
    test = expression(maker, BOOL, 1)
    return s.While(test, constant(maker.number(1, 3)), _loop_body(maker), span=PLACE)


def _gather(maker: Maker) -> s.Statement:
    """A loop that combines what it meets."""
    into, each = maker.pick(maker.of_type(INT)), maker.fresh("j")
    if into in maker.fixed:
        return _for(maker)
    source = leaf(maker, INTS)
    with _inside(maker):
        maker.variables = {each: INT}
        value = expression(maker, INT, 2)
    maker.uses.add("blend")
    step = call("blend", name(into), value) if maker.number(0, 1) else binary("+", name(into), value)
    return s.For((each,), source, (assign(into, binary("%", step, constant(9973))),), span=PLACE)


def _try(maker: Maker) -> s.Statement:
    """A value that may fail, alone or in a block that is taken back, tried again or left in time."""
    target = maker.fresh("t")
    around: Sequence[Callable[[Callable[[], s.Block]], s.Block]] = (
        lambda inner: inner(),
        partial(_transaction, maker),
        partial(_limited, maker, "retry(1)"),
        lambda inner: _limited(maker, "retry(1)", lambda: _transaction(maker, inner)),
    )

    def body() -> s.Block:
        with _inside(maker):
            before = [each for each in block(maker, 0, 2) if not isinstance(each, s.Pass)]
            return (*before, assign(target, risk(maker, 1)))

    attempted = maker.pick(around)(body)
    otherwise = (assign(target, expression(maker, INT, 1)),)
    maker.variables[target] = INT
    return s.Try(attempted, otherwise, span=PLACE)


def _transaction(maker: Maker, inner: Callable[[], s.Block]) -> s.Block:
    with _inside(maker, UNDONE):
        return (s.With((), inner(), transaction=True, span=PLACE),)


_LIMITS = (
    "timeout(1h)",
    "budget($100, tokens=1000000, calls=10000)",
    "memory(900GB)",
    "retry(2, backoff=1ms)",
    "timeout(2h); budget(calls=100000)",
)


@cache
def _limits(text: str) -> tuple[Form, ...]:
    return tuple(map(form, text.split("; ")))


def _limited(maker: Maker, limits: str, inner: Callable[[], s.Block]) -> s.Block:
    calls = [filled(maker, each, 0) for each in _limits(limits)]
    with _inside(maker, IDEMPOTENT if "retry" in limits else None):
        return (s.With(tuple(each for each in calls if isinstance(each, s.Call)), inner(), span=PLACE),)


def _with(maker: Maker) -> s.Statement:
    inner = partial(_inner, maker, 1, 3)
    chosen = maker.number(0, len(_LIMITS))
    made = _limited(maker, _LIMITS[chosen], inner) if chosen < len(_LIMITS) else _transaction(maker, inner)
    return made[0]


def _maybe(maker: Maker) -> s.Statement:
    """An optional value, tested before it is used."""
    target, result = maker.fresh("o"), maker.fresh("v")
    value = s.Conditional(expression(maker, BOOL, 1), expression(maker, INT, 1), constant(None), span=PLACE)
    maker.variables[result] = INT
    used = s.Conditional(
        compare("is", name(target), constant(None)),
        constant(0),
        binary("+", name(target), constant(1)),
        span=PLACE,
    )
    always = compare("==", constant(1), constant(1))
    default = (assign(result, constant(0)),)
    return s.If(((always, (assign(target, value, MAYBE), assign(result, used))),), default, span=PLACE)


@cache
def _pairs() -> tuple[Form, ...]:
    return tuple(map(form, ("first(enumerate([STR]))", "last(zip([INT, INT], [STR, STR]))")))


def _unpack(maker: Maker) -> s.Statement:
    """Two names for the parts of a pair."""
    first, second = maker.fresh("v"), maker.fresh("v")
    value = filled(maker, maker.pick(_pairs()), 1)
    maker.variables |= {first: INT, second: STR}
    return s.Assign((first, second), value, span=PLACE)


_STATEMENTS: Sequence[Callable[[Maker], s.Statement]] = (
    _define, _define, _define, _define, _define, _rebind, _rebind, _rebind, act, act, _if, _if, _for, _for,
    _while, _gather, _try, _try, _with, _maybe, _unpack, _leave, _number,
    repeat, repeat, repeat, launch, ask_on, ask_on,
)  # fmt: skip
