"""The checked program: the syntax tree as it was, and beside it everything that checking found out.

The tree is never rebuilt. What is known about an expression stands in mappings keyed by `id(expression)`;
the ids stay valid as long as `Checked.program` lives.
"""

from collections.abc import Mapping
from typing import Literal

from attrs import field, frozen

from flowc.compiler.diagnostics.model import Diagnostic, Source
from flowc.compiler.syntax import Callable, Expression, Program, Span
from flowc.runtime.plan import Effect, Limits
from flowc.runtime.types import Type

Labels = frozenset[str]
"""At most one label of each chain, without the least ones: trusted public data has the empty set."""

CallableKind = Literal["llm", "tool", "human", "event", "kernel", "flow"]
CallKind = Literal[
    "builtin", "llm", "tool", "human", "event", "kernel", "flow", "record", "enum",
    "race", "vote", "execute", "sleep", "endorse", "declassify",
]  # fmt: skip


@frozen
class ParameterInfo:
    """A parameter: `bounds` are the labels written on its type, upper bounds for what may be passed."""

    name: str
    type: Type
    bounds: Labels
    default: Expression | None
    span: Span


@frozen
class FieldInfo:
    """A field of a record; `labels` join those of the record's value when the field is read."""

    name: str
    type: Type
    labels: Labels
    span: Span


@frozen
class Signature:
    """A callable as its callers see it, and the settings that its decorators give.

    `effects` are declared or, for a flow, inferred, each resource once. `module` and
    `function` name the Python function behind a tool, when it has one.
    """

    kind: CallableKind
    name: str
    parameters: tuple[ParameterInfo, ...]
    result: Type
    result_labels: Labels
    effects: tuple[Effect, ...]
    declaration: Callable
    limits: Limits = field(factory=Limits)
    model: str | None = None
    temperature: float | None = None
    max_tokens: int | None = None
    cached: bool = False
    reorder: bool = False
    fusable: bool = False
    associative: bool = False
    latency: float | None = None
    module: str | None = None
    function: str | None = None


@frozen
class BoundCall:
    """A call with its arguments in parameter order; defaults are filled in, those of built-ins as constants.

    For a built-in, `form` says what the call becomes: "apply" (the function `name` of the runtime) or a
    kind of array op ("elementwise", "reduce", "argreduce", "softmax", "topk", "cast", "gather", "scan",
    "transpose", "reshape", "fill", "iota", "contract", "shape"), and `operator` which one ("sum").
    `options` holds what the call fixes at compile time: `axis`, `keepdims`, the `reason` of an endorse,
    `max` and `lead` of a vote, the resolved `shape`.
    """

    kind: CallKind
    name: str
    arguments: tuple[Expression, ...]
    options: Mapping[str, object] = field(factory=dict)
    form: str = ""
    operator: str = ""


@frozen
class Relabelling:
    """An `endorse` or `declassify`: the only ways down, listed by `flowc check --manifest`."""

    kind: Literal["endorse", "declassify"]
    function: str
    reason: str
    before: Labels
    after: Labels
    span: Span


@frozen
class Checked:
    """A program in which every name, type, shape, effect, label and limit is known to fit.

    `types` holds the type of each expression before coercion; `coercions` the type to which its value must
    be converted where it stands; `labels` holds the labels of what has any. A variable narrowed by a test
    (`if x is none: return ...`) has the narrower type at each use. An array that is iterated is coerced to
    a list. `limits` are those of each `With`, keyed by `id(statement)`.
    """

    program: Program
    source: Source
    records: Mapping[str, tuple[FieldInfo, ...]]
    enums: Mapping[str, tuple[str, ...]]
    callables: Mapping[str, Signature]
    types: Mapping[int, Type]
    labels: Mapping[int, Labels]
    calls: Mapping[int, BoundCall]
    coercions: Mapping[int, Type]
    limits: Mapping[int, Limits]
    chains: tuple[tuple[str, ...], ...]
    manifest: tuple[Relabelling, ...] = ()
    warnings: tuple[Diagnostic, ...] = ()
