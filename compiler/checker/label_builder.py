"""The state of building a body's graph of labels: the variables in sight and the loops around."""

from collections.abc import Mapping

from attrs import Factory, define

from flowc.compiler.checker.context import Facts, World
from flowc.compiler.checker.label_graph import Graph, Node, add, joined
from flowc.compiler.checker.lattice import Lattice
from flowc.compiler.checker.model import Signature
from flowc.compiler.syntax import Span, TypeRef


@define
class Loop:
    """A loop: the values of its variables at the head of each round, and where it is left by a `break`."""

    heads: dict[str, int]
    exits: dict[str, list[int]] = Factory(dict)


@define
class Builder:
    """`variables` are overlays, the innermost last; `loops` the loops around."""

    world: World
    facts: Facts
    labels: Lattice
    signature: Signature
    graph: Graph = Factory(Graph)
    variables: list[dict[str, int]] = Factory(lambda: [{}])
    loops: list[Loop] = Factory(list)
    blocks: dict[int, frozenset[str]] = Factory(dict)


def find(builder: Builder, name: str) -> int:
    """The value of a variable; 0 for one that is not in sight."""
    for overlay in reversed(builder.variables):
        if name in overlay:
            return overlay[name]
    return 0


def assign(builder: Builder, name: str, value: int, span: Span) -> None:
    """Gives a variable a value."""
    named = (
        0
        if value == 0
        else add(builder.graph, Node(span=span, note=f"`{name}` is {{label}} from here"), [value])
    )
    builder.variables[-1][name] = named


def come_round(builder: Builder) -> None:
    """Goes back to the head of the innermost loop, where its variables may then have what they have here."""
    for name, head in builder.loops[-1].heads.items() if builder.loops else ():
        builder.graph.inputs[head].append(find(builder, name))


def leave(builder: Builder) -> None:
    """Leaves the innermost loop."""
    if builder.loops:
        loop = builder.loops[-1]
        for name in loop.heads:
            loop.exits.setdefault(name, []).append(find(builder, name))


def merge(builder: Builder, branches: list[Mapping[str, int]]) -> None:
    """Continues after branches, of which one has run: variables have the labels of all of them."""
    for name in dict.fromkeys(name for branch in branches for name in branch):
        before = find(builder, name)
        versions = [branch.get(name, before) for branch in branches]
        builder.variables[-1][name] = joined(builder.graph, versions)


def written_labels(written: TypeRef) -> frozenset[str]:
    """The labels written on a type and inside it."""
    found = frozenset(written.labels)
    for argument in written.arguments:
        if isinstance(argument, TypeRef):
            found |= written_labels(argument)
    return found
