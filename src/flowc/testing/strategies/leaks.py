"""Hypothesis strategies for programs that say too much: well typed, with one way for a label to go astray.

A leak begins at something that has a label by its declaration, goes through values and flows that carry it,
and ends where it is refused. The same program with the label lowered right before the end is fine.
"""

from collections.abc import Sequence
from functools import cache

from attrs import evolve, frozen
from hypothesis import strategies as st

from flowc.compiler import syntax as s
from flowc.testing.strategies.answers import declarations
from flowc.testing.strategies.forms import Build, mentioned, needed, template
from flowc.testing.strategies.phrases import TYPES
from flowc.testing.strategies.programs import typed_programs
from flowc.testing.strategies.trees import PLACE, call, constant, declared, name

STR = TYPES["STR"]


@frozen
class Leaking:
    """A program with a leak, the code of the diagnostic that refuses it, and the same program mended."""

    program: s.Program
    code: str
    mended: s.Program


@frozen
class Kind:
    """A kind of label: where it comes from, the label that an end asks for, and what lowers it."""

    sources: tuple[str, ...]
    bound: str
    lowered: str


_TEXTS = ("spell(9001, 2)", "f'{fetch(9001, 1)}'", "first(survey(9, 1).notes)", "survey(9, 2).item.label")
_KEYS = ("confide(9001)", "str(survey(9001, 3).key)", "str(Parcel(Item('a', 1), [], 5, none, Mood.calm).key)")
_COUNTS = ("str(consult(9001, 1))", "f'{consult(9001, 2) + 1}'")
KINDS: Sequence[Kind] = (
    Kind(_TEXTS, "trusted", "endorse(V, 'it was read')"),
    Kind(_KEYS, "public", "declassify(V, 'it is known')"),
    Kind(_COUNTS, "low", "declassify(V, 'all know', to='low')"),
    Kind(_COUNTS, "mid", "declassify(V, 'some know', to='mid')"),
)
"""What may leak. Numbers of calls begin where those of programs do not come to."""

WAYS: Sequence[str] = (
    "V + 'x'", "upper(V)", "V[:9]", "f'({V})'", "Item(V, 1).label", "[V][0]", "{'k': V}['k']", "carried(V)",
    "'' if 1 > 2 else V", "[e for e in [V, 'a']][0]", "try V else ''", "judge(9002, V, 1).label",
    "quote(9003, V)[0]", "join('-', ['a', V])", "str(len(V))", "first(sorted([V]))", "spell(9004, len(V))",
    "f'{V == 'a'}'", "last(append(['a'], V))", "str(to_json(V))", "get(put({'a': ''}, 'k', V), 'k', '')",
)  # fmt: skip
"""What carries the labels of a text to another text."""


@cache
def _template(text: str) -> Build:
    return template(text, frozenset("V"))


def carried() -> s.Callable:
    """A flow that gives back what it is given, by way of a loop."""
    kept = s.Assign(("kept",), name("text"), span=PLACE)
    loop = s.For(("i",), call("range", constant(1)), (kept,), span=PLACE)
    start = s.Assign(("kept",), constant(""), span=PLACE)
    body = (start, loop, s.Return(name("kept"), span=PLACE))
    return declared("flow", "carried", {"text": STR}, STR, body=body)


@frozen
class End:
    """Where a value may not go: the code that says so, what is declared for it, and the statement."""

    code: str
    declaration: s.Declaration | None
    statement: Build


def _ends(bound: str) -> Sequence[End]:
    held, int_ = evolve(STR, labels=(bound,)), TYPES["INT"]
    back = (s.Return(name("text"), span=PLACE),)
    hole = s.Template((s.Hole(name("text"), span=PLACE),), span=PLACE)
    takes, fields = {"text": held}, (s.Field("text", held, span=PLACE),)
    pure = (s.Effect("pure", span=PLACE),)
    return (
        End("E0308", None, _template("V")),
        End("E0308", s.Record("Kept", fields, span=PLACE), _template("Kept(V)")),
        End("E0303", declared("tool", "told", takes, int_, effects=pure), _template("told(V)")),
        End("E0303", declared("llm", "asked", takes, int_, prompt=hole), _template("asked(text=V)")),
        End("E0303", declared("flow", "passed", takes, STR, body=back), _template("passed(V)")),
        End("E0304", declared("flow", "given", {"text": STR}, held, body=back), _template("given(V)")),
    )


def _around(block: s.Block, kind: int) -> s.Block:
    """A block where it stands, or inside something."""
    match kind:
        case 1:
            return (s.If(((name("flag"), block),), span=PLACE),)
        case 2:
            return (s.For(("l",), call("range", constant(1)), block, span=PLACE),)
        case 3:
            return (s.Try(block, (s.Pass(span=PLACE),), span=PLACE),)
        case 4:
            return (s.While(name("flag"), constant(2), block, span=PLACE),)
    return block


@st.composite
def leaking_programs(draw: st.DrawFn, budget: int = 4) -> Leaking:
    """Programs that their labels alone make wrong, at one place somewhere in `main`."""
    program = draw(typed_programs(budget=budget))
    kind = draw(st.sampled_from(KINDS))
    end = draw(st.sampled_from(_ends(kind.bound)))
    source = draw(st.sampled_from(kind.sources))
    ways = draw(st.lists(st.tuples(st.sampled_from(WAYS), st.booleans()), max_size=3))
    place, around = draw(st.integers(0, 3)), draw(st.integers(0, 4))

    def with_end(lowered: str) -> s.Program:
        value, block = template(source, frozenset())(_nothing), []
        for number, (way, named) in enumerate(ways):
            value = _filled(way, value)
            if named:
                block.append(s.Assign((f"l{number}",), value, span=PLACE))
                value = name(f"l{number}")
        annotation = evolve(STR, labels=(kind.bound,)) if end.declaration is None else None
        final = end.statement(lambda _: _filled(lowered, value))
        block.append(s.Assign(("l9",), final, annotation, span=PLACE))
        return _placed_in(program, end.declaration, _around(tuple(block), around), place)

    return Leaking(with_end("V"), end.code, with_end(kind.lowered))


def _filled(text: str, value: s.Expression) -> s.Expression:
    return _template(text)(lambda _: value)


def _nothing(hole: str) -> s.Expression:
    raise KeyError(hole)


def _placed_in(
    program: s.Program, declaration: s.Declaration | None, block: s.Block, place: int
) -> s.Program:
    """The program with a block in `main`, and all that it needs."""
    own = [each for each in program.declarations if getattr(each, "name", "labels") not in declarations()]
    main = own.pop()
    assert isinstance(main, s.Callable)
    body = main.body or ()
    place = min(place, len(body) - 1)
    own += [carried(), *([declaration] if declaration is not None else [])]
    own.append(evolve(main, body=(*body[:place], *block, *body[place:])))
    return evolve(program, declarations=(*needed(mentioned(tuple(own))), *own))
