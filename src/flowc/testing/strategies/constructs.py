"""What a program consists of, by name: which parts of the language generated programs reach.

`CONSTRUCTS` comes from the compiler's own tables (its syntax, built-ins, decorators, types), so that what is
added to the language is missing here until programs are generated with it.
"""

from collections.abc import Iterator, Mapping
from typing import Any, get_args

from flowc.compiler import syntax as s
from flowc.compiler.builtins import BUILTINS, OPERATORS, SPECIAL_FORMS
from flowc.compiler.checker.annotations import TYPE_NAMES
from flowc.compiler.checker.limits import APPLIES, BLOCK_LIMITS, OPTIONS
from flowc.testing.strategies.trees import fields_of, is_node

_KINDS = ("llm", "tool", "human", "event", "kernel", "flow")
_EFFECTS = ("pure", "llm", "human", "sleep", "reads", "writes", "idempotent", "undo")
_COMPARISONS = ("==", "!=", "<", "<=", ">", ">=", "in", "not in", "is", "is not")
_PARTS = (
    "annotation with a label", "augmented assignment", "unpacking assignment", "return out of a block",
    "elif", "else", "for over two names", "comprehension over two names", "comprehension with a test",
    "comprehension of two lists", "with of two limits", "transaction in a retry", "slice with a step",
    "slice of an axis", "chained comparison", "method", "named argument", "default of a parameter",
    "documentation", "array type", "label in a type", "optional type", "list of a record",
)  # fmt: skip

CONSTRUCTS: frozenset[str] = frozenset({
    *(f"declaration: {each.__name__}" for each in get_args(s.Declaration) if each is not s.Callable),
    *(f"declaration: {kind}" for kind in _KINDS),
    *(f"call: {kind}" for kind in (*_KINDS, "record")),
    *(f"decorator: @{name} on {kind}" for name, kinds in APPLIES.items() for kind in kinds),
    *(f"argument: @{name} {option.name}" for name, options in OPTIONS.items() for option in options),
    *(f"effect: {each}" for each in _EFFECTS),
    *(f"type: {each}" for each in TYPE_NAMES),
    *(f"statement: {each.__name__}" for each in get_args(s.Statement)),
    *(f"expression: {each.__name__}" for each in get_args(s.Expression)),
    *(f"with: {each}" for each in (*BLOCK_LIMITS, "transaction")),
    *(f"operator: {each}" for each in (*OPERATORS.keys() - set(_COMPARISONS), "and", "or")),
    *(f"unary operator: {each}" for each in ("-", "+", "not", "~")),
    *(f"comparison: {each}" for each in _COMPARISONS),
    *(f"form: {each}" for each in SPECIAL_FORMS),
    *(f"built-in: {each}" for each in BUILTINS),
    *_PARTS,
})  # fmt: skip
"""Every construct of the language."""

NOT_GENERATED: Mapping[str, str] = {
    "declaration: Import": "it needs a file beside the program; worlds give the functions",
    "decorator: @associative on llm": "other questions are asked where calls are grouped in another way",
    "type: bytes": "no expression makes them; they come from outside alone",
}
"""What is left out, and why."""


def constructs(program: s.Program) -> frozenset[str]:
    """The constructs of a program."""
    declared = program.declarations
    callables: dict[str, str] = {each.name: "record" for each in declared if isinstance(each, s.Record)}
    callables |= {each.name: each.kind for each in declared if isinstance(each, s.Callable)}
    found: set[str] = set()
    pending: list[Any] = list(declared)
    while pending:
        node = pending.pop()
        if isinstance(node, tuple):
            pending += node
        elif is_node(node):
            found.update(_named(node, callables))
            pending += fields_of(node).values()
    return frozenset(found)


def _named(node: Any, callables: Mapping[str, str]) -> Iterator[str]:
    """The names of what one node is."""
    word = type(node).__name__
    if isinstance(node, get_args(s.Statement)):
        yield f"statement: {word}"
        yield from _statement(node)
    elif isinstance(node, get_args(s.Expression)):
        yield f"expression: {word}"
        yield from _expression(node, callables)
    else:
        yield from _declaration(node)


