"""Generated expressions: of a type that is asked for, over the variables in sight."""

from collections.abc import Callable, Mapping
from typing import Any

from attrs import Factory, define
from hypothesis import strategies as st

from flowc.compiler import syntax as s
from tests.trees import PLACE, binary, call, compare, constant, declared, effect, name, prompt, ref

INT, FLOAT, STR, BOOL = ref("int"), ref("float"), ref("str"), ref("bool")
INTS, STRS = ref("list", INT), ref("list", STR)
ITEM, MOOD = ref("Item"), ref("Mood")
PLAN = ref("plan", ref("twist"), ref("spell"))
MAYBE = ref("int", optional=True)
TYPES = (INT, FLOAT, STR, BOOL, INTS, STRS, ITEM, MOOD)
MEMBERS = ("calm", "keen", "bored")


def environment() -> tuple[s.Declaration, ...]:
    """What every program declares: a record, an enum, and tools of each kind of effect."""
    tagged, spoken = {"tag": INT, "x": INT}, {"tag": INT, "text": STR}
    return (
        s.Record("Item", (s.Field("label", STR, span=PLACE), s.Field("size", INT, span=PLACE)), span=PLACE),
        s.Enum("Mood", MEMBERS, span=PLACE),
        declared("tool", "twist", tagged, INT, effects=(effect("pure"),)),
        declared("tool", "fetch", tagged, INT, effects=(effect("reads", "web"),)),
        declared("tool", "peek", {"tag": INT}, INT, effects=(effect("reads", "store"),)),
        declared("tool", "keep", tagged, INT, effects=(effect("writes", "store"),)),
        declared("tool", "note", spoken, ref("none"), effects=(effect("writes", "log", True),)),
        declared("tool", "spell", {"tag": INT, "x": INT}, STR, effects=(effect("pure"),)),
        declared("llm", "feel", spoken, MOOD, prompt=prompt("tag", "text")),
        declared("llm", "rate", spoken, INT, prompt=prompt("tag", "text")),
        declared("llm", "judge", {**spoken, "unused": INT}, ITEM, prompt=prompt("tag", "text")),
        declared("llm", "devise", spoken, PLAN, prompt=prompt("tag", "text")),
        declared("human", "allow", spoken, BOOL, prompt=prompt("tag", "text")),
    )  # fmt: skip


def answer(operation: str, arguments: Mapping[str, Any]) -> Any:
    """What a tool, llm or human of a generated program answers; `kernel`s are computed, not answered."""
    tag, x, text = (arguments.get(key) for key in ("tag", "x", "text"))
    answers: dict[str, Callable[[], Any]] = {
        "twist": lambda: (x * 7 + tag) % 101 - 50,
        "fetch": lambda: (x * 3 + tag * 5) % 97,
        "peek": lambda: tag % 13,
        "keep": lambda: x + tag,
        "note": lambda: None,
        "spell": lambda: f"s{(x + tag) % 11}",
        "feel": lambda: MEMBERS[(len(text) + tag) % 3],
        "rate": lambda: (len(text) * 5 + tag) % 29,
        "judge": lambda: {"label": text[:3], "size": tag},
        "devise": lambda: {"steps": [_step("a", "twist", tag, len(text)), _step("b", "spell", tag, "$a")]},
        "allow": lambda: (len(text) + tag) % 2 == 0,
    }
    return answers[operation]()


def _step(id_: str, tool: str, tag: int, x: int | str) -> dict[str, Any]:
    return {"id": id_, "tool": tool, "arguments": {"tag": tag, "x": x}}


def executed(plan: Any) -> list[Any]:
    """The results of the steps of a plan, one after the other; a step refers to those before it."""
    results: dict[str, Any] = {}
    for step in plan["steps"]:
        given = {key: results.get(str(value)[1:], value) for key, value in step["arguments"].items()}
        results[step["id"]] = answer(step["tool"], given)
    return list(results.values())


@define
class Maker:
    """One program in the making: what is in sight by type, and how much may still be made."""

    draw: Any
    variables: dict[str, s.TypeRef] = Factory(dict)
    fixed: set[str] = Factory(set)
    kernels: tuple[str, ...] = ()
    flows: tuple[str, ...] = ()
    tag: int = 0
    made: int = 0
    budget: int = 12
    loops: int = 0
    calls: bool = True

    def pick(self, options: Any) -> Any:
        """One of several."""
        options = list(options)
        return options[self.draw(st.integers(0, len(options) - 1))]

    def number(self, least: int, most: int) -> int:
        """A whole number."""
        return int(self.draw(st.integers(least, most)))

    def next_tag(self) -> s.Expression:
        """A number that no other call of the program has."""
        self.tag += 1
        return constant(self.tag)

    def of_type(self, type_: s.TypeRef) -> list[str]:
        """The variables of a type."""
        return [key for key, known in self.variables.items() if known == type_]


