"""Generated expressions: of a type that is asked for, over the variables in sight.

A choice is one number, drawn once: the leaves and the forms of a type stand in one row, the simplest first.
So programs are drawn fast, and shrink towards constants.
"""

from bisect import bisect_right
from collections.abc import Callable, Mapping, Sequence
from functools import cache, partial
from typing import TypeVar

from attrs import Factory, define

from flowc.compiler import syntax as s
from flowc.testing.strategies.answers import declarations, writes
from flowc.testing.strategies.forms import Choices, Form, asks, choices, constants, form, words, writes_of
from flowc.testing.strategies.phrases import TYPES
from flowc.testing.strategies.trees import PLACE, binary, call, compare, constant, name, placed

T = TypeVar("T")
_HOLES: Mapping[s.TypeRef, str] = {type_: hole for hole, type_ in TYPES.items()}
ELEMENTS: Mapping[str, str] = {"MAP_INT": "INT", "MAP_STR": "STR", "MAP_FLOAT": "FLOAT", "MAP_ITEM": "ITEM"}


@define
class Maker:
    """One program in the making: what is in sight by type, and how much may still be made.

    `source` gives a whole number between two, both included: whatever is chosen is chosen by it.
    `writable` are the tools that write and may stand here, `wrote` those that do somewhere; `uses` is what of
    the environment is named; `flows` are the program's own with what they write, `launches` call its kernels.
    `said` are the calls so far by hole, which may be made again; `names` all names that ever were in sight.
    """

    source: Callable[[int, int], int]
    variables: dict[str, s.TypeRef] = Factory(dict)
    fixed: set[str] = Factory(set)
    launches: tuple[Callable[[int], s.Expression], ...] = ()
    flows: dict[str, frozenset[str]] = Factory(dict)
    writable: frozenset[str] = Factory(lambda: frozenset(writes()))
    wrote: set[str] = Factory(set)
    uses: set[str] = Factory(set)
    said: dict[str, list[s.Expression]] = Factory(dict)
    names: set[str] = Factory(set)
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
        found = f"{letter}{self.made}"
        self.names.add(found)
        return found

    def begin(self, takes: Mapping[str, s.TypeRef]) -> None:
        """Begins a flow of these parameters."""
        self.variables, self.said = dict(takes), {}
        self.names.update(takes)

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
    leaves, share = total // 4, total // 8
    calls, said = _calls(maker, hole), maker.said.get(hole)
    ends = leaves + total, leaves + total + share * bool(calls)
    drawn = maker.number(0, ends[1] + share * bool(said) - 1)
    if drawn < leaves:
        return _leaf(maker, hole)
    if drawn < ends[0]:
        chosen = found.forms[bisect_right(found.weights, drawn - leaves)]
        made = filled(maker, chosen, depth - 1)
        if chosen.calls:
            maker.said.setdefault(hole, []).append(made)
        return made
    if drawn < ends[1]:
        return calls[drawn % len(calls)](depth - 1)
    return again(maker, said[drawn % len(said)] if said else None) or _leaf(maker, hole)


def again(maker: Maker, said: s.Expression | None) -> s.Expression | None:
    """What was said, in nodes of its own, if it may stand here as well: the same call, or the same words for
    something that has changed.
    """
    if said is None or not maker.names & (named := words(said)) <= maker.variables.keys():
        return None
    uses, own = named & declarations().keys(), named & maker.flows.keys()
    written = writes_of(uses).union(*(maker.flows[each] for each in own))
    if not written <= maker.writable or (maker.loops and asks(uses)):
        return None
    maker.wrote |= written
    maker.uses |= uses
    return placed(said)


def filled(maker: Maker, chosen: Form, depth: int) -> s.Expression:
    """A form, its holes filled by expressions of at most this depth."""
    maker.wrote |= chosen.writes
    maker.uses |= chosen.uses
    return chosen.build(lambda hole: _hole(maker, hole, depth))


def _hole(maker: Maker, hole: str, depth: int) -> s.Expression:
    match hole:
        case "TAG":
            return maker.next_tag()
        case "RISK":
            return risk(maker, depth)
        case "QUIET":
            return _quiet(maker, depth)
    if hole in ELEMENTS:
        return mapped(maker, TYPES[ELEMENTS[hole]], depth)
    if hole in TYPES:
        return of_hole(maker, hole, depth)
    return filled(maker, maker.pick(constants(hole)), 0)


def _quiet(maker: Maker, depth: int) -> s.Expression:
    """A question to a model that depends on nothing else outside; it may be asked elsewhere, too."""
    outer, maker.writable = maker.writable, frozenset()
    asked = filled(maker, maker.pick(choices("QUIET", frozenset(), False).forms), depth)
    maker.writable = outer
    maker.said.setdefault("MOOD", []).append(asked)
    return asked


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
    return [
        *(partial(_flow_call, maker, flow) for flow in fit),
        partial(_race, maker),
        partial(_twice, maker),
    ]


def _flow_call(maker: Maker, flow: str, depth: int) -> s.Expression:
    maker.wrote |= maker.flows[flow]
    return call(flow, of_hole(maker, "INT", depth), of_hole(maker, "STR", depth))


def _twice(maker: Maker, depth: int) -> s.Expression:
    """A call, something else, and the same call: what may be one call, and what must not be."""
    calls, between = (
        [each for each in forms if each.writes <= maker.writable and not (each.asks and maker.loops)]
        for forms in (_calls_to_repeat(), _between())
    )
    first = filled(maker, maker.pick(calls), 0)
    parts = [binary("*", first, constant(3)), filled(maker, maker.pick(between), depth), placed(first)]
    return call("sum", s.ListDisplay(tuple(parts), span=PLACE))


@cache
def _calls_to_repeat() -> tuple[Form, ...]:
    calls = "twist(TAG, INT)", "peek(TAG)", "recall(TAG, INT)", "looked_up(TAG)", "pin(TAG, INT)"
    return tuple(map(form, calls))


@cache
def _between() -> tuple[Form, ...]:
    return tuple(map(form, ("INT", "keep(TAG, INT)", "pin(TAG, INT)", "settled(TAG, STR)")))


def _race(maker: Maker, depth: int) -> s.Expression:
    """Arms of which any may win: they give the same, or fail."""
    tag, given = maker.next_tag(), _leaf(maker, "INT")
    maker.uses |= {"twist", "again"}
    arms: list[s.Expression] = [call("twist", tag, given), call("again", placed(tag), placed(given))]
    maker.said.setdefault("INT", []).extend(arms)
    lost = s.Subscript(_leaf(maker, "INTS"), (constant(99),), span=PLACE)
    orders: list[list[s.Expression]] = [arms, [lost, *arms], arms[::-1]]
    return call("race", *maker.pick(orders))


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