def _declaration(node: Any) -> Iterator[str]:
    match node:
        case s.Callable(kind=kind):
            yield f"declaration: {kind}"
            yield from (f"decorator: @{each.name} on {kind}" for each in node.decorators)
            yield from ["documentation"] * (node.documentation is not None)
        case s.Import() | s.LabelOrder() | s.Record() | s.Enum():
            yield f"declaration: {type(node).__name__}"
        case s.Decorator(name=name, arguments=arguments):
            for option, argument in zip(OPTIONS[name], arguments, strict=False):
                yield f"argument: @{name} {argument.name or option.name}"
        case s.Effect(kind=kind):
            yield f"effect: {kind}"
            yield from ["effect: idempotent"] * node.idempotent + ["effect: undo"] * (node.undo is not None)
        case s.Parameter(default=default) if default is not None:
            yield "default of a parameter"
        case s.TypeRef():
            yield from _type(node)
        case s.Argument(name=name) if name is not None:
            yield "named argument"


def _type(node: s.TypeRef) -> Iterator[str]:
    if node.name in TYPE_NAMES:
        yield f"type: {node.name}"
    yield from ["optional type"] * node.optional + ["label in a type"] * bool(node.labels)
    match node.arguments:
        case (s.Dimension(), *_):
            yield "array type"
        case (s.TypeRef(name=inner),) if node.name == "list" and inner[0].isupper():
            yield "list of a record"


def _statement(node: Any) -> Iterator[str]:
    match node:
        case s.Assign(targets=targets):
            yield from ["augmented assignment"] * (node.operator is not None)
            yield from ["unpacking assignment"] * (len(targets) > 1)
            yield from ["annotation with a label"] * bool(node.annotation and node.annotation.labels)
        case s.If(branches=branches, otherwise=otherwise):
            yield from ["elif"] * (len(branches) > 1) + ["else"] * bool(otherwise)
            if any(isinstance(each, s.Return) for _, inner in branches for each in inner):
                yield "return out of a block"
        case s.For(targets=targets) if len(targets) > 1:
            yield "for over two names"
        case s.With(limits=limits):
            names = [each.function.id for each in limits if isinstance(each.function, s.Name)]
            yield from (f"with: {name}" for name in (*names, *["transaction"] * node.transaction))
            yield from ["with of two limits"] * (len(names) > 1)
            inner = isinstance(node.body[0], s.With) and node.body[0].transaction
            yield from ["transaction in a retry"] * ("retry" in names and inner)


def _expression(node: Any, callables: Mapping[str, str]) -> Iterator[str]:
    match node:
        case s.Binary(operator=operator):
            yield f"operator: {operator}"
        case s.Unary(operator=operator):
            yield f"unary operator: {operator}"
        case s.Compare(operators=operators):
            yield from (f"comparison: {each}" for each in operators)
            yield from ["chained comparison"] * (len(operators) > 1)
        case s.Subscript(indices=indices):
            slices = [each for each in indices if isinstance(each, s.Slice)]
            yield from ["slice with a step"] * any(each.step is not None for each in slices)
            yield from ["slice of an axis"] * (len(indices) > 1 and bool(slices))
        case s.Comprehension(generators=generators):
            yield from ["comprehension of two lists"] * (len(generators) > 1)
            yield from ["comprehension over two names"] * any(len(each.targets) > 1 for each in generators)
            yield from ["comprehension with a test"] * any(each.conditions for each in generators)
        case s.Call(function=s.Attribute(name=name)):
            yield from ("method", f"built-in: {name}")
        case s.Call(function=s.Name(id=name)) if name in callables:
            yield f"call: {callables[name]}"
        case s.Call(function=s.Name(id=name)) if name not in BLOCK_LIMITS:
            yield f"form: {name}" if name in SPECIAL_FORMS else f"built-in: {name}"
