"""Precedence and literals, against Python's own parser where the two languages agree."""

import ast
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flowc.compiler import syntax
from flowc.compiler.parser import parse


def expression(text: str) -> syntax.Expression:
    """The tree of an expression."""
    program = parse(f"flow f() -> int:\n    return {text}\n", "f.flow")
    flow = program.declarations[0]
    assert isinstance(flow, syntax.Callable)
    assert flow.body is not None
    statement = flow.body[0]
    assert isinstance(statement, syntax.Return)
    assert statement.value is not None
    return statement.value


def shape(node: object) -> str:
    """An expression with all its brackets."""
    match node:
        case syntax.Name(id=name):
            return name
        case syntax.Unary(operator=operator, operand=operand):
            return f"({operator} {shape(operand)})"
        case syntax.Binary(operator=operator, left=left, right=right):
            return f"({shape(left)} {operator} {shape(right)})"
        case syntax.Compare(operators=operators, operands=operands):
            pairs = zip(operators, operands[1:], strict=True)
            return (
                f"({shape(operands[0])}"
                + "".join(f" {operator} {shape(right)}" for operator, right in pairs)
                + ")"
            )
        case syntax.Conditional(test=test, then=then, otherwise=otherwise):
            return f"({shape(then)} if {shape(test)} else {shape(otherwise)})"
    raise AssertionError(node)


_PYTHON = {
    ast.Add: "+", ast.Sub: "-", ast.Mult: "*", ast.Div: "/", ast.FloorDiv: "//", ast.Mod: "%",
    ast.MatMult: "@", ast.Pow: "**", ast.BitAnd: "&", ast.BitOr: "|", ast.BitXor: "^",
    ast.And: "and", ast.Or: "or",
    ast.USub: "-",
    ast.UAdd: "+", ast.Not: "not", ast.Invert: "~", ast.Lt: "<", ast.GtE: ">=", ast.Eq: "==", ast.NotEq: "!=",
    ast.In: "in", ast.NotIn: "not in", ast.Is: "is", ast.IsNot: "is not",
}  # fmt: skip


def python_shape(node: ast.expr) -> str:
    """The same of Python's tree."""
    match node:
        case ast.Name(id=name):
            return name
        case ast.UnaryOp(op=op, operand=operand):
            return f"({_PYTHON[type(op)]} {python_shape(operand)})"
        case ast.BinOp(op=op, left=left, right=right):
            return f"({python_shape(left)} {_PYTHON[type(op)]} {python_shape(right)})"
        case ast.BoolOp(op=op, values=values):
            joined = python_shape(values[0])
            for value in values[1:]:
                joined = f"({joined} {_PYTHON[type(op)]} {python_shape(value)})"
            return joined
        case ast.Compare(ops=ops, left=left, comparators=comparators):
            pairs = zip(ops, comparators, strict=True)
            rest = "".join(f" {_PYTHON[type(op)]} {python_shape(right)}" for op, right in pairs)
            return f"({python_shape(left)}{rest})"
        case ast.IfExp(test=test, body=body, orelse=orelse):
            return f"({python_shape(body)} if {python_shape(test)} else {python_shape(orelse)})"
    raise AssertionError(node)


_words = st.sampled_from(sorted(set(_PYTHON.values()) - {"not", "~"}))
_sides = st.sampled_from(("", "", "", "- ", "+ ", "~ ", "not "))


@settings(deadline=None, max_examples=150)
@given(st.lists(st.tuples(_words, _sides), max_size=6), st.booleans(), st.integers(0, 5), st.integers(0, 5))
def test_operators_bind_as_in_python(
    operators: list[tuple[str, str]], brackets: bool, first: int, last: int
) -> None:
    parts = ["a"]
    for index, (operator, side) in enumerate(operators):
        parts += [operator, side + "bcdefg"[index]]
    operands = parts[::2]
    if brackets and first < last < len(operands):
        parts[2 * first], parts[2 * last] = "(" + parts[2 * first], parts[2 * last] + ")"
    text = " ".join(parts)
    try:
        expected = python_shape(ast.parse(text, mode="eval").body)
    except SyntaxError:
        return
    assert shape(expression(text)) == expected


def test_a_choice_binds_as_in_python() -> None:
    text = "a if b or c else d if not e else f"
    assert shape(expression(text)) == python_shape(ast.parse(text, mode="eval").body)


@pytest.mark.parametrize(
    ("text", "kind", "value"),
    [
        ("12", "int", 12),
        ("1_000", "int", 1000),
        ("0xff", "int", 255),
        ("0b101", "int", 5),
        ("0o17", "int", 15),
        ("0", "int", 0),
        ("1.50", "float", 1.5),
        ("1e-6", "float", 1e-6),
        ("2.5E3", "float", 2500.0),
        ("200ms", "duration", 0.2),
        ("30s", "duration", 30.0),
        ("1.5min", "duration", 90.0),
        ("1h", "duration", 3600.0),
        ("$0.02", "money", Decimal("0.02")),
        ("$1_000", "money", Decimal(1000)),
        ("2GB", "size", 2_000_000_000),
        ("512MB", "size", 512_000_000),
        ("1KiB", "size", 1024),
        ("1.5KiB", "size", 1536),
        ("64B", "size", 64),
        ("true", "bool", True),
        ("none", "none", None),
        (r'"a\n\x41\u2014\U0001f600\"\\"', "str", 'a\nA\u2014\U0001f600"\\'),
        ("'it is \"so\"'", "str", 'it is "so"'),
        ('"""a "b"\nc"""', "str", 'a "b"\nc'),
        ('"{x}}"', "str", "{x}}"),
    ],
)
def test_a_constant_means_what_it_says(text: str, kind: str, value: object) -> None:
    assert expression(text) == syntax.Constant(kind, value, span=syntax.Span(1, 1, 1, 1))  # type: ignore[arg-type]


@given(st.text(st.characters(exclude_categories=("Cs",)), max_size=20))
@settings(deadline=None)
def test_a_python_string_without_odd_escapes_means_the_same(text: str) -> None:
    written = (
        '"' + text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n").replace("\0", "\\x00") + '"'
    )
    written = "".join(c if c.isprintable() else f"\\U{ord(c):08x}" for c in written)
    assert expression(written) == syntax.Constant(
        "str", ast.literal_eval(written), span=syntax.Span(1, 1, 1, 1)
    )


def test_template_holes_are_expressions_with_their_own_spans() -> None:
    node = expression('f"a{{ {x + 1} {f"{"b"}"}"')
    assert isinstance(node, syntax.Template)
    text, hole, space, nested = node.parts
    assert (text, space) == ("a{ ", " ")
    assert isinstance(hole, syntax.Hole)
    assert (hole.expression.span.column, hole.expression.span.end_column) == (19, 24)
    assert isinstance(nested, syntax.Hole)
    assert isinstance(nested.expression, syntax.Template)


def test_a_size_of_many_digits_is_exact() -> None:
    size = expression(f"{'1234567890' * 4}B")
    assert isinstance(size, syntax.Constant)
    assert size.value == int("1234567890" * 4)
