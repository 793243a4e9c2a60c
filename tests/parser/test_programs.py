"""Declarations, statements, layout and spans."""

import pytest

from flowc.compiler import syntax
from flowc.compiler.diagnostics.model import CompileError
from flowc.compiler.parser import parse, parse_bytes
from flowc.compiler.syntax import Effect, Span

NOWHERE = Span(1, 1, 1, 1)


def only(text: str) -> syntax.Callable:
    """The one callable of a program."""
    (node,) = parse(text, "p.flow").declarations
    assert isinstance(node, syntax.Callable)
    return node


def cut(text: str, span: Span) -> str:
    """What stands at a span."""
    lines = text.split("\n")[span.line - 1 : span.end_line]
    lines[-1] = lines[-1][: span.end_column - 1]
    lines[0] = lines[0][span.column - 1 :]
    return "\n".join(lines)


def test_effects_keep_their_words() -> None:
    node = only("tool f(a: int) -> none reads web, writes mail idempotent undo unsend")
    assert node.effects == (
        Effect("reads", "web", span=NOWHERE),
        Effect("writes", "mail", True, "unsend", span=NOWHERE),
    )


def test_no_effects_and_effects_not_written_differ_from_pure() -> None:
    assert only("tool f() -> int").effects is None
    assert only("tool f() -> int pure").effects == (Effect("pure", span=NOWHERE),)


def test_a_transaction_is_a_block_without_limits() -> None:
    (block,) = only("flow f() -> none sleep:\n    with transaction:\n        sleep(1h)").body or ()
    assert isinstance(block, syntax.With)
    assert (block.limits, block.transaction, len(block.body)) == ((), True, 1)
    (limited,) = only("flow f() -> none:\n    with transaction(1):\n        pass").body or ()
    assert isinstance(limited, syntax.With)
    assert not limited.transaction


def test_a_transaction_and_limits_are_blocks_of_their_own() -> None:
    with pytest.raises(CompileError, match="E0021") as error:
        only("flow f() -> none:\n    with transaction, timeout(1s):\n        pass")
    assert "a transaction stands alone" in error.value.diagnostics[0].help


def test_an_event_is_declared_as_a_question_is() -> None:
    node = only('event paid(order: str) -> bool:\n    """Is {order} paid?"""')
    assert (node.kind, node.prompt is not None) == ("event", True)
    names = only("flow event(event: int, sleep: int, transaction: int) -> int:\n    return event + sleep")
    assert [each.name for each in names.parameters] == ["event", "sleep", "transaction"]


def test_extents_of_arrays_are_dimensions_and_arguments_of_lists_are_types() -> None:
    node = only("tool f(a: secret list[f32[n, 384]?]) -> dict[str, none]")
    (inner,) = node.parameters[0].type.arguments
    assert isinstance(inner, syntax.TypeRef)
    assert inner.optional
    assert [part.extent for part in inner.arguments if isinstance(part, syntax.Dimension)] == ["n", 384]
    assert node.parameters[0].type.labels == ("secret",)
    assert [part.name for part in node.result.arguments if isinstance(part, syntax.TypeRef)] == [
        "str",
        "none",
    ]


def test_words_of_the_grammar_may_be_names_where_no_keyword_fits() -> None:
    node = only(
        "flow tool(record: str, reads: int, up: bool) -> str:\n    labels = record\n    return labels"
    )
    assert [parameter.name for parameter in node.parameters] == ["record", "reads", "up"]


@pytest.mark.parametrize(
    "word", ["record", "enum", "tool", "llm", "human", "event", "kernel", "flow", "labels"]
)
def test_words_that_begin_declarations_are_names_behind_a_block_too(word: str) -> None:
    node = only(f"flow f(c: bool) -> int:\n    if c:\n        x = 1\n    {word} = 2\n    return {word}\n")
    assert node.body is not None
    assert len(node.body) == 3


def test_a_prompt_loses_its_indentation_and_nothing_else() -> None:
    node = only('llm f(x: str) -> str:\n    """\n    First {x}.\n      Deeper.\n\n    {{Last}}\n    """\n')
    assert node.prompt is not None
    assert node.prompt.parts == (
        "First ",
        syntax.Hole(syntax.Name("x", span=NOWHERE), span=NOWHERE),
        ".\n  Deeper.\n\n{Last}",
    )


