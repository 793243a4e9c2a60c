"""Generated expressions: of a type that is asked for, over the variables in sight.

A choice is one number, drawn once: the leaves and the forms of a type stand in one row, the simplest first.
So programs are drawn fast, and shrink towards constants.
"""

from bisect import bisect_right
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TypeVar

from attrs import Factory, define

from flowc.compiler import syntax as s
from flowc.testing.strategies.answers import writes
from flowc.testing.strategies.forms import Choices, Form, choices, constants
from flowc.testing.strategies.phrases import TYPES
from flowc.testing.strategies.trees import PLACE, call, compare, constant, name

T = TypeVar("T")
_HOLES: Mapping[s.TypeRef, str] = {type_: hole for hole, type_ in TYPES.items()}
ELEMENTS: Mapping[str, str] = {"MAP_INT": "INT", "MAP_STR": "STR", "MAP_FLOAT": "FLOAT", "MAP_ITEM": "ITEM"}


@define
class Maker:
    """One program in the making: what is in sight by type, and how much may still be made.

    `source` gives a whole number between two, both included: whatever is chosen is chosen by it.
    `writable` are the tools that write and may stand here, `wrote` those that do somewhere; `uses` is what of
    the environment is named; `flows` are the program's own with what they write, `launches` call its kernels.
    """

    source: Callable[[int, int], int]
    variables: dict[str, s.TypeRef] = Factory(dict)
    fixed: set[str] = Factory(set)
    launches: tuple[Callable[[int], s.Expression], ...] = ()
    flows: dict[str, frozenset[str]] = Factory(dict)
    writable: frozenset[str] = Factory(lambda: frozenset(writes()))
    wrote: set[str] = Factory(set)
    uses: set[str] = Factory(set)
    tag: int = 0
    made: int = 0
    budget: int = 12
    loops: int = 0

    def number(self, least: int, most: int) -> int:
        """A whole number."""
        return self.source(least, most) if most > least else least

    def pick(self, options: Sequence[T]) -> T:
        """One of several, the first the simplest."""
        return options[self.number(0, len(options) - 1)]

    def next_tag(self) -> s.Expression:
        """A number that no other call of the program has."""
        self.tag += 1
        return constant(self.tag)

    def fresh(self, letter: str) -> str:
        """A name that nothing has: no built-in begins with one of these letters and goes on with a number."""
        self.made += 1
        return f"{letter}{self.made}"

    def of_type(self, type_: s.TypeRef) -> list[str]:
        """The variables of a type."""
        return [key for key, known in self.variables.items() if known == type_]


def expression(maker: Maker, type_: s.TypeRef, depth: int) -> s.Expression:
    """An expression of a type, at most `depth` levels deep."""
    return of_hole(maker, _HOLES[type_], depth)


