"""The syntax tree: what a .flow file, or a decorated Python function, says before anything is known about it.

Every node is frozen and carries a `Span`. Spans take no part in equality, so two trees are equal when
they say the same thing, wherever it stands. Both front ends build this tree; nothing else does.
"""

from decimal import Decimal
from typing import Any, Literal

from attrs import field, frozen


@frozen
class Span:
    """A piece of a source file. Lines and columns count from 1 in code points; the end is exclusive."""

    line: int
    column: int
    end_line: int
    end_column: int


def _span() -> Any:
    return field(eq=False, repr=False, kw_only=True)


# Types ------------------------------------------------------------------------------------------


@frozen
class Dimension:
    """An array extent: a number, or a name that unifies (`f32[n, 384]`)."""

    extent: int | str
    span: Span = _span()


@frozen
class TypeRef:
    """A type as written: `untrusted list[Passage]?` has labels, a name, arguments and the question mark.

    Arguments of a numeric type are `Dimension`s, of `list`, `dict` and `tuple` are types, of `plan` are tool
    names as `TypeRef`s.
    """

    name: str
    arguments: "tuple[TypeRef | Dimension, ...]" = ()
    labels: tuple[str, ...] = ()
    optional: bool = False
    span: Span = _span()


# Expressions ------------------------------------------------------------------------------------


@frozen
class Name:
    """A variable, or a callable."""

    id: str
    span: Span = _span()


@frozen
class Constant:
    """A constant. `kind` tells apart what Python does not: 30s is seconds, $0.02 is dollars, 2GB is bytes."""

    kind: Literal["int", "float", "str", "bool", "none", "duration", "money", "size"]
    value: int | float | str | bool | Decimal | None
    span: Span = _span()


@frozen
class Hole:
    """A `{expression}` in a template."""

    expression: "Expression"
    span: Span = _span()


@frozen
class Template:
    """A prompt, or an f-string: text and holes in order. Two texts never stand side by side."""

    parts: "tuple[str | Hole, ...]"
    span: Span = _span()


@frozen
class ListDisplay:
    """`[a, b]`."""

    items: "tuple[Expression, ...]"
    span: Span = _span()


@frozen
class DictDisplay:
    """`{"a": 1}`."""

    items: "tuple[tuple[Expression, Expression], ...]"
    span: Span = _span()


@frozen
class Unary:
    """`-x`, `+x`, `not x`, `~x`."""

    operator: Literal["-", "+", "not", "~"]
    operand: "Expression"
    span: Span = _span()


@frozen
class Binary:
    """Arithmetic `+ - * / // % ** @`, bitwise `& | ^`, and short-circuit `and or`."""

    operator: str
    left: "Expression"
    right: "Expression"
    span: Span = _span()


@frozen
class Compare:
    """`a < b <= c`: one more operand than operators. Operators: == != < <= > >= in, not in, is, is not."""

    operators: tuple[str, ...]
    operands: "tuple[Expression, ...]"
    span: Span = _span()


@frozen
class Conditional:
    """`then if test else otherwise`."""

    test: "Expression"
    then: "Expression"
    otherwise: "Expression"
    span: Span = _span()


@frozen
class TryElse:
    """`try attempt else otherwise`: the second value when the first fails."""

    attempt: "Expression"
    otherwise: "Expression"
    span: Span = _span()


@frozen
class Argument:
    """A positional (`name` is None) or keyword argument."""

    name: str | None
    value: "Expression"
    span: Span = _span()


@frozen
class Call:
    """`function(arguments)`. `x.f(a)` has an `Attribute` as its function and means the built-in `f(x, a)`.

    `race`, `vote`, `execute`, `endorse` and `declassify` are calls here and special forms to the checker.
    """

    function: "Expression"
    arguments: tuple[Argument, ...]
    span: Span = _span()


@frozen
class Slice:
    """`start:stop:step` inside a subscript."""

    start: "Expression | None" = None
    stop: "Expression | None" = None
    step: "Expression | None" = None
    span: Span = _span()


@frozen
class Subscript:
    """`value[indices]`; several indices for arrays."""

    value: "Expression"
    indices: "tuple[Expression | Slice, ...]"
    span: Span = _span()


@frozen
class Attribute:
    """`value.name`: a record's field, an enum's member (`Verdict.yes`), or `.T` and `.shape` of an array."""

    value: "Expression"
    name: str
    span: Span = _span()


@frozen
class Generator:
    """`for targets in iterable if conditions` of a comprehension."""

    targets: tuple[str, ...]
    iterable: "Expression"
    conditions: "tuple[Expression, ...]" = ()
    span: Span = _span()


@frozen
class Comprehension:
    """`[element for x in xs if p]`: a parallel map, results in order."""

    element: "Expression"
    generators: tuple[Generator, ...]
    span: Span = _span()


