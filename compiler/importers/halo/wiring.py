"""Which value each name in a Halo graph is.

Names are global to a run: what no edge brings is looked for among all nodes, and an edge may bring on what
its source did not make but was given.
"""

from collections.abc import Iterable, Iterator, Mapping
from graphlib import CycleError, TopologicalSorter
from heapq import heapify, heappop, heappush

from attrs import define, field, frozen

from flowc.compiler.checker.names import did_you_mean
from flowc.compiler.checker.report import MAXIMUM
from flowc.compiler.diagnostics.model import Diagnostic, Label
from flowc.compiler.importers.halo.model import Edge, Graph, Query, Step
from flowc.compiler.importers.halo.templates import Reference, parts, references
from flowc.compiler.importers.yaml_nodes import Node
from flowc.compiler.syntax import Span


@frozen
class Origin:
    """A value: the step that makes it, its name there, and fields inside it."""

    step: str
    name: str
    fields: tuple[str, ...] = ()


LONGEST_WAY = 100
"""Edges along which a name is followed; behind that it is looked for among all nodes."""
MOST_PARTS = 200
"""Texts and values in one template, once all that it stands for is put in."""

Wired = tuple[str | Origin, ...]
"""Texts and values to put together; one alone is itself."""

_UNKNOWN: Wired = ("",)
"""What stands for a value that was not found, and told of."""


@define
class Wiring:
    """The steps by their names, and for each the edges that lead to it."""

    steps: Mapping[str, Step]
    into: Mapping[str, list[Edge]]
    makers: Mapping[str, list[str]]
    found: list[Diagnostic] = field(factory=list)
    known: dict[tuple[str, str], Wired] = field(factory=dict)
    way: list[tuple[str, str]] = field(factory=list)

    def input(self, step: Step, name: str, span: Span) -> Wired:
        """The value that a step knows by a name."""
        return self._named(step, Reference(name), span)

    def template(self, step: Step, text: str, span: Span) -> Wired:
        """A template of a step, its names resolved."""
        pieces = parts(text, span, self.found)
        return _joined((each,) if isinstance(each, str) else self._named(step, each, span) for each in pieces)

    def _named(self, step: Step, reference: Reference, span: Span) -> Wired:
        """The value of a name, looked for once, and what is inside it."""
        key = step.id, reference.name
        wired = self.known.get(key)
        if wired is None:
            wired = self.known[key] = self._looked_for(step, reference.name, span)
        if not reference.fields:
            return wired
        if len(wired) == 1 and isinstance(wired[0], Origin):
            origin = wired[0]
            return (Origin(origin.step, origin.name, origin.fields + reference.fields),)
        if wired != _UNKNOWN:
            title = f"`{reference.name}` has no field `{reference.fields[0]}`"
            why = f"for `{step.id}` it is a text that an edge puts together"
            self.found.append(Diagnostic("E0667", title, (Label(span),), why=why))
        return _UNKNOWN

    def _looked_for(self, step: Step, name: str, span: Span) -> Wired:
        """The step's own rows, else what an edge brings, else what any node makes."""
        if any(query.name == name for query in step.queries):
            return (Origin(step.id, name),)
        key = step.id, name
        edges = (
            edge for edge in self.into.get(step.id, ()) if name in edge.mapping and edge.source in self.steps
        )
        edge = next(edges, None)
        if edge is None or key in self.way or len(self.way) >= LONGEST_WAY:
            return self._global(step, name, span)
        self.way.append(key)
        wired = self._mapped(edge, edge.mapping[name])
        self.way.pop()
        if len(wired) > MOST_PARTS:
            title = f"`{name}` of `{step.id}` is put together from more than {MOST_PARTS} parts"
            self.found.append(Diagnostic("E0669", title, (Label(edge.span),), help="let a node make it"))
            return wired[:1]
        return wired

    def _mapped(self, edge: Edge, value: Node) -> Wired:
        """What an edge says: a template in the names of its source."""
        if not isinstance(value.value, str):
            return (str(value.value),)
        source = self.steps[edge.source]

        def one(part: str | Reference) -> Wired:
            if isinstance(part, str):
                return (part,)
            if part.name in source.outputs:
                return (Origin(source.id, part.name, part.fields),)
            return self._named(source, part, value.span)

        return _joined(one(part) for part in parts(value.value, value.span, self.found))

    def _global(self, step: Step, name: str, span: Span) -> Wired:
        makers = self.makers.get(name, [])
        if len(makers) == 1:
            return (Origin(makers[0], name),)
        if len(self.found) >= MAXIMUM:
            return _UNKNOWN
        if makers:
            title = f"`{name}` is made by {len(makers)} nodes"
            why = f"they are {', '.join(makers[:4])}, and no edge into `{step.id}` says which is meant"
            help_ = "give the edge a `mapping`, or the outputs names of their own"
        else:
            title = f"nothing makes `{name}`, which `{step.id}` takes"
            why = "names are looked for on the edges into a node, and then among the outputs of all nodes"
            help_ = did_you_mean(name, self.makers, "add it to the outputs of a node")
        self.found.append(Diagnostic("E0667", title, (Label(span),), why=why, help=help_))
        return _UNKNOWN

    def order(self) -> list[Step]:
        """The steps, each after what it takes and after the sources of its edges; else as they stand."""
        places = {id_: place for place, id_ in enumerate(self.steps)}
        sorter: TopologicalSorter[str] = TopologicalSorter()
        for step in self.steps.values():
            before = {edge.source for edge in self.into.get(step.id, ()) if edge.source in places}
            sorter.add(step.id, *before, *(origin.step for origin in self.taken(step)))
        try:
            sorter.prepare()
        except CycleError as error:
            ring = list(reversed(error.args[1]))
            labels = tuple(
                Label(self.steps[id_].span, "" if number == 0 else "and this", number == 0)
                for number, id_ in enumerate(dict.fromkeys(ring))
            )
            why = " takes ".join(f"`{id_}`" for id_ in reversed(ring))
            self.found.append(
                Diagnostic(
                    "E0668", "nodes of this graph wait for each other", labels[:8], why=why[:400],
                    help="let one of them do without the other's result",
                )
            )  # fmt: skip
            return list(self.steps.values())
        ready = [(places[id_], id_) for id_ in sorter.get_ready()]
        heapify(ready)
        ordered: list[Step] = []
        while ready:
            _, id_ = heappop(ready)
            ordered.append(self.steps[id_])
            sorter.done(id_)
            for each in sorter.get_ready():
                heappush(ready, (places[each], each))
        return ordered

    def taken(self, step: Step) -> Iterator[Origin]:
        """All values that a step takes from others."""
        wired = [self.input(step, name, step.span) for name in step.inputs]
        nodes = [step.prompt, step.url, *step.parameters.values()]
        nodes += [node for query in step.queries for node in query.parameters.values()]
        wired += [
            self._named(step, reference, node.span)
            for node in nodes
            if node is not None
            for reference in references(node, self.found)
        ]
        own = {query.name for query in step.queries}
        for each in wired:
            for part in each:
                if isinstance(part, Origin) and not (part.step == step.id and part.name in own):
                    yield part