def expression(maker: Maker, type_: s.TypeRef, depth: int) -> s.Expression:
    """An expression of a type, at most `depth` levels deep."""
    known = maker.of_type(type_)
    if known and (depth <= 0 or maker.number(0, 2) == 0):
        return name(maker.pick(known))
    if depth <= 0:
        return leaf(maker, type_)
    if maker.number(0, 7) == 0:
        test = expression(maker, BOOL, depth - 1)
        then, otherwise = expression(maker, type_, depth - 1), expression(maker, type_, depth - 1)
        return s.Conditional(test, then, otherwise, span=PLACE)
    return _MAKERS[type_](maker, depth - 1)


def leaf(maker: Maker, type_: s.TypeRef) -> s.Expression:
    """A constant of a type."""
    match type_:
        case s.TypeRef("int"):
            return constant(maker.number(-9, 9))
        case s.TypeRef("float"):
            return constant(maker.number(-8, 8) / 4)
        case s.TypeRef("str"):
            return constant(maker.pick(["", "a", "be", "sea"]))
        case s.TypeRef("bool"):
            return constant(maker.number(0, 1) == 1)
        case s.TypeRef("list", arguments=(s.TypeRef() as element,)):
            items = tuple(leaf(maker, element) for _ in range(maker.number(1, 3)))
            return s.ListDisplay(items, span=PLACE)
        case s.TypeRef("Item"):
            return call("Item", leaf(maker, STR), leaf(maker, INT))
    return s.Attribute(name("Mood"), maker.pick(MEMBERS), span=PLACE)


def _int(maker: Maker, depth: int) -> s.Expression:
    def inner(type_: s.TypeRef = INT) -> s.Expression:
        return expression(maker, type_, depth)

    choices: list[Callable[[], s.Expression]] = [
        lambda: binary(maker.pick("+-"), inner(), inner()),
        lambda: binary("*", inner(), constant(maker.number(-3, 3))),
        lambda: binary(maker.pick(["//", "%"]), inner(), constant(maker.number(1, 9))),
        lambda: call("len", inner(maker.pick([STR, INTS, STRS]))),
        lambda: call("sum", inner(INTS)),
        lambda: call(maker.pick(["min", "max"]), inner(), inner()),
        lambda: call("int", inner(FLOAT)),
        lambda: s.Attribute(inner(ITEM), "size", span=PLACE),
        lambda: call(
            "get", s.DictDisplay(((constant("k"), inner()),), span=PLACE), constant("k"), constant(0)
        ),
    ]
    if maker.calls:
        choices += [
            lambda: call("twist", maker.next_tag(), inner()),
            lambda: call("fetch", maker.next_tag(), inner()),
            lambda: call("peek", maker.next_tag()),
            lambda: call("keep", maker.next_tag(), inner()),
            lambda: call("rate", maker.next_tag(), inner(STR)),
            lambda: _plan(maker, depth),
            lambda: _race(maker, depth),
            lambda: _attempt(maker, depth),
            *(lambda flow=flow: call(flow, inner(), inner(STR)) for flow in maker.flows),
        ]
    return maker.pick(choices)()


def _race(maker: Maker, depth: int) -> s.Expression:
    return call(
        "race", *(call("twist", maker.next_tag(), expression(maker, INT, depth - 1)) for _ in range(2))
    )


def _plan(maker: Maker, depth: int) -> s.Expression:
    """The result of the first step of a plan that a model writes."""
    devised = call("devise", maker.next_tag(), expression(maker, STR, depth - 1))
    done = call("execute", call("endorse", devised, constant("its tools are pure")))
    return call("int", s.Subscript(done, (constant(0),), span=PLACE))


def _attempt(maker: Maker, depth: int) -> s.Expression:
    position = constant(maker.number(0, 5))
    attempt = s.Subscript(expression(maker, INTS, depth - 1), (position,), span=PLACE)
    return s.TryElse(attempt, expression(maker, INT, depth - 1), span=PLACE)


def _float(maker: Maker, depth: int) -> s.Expression:
    def inner(type_: s.TypeRef = FLOAT) -> s.Expression:
        return expression(maker, type_, depth)

    return maker.pick(
        [
            lambda: binary(maker.pick("+-"), inner(), inner()),
            lambda: binary("*", inner(), constant(maker.number(-4, 4) / 2)),
            lambda: binary("/", inner(INT), constant(maker.number(1, 8))),
            lambda: call("float", inner(INT)),
            lambda: call("abs", inner()),
            lambda: call("mean", leaf(maker, INTS)),
            *(lambda kernel=kernel: _launch(maker, kernel) for kernel in maker.kernels),
        ]
    )()