def of_hole(maker: Maker, hole: str, depth: int) -> s.Expression:
    """An expression for a hole of a form."""
    if depth <= 0:
        return _leaf(maker, hole)
    found: Choices = choices(hole, maker.writable, maker.loops == 0)
    total = found.weights[-1]
    calls = _calls(maker, hole)
    drawn = maker.number(0, total + total // 4 + total // 8 * bool(calls) - 1)
    if drawn < total // 4:
        return _leaf(maker, hole)
    if drawn < total // 4 + total:
        return filled(maker, found.forms[bisect_right(found.weights, drawn - total // 4)], depth - 1)
    return calls[drawn % len(calls)](depth - 1)


def filled(maker: Maker, form: Form, depth: int) -> s.Expression:
    """A form, its holes filled by expressions of at most this depth."""
    maker.wrote |= form.writes
    maker.uses |= form.uses
    return form.build(lambda hole: _hole(maker, hole, depth))


def _hole(maker: Maker, hole: str, depth: int) -> s.Expression:
    match hole:
        case "TAG":
            return maker.next_tag()
        case "RISK":
            return risk(maker, depth)
        case "QUIET":
            outer, maker.writable = maker.writable, frozenset()
            asked = filled(maker, choices("QUIET", frozenset(), False).forms[0], depth)
            maker.writable = outer
            return asked
    if hole in ELEMENTS:
        return mapped(maker, TYPES[ELEMENTS[hole]], depth)
    if hole in TYPES:
        return of_hole(maker, hole, depth)
    return filled(maker, maker.pick(constants(hole)), 0)


def risk(maker: Maker, depth: int) -> s.Expression:
    """A number that may be none: it stands only where a failure is caught."""
    found = choices("RISK", maker.writable, maker.loops == 0)
    drawn = maker.number(0, found.weights[-1] - 1)
    return filled(maker, found.forms[bisect_right(found.weights, drawn)], depth)


def leaf(maker: Maker, type_: s.TypeRef) -> s.Expression:
    """A constant of a type."""
    return filled(maker, maker.pick(constants(_HOLES[type_])), 0)


def _leaf(maker: Maker, hole: str) -> s.Expression:
    """A constant, or one of the variables, which come more often."""
    fixed, known = constants(hole), maker.of_type(TYPES[hole])
    drawn = maker.number(0, len(fixed) + (2 * len(fixed) if known else 0) - 1)
    if drawn < len(fixed):
        return filled(maker, fixed[drawn], 0)
    return name(known[drawn % len(known)])


def _calls(maker: Maker, hole: str) -> Sequence[Callable[[int], s.Expression]]:
    """What is called beside the environment: kernels, flows of the program, races."""
    if hole == "FLOAT":
        return maker.launches
    if hole != "INT":
        return []
    fit = [flow for flow, written in maker.flows.items() if written <= maker.writable]
    return [*(partial(_flow_call, maker, flow) for flow in fit), partial(_race, maker)]


def _flow_call(maker: Maker, flow: str, depth: int) -> s.Expression:
    maker.wrote |= maker.flows[flow]
    return call(flow, of_hole(maker, "INT", depth), of_hole(maker, "STR", depth))


def _race(maker: Maker, depth: int) -> s.Expression:
    """Arms of which any may win: they give the same, or fail."""
    tag, given = maker.next_tag(), _leaf(maker, "INT")
    maker.uses |= {"twist", "again"}
    arms: list[s.Expression] = [call("twist", tag, given), call("again", _again(tag), _again(given))]
    lost = s.Subscript(_leaf(maker, "INTS"), (constant(99),), span=PLACE)
    orders: list[list[s.Expression]] = [arms, [lost, *arms], arms[::-1]]
    return call("race", *maker.pick(orders))


def _again(tree: s.Expression) -> s.Expression:
    """A constant or a name once more, as a node of its own."""
    match tree:
        case s.Constant(kind=kind, value=value):
            return s.Constant(kind, value, span=PLACE)
        case s.Unary(operator=operator, operand=operand):
            return s.Unary(operator, _again(operand), span=PLACE)
        case s.Name(id=id_):
            return name(id_)
    raise TypeError("only leaves stand twice")


def mapped(maker: Maker, element: s.TypeRef, depth: int) -> s.Expression:
    """A list, computed element by element from one or two others."""
    outer = dict(maker.variables)
    first, second = maker.fresh("e"), maker.fresh("e")
    ints, strs = TYPES["INTS"], TYPES["STRS"]
    sources: list[tuple[dict[str, s.TypeRef], Callable[[], s.Expression]]] = [
        ({first: TYPES["INT"]}, lambda: _leaf(maker, "INTS")),
        ({first: TYPES["STR"]}, lambda: _leaf(maker, "STRS")),
        ({first: TYPES["INT"]}, lambda: call("range", constant(maker.number(0, 4)))),
        ({first: TYPES["INT"], second: TYPES["STR"]}, lambda: call("enumerate", leaf(maker, strs))),
        (
            {first: TYPES["INT"], second: TYPES["STR"]},
            lambda: call("zip", _leaf(maker, "INTS"), _leaf(maker, "STRS")),
        ),
        ({first: TYPES["STR"], second: TYPES["INT"]}, lambda: call("items", leaf(maker, TYPES["TABLE"]))),
    ]
    bound, source = maker.pick(sources)
    generators = [s.Generator(tuple(bound), source(), span=PLACE)]
    maker.variables |= bound
    extra = maker.number(0, 5)
    if extra == 1:
        known = next(key for key, type_ in bound.items() if type_ in (TYPES["INT"], TYPES["STR"]))
        number = name(known) if bound[known] == TYPES["INT"] else call("len", name(known))
        test = compare("<", number, constant(maker.number(0, 9)))
        generators = [s.Generator(tuple(bound), generators[0].iterable, (test,), span=PLACE)]
    elif extra == 2:
        third = maker.fresh("e")
        generators.append(s.Generator((third,), leaf(maker, ints), span=PLACE))
        maker.variables[third] = TYPES["INT"]
    body = expression(maker, element, depth)
    maker.variables = outer
    made = s.Comprehension(body, tuple(generators), span=PLACE)
    if extra != 2:
        return made
    return s.Subscript(made, (s.Slice(None, constant(5), span=PLACE),), span=PLACE)
