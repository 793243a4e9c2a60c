"""The labels of variables along the flow of control, and the graph of a whole flow."""

from flowc.compiler.checker.context import Facts, World
from flowc.compiler.checker.label_builder import (
    Builder,
    Loop,
    assign,
    come_round,
    find,
    leave,
    merge,
    written_labels,
)
from flowc.compiler.checker.label_expressions import value
from flowc.compiler.checker.label_graph import Graph, Node, Sink, add, joined
from flowc.compiler.checker.lattice import Lattice, forbidden, value_of
from flowc.compiler.checker.model import Signature
from flowc.compiler.checker.scope import assigned_names, target_span
from flowc.compiler.syntax import (
    Assign,
    Block,
    Break,
    Continue,
    ExpressionStatement,
    For,
    If,
    Return,
    Statement,
    Try,
    While,
    With,
)


def build_graph(world: World, facts: Facts, labels: Lattice, signature: Signature) -> Graph:
    """The graph of labels of a flow's body."""
    builder = Builder(world, facts, labels, signature)
    add(builder.graph, Node(), [])
    for parameter in signature.parameters:
        note = f"`{parameter.name}` of `{signature.name}` is {{label}}"
        builder.variables[-1][parameter.name] = add(builder.graph, Node(span=parameter.span, note=note), [])
    _block(builder, signature.declaration.body or ())
    return builder.graph


def _block(builder: Builder, block: Block) -> bool:
    """Follows a block; whether its end can be reached."""
    alive = True
    for statement in block:
        alive = _statement(builder, statement) and alive
    return alive


def _statement(builder: Builder, statement: Statement) -> bool:
    match statement:
        case Assign():
            _assign(builder, statement)
        case ExpressionStatement(value=expression):
            value(builder, expression)
        case Return():
            _return(builder, statement)
            return False
        case Continue():
            come_round(builder)
            return False
        case Break():
            leave(builder)
            return False
        case If():
            return _if(builder, statement)
        case For():
            _for(builder, statement)
        case While():
            value(builder, statement.bound)
            _loop(builder, statement)
        case With(body=body):
            return _block(builder, body)
        case Try(body=body, otherwise=otherwise):
            return _either(builder, [body, otherwise])
    return True


def _assign(builder: Builder, statement: Assign) -> None:
    source = value(builder, statement.value)
    if statement.operator is not None:
        source = joined(builder.graph, [find(builder, statement.targets[0]), source])
    if statement.annotation is not None:
        bounds = written_labels(statement.annotation)
        mask = forbidden(builder.labels, bounds)
        what = f"`{statement.targets[0]}`"
        if mask and source:
            place = statement.annotation.span
            builder.graph.sinks.append(Sink(source, mask, "store", what, statement.value.span, place))
        own = value_of(builder.labels, bounds)
        if own:
            note = f"{what} is declared {{label}}"
            source = add(builder.graph, Node(own, span=statement.annotation.span, note=note), [source])
    for name in statement.targets:
        assign(builder, name, source, target_span(statement.targets, statement.span))


def _return(builder: Builder, statement: Return) -> None:
    if statement.value is None:
        return
    found = value(builder, statement.value)
    builder.graph.returned.append(found)
    signature = builder.signature
    mask = forbidden(builder.labels, signature.result_labels)
    if mask and found:
        declared = signature.declaration.result.span
        what = f"the result of `{signature.name}`"
        builder.graph.sinks.append(Sink(found, mask, "result", what, statement.value.span, declared))


def _if(builder: Builder, statement: If) -> bool:
    for test, _ in statement.branches:
        value(builder, test)
    return _either(builder, [*(block for _, block in statement.branches), statement.otherwise])


def _either(builder: Builder, blocks: list[Block]) -> bool:
    ends = []
    for block in blocks:
        builder.variables.append({})
        alive = _block(builder, block)
        overlay = builder.variables.pop()
        if alive:
            ends.append(overlay)
    merge(builder, list(ends))
    return bool(ends)


def _for(builder: Builder, statement: For) -> None:
    source = value(builder, statement.iterable)
    _loop(builder, statement, statement.targets, source)


def _loop(builder: Builder, statement: For | While, targets: tuple[str, ...] = (), source: int = 0) -> None:
    names = assigned_names(statement.body, builder.blocks) | frozenset(targets)
    heads = {name: add(builder.graph, Node(), [find(builder, name)]) for name in sorted(names)}
    builder.graph.loops = True
    builder.variables.append(dict(heads))
    loop = Loop(heads)
    builder.loops.append(loop)
    for name in targets:
        assign(
            builder, name, source, statement.iterable.span if isinstance(statement, For) else statement.span
        )
    if isinstance(statement, While):
        value(builder, statement.test)
    if _block(builder, statement.body):
        come_round(builder)
    builder.loops.pop()
    builder.variables.pop()
    for name, head in heads.items():
        builder.variables[-1][name] = joined(builder.graph, [head, *loop.exits.get(name, ())])
