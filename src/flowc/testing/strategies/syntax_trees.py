"""Generators of programs for property tests.

`programs()` gives arbitrary well-formed syntax trees: they parse and print, but need not type-check. The
generator draws by hand, level by level, because strategies nested that deep are slow to build.
"""

from typing import Any, TypeVar

from hypothesis import strategies as st

from flowc.compiler import syntax
from flowc.compiler.parser.lexer import FOREIGN
from flowc.grammar.tables import RESERVED

NOWHERE = syntax.Span(1, 1, 1, 1)
"""The span of every generated node: spans take no part in equality."""

T = TypeVar("T")

_TAKEN = RESERVED | FOREIGN
_EFFECTS = ("pure", "reads", "writes", "llm", "human", "sleep", "idempotent", "undo")
_ARRAY_TYPES = ("f32", "f64", "bf16", "f16", "i8", "i32", "i64", "bool")
LONG = "a_name_that_needs_a_third_of_a_line"
"""Of a few of these a line cannot be made, so that every layout of the formatter is met."""
_WORDS = ("x", "y", "text", "record", "llm", "up", "to", "labels", "undo", "pure", "größe", "_a1", LONG)
_TEXTS = (
    '"',
    "'",
    '"""',
    "\\",
    "{",
    "}}",
    " a ",
    "\n",
    "a\n    b\n\n  c",
    "\t",
    "\u202e",
    'x"',
    "#",
    "\\\n",
    "\r\n",
)

names = st.one_of(st.sampled_from(_WORDS), st.from_regex(r"[a-z_][a-z0-9_]{0,5}", fullmatch=True)).filter(
    lambda name: name not in _TAKEN
)
type_names = names.filter(lambda name: name not in (*_EFFECTS, *_ARRAY_TYPES))
"""Names that mean no effect: a type's name may stand right before one."""
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=10) | st.sampled_from(_TEXTS)

constants: st.SearchStrategy[tuple[Any, Any]] = st.one_of(
    st.tuples(st.just("int"), st.integers(min_value=0)),
    st.tuples(st.just("float"), st.floats(min_value=0, allow_nan=False, allow_infinity=False)),
    st.tuples(st.just("str"), texts),
    st.tuples(st.just("bool"), st.booleans()),
    st.just(("none", None)),
    st.tuples(st.just("duration"), st.sampled_from((0.0, 0.2, 1.5, 30.0, 90.0, 120.0, 3600.0, 0.0001))),
    st.tuples(st.just("money"), st.decimals(min_value=0, max_value=1000, places=4)),
    st.tuples(st.just("size"), st.integers(min_value=0, max_value=2**50)),
)
arithmetic = st.sampled_from(("+", "-", "*", "/", "//", "%", "**", "@", "&", "|", "^", "and", "or"))
comparisons = st.sampled_from(("==", "!=", "<", "<=", ">", ">=", "in", "not in", "is", "is not"))
small = st.integers(min_value=0, max_value=2)