Expression = (
    Name
    | Constant
    | Template
    | ListDisplay
    | DictDisplay
    | Unary
    | Binary
    | Compare
    | Conditional
    | TryElse
    | Call
    | Subscript
    | Attribute
    | Comprehension
)


# Statements -------------------------------------------------------------------------------------


@frozen
class Assign:
    """`x = e`, `x: T = e`, `a, b = e`, and `x += e` (`operator` is then "+")."""

    targets: tuple[str, ...]
    value: Expression
    annotation: TypeRef | None = None
    operator: str | None = None
    span: Span = _span()


@frozen
class Return:
    """`return e`."""

    value: Expression | None
    span: Span = _span()


@frozen
class Break:
    """`break`."""

    span: Span = _span()


@frozen
class Continue:
    """`continue`."""

    span: Span = _span()


@frozen
class Pass:
    """`pass`."""

    span: Span = _span()


@frozen
class ExpressionStatement:
    """A call made for its effect."""

    value: Expression
    span: Span = _span()


@frozen
class If:
    """`if`/`elif` branches in order, and the `else` block (empty when there is none)."""

    branches: "tuple[tuple[Expression, Block], ...]"
    otherwise: "Block" = ()
    span: Span = _span()


@frozen
class For:
    """`for a, b in iterable:`."""

    targets: tuple[str, ...]
    iterable: Expression
    body: "Block"
    span: Span = _span()


@frozen
class While:
    """`while test up to bound:`."""

    test: Expression
    bound: Expression
    body: "Block"
    span: Span = _span()


@frozen
class With:
    """`with timeout(30s), budget($1):`; each limit is a `Call`."""

    limits: tuple[Call, ...]
    body: "Block"
    span: Span = _span()


@frozen
class Try:
    """`try:` block, `else:` block: the second runs when the first fails."""

    body: "Block"
    otherwise: "Block"
    span: Span = _span()


Statement = Assign | Return | Break | Continue | Pass | ExpressionStatement | If | For | While | With | Try
Block = tuple[Statement, ...]


# Declarations -----------------------------------------------------------------------------------


@frozen
class Import:
    """`from "tools.py" import search, send`: Python functions behind the tools of the same names."""

    path: str
    names: tuple[str, ...]
    span: Span = _span()


@frozen
class LabelOrder:
    """`labels public < internal < secret`: one chain, from the least to the most restricted."""

    names: tuple[str, ...]
    span: Span = _span()


@frozen
class Field:
    """One field of a record."""

    name: str
    type: TypeRef
    span: Span = _span()


@frozen
class Record:
    """`record Passage:` and its fields."""

    name: str
    fields: tuple[Field, ...]
    span: Span = _span()


@frozen
class Enum:
    """`enum Verdict: yes, no, unsure`."""

    name: str
    members: tuple[str, ...]
    span: Span = _span()


@frozen
class Parameter:
    """A parameter of a callable."""

    name: str
    type: TypeRef
    default: Expression | None = None
    span: Span = _span()


@frozen
class Effect:
    """`pure`, `llm`, `human`, `reads web`, `writes mail idempotent undo unsend`."""

    kind: Literal["pure", "llm", "human", "reads", "writes"]
    resource: str | None = None
    idempotent: bool = False
    undo: str | None = None
    span: Span = _span()


@frozen
class Decorator:
    """`@retry(2, backoff=200ms)`."""

    name: str
    arguments: tuple[Argument, ...] = ()
    span: Span = _span()


@frozen
class Callable:
    """An `llm`, `tool`, `human`, `kernel` or `flow`.

    `prompt` is the body of an llm or human; `body` the statements of a kernel or flow; a tool has neither.
    `effects` is None where nothing is written. `header` is the span of the line(s) up to the colon.
    """

    kind: Literal["llm", "tool", "human", "kernel", "flow"]
    name: str
    parameters: tuple[Parameter, ...]
    result: TypeRef
    effects: tuple[Effect, ...] | None = None
    decorators: tuple[Decorator, ...] = ()
    prompt: Template | None = None
    body: Block | None = None
    documentation: str | None = None
    span: Span = _span()
    header: Span = field(eq=False, repr=False, kw_only=True)


Declaration = Import | LabelOrder | Record | Enum | Callable


@frozen
class Comment:
    """A `#` comment, `#` included. `trailing` when code stands before it on its line."""

    text: str
    trailing: bool
    span: Span = _span()


@frozen
class Program:
    """A whole file. Comments are kept for the formatter and take no part in equality."""

    declarations: tuple[Declaration, ...]
    language: int = 1
    comments: tuple[Comment, ...] = field(default=(), eq=False, repr=False)
    span: Span = _span()
