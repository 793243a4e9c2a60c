"""The labels of expressions: whatever a value is computed from."""

from flowc.compiler.checker.label_builder import Builder, find
from flowc.compiler.checker.label_graph import Node, Sink, add, joined
from flowc.compiler.checker.lattice import (
    chains_of,
    confidentiality,
    forbidden,
    integrity,
    value_of,
)
from flowc.compiler.checker.model import BoundCall, Signature
from flowc.compiler.syntax import (
    Attribute,
    Binary,
    Call,
    Compare,
    Comprehension,
    Conditional,
    Constant,
    DictDisplay,
    Expression,
    Hole,
    ListDisplay,
    Name,
    Slice,
    Span,
    Subscript,
    Template,
    TryElse,
    Unary,
)
from flowc.runtime.types import Record


def value(builder: Builder, expression: Expression) -> int:
    """The node of an expression's value."""
    found = _value(builder, expression)
    if found:
        builder.graph.expressions[id(expression)] = found
    return found


def _value(builder: Builder, node: Expression) -> int:
    match node:
        case Constant():
            return 0
        case Name(id=name):
            return find(builder, name)
        case Call():
            return _call(builder, node)
        case Attribute():
            return _attribute(builder, node)
        case Conditional(test=test, then=then, otherwise=otherwise):
            value(builder, test)
            return _join(builder, [then, otherwise])
        case Comprehension():
            return _comprehension(builder, node)
        case Compare(operands=operands):
            return _join(builder, list(operands))
        case Binary(left=left, right=right):
            return _join(builder, [left, right])
        case Unary(operand=operand):
            return value(builder, operand)
        case TryElse(attempt=attempt, otherwise=otherwise):
            return _join(builder, [attempt, otherwise])
        case Template(parts=parts):
            return _join(builder, [part.expression for part in parts if isinstance(part, Hole)])
        case ListDisplay(items=items):
            return _join(builder, list(items))
        case DictDisplay(items=pairs):
            return _join(builder, [part for pair in pairs for part in pair])
        case Subscript():
            return _join(builder, [node.value, *_bounds(node)])


def _join(builder: Builder, parts: list[Expression]) -> int:
    return joined(builder.graph, [value(builder, part) for part in parts])


def _bounds(node: Subscript) -> list[Expression]:
    found: list[Expression] = []
    for index in node.indices:
        parts = (index.start, index.stop, index.step) if isinstance(index, Slice) else (index,)
        found.extend(part for part in parts if part is not None)
    return found


def _attribute(builder: Builder, node: Attribute) -> int:
    if isinstance(node.value, Name) and id(node.value) not in builder.facts.types:
        return 0
    source = value(builder, node.value)
    type_ = builder.facts.types.get(id(node.value))
    if not isinstance(type_, Record):
        return source
    field = next((f for f in builder.world.records.get(type_.name, ()) if f.name == node.name), None)
    own = 0 if field is None else value_of(builder.labels, field.labels)
    if not own:
        return source
    note = f"`{type_.name}.{node.name}` is declared {{label}}"
    return add(builder.graph, Node(own, span=node.span, note=note), [source])


def _comprehension(builder: Builder, node: Comprehension) -> int:
    builder.variables.append({})
    for generator in node.generators:
        source = value(builder, generator.iterable)
        for name in generator.targets:
            builder.variables[-1][name] = source
        for condition in generator.conditions:
            value(builder, condition)
    found = value(builder, node.element)
    builder.variables.pop()
    return found


def _call(builder: Builder, node: Call) -> int:
    call = builder.facts.calls.get(id(node))
    if call is None:
        return _join(builder, [argument.value for argument in node.arguments])
    arguments = [value(builder, argument) for argument in call.arguments]
    match call.kind:
        case "record":
            return _record(builder, call, arguments)
        case "endorse" | "declassify":
            return _relabel(builder, call, arguments[0], node.span)
        case "execute":
            return _outside(builder, node.span, "the results of a plan are {label}", arguments)
        case "llm" | "tool" | "human" | "event" | "flow" | "kernel":
            return _declared(builder, builder.world.callables[call.name], call, arguments, node.span)
    return joined(builder.graph, arguments)


def _record(builder: Builder, call: BoundCall, arguments: list[int]) -> int:
    kept = []
    for field, argument, expression in zip(
        builder.world.records[call.name], arguments, call.arguments, strict=True
    ):
        what = f"`{call.name}.{field.name}`"
        _bound(builder, argument, field.labels, "store", what, expression.span, field.span)
        own = chains_of(builder.labels, field.labels)
        kept.append(add(builder.graph, Node(clear=own), [argument]) if own and argument else argument)
    return joined(builder.graph, kept)


def _bound(
    builder: Builder, node: int, bounds: frozenset[str], kind: str, what: str, span: Span, declared: Span
) -> None:
    mask = forbidden(builder.labels, bounds)
    if mask and node:
        sink = Sink(node, mask, "store" if kind == "store" else "argument", what, span, declared)
        builder.graph.sinks.append(sink)


def _declared(
    builder: Builder, signature: Signature, call: BoundCall, arguments: list[int], span: Span
) -> int:
    for parameter, node, expression in zip(signature.parameters, arguments, call.arguments, strict=True):
        what = f"`{parameter.name}` of `{signature.name}`"
        _bound(builder, node, parameter.bounds, "argument", what, expression.span, parameter.span)
    declared = value_of(builder.labels, signature.result_labels)
    chains = chains_of(builder.labels, signature.result_labels)
    note = f"the result of the {signature.kind} `{signature.name}` is {{label}}"
    if signature.kind == "flow":
        result = add(builder.graph, Node(flow=signature.name, span=span, note=note), arguments)
        return add(builder.graph, Node(declared, chains, span=span), [result]) if chains else result
    if signature.kind == "tool":
        low = integrity(builder.labels)
        outside = value_of(builder.labels, frozenset(low[-1:])) & ~chains
        return add(builder.graph, Node(declared | outside, chains, span=span, note=note), _present(arguments))
    if signature.kind in ("human", "event"):
        chains |= chains_of(builder.labels, frozenset(integrity(builder.labels)))
    if not declared and not chains:
        return joined(builder.graph, arguments)
    return add(builder.graph, Node(declared, chains, span=span, note=note), _present(arguments))


def _present(arguments: list[int]) -> list[int]:
    return [argument for argument in arguments if argument]


def _outside(builder: Builder, span: Span, note: str, arguments: list[int]) -> int:
    own = value_of(builder.labels, frozenset(integrity(builder.labels)[-1:]))
    return add(builder.graph, Node(own, span=span, note=note), _present(arguments))


def _relabel(builder: Builder, call: BoundCall, source: int, span: Span) -> int:
    chain = integrity(builder.labels) if call.kind == "endorse" else confidentiality(builder.labels)
    to = call.options.get("to")
    target = str(to) if isinstance(to, str) else (chain[0] if chain else "")
    clear = forbidden(builder.labels, frozenset([target])) if target else 0
    found = add(builder.graph, Node(clear=clear), [source])
    builder.graph.relabelled.append((source, found, call.kind, str(call.options.get("reason", "")), span))
    return found