def test_a_first_string_is_documentation_in_a_flow_and_in_a_tool() -> None:
    assert only('flow f() -> int:\n    """Says."""\n    return 1').documentation == "Says."
    assert only('tool f() -> int pure:\n    """Says\n    more."""').documentation == "Says\nmore."


def test_bodies_may_stand_on_the_line_of_their_header() -> None:
    node = only("flow f(x: int) -> int: return x")
    assert node.body == (syntax.Return(syntax.Name("x", span=NOWHERE), span=NOWHERE),)


def test_lines_go_on_inside_brackets_and_trailing_commas_are_allowed_everywhere() -> None:
    text = (
        "flow f(\n    x: int,\n) -> list[\n    int,\n]:\n"
        "    return [\n  x,  # one\n\n        g(x,)[x,],\n    ]\n"
    )
    assert parse(text, "p") == parse("flow f(x: int) -> list[int]: return [x, g(x)[x]]", "p")
    text = 'from "t.py" import (\n    a,\n    b,\n)\nenum E: a, b,\n'
    assert parse(text, "p") == parse('from "t.py" import a, b\nenum E: a, b\n', "p")


@pytest.mark.parametrize("data", [b"\xef\xbb\xbfenum A: x\n", b"enum A: x\r\n", b"\n\n# c\n  \nenum A: x"])
def test_marks_of_the_byte_order_and_of_line_ends_do_not_matter(data: bytes) -> None:
    assert parse_bytes(data, "p").declarations == parse("enum A: x", "p").declarations


def test_comments_are_kept_with_their_places() -> None:
    program = parse(
        "# top\nenum A: x  # side\n\nflow f() -> int:\n    # in\n    return g(1,  # deep\n        2)\n", "p"
    )
    found = [(comment.text, comment.trailing, comment.span.line) for comment in program.comments]
    assert found == [("# top", False, 1), ("# side", True, 2), ("# in", False, 5), ("# deep", True, 6)]


def test_spans_cut_out_what_they_name() -> None:
    text = (
        "@retry(2)\nflow f(x: secret int = 1) -> int reads web:\n    if (x > 0):\n        y = -x ** 2 + (1)\n"
        "    else:\n        y = [a for a in xs if a][0:2]\n    return y\n\n\nenum A: x\n"
    )
    flow = parse(text, "p").declarations[0]
    assert isinstance(flow, syntax.Callable)
    assert flow.body is not None
    assert cut(text, flow.span).startswith("@retry(2)\nflow")
    assert cut(text, flow.span).endswith("return y")
    assert cut(text, flow.header) == "flow f(x: secret int = 1) -> int reads web:"
    assert cut(text, flow.parameters[0].span) == "x: secret int = 1"
    branch = flow.body[0]
    assert isinstance(branch, syntax.If)
    assert cut(text, branch.branches[0][0].span) == "x > 0"
    assert cut(text, branch.branches[0][1][0].span) == "y = -x ** 2 + (1)"
    (other,) = branch.otherwise
    assert isinstance(other, syntax.Assign)
    assert isinstance(other.value, syntax.Subscript)
    assert cut(text, other.value.indices[0].span) == "0:2"
    assert isinstance(other.value.value, syntax.Comprehension)
    assert cut(text, other.value.value.generators[0].span) == "for a in xs if a"


def test_several_wrong_declarations_are_all_reported_in_order() -> None:
    text = (
        "flow a() -> int\n    return 1\n\nflow b() -> int:\n    return 1\n\n"
        "record C:\n    x\n\nflow d(x) -> int: pass\n"
    )
    with pytest.raises(CompileError) as caught:
        parse(text, "p.flow")
    found = [(diagnostic.code, diagnostic.labels[0].span.line) for diagnostic in caught.value.diagnostics]
    assert found == [("E0012", 1), ("E0023", 8), ("E0023", 10)]


def test_a_forgotten_bracket_does_not_hide_the_next_declaration() -> None:
    with pytest.raises(CompileError) as caught:
        parse("flow a() -> int:\n    return f(1\n\nflow b(x) -> int: pass\n", "p.flow")
    assert [diagnostic.code for diagnostic in caught.value.diagnostics] == ["E0006", "E0023"]
