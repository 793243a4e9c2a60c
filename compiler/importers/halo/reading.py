"""A Halo file as a graph: what each node must have, and what is wrong with it."""

from collections.abc import Mapping, Sequence
from typing import cast, get_args

from attrs import define, evolve, field

from flowc.compiler.checker.names import did_you_mean
from flowc.compiler.checker.report import MAXIMUM
from flowc.compiler.diagnostics.model import CompileError, Diagnostic, Label, Source
from flowc.compiler.importers.halo.model import Edge, Graph, Kind, Query, Step
from flowc.compiler.importers.yaml_nodes import Node, read_yaml
from flowc.compiler.syntax import Span

KINDS: tuple[str, ...] = get_args(Kind)
MOST_STEPS = 1_000
_BODIES = ("params", "body", "json", "data")


def read(text: str, path: str) -> Graph:
    """The graph of a file. Raises CompileError (E0665, E0666) with all that is wrong."""
    reading = _Reading()
    graph = reading.graph(read_yaml(text, path))
    if reading.found:
        raise CompileError(Source(path, text), tuple(reading.found))
    return graph


@define
class _Reading:
    """Collects what is wrong; whoever asks for a field gets a plain value of the right type all the same."""

    found: list[Diagnostic] = field(factory=list)

    def wrong(self, title: str, span: Span, why: str = "", help: str = "") -> None:
        if len(self.found) < MAXIMUM:
            self.found.append(Diagnostic("E0666", title, (Label(span),), why=why, help=help))

    def graph(self, root: Node) -> Graph:
        top = self.mapping(root, "the file")
        body = self.mapping(top["graph"], "`graph`") if "graph" in top else top
        nodes = self.items(body.get("nodes"), "`nodes`")
        if "nodes" not in body or not (nodes or self.found):
            self.wrong(
                "there are no nodes in this file",
                root.span,
                why="a graph of Halo is `graph:` with `nodes:` and `edges:`",
                help="see docs/import.md for the form",
            )
        if len(nodes) > MOST_STEPS:
            self.wrong(f"a graph has at most {MOST_STEPS:,} nodes", nodes[MOST_STEPS].span)
        steps = [self.step(node) for node in nodes[:MOST_STEPS]]
        edges = [self.edge(node) for node in self.items(body.get("edges"), "`edges`")]
        name = self.text(body, "name")
        return Graph(name, tuple(s for s in steps if s is not None), tuple(edges))

    def step(self, node: Node) -> Step | None:
        fields = self.mapping(node, "a node")
        if not fields:
            self.wrong("a node is empty", node.span, help="give it an `id` and a `type`")
            return None
        id_ = self.required(fields, "id", "a node", node.span)
        kind = self.required(fields, "type", f"the node `{id_}`", node.span)
        if kind and kind not in KINDS:
            self.wrong(
                f"there is no type of node `{kind[:60]}`",
                fields["type"].span,
                why=f"the types are {', '.join(KINDS)}",
                help=did_you_mean(kind, KINDS, "make it one of these, or leave the node out"),
            )
        if not id_ or kind not in KINDS:
            return None
        step = Step(
            id=id_,
            kind=cast(Kind, kind),
            inputs=self.names(fields.get("inputs"), f"`inputs` of `{id_}`"),
            outputs=self.names(fields.get("outputs"), f"`outputs` of `{id_}`") or (id_,),
            span=fields["id"].span,
        )
        match kind:
            case "inference":
                return self.inference(step, fields, f"the node `{id_}`", node.span)
            case "http":
                return self.http(step, fields, f"the node `{id_}`", node.span)
            case "processor":
                rule = self.required(fields, "processor", f"the node `{id_}`", node.span)
                config = self.mapping(fields["config"], f"`config` of `{id_}`") if "config" in fields else {}
                return evolve(step, processor=rule, config=config)
        return step

    def inference(self, step: Step, fields: Mapping[str, Node], place: str, span: Span) -> Step:
        self.required(fields, "system_prompt", place, span)
        most = self.number(fields, "max_tokens", 1, 1e9)
        queries = self.items(fields.get("db_queries"), f"`db_queries` of {place}")
        return evolve(
            step,
            model=self.text(fields, "model") or None,
            temperature=self.number(fields, "temperature", 0, 2),
            max_tokens=None if most is None else int(most),
            prompt=fields.get("system_prompt"),
            queries=tuple(self.query(node, place) for node in queries),
        )

    def query(self, node: Node, place: str) -> Query:
        fields = self.mapping(node, f"a query of {place}")
        name = self.required(fields, "name", f"a query of {place}", node.span)
        sql = self.required(fields, "sql", f"the query `{name}`", node.span)
        parameters = (
            self.mapping(fields["parameters"], f"`parameters` of `{name}`") if "parameters" in fields else {}
        )
        declared = (
            self.mapping(fields["param_types"], f"`param_types` of `{name}`")
            if "param_types" in fields
            else {}
        )
        types = {key: str(each.value).lower() for key, each in declared.items()}
        return Query(name, sql, parameters, types, fields["name"].span if "name" in fields else node.span)

    def http(self, step: Step, fields: Mapping[str, Node], place: str, span: Span) -> Step:
        self.required(fields, "url", place, span)
        parameters: dict[str, Node] = {}
        for key in _BODIES:
            if key in fields and fields[key].value is not None:
                parameters |= self.mapping(fields[key], f"`{key}` of {place}")
        return evolve(
            step,
            url=fields.get("url"),
            method=self.text(fields, "method", "GET").upper(),
            parameters=parameters,
            latency=self.number(fields, "latency_s", 0, 1e6),
        )

    def edge(self, node: Node) -> Edge:
        fields = self.mapping(node, "an edge")
        source = self.required(fields, "from", "an edge", node.span)
        target = self.required(fields, "to", "an edge", node.span)
        has = "mapping" in fields and fields["mapping"].value is not None
        mapping = self.mapping(fields["mapping"], "`mapping` of an edge") if has else {}
        return Edge(source, target, mapping, fields["from"].span if "from" in fields else node.span)

    def mapping(self, node: Node, what: str) -> Mapping[str, Node]:
        if isinstance(node.value, Mapping):
            return node.value
        self.wrong(f"{what} must be a mapping of names to values", node.span)
        return {}

    def items(self, node: Node | None, what: str) -> Sequence[Node]:
        if node is None or node.value is None:
            return ()
        if isinstance(node.value, tuple):
            return node.value
        self.wrong(f"{what} must be a list", node.span)
        return ()

    def names(self, node: Node | None, what: str) -> tuple[str, ...]:
        if node is not None and isinstance(node.value, str):
            return (node.value,)
        found: list[str] = []
        for each in self.items(node, what):
            if isinstance(each.value, tuple | Mapping | None):
                self.wrong(f"{what} must be names", each.span)
            elif str(each.value) not in found:
                found.append(str(each.value))
        return tuple(found)

    def required(self, fields: Mapping[str, Node], name: str, what: str, span: Span) -> str:
        before = len(self.found)
        text = self.text(fields, name)
        if not text.strip() and len(self.found) == before:
            where = fields[name].span if name in fields else span
            self.wrong(f"{what} has no `{name}`", where, help=f"write `{name}: ...`")
        return text

    def text(self, fields: Mapping[str, Node], name: str, default: str = "") -> str:
        node = fields.get(name)
        if node is None or node.value is None:
            return default
        if isinstance(node.value, tuple | Mapping):
            self.wrong(f"`{name}` must be a text", node.span)
            return default
        return str(node.value)

    def number(self, fields: Mapping[str, Node], name: str, least: float, most: float) -> float | None:
        node = fields.get(name)
        if node is None or node.value is None:
            return None
        if (
            isinstance(node.value, bool)
            or not isinstance(node.value, int | float)
            or not least <= node.value <= most
        ):
            self.wrong(f"`{name}` must be a number from {least:g} to {most:g}", node.span)
            return None
        return float(node.value)
