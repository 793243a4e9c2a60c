"""Hypothesis strategies for programs that check: syntax trees with observable effects, small enough to run.

Every call of a tool carries a tag of its own, so that a trace of effects tells which call of the program made
it. Programs neither fail nor grow without bound, except inside a `try`: numbers are multiplied and divided by
constants only, texts are cut. `answer` is what each tool, llm and human answers, a plain function of the
arguments.
"""

from collections.abc import Mapping
from typing import Any

from attrs import evolve
from hypothesis import strategies as st

from flowc.compiler import syntax as s
from tests.trees import PLACE, binary, call, compare, constant, declared, name, ref
from tests.typed_expressions import (
    BOOL,
    INT,
    INTS,
    MAYBE,
    STR,
    STRS,
    TYPES,
    Maker,
    answer,
    environment,
    expression,
    leaf,
)

__all__ = ["ARGUMENTS", "answer", "size", "typed_programs"]

ARGUMENTS: Mapping[str, Any] = {"a": 3, "b": -2, "name": "ada", "numbers": [4, 1, 7], "flag": True}
"""Arguments of the flow `main` of every generated program."""


def block(maker: Maker, least: int, most: int) -> tuple[s.Statement, ...]:
    """Statements; what they define is in sight afterwards."""
    found = []
    for _ in range(maker.number(least, most)):
        if maker.budget <= 0:
            break
        maker.budget -= 1
        found.append(_statement(maker))
    return tuple(found) or (s.Pass(span=PLACE),)


def _inner(maker: Maker, least: int, most: int) -> tuple[s.Statement, ...]:
    outer = dict(maker.variables)
    made = block(maker, least, most)
    maker.variables = outer
    return made


def _statement(maker: Maker) -> s.Statement:
    return maker.pick(
        [_define, _define, _define, _rebind, _rebind, _act, _if, _for, _while, _try, _with, _maybe]
    )(maker)


def _define(maker: Maker) -> s.Statement:
    type_ = maker.pick(TYPES)
    value = expression(maker, type_, 2)
    target = f"v{maker.made}"
    maker.made += 1
    maker.variables[target] = type_
    annotation = evolve(type_) if maker.number(0, 3) == 0 else None
    return s.Assign((target,), value, annotation, span=PLACE)


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
    return s.Assign((target,), value, span=PLACE)


def _act(maker: Maker) -> s.Statement:
    if not maker.calls:
        return _define(maker)
    made = call("note", maker.next_tag(), expression(maker, STR, 1))
    if maker.number(0, 1):
        made = call("keep", maker.next_tag(), expression(maker, INT, 1))
    return s.ExpressionStatement(made, span=PLACE)


def _if(maker: Maker) -> s.Statement:
    branches = []
    for _ in range(maker.number(1, 2)):
        test = expression(maker, BOOL, 1)
        branches.append((test, _inner(maker, 1, 3)))
    otherwise = _inner(maker, 1, 2) if maker.number(0, 1) else ()
    return s.If(tuple(branches), otherwise, span=PLACE)


def _for(maker: Maker) -> s.Statement:
    iterable = maker.pick([lambda: call("range", constant(maker.number(0, 3))), lambda: leaf(maker, INTS)])()
    target = f"i{maker.made}"
    maker.made += 1
    outer = dict(maker.variables)
    maker.variables[target] = INT
    maker.fixed.add(target)
    body = _loop_body(maker)
    maker.variables = outer
    return s.For((target,), iterable, body, span=PLACE)


def _loop_body(maker: Maker) -> tuple[s.Statement, ...]:
    maker.loops += 1
    body = _inner(maker, 1, 3)
    maker.loops -= 1
    if maker.number(0, 2) == 0:
        leave = maker.pick([s.Break, s.Continue])(span=PLACE)
        body = (s.If(((expression(maker, BOOL, 1), (leave,)),), span=PLACE), *body)
    return body


def _while(maker: Maker) -> s.Statement:
    test = expression(maker, BOOL, 1)
    return s.While(test, constant(maker.number(1, 3)), _loop_body(maker), span=PLACE)


def _try(maker: Maker) -> s.Statement:
    risky = s.Subscript(expression(maker, INTS, 1), (constant(maker.number(0, 5)),), span=PLACE)
    target = f"t{maker.made}"
    maker.made += 1
    body = (*_inner(maker, 0, 2), s.Assign((target,), risky, span=PLACE))
    otherwise = (s.Assign((target,), expression(maker, INT, 1), span=PLACE),)
    maker.variables[target] = INT
    return s.Try(body, otherwise, span=PLACE)


