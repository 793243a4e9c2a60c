"""Hypothesis strategies for programs that check: syntax trees with observable effects, small enough to run.

Programs neither fail nor grow without bound, except inside a `try`: numbers are multiplied and divided by
constants only, texts are cut. Of the declarations of `answers`, which says what each tool, llm and human
answers, a program holds those that it uses.
"""

from collections.abc import Callable, Mapping
from functools import cache
from random import Random
from typing import Any

from hypothesis import strategies as st
from hypothesis.vendor import pretty

from flowc.compiler import syntax as s
from flowc.compiler.formatter import format_program
from flowc.runtime.types import NUMERIC
from flowc.testing.strategies.answers import declarations
from flowc.testing.strategies.expressions import Maker
from flowc.testing.strategies.forms import needed
from flowc.testing.strategies.launches import kernel
from flowc.testing.strategies.phrases import TYPES
from flowc.testing.strategies.statements import block
from flowc.testing.strategies.trees import PLACE, binary, call, declared, name

ARGUMENTS: Mapping[str, Any] = {"a": 3, "b": -2, "name": "ada", "numbers": [4, 1, 7], "flag": True}
"""Arguments of the flow `main` of every generated program."""

INT, STR, BOOL, INTS, STRS = (TYPES[hole] for hole in ("INT", "STR", "BOOL", "INTS", "STRS"))
FLOAT, ITEM = TYPES["FLOAT"], TYPES["ITEM"]


def _part(type_: s.TypeRef, key: str) -> s.Expression | None:
    """What a variable adds to the result of its flow."""
    if type_ == INT:
        return name(key)
    if type_ in (STR, INTS, STRS):
        return call("len", name(key))
    if type_ == FLOAT:
        return call("round", name(key))
    if type_ == TYPES["VECTOR"]:
        return call("int", call("sum", name(key)))
    if type_.name in NUMERIC:
        return call("int", name(key))
    return s.Attribute(name(key), "size", span=PLACE) if type_ == ITEM else None


def flow(maker: Maker, called: str, takes: Mapping[str, s.TypeRef], **more: Any) -> s.Callable:
    """A flow over its parameters that returns a number; its value depends on all that it has defined."""
    maker.begin(takes)
    body = block(maker, 1, 6)
    total: s.Expression | None = None
    for key, type_ in maker.variables.items():
        part = _part(type_, key)
        if part is not None:
            total = part if total is None else binary("+", total, part)
    return declared("flow", called, takes, INT, body=(*body, s.Return(total, span=PLACE)), **more)


@cache
def _decorators() -> tuple[s.Decorator, ...]:
    whole = declarations()["looked_up"]
    return whole.decorators if isinstance(whole, s.Callable) else ()


@cache
def _integers(least: int, most: int) -> st.SearchStrategy[int]:
    return st.integers(least, most)


@st.composite
def typed_programs(draw: st.DrawFn, budget: int = 12) -> s.Program:
    """Programs that check, with a flow `main` that takes `ARGUMENTS` and gives an `int`.

    `budget` bounds the number of statements.
    """
    return _program(lambda least, most: draw(_integers(least, most)), budget)


def random_program(chance: Random, budget: int = 12) -> s.Program:
    """A program as `typed_programs` gives them, ten times as fast, and nothing to shrink it."""
    return _program(chance.randint, budget)


def _program(source: Callable[[int, int], int], budget: int) -> s.Program:
    maker = Maker(source, budget=max(2, budget // 3))
    extras = maker.number(0, 7)
    own: list[s.Declaration] = []
    if extras & 1:
        kernels, maker.launches = kernel(maker)
        own += kernels
    if extras & 2:
        own.append(flow(maker, "part", {"x": INT, "text": STR}))
        maker.flows = {"part": frozenset(maker.wrote)}
    maker.budget = budget
    decorators = _decorators() if extras & 4 else ()
    takes = {"a": INT, "b": INT, "name": STR, "numbers": INTS, "flag": BOOL}
    main = flow(maker, "main", takes, decorators=decorators)
    return s.Program((*needed(frozenset(maker.uses)), *own, main), span=PLACE)


def _show(program: s.Program, printer: pretty.RepresentationPrinter, cycle: bool) -> None:
    """A program as an example that failed is shown: as its text."""
    for line in ("", *format_program(program).splitlines()):
        printer.text(line)
        printer.break_()


pretty.for_type_by_name(s.Program.__module__, s.Program.__name__, _show)
