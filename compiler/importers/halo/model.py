"""A Halo graph as it stands in its file, with places."""

from collections.abc import Mapping
from typing import Literal

from attrs import field, frozen

from flowc.compiler.importers.yaml_nodes import Node
from flowc.compiler.syntax import Span

Kind = Literal["input", "inference", "http", "processor"]


@frozen
class Query:
    """An SQL statement that runs before the prompt of its step; its rows go into the prompt under `name`."""

    name: str
    sql: str
    parameters: Mapping[str, Node]
    types: Mapping[str, str]
    span: Span


@frozen
class Step:
    """A node of the graph. Which of the fields below `outputs` are filled depends on its kind."""

    id: str
    kind: Kind
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    span: Span
    model: str | None = None
    temperature: float | None = None
    max_tokens: int | None = None
    prompt: Node | None = None
    queries: tuple[Query, ...] = ()
    method: str = "GET"
    url: Node | None = None
    parameters: Mapping[str, Node] = field(factory=dict)
    latency: float | None = None
    processor: str = ""
    config: Mapping[str, Node] = field(factory=dict)


@frozen
class Edge:
    """`mapping` gives names in the target templates over names in the source."""

    source: str
    target: str
    mapping: Mapping[str, Node]
    span: Span


@frozen
class Graph:
    """A whole workflow."""

    name: str
    steps: tuple[Step, ...]
    edges: tuple[Edge, ...]
