"""Generators of programs for property tests.

`programs()` gives arbitrary well-formed syntax trees: they parse and print, but need not type-check.
"""

from typing import Any

from flowc.compiler import syntax
from flowc.compiler.parser.lexer import FOREIGN
from flowc.grammar.tables import RESERVED
from hypothesis import strategies as st

NOWHERE = syntax.Span(1, 1, 1, 1)
"""The span of every generated node: spans take no part in equality."""

_TAKEN = RESERVED | FOREIGN
_ARRAY_TYPES = ("f32", "f64", "bf16", "f16", "i8", "i32", "i64", "bool")


def _node(kind: type, *arguments: st.SearchStrategy[Any], **named: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.builds(kind, *arguments, span=st.just(NOWHERE), **named)


def _some(items: st.SearchStrategy[Any], *, least: int = 0, most: int = 3) -> st.SearchStrategy[Any]:
    return st.lists(items, min_size=least, max_size=most).map(tuple)


words = st.sampled_from(("x", "y", "text", "record", "reads", "llm", "up", "to", "labels", "undo", "pure", "größe", "_a1"))
names = st.one_of(words, st.from_regex(r"[a-z_][a-z0-9_]{0,5}", fullmatch=True)).filter(lambda name: name not in _TAKEN)
plain_names = names.filter(lambda name: name not in ("pure", "reads", "writes", "llm", "human", "idempotent", "undo"))
"""Names that mean no effect: a type's name may stand right before one."""

texts = st.text(st.characters(exclude_categories=("Cs",)), max_size=12) | st.sampled_from(
    ('"', "'", '"""', "\\", "{", "}}", " a ", "\n", "a\n    b\n\n  c", "\t", "é\u202e", 'say "x"', "#", "\\\n", "\r\n")
)

constants = st.one_of(
    _node(syntax.Constant, st.just("int"), st.integers(min_value=0)),
    _node(syntax.Constant, st.just("float"), st.floats(min_value=0, allow_nan=False, allow_infinity=False)),
    _node(syntax.Constant, st.just("str"), texts),
    _node(syntax.Constant, st.just("bool"), st.booleans()),
    _node(syntax.Constant, st.just("none"), st.none()),
    _node(syntax.Constant, st.just("duration"), st.sampled_from((0.0, 0.2, 1.5, 30.0, 90.0, 120.0, 3600.0, 0.0001))),
    _node(syntax.Constant, st.just("money"), st.decimals(min_value=0, max_value=1000, places=4)),
    _node(syntax.Constant, st.just("size"), st.integers(min_value=0, max_value=2**50)),
)

dimensions = _node(syntax.Dimension, st.integers(min_value=0, max_value=10**6) | plain_names)


def _types(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """Types over other types."""
    labels = _some(plain_names, most=2)
    arrays = _node(syntax.TypeRef, st.sampled_from(_ARRAY_TYPES), _some(dimensions), labels, st.booleans())
    others = plain_names.filter(lambda name: name not in _ARRAY_TYPES) | st.just("none")
    return arrays | _node(syntax.TypeRef, others, _some(inner), labels, st.booleans())


types = st.recursive(_types(st.nothing()), _types, max_leaves=4)

effects = st.one_of(
    _node(syntax.Effect, st.sampled_from(("pure", "llm", "human"))),
    _node(syntax.Effect, st.just("reads"), names),
    _node(syntax.Effect, st.just("writes"), names, st.booleans(), st.none() | names),
)


def _parts(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """The parts of a template: no two texts side by side, none empty."""
    holes = _node(syntax.Hole, inner)
    return st.lists(texts.filter(bool) | holes, max_size=4).map(_alternating)


def _alternating(parts: list[Any]) -> tuple[Any, ...]:
    kept: list[Any] = []
    for part in parts:
        if not (kept and isinstance(part, str) and isinstance(kept[-1], str)):
            kept.append(part)
    return tuple(kept)


def _arguments(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    positional = _some(_node(syntax.Argument, st.none(), inner), most=2)
    keyword = _some(_node(syntax.Argument, names, inner), most=2)
    return st.tuples(positional, keyword).map(lambda both: both[0] + both[1])


def _comparisons(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    operators = st.sampled_from(("==", "!=", "<", "<=", ">", ">=", "in", "not in", "is", "is not"))
    pairs = st.lists(st.tuples(operators, inner), min_size=1, max_size=2)
    return st.builds(
        lambda first, rest: syntax.Compare(
            tuple(operator for operator, _ in rest), (first, *(operand for _, operand in rest)), span=NOWHERE
        ),
        inner,
        pairs,
    )


def _expressions(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """Expressions over other expressions."""
    operators = st.sampled_from(("+", "-", "*", "/", "//", "%", "**", "@", "&", "|", "^", "and", "or"))
    slices = _node(syntax.Slice, st.none() | inner, st.none() | inner, st.none() | inner)
    generators = _node(syntax.Generator, _some(names, least=1, most=2), inner, _some(inner, most=2))
    return st.one_of(
        _node(syntax.Template, _parts(inner)),
        _node(syntax.ListDisplay, _some(inner)),
        _node(syntax.DictDisplay, _some(st.tuples(inner, inner), most=2)),
        _node(syntax.Unary, st.sampled_from(("-", "+", "not", "~")), inner),
        _node(syntax.Binary, operators, inner, inner),
        _comparisons(inner),
        _node(syntax.Conditional, inner, inner, inner),
        _node(syntax.TryElse, inner, inner),
        _node(syntax.Call, inner, _arguments(inner)),
        _node(syntax.Subscript, inner, _some(inner | slices, least=1, most=2)),
        _node(syntax.Attribute, inner, names),
        _node(syntax.Comprehension, inner, _some(generators, least=1, most=2)),
    )


expressions = st.recursive(_node(syntax.Name, names) | constants, _expressions, max_leaves=6)
small_expressions = st.recursive(_node(syntax.Name, names) | constants, _expressions, max_leaves=3)

limits = _node(syntax.Call, _node(syntax.Name, names), _arguments(small_expressions))
targets = _some(names, least=1, most=2)


def _statements(block: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """Statements over blocks."""
    branch = st.tuples(small_expressions, block)
    return st.one_of(
        _node(syntax.If, _some(branch, least=1, most=2), block | st.just(())),
        _node(syntax.For, targets, small_expressions, block),
        _node(syntax.While, small_expressions, small_expressions, block),
        _node(syntax.With, _some(limits, least=1, most=2), block),
        _node(syntax.Try, block, block),
    )


simple_statements = st.one_of(
    _node(syntax.Assign, targets, expressions),
    _node(syntax.Assign, st.tuples(names), small_expressions, types),
    _node(syntax.Assign, st.tuples(names), small_expressions, operator=st.sampled_from(("+", "//", "**", "@", "^"))),
    _node(syntax.Return, st.none() | expressions),
    _node(syntax.Break),
    _node(syntax.Continue),
    _node(syntax.Pass),
    _node(syntax.ExpressionStatement, expressions),
)
statements = st.recursive(
    simple_statements, lambda inner: _statements(_some(inner, least=1, most=2)), max_leaves=4
)


def _parameters() -> st.SearchStrategy[Any]:
    required = _some(_node(syntax.Parameter, names, types), most=2)
    optional = _some(_node(syntax.Parameter, names, types, small_expressions), most=2)
    return st.tuples(required, optional).map(lambda both: both[0] + both[1])


def _callables(kinds: tuple[str, ...], **parts: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return _node(
        syntax.Callable,
        st.sampled_from(kinds),
        names,
        _parameters(),
        types,
        effects=st.none() | _some(effects, least=1, most=2),
        decorators=_some(_node(syntax.Decorator, names, _arguments(small_expressions)), most=2),
        header=st.just(NOWHERE),
        **parts,
    )


documentation = st.none() | texts.map(str.strip)
declarations = st.one_of(
    _node(syntax.Import, texts, _some(names, least=1)),
    _node(syntax.LabelOrder, _some(names, least=2)),
    _node(syntax.Record, names, _some(_node(syntax.Field, names, types), least=1)),
    _node(syntax.Enum, names, _some(names, least=1)),
    _callables(("tool",), documentation=documentation),
    _callables(("llm", "human"), prompt=_node(syntax.Template, _parts(small_expressions))),
    _callables(("kernel", "flow"), body=_some(statements, least=1, most=3), documentation=documentation),
)


def programs(*, most: int = 3) -> st.SearchStrategy[syntax.Program]:
    """Whole programs of up to `most` declarations."""
    return _node(syntax.Program, _some(declarations, most=most))