def _with(maker: Maker) -> s.Statement:
    limit = call("timeout", s.Constant("duration", 3600, span=PLACE))
    return s.With((limit,), _inner(maker, 1, 3), span=PLACE)


def _maybe(maker: Maker) -> s.Statement:
    """An optional value, tested before it is used."""
    target = f"o{maker.made}"
    maker.made += 1
    value = s.Conditional(expression(maker, BOOL, 1), expression(maker, INT, 1), constant(None), span=PLACE)
    result = f"v{maker.made}"
    maker.made += 1
    maker.variables[result] = INT
    used = s.Conditional(
        compare("is", name(target), constant(None)),
        constant(0),
        binary("+", name(target), constant(1)),
        span=PLACE,
    )
    both = (
        s.Assign((target,), value, MAYBE, span=PLACE),
        s.Assign((result,), used, span=PLACE),
    )
    always = compare("==", constant(1), constant(1))
    default = (s.Assign((result,), constant(0), span=PLACE),)
    return s.If(((always, both),), default, span=PLACE)


def kernel(maker: Maker, called: str) -> s.Callable:
    """A small elementwise kernel over two vectors."""
    vector = ref("f64", s.Dimension("n", span=PLACE))

    def value(depth: int) -> s.Expression:
        if depth == 0:
            return maker.pick(
                [lambda: name("x"), lambda: name("y"), lambda: constant(maker.number(-4, 4) / 2)]
            )()
        return maker.pick(
            [
                lambda: binary(maker.pick("+-*"), value(depth - 1), value(depth - 1)),
                lambda: call("tanh", value(depth - 1)),
                lambda: call("maximum", value(depth - 1), name("y")),
                lambda: call("where", compare("<", name("x"), value(depth - 1)), value(depth - 1), name("x")),
            ]
        )()

    body = (
        s.Assign(("z",), binary("+", name("x"), value(2)), span=PLACE),
        s.Return(binary("-", name("z"), call("mean", name("y"))), span=PLACE),
    )
    return declared("kernel", called, {"x": vector, "y": vector}, vector, body=body)


def flow(maker: Maker, called: str, takes: Mapping[str, s.TypeRef]) -> s.Callable:
    """A flow over its parameters that returns a number; its value depends on all that it has defined."""
    maker.variables = dict(takes)
    body = block(maker, 1, 6)
    parts: list[s.Expression] = [name(key) for key, type_ in maker.variables.items() if type_ == INT]
    parts += [call("len", name(key)) for key, type_ in maker.variables.items() if type_ in (STR, INTS, STRS)]
    total = parts[0]
    for part in parts[1:]:
        total = binary("+", total, part)
    return declared("flow", called, takes, INT, body=(*body, s.Return(total, span=PLACE)))


@st.composite
def typed_programs(draw: Any, budget: int = 12) -> s.Program:
    """Programs that check, with a flow `main` that takes `ARGUMENTS` and gives an `int`.

    `budget` bounds the number of statements.
    """
    maker = Maker(draw, budget=max(2, budget // 3))
    kernels = tuple(kernel(maker, f"k{i}") for i in range(maker.number(0, 1)))
    maker.kernels = tuple(each.name for each in kernels)
    parts: list[s.Callable] = []
    if maker.number(0, 1):
        parts.append(flow(maker, "part", {"x": INT, "text": STR}))
        maker.flows = ("part",)
    maker.budget = budget
    main = flow(maker, "main", {"a": INT, "b": INT, "name": STR, "numbers": INTS, "flag": BOOL})
    return s.Program((*environment(), *kernels, *parts, main), span=PLACE)


def size(program: s.Program) -> int:
    """How many statements the flows of a program have, inner ones included."""
    pending = [
        statement for d in program.declarations if isinstance(d, s.Callable) for statement in d.body or ()
    ]
    count = 0
    while pending:
        statement = pending.pop()
        count += 1
        match statement:
            case s.If(branches=branches, otherwise=otherwise):
                pending += [each for _, inner in branches for each in inner] + list(otherwise)
            case s.For(body=body) | s.While(body=body) | s.With(body=body):
                pending += body
            case s.Try(body=body, otherwise=otherwise):
                pending += [*body, *otherwise]
    return count