def wire(graph: Graph) -> Wiring:
    """The wiring of a graph; equal names and edges to nowhere (E0667) are in its `found`."""
    found: list[Diagnostic] = []
    steps: dict[str, Step] = {}
    for step in graph.steps:
        if step.id in steps:
            found.append(_twice(f"there are two nodes `{step.id}`", step.span, steps[step.id].span))
        steps.setdefault(step.id, step)
        queries: dict[str, Query] = {}
        for query in step.queries:
            if query.name in queries:
                title = f"`{step.id}` has two queries `{query.name}`"
                found.append(_twice(title, query.span, queries[query.name].span))
            queries.setdefault(query.name, query)
    into: dict[str, list[Edge]] = {}
    for edge in graph.edges:
        for id_ in dict.fromkeys((edge.source, edge.target)):
            if id_ not in steps and len(found) < MAXIMUM:
                title = f"this edge names the node `{id_}`, which there is not"
                help_ = did_you_mean(id_, steps, "add the node, or remove the edge")
                found.append(Diagnostic("E0667", title, (Label(edge.span),), help=help_))
        into.setdefault(edge.target, []).append(edge)
    return Wiring(steps, into, _makers(steps.values()), found)


def _twice(title: str, span: Span, first: Span) -> Diagnostic:
    labels = (Label(span), Label(first, "the first", primary=False))
    return Diagnostic("E0667", title, labels, help="give each a name of its own")


def _makers(steps: Iterable[Step]) -> dict[str, list[str]]:
    """For each name the steps that make it. A query counts where no output has its name."""
    made: dict[str, list[str]] = {}
    queries: dict[str, list[str]] = {}
    for step in steps:
        for name in step.outputs:
            made.setdefault(name, []).append(step.id)
        for query in step.queries:
            queries.setdefault(query.name, []).append(step.id)
    return {**queries, **made}


def _joined(wired: Iterable[Wired]) -> Wired:
    """One after the other, neighbouring texts as one."""
    joined: list[str | Origin] = []
    for each in wired:
        for part in each:
            if joined and isinstance(part, str) and isinstance(joined[-1], str):
                joined[-1] += part
            else:
                joined.append(part)
    return tuple(joined)
