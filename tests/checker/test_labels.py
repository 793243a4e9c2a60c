"""Labels: the lattice, the flow of labels through programs, and what is said about a leak."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flowc.compiler.checker.lattice import chains_of, forbidden, lattice, names_of, value_of
from tests.checker.programs import body, checked, codes, found

CHAINS = (("public", "internal", "secret"), ("trusted", "untrusted"))
LATTICE = lattice(CHAINS)
SETS = st.tuples(st.sampled_from(CHAINS[0]), st.sampled_from(CHAINS[1])).map(frozenset)

TOOLS = """
tool search(query: str) -> list[str] reads web
tool vault() -> secret str reads vault
tool send(to: trusted str, body: public str) -> none writes mail
tool clean(text: str) -> trusted str pure
human confirm(text: str) -> str:
    \"\"\"{text}?\"\"\"

llm polish(text: str) -> str:
    \"\"\"Better: {text}\"\"\"

record Letter:
    to: trusted str
    body: str
    source: untrusted str

"""


@given(SETS, SETS)
def test_joining_takes_the_higher_label_of_each_chain(first: frozenset[str], second: frozenset[str]) -> None:
    joined = names_of(LATTICE, value_of(LATTICE, first) | value_of(LATTICE, second))
    for chain in CHAINS:
        level = max(chain.index(name) for name in first | second if name in chain)
        assert (joined & set(chain) or {chain[0]}) == {chain[level]}


@given(SETS, SETS)
def test_a_bound_forbids_exactly_the_higher_labels_of_its_chains(
    value: frozenset[str], bounds: frozenset[str]
) -> None:
    over = any(
        chain.index(v) > chain.index(b)
        for chain in CHAINS
        for v in value
        for b in bounds
        if {v, b} <= set(chain)
    )
    assert bool(value_of(LATTICE, value) & forbidden(LATTICE, bounds)) == over
    assert forbidden(LATTICE, bounds) & ~chains_of(LATTICE, bounds) == 0


@pytest.mark.parametrize(
    "statements",
    [
        'send(search("a")[0], "hi")',
        'x = search("a")[0]\ny = x + "!"\nsend(y, "hi")',
        'x = "a"\nfor i in range(3):\n    send(x, "hi")\n    x = search(x)[0]',
        'x = "a"\nif flag:\n    x = search("a")[0]\nsend(x, "hi")',
        'x = search("a")[0]\nif flag:\n    x = "b"\nsend(x, "hi")',
        'x = search("a")[0]\nfor i in range(3):\n    x = "b"\nsend(x, "hi")',
        'x = "a"\nfor i in range(3):\n    x = search("a")[0]\n    if flag:\n        break\n'
        '    x = "b"\n    if flag:\n        break\nsend(x, "hi")',
        'x = [f"{y}" for y in search("a")]\nsend(x[0], "hi")',
        'send("a", vault())',
        'send("a", polish(f"tell {vault()}"))',
        'send("a", confirm(vault()))',
        'x = try vault() else "none"\nsend("a", x)',
        'x: str = vault()\nsend("a", x.upper().split()[0])',
        'x = {"k": vault()}\nsend("a", x.get("k", ""))',
        'x = race(polish("a"), polish(vault()))\nsend("a", x)',
        'letter = Letter("a", "b", "c")\nsend(letter.source, "hi")',
        'letter = Letter("a", vault(), "c")\nsend("a", letter.to)',
        'x = "a"\nx += search("a")[0]\nsend(x, "hi")',
        'send("a", clean(vault()))',
        'x: list[list[secret str]] = [["a"]]\nsend("a", x[0][0])',
        'x = vault()\nx += "a"\nsend("a", x)',
        'x = "a"\nif flag:\n    x = "b"\nelif not flag:\n    x = vault()\nelse:\n    x = "c"\nsend("a", x)',
        'x = "a"\nif flag:\n    x = "b"\nelif not flag:\n    x = "c"\nelse:\n    x = vault()\nsend("a", x)',
        'x = "a"\nfor i, y in enumerate([vault()]):\n    x = y\nsend("a", x)',
        'send("a", f"{flag} {vault()}")',
        'send("a", "x" + vault())',
        'send("a", "x" if flag else vault())',
        'send("a", "x".replace("y", vault()))',
        'send("a", ["x", vault()][0])',
        'send("a", "abc"[len(vault())])',
        'send("a", "abc"[0 : len(vault())])',
        'send("a", f"{1 < len(vault())}")',
        'send("a", f"{flag and flag and not len(vault()) == 1}")',
        'x = try "x" else vault()\nsend("a", x)',
        'x = {"k": "v", "l": vault()}\nsend("a", x["k"])',
        'x = {vault(): "v"}\nsend("a", x.get("k", ""))',
        'x = [vault() for y in ["a"]]\nsend("a", x[0])',
    ],
)
def test_a_value_does_not_reach_a_parameter_that_forbids_its_label(statements: str) -> None:
    assert codes(TOOLS + body(statements, "flag: bool")) == ["E0303"]


@pytest.mark.parametrize("declared", ["public str", "list[public str]", "dict[str, list[public str]]"])
def test_a_variable_holds_no_label_that_its_type_forbids_however_deep_inside(declared: str) -> None:
    value = {"public str": "vault()", "list[public str]": "[vault()]"}.get(declared, '{"a": [vault()]}')
    assert codes(TOOLS + body(f"x: {declared} = {value}")) == ["E0308"]


@pytest.mark.parametrize(
    "statements",
    [
        'send("a", search("a")[0])',
        'send(clean(search("a")[0]), "hi")',
        'send(confirm(search("a")[0]), "hi")',
        'send(polish("a"), "hi")',
        'x = search("a")[0]\nx = "b"\nsend(x, "hi")',
        'send(endorse(search("a")[0], "listed"), "hi")',
        'send("a", declassify(vault(), "asked for"))',
        'letter = Letter("a", "b", search("a")[0])\nsend(letter.to, letter.body)',
        'if flag:\n    x = vault()\n    return\nelse:\n    x = "a"\nsend("a", x)',
        'send(question, "hi")',
    ],
)
def test_a_value_reaches_every_parameter_that_allows_its_label(statements: str) -> None:
    assert set(codes(TOOLS + body(statements, "flag: bool, question: str"))) <= {"E0131"}


def test_endorse_lowers_integrity_alone_and_declassify_confidentiality_alone() -> None:
    both = 'x = f"{vault()} {search(vault())[0]}"\n'
    assert codes(TOOLS + body(both + 'send(declassify(x, "r"), "hi")')) == ["E0303"]
    assert codes(TOOLS + body(both + 'send("a", endorse(x, "r"))')) == ["E0303"]


def test_a_flow_is_checked_again_under_the_labels_of_each_call() -> None:
    helper = 'flow forward(text: str) -> str:\n    send("a", text)\n    return text\n\n'
    assert codes(TOOLS + helper + body('forward("x")')) == []
    (error,) = found(TOOLS + helper + body('forward("x")\nforward(vault())'))
    assert error.code == "E0303"
    said = [label.text for label in error.labels]
    assert any("`vault`" in text for text in said)
    assert any("`text` of `forward`" in text for text in said)


def test_each_result_of_a_flow_counts() -> None:
    helper = 'flow either(flag: bool) -> str:\n    if flag:\n        return vault()\n    return "a"\n\n'
    assert codes(TOOLS + helper + body('send("a", either(flag))', "flag: bool")) == ["E0303"]


def test_calls_that_differ_in_a_later_argument_are_checked_each() -> None:
    helper = 'flow forward(name: str, text: str) -> str:\n    send("a", text)\n    return name\n\n'
    assert codes(TOOLS + helper + body('forward("b", "x")\nforward("b", vault())')) == ["E0303"]


def test_the_result_of_a_flow_has_the_labels_of_this_call_alone() -> None:
    same = "flow same(text: str) -> str:\n    return text\n\n"
    assert (
        codes(TOOLS + same + body('a = same(vault())\nsend("a", same("b") + "c")\nreturn a', result="str"))
        == []
    )


def test_the_manifest_lists_each_reason_with_what_it_lowers() -> None:
    text = TOOLS + body('send(endorse(search("a")[0], "listed"), declassify(vault(), "asked for"))')
    manifest = checked(text).manifest
    assert [(each.kind, each.reason, set(each.before), set(each.after)) for each in manifest] == [
        ("endorse", "listed", {"untrusted"}, set()),
        ("declassify", "asked for", {"secret", "untrusted"}, {"untrusted"}),
    ]


def test_a_declared_chain_takes_the_place_of_the_built_in_one() -> None:
    own = "labels public < internal < secret\n\ntool show(text: internal str) -> none writes screen\n"
    assert codes(own + body("show(text)", "text: secret str")) == ["E0303"]
    assert codes(own + body('show(declassify(text, "r", to="internal"))', "text: secret str")) == []
    assert codes("labels open < closed\ntool show(x: trusted open str) -> none writes screen\n") == []


def test_labels_of_expressions_are_noted() -> None:
    program = checked(TOOLS + body('x = search("a")\nreturn x[0]', result="str"))
    assert frozenset({"untrusted"}) in program.labels.values()


Program = list[tuple[Any, ...]]
States = set[frozenset[str]]


@st.composite
def small_programs(draw: st.DrawFn, depth: int = 2, loop: bool = False) -> Program:
    """Statements over the variables a to d: copies, joins, secrets, branches, loops and ways out of them."""
    variable = st.sampled_from("abcd")
    kinds = [
        "copy",
        "join",
        "secret",
        "plain",
        *(["if", "for"] if depth else []),
        *(["break"] if loop else []),
    ]
    program: Program = []
    for _ in range(draw(st.integers(1, 4))):
        kind = draw(st.sampled_from(kinds))
        if kind == "if":
            program.append((kind, *(draw(small_programs(depth - 1, loop)) for _ in range(2))))
        elif kind == "for":
            program.append((kind, draw(small_programs(depth - 1, True))))
        else:
            program.append((kind, draw(variable), draw(variable), draw(variable)))
    return program


def text_of(program: Program, indent: int = 1) -> str:
    """The statements as a program has them."""
    pad, lines = "    " * indent, []
    for kind, *rest in program:
        match kind:
            case "if":
                lines += [f"{pad}if flag:", text_of(rest[0], indent + 1)]
                lines += [f"{pad}else:", text_of(rest[1], indent + 1)]
            case "for":
                lines += [f"{pad}for i in range(9):", text_of(rest[0], indent + 1)]
            case "break":
                lines += [f"{pad}if flag:", f"{pad}    break"]
            case _:
                made = {
                    "copy": rest[1],
                    "join": f"{rest[1]} + {rest[2]}",
                    "secret": "vault()",
                    "plain": '"x"',
                }
                lines.append(f"{pad}{rest[0]} = {made[kind]}")
    return "\n".join(lines)


def follow(program: Program, states: States) -> tuple[States, States]:
    """The oracle: the sets of secret variables after every path to the end, and at every `break`."""
    left: States = set()
    for kind, *rest in program:
        match kind:
            case "copy":
                states = {s | {rest[0]} if rest[1] in s else s - {rest[0]} for s in states}
            case "join":
                states = {s | {rest[0]} if {rest[1], rest[2]} & s else s - {rest[0]} for s in states}
            case "secret":
                states = {s | {rest[0]} for s in states}
            case "plain":
                states = {s - {rest[0]} for s in states}
            case "break":
                left |= states
            case "if":
                ends = [follow(inner, states) for inner in rest]
                states, left = ends[0][0] | ends[1][0], left | ends[0][1] | ends[1][1]
            case "for":
                states = _rounds(rest[0], states)
    return states, left


def _rounds(body_: Program, states: States) -> States:
    exits: States = set()
    while True:
        end, left = follow(body_, states)
        exits |= left
        if end <= states:
            return states | exits
        states = states | end


@settings(max_examples=150, deadline=None)
@given(small_programs())
def test_the_label_of_a_result_is_what_following_every_path_gives(program: Program) -> None:
    text = TOOLS + (
        'flow main(flag: bool) -> public str:\n    a = "1"\n    b = "2"\n    c = "3"\n    d = "4"\n'
        f"{text_of(program)}\n    return a\n"
    )
    ends, _ = follow(program, {frozenset()})
    assert ("E0304" in codes(text)) == any("a" in end for end in ends)