def _launch(maker: Maker, kernel: str) -> s.Expression:
    length = maker.number(1, 4)
    rows = [s.ListDisplay(tuple(leaf(maker, FLOAT) for _ in range(length)), span=PLACE) for _ in range(2)]
    return call("float", call("sum", call(kernel, *rows)))


def _str(maker: Maker, depth: int) -> s.Expression:
    def inner(type_: s.TypeRef = STR) -> s.Expression:
        return expression(maker, type_, depth)

    def template() -> s.Expression:
        hole = s.Hole(inner(maker.pick([INT, STR, BOOL, MOOD, INTS, ITEM])), span=PLACE)
        return s.Template((maker.pick(["n", "<"]), hole, ">"), span=PLACE)

    def judged() -> s.Expression:
        return call("judge", maker.next_tag(), inner(), inner(INT))

    def cut(value: s.Expression) -> s.Expression:
        return s.Subscript(value, (s.Slice(None, constant(12), span=PLACE),), span=PLACE)

    choices: list[Callable[[], s.Expression]] = [
        lambda: cut(binary("+", inner(), constant(maker.pick(["x", "yy"])))),
        lambda: cut(template()),
        lambda: call(maker.pick(["upper", "lower", "strip"]), inner()),
        lambda: call("str", inner(INT)),
        lambda: cut(call("join", constant("-"), inner(STRS))),
        lambda: s.Attribute(inner(ITEM), "label", span=PLACE),
    ]
    if maker.calls:
        choices.append(lambda: call("spell", maker.next_tag(), inner(INT)))
        choices.append(lambda: s.Attribute(judged(), "label", span=PLACE))
    return maker.pick(choices)()


def _bool(maker: Maker, depth: int) -> s.Expression:
    def inner(type_: s.TypeRef = BOOL) -> s.Expression:
        return expression(maker, type_, depth)

    def ordered() -> s.Expression:
        type_ = maker.pick([INT, FLOAT, STR])
        return compare(maker.pick(["<", "<=", ">", ">=", "==", "!="]), inner(type_), inner(type_))

    choices: list[Callable[[], s.Expression]] = [
        ordered,
        lambda: binary(maker.pick(["and", "or"]), inner(), inner()),
        lambda: s.Unary("not", inner(), span=PLACE),
        lambda: compare(maker.pick(["==", "!="]), inner(MOOD), inner(MOOD)),
        lambda: compare(maker.pick(["in", "not in"]), inner(INT), inner(INTS)),
        lambda: call("startswith", inner(STR), constant("s")),
    ]
    if maker.calls and maker.loops == 0:
        choices.append(lambda: call("allow", maker.next_tag(), inner(STR)))
    return maker.pick(choices)()


def _list(element: s.TypeRef) -> Callable[[Maker, int], s.Expression]:
    def make(maker: Maker, depth: int) -> s.Expression:
        own = ref("list", element)

        def short(value: s.Expression) -> s.Expression:
            return s.Subscript(value, (s.Slice(None, constant(5), span=PLACE),), span=PLACE)

        choices: list[Callable[[], s.Expression]] = [
            lambda: short(binary("+", expression(maker, own, depth), leaf(maker, own))),
            lambda: call("append", short(expression(maker, own, depth)), expression(maker, element, depth)),
            lambda: _comprehension(maker, element, depth),
            lambda: call("sorted", expression(maker, own, depth)),
            lambda: call("reversed", expression(maker, own, depth)),
        ]
        if element == INT:
            choices.append(lambda: call("range", constant(maker.number(0, 4))))
        return maker.pick(choices)()

    return make


def _comprehension(maker: Maker, element: s.TypeRef, depth: int) -> s.Expression:
    source = leaf(maker, INTS)
    target = f"e{maker.made}"
    maker.made += 1
    outer = dict(maker.variables)
    maker.variables[target] = INT
    body = expression(maker, element, depth)
    tests = (compare("<", name(target), constant(maker.number(0, 9))),) if maker.number(0, 2) == 0 else ()
    maker.variables = outer
    generator = s.Generator((target,), source, tests, span=PLACE)
    return s.Comprehension(body, (generator,), span=PLACE)


def _item(maker: Maker, depth: int) -> s.Expression:
    return call("Item", expression(maker, STR, depth), size=expression(maker, INT, depth))


def _mood(maker: Maker, depth: int) -> s.Expression:
    if not maker.calls or maker.number(0, 1) == 0:
        return leaf(maker, MOOD)
    asked = call("feel", maker.next_tag(), expression(maker, STR, depth))
    if maker.number(0, 2) == 0:
        return call("vote", asked, max=constant(3), lead=constant(2))
    return asked


_MAKERS: dict[s.TypeRef, Callable[[Maker, int], s.Expression]] = {
    INT: _int, FLOAT: _float, STR: _str, BOOL: _bool,
    INTS: _list(INT), STRS: _list(STR), ITEM: _item, MOOD: _mood,
}  # fmt: skip