class _Tree:
    """Draws nodes; `depth` bounds how far below a node goes."""

    def __init__(self, draw: st.DrawFn) -> None:
        self.draw = draw

    def choose(self, *choices: T) -> T:
        return choices[self.draw(st.integers(min_value=0, max_value=len(choices) - 1))]

    def times(self, least: int = 0) -> range:
        return range(max(least, self.draw(small)))

    def names(self, least: int = 1) -> tuple[str, ...]:
        return tuple(self.draw(names) for _ in self.times(least))

    def type(self, depth: int = 2) -> syntax.TypeRef:
        labels = tuple(self.draw(type_names) for _ in self.times())
        optional = self.draw(st.booleans())
        arguments: tuple[syntax.TypeRef | syntax.Dimension, ...] = ()
        if self.draw(st.booleans()):
            extents = st.integers(min_value=0, max_value=10**6) | type_names
            arguments = tuple(syntax.Dimension(self.draw(extents), span=NOWHERE) for _ in self.times())
            return syntax.TypeRef(self.choose(*_ARRAY_TYPES), arguments, labels, optional, span=NOWHERE)
        if depth:
            arguments = tuple(self.type(depth - 1) for _ in self.times())
        name = self.choose("none", self.draw(type_names))
        return syntax.TypeRef(name, arguments, labels, optional, span=NOWHERE)

    def effect(self) -> syntax.Effect:
        kind: Any = self.choose("pure", "llm", "human", "sleep", "reads", "writes")
        resource = self.draw(names) if kind in ("reads", "writes") else None
        writes = kind == "writes"
        undo = self.draw(names) if writes and self.draw(st.booleans()) else None
        return syntax.Effect(kind, resource, writes and self.draw(st.booleans()), undo, span=NOWHERE)

    def expression(self, depth: int = 3) -> syntax.Expression:
        if depth == 0 or self.choose(False, False, True):
            if self.draw(st.booleans()):
                return syntax.Name(self.draw(names), span=NOWHERE)
            kind, value = self.draw(constants)
            return syntax.Constant(kind, value, span=NOWHERE)
        make = self.choose(
            self._template, self._list, self._dict, self._unary, self._binary, self._binary, self._compare,
            self._conditional, self._try_else, self._call, self._subscript, self._attribute,
            self._comprehension,
        )  # fmt: skip
        return make(depth - 1)

    def _several(self, depth: int) -> tuple[syntax.Expression, ...]:
        return tuple(self.expression(depth) for _ in self.times())

    def _template(self, depth: int) -> syntax.Expression:
        return self.template(depth)

    def template(self, depth: int = 2) -> syntax.Template:
        parts: list[str | syntax.Hole] = []
        for _ in self.times():
            text = self.draw(texts)
            parts += [text] if text and not (parts and isinstance(parts[-1], str)) else []
            parts += [syntax.Hole(self.expression(depth), span=NOWHERE)] if self.draw(st.booleans()) else []
        return syntax.Template(tuple(parts), span=NOWHERE)

    def _list(self, depth: int) -> syntax.Expression:
        return syntax.ListDisplay(self._several(depth), span=NOWHERE)

    def _dict(self, depth: int) -> syntax.Expression:
        items = tuple((self.expression(depth), self.expression(depth)) for _ in self.times())
        return syntax.DictDisplay(items, span=NOWHERE)

    def _unary(self, depth: int) -> syntax.Expression:
        return syntax.Unary(self.choose("-", "+", "not", "~"), self.expression(depth), span=NOWHERE)

    def _binary(self, depth: int) -> syntax.Expression:
        left, right = self.expression(depth), self.expression(depth)
        return syntax.Binary(self.draw(arithmetic), left, right, span=NOWHERE)

    def _compare(self, depth: int) -> syntax.Expression:
        operators = tuple(self.draw(comparisons) for _ in self.times(1))
        operands = tuple(self.expression(depth) for _ in (None, *operators))
        return syntax.Compare(operators, operands, span=NOWHERE)

    def _conditional(self, depth: int) -> syntax.Expression:
        parts = (self.expression(depth), self.expression(depth), self.expression(depth))
        return syntax.Conditional(*parts, span=NOWHERE)

    def _try_else(self, depth: int) -> syntax.Expression:
        return syntax.TryElse(self.expression(depth), self.expression(depth), span=NOWHERE)

    def arguments(self, depth: int = 1) -> tuple[syntax.Argument, ...]:
        positional = [syntax.Argument(None, self.expression(depth), span=NOWHERE) for _ in self.times()]
        keyword = [
            syntax.Argument(self.draw(names), self.expression(depth), span=NOWHERE) for _ in self.times()
        ]
        return (*positional, *keyword)

    def _call(self, depth: int) -> syntax.Expression:
        return syntax.Call(self.expression(depth), self.arguments(depth), span=NOWHERE)

    def _subscript(self, depth: int) -> syntax.Expression:
        indices = tuple(self._index(depth) for _ in self.times(1))
        return syntax.Subscript(self.expression(depth), indices, span=NOWHERE)

    def _index(self, depth: int) -> syntax.Expression | syntax.Slice:
        if self.draw(st.booleans()):
            return self.expression(depth)
        start, stop, step = (self.expression(depth) if self.draw(st.booleans()) else None for _ in range(3))
        return syntax.Slice(start, stop, step, span=NOWHERE)

    def _attribute(self, depth: int) -> syntax.Expression:
        return syntax.Attribute(self.expression(depth), self.draw(names), span=NOWHERE)

    def _comprehension(self, depth: int) -> syntax.Expression:
        generators = tuple(
            syntax.Generator(self.names(), self.expression(depth), self._several(depth), span=NOWHERE)
            for _ in self.times(1)
        )
        return syntax.Comprehension(self.expression(depth), generators, span=NOWHERE)

    def block(self, depth: int = 2) -> syntax.Block:
        return tuple(self.statement(depth) for _ in self.times(1))

    def statement(self, depth: int) -> syntax.Statement:
        if depth == 0 or self.choose(False, False, True):
            return self._simple()
        inner = depth - 1
        match self.choose("if", "for", "while", "with", "try"):
            case "if":
                branches = tuple((self.expression(1), self.block(inner)) for _ in self.times(1))
                otherwise = self.block(inner) if self.draw(st.booleans()) else ()
                return syntax.If(branches, otherwise, span=NOWHERE)
            case "for":
                return syntax.For(self.names(), self.expression(1), self.block(inner), span=NOWHERE)
            case "while":
                return syntax.While(self.expression(1), self.expression(1), self.block(inner), span=NOWHERE)
            case "with":
                if self.draw(st.booleans()):
                    return syntax.With((), self.block(inner), transaction=True, span=NOWHERE)
                limits = tuple(
                    syntax.Call(syntax.Name(self.draw(names), span=NOWHERE), self.arguments(), span=NOWHERE)
                    for _ in self.times(1)
                )
                return syntax.With(limits, self.block(inner), span=NOWHERE)
        return syntax.Try(self.block(inner), self.block(inner), span=NOWHERE)

    def _simple(self) -> syntax.Statement:
        match self.choose("assign", "annotated", "augmented", "return", "word", "expression"):
            case "assign":
                return syntax.Assign(self.names(), self.expression(), span=NOWHERE)
            case "annotated":
                return syntax.Assign((self.draw(names),), self.expression(1), self.type(), span=NOWHERE)
            case "augmented":
                operator = self.choose("+", "//", "**", "@", "^")
                return syntax.Assign((self.draw(names),), self.expression(1), operator=operator, span=NOWHERE)
            case "return":
                return syntax.Return(self.expression() if self.draw(st.booleans()) else None, span=NOWHERE)
            case "word":
                words = (syntax.Break, syntax.Continue, syntax.Pass)
                word: syntax.Statement = self.choose(*(each(span=NOWHERE) for each in words))
                return word
        return syntax.ExpressionStatement(self.expression(), span=NOWHERE)

    def declaration(self) -> syntax.Declaration:
        match self.choose("import", "labels", "record", "enum", "tool", "prompted", "function", "function"):
            case "import":
                return syntax.Import(self.draw(st.just(3 * LONG) | texts), self.names(), span=NOWHERE)
            case "labels":
                return syntax.LabelOrder((self.draw(names), *self.names()), span=NOWHERE)
            case "record":
                fields = tuple(
                    syntax.Field(self.draw(names), self.type(), span=NOWHERE) for _ in self.times(1)
                )
                return syntax.Record(self.draw(names), fields, span=NOWHERE)
            case "enum":
                return syntax.Enum(self.draw(names), self.names(), span=NOWHERE)
            case "tool":
                return self._callable("tool", documentation=self._documentation())
            case "prompted":
                return self._callable(self.choose("llm", "human", "event"), prompt=self.template())
        return self._callable(
            self.choose("kernel", "flow"), body=self.block(), documentation=self._documentation()
        )

    def _documentation(self) -> str | None:
        return self.draw(texts).strip() if self.draw(st.booleans()) else None

    def _callable(self, kind: Any, **parts: Any) -> syntax.Callable:
        required = [syntax.Parameter(self.draw(names), self.type(), span=NOWHERE) for _ in self.times()]
        optional = [
            syntax.Parameter(self.draw(names), self.type(1), self.expression(1), span=NOWHERE)
            for _ in self.times()
        ]
        effects = tuple(self.effect() for _ in self.times(1)) if self.draw(st.booleans()) else None
        decorators = tuple(
            syntax.Decorator(self.draw(names), self.arguments(), span=NOWHERE) for _ in self.times()
        )
        return syntax.Callable(
            kind, self.draw(names), (*required, *optional), self.type(), effects, decorators,
            span=NOWHERE, header=NOWHERE, **parts,
        )  # fmt: skip


@st.composite
def programs(draw: st.DrawFn, most: int = 2) -> syntax.Program:
    """Whole programs of up to `most` declarations."""
    tree = _Tree(draw)
    count = draw(st.integers(min_value=0, max_value=most))
    return syntax.Program(tuple(tree.declaration() for _ in range(count)), span=NOWHERE)
