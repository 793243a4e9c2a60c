"""How labels flow through one body: values are nodes, what they are made of edges; places have bounds."""

from typing import Literal

from attrs import Factory, define, frozen

from flowc.compiler.syntax import Span


@frozen
class Node:
    """A value. Its labels are those of its inputs without `clear`, joined with `own`.

    `flow` names the flow whose result this is; the inputs are then its arguments, and its own body tells
    what becomes of their labels. `note` says what to tell about the value on the way of a label; nodes
    without one are passed over.
    """

    own: int = 0
    clear: int = 0
    flow: str | None = None
    span: Span | None = None
    note: str = ""


@frozen
class Sink:
    """A place where a value may not have the labels in `forbidden`. `what` names the place."""

    node: int
    forbidden: int
    kind: Literal["argument", "result", "store"]
    what: str
    span: Span
    declared: Span


@define
class Graph:
    """A body's values. Node 0 has no labels; nodes 1 to n are the n parameters."""

    nodes: list[Node] = Factory(list)
    inputs: list[list[int]] = Factory(list)
    sinks: list[Sink] = Factory(list)
    returned: list[int] = Factory(list)
    loops: bool = False
    expressions: dict[int, int] = Factory(dict)
    relabelled: list[tuple[int, int, str, str, Span]] = Factory(list)


def add(graph: Graph, node: Node, inputs: list[int]) -> int:
    """Adds a value and gives its number."""
    graph.nodes.append(node)
    graph.inputs.append(inputs)
    return len(graph.nodes) - 1


def joined(graph: Graph, inputs: list[int]) -> int:
    """The value made of several; no new node where one of them says it all."""
    distinct = list(dict.fromkeys(each for each in inputs if each != 0))
    if len(distinct) <= 1:
        return distinct[0] if distinct else 0
    return add(graph, Node(), distinct)
