"""Declarations, comments and the whole program."""

from typing import Literal

from attrs import field, frozen

from flowc.compiler.spans import Span, span_field
from flowc.compiler.syntax.expressions import Argument, Expression, Template
from flowc.compiler.syntax.statements import Block
from flowc.compiler.syntax.types import TypeRef


@frozen
class Import:
    """`from "tools.py" import search, send`: Python functions behind the tools of the same names."""

    path: str
    names: tuple[str, ...]
    span: Span = span_field()


@frozen
class LabelOrder:
    """`labels public < internal < secret`: one chain, from the least to the most restricted."""

    names: tuple[str, ...]
    span: Span = span_field()


@frozen
class Field:
    """One field of a record."""

    name: str
    type: TypeRef
    span: Span = span_field()


@frozen
class Record:
    """`record Passage:` and its fields."""

    name: str
    fields: tuple[Field, ...]
    span: Span = span_field()


@frozen
class Enum:
    """`enum Verdict: yes, no, unsure`."""

    name: str
    members: tuple[str, ...]
    span: Span = span_field()


@frozen
class Parameter:
    """A parameter of a callable."""

    name: str
    type: TypeRef
    default: Expression | None = None
    span: Span = span_field()


@frozen
class Effect:
    """`pure`, `llm`, `human`, `sleep`, `reads web`, `writes mail idempotent undo unsend`."""

    kind: Literal["pure", "llm", "human", "sleep", "reads", "writes"]
    resource: str | None = None
    idempotent: bool = False
    undo: str | None = None
    span: Span = span_field()


@frozen
class Decorator:
    """`@retry(2, backoff=200ms)`."""

    name: str
    arguments: tuple[Argument, ...] = ()
    span: Span = span_field()


@frozen
class Callable:
    """An `llm`, `tool`, `human`, `event`, `kernel` or `flow`.

    `prompt` is the body of an llm, human or event; `body` the statements of a kernel or flow; a tool has
    neither. `effects` is None where nothing is written. `header` is the span of the line(s) up to the colon.
    """

    kind: Literal["llm", "tool", "human", "event", "kernel", "flow"]
    name: str
    parameters: tuple[Parameter, ...]
    result: TypeRef
    effects: tuple[Effect, ...] | None = None
    decorators: tuple[Decorator, ...] = ()
    prompt: Template | None = None
    body: Block | None = None
    documentation: str | None = None
    span: Span = span_field()
    header: Span = span_field()


Declaration = Import | LabelOrder | Record | Enum | Callable


@frozen
class Comment:
    """A `#` comment, `#` included. `trailing` when code stands before it on its line."""

    text: str
    trailing: bool
    span: Span = span_field()


@frozen
class Program:
    """A whole file. Comments are kept for the formatter and take no part in equality.

    `python` says that it was written in Python, where values as text read as Python writes them.
    """

    declarations: tuple[Declaration, ...]
    language: int = 1
    comments: tuple[Comment, ...] = field(default=(), eq=False, repr=False)
    python: bool = field(default=False, eq=False, repr=False)
    span: Span = span_field()
