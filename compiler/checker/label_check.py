"""Solves the graphs of labels of all flows, and reports every value that reaches a place it may not.

A flow is solved under the labels its declaration gives its parameters, and again under those of each
different call; a solution is remembered by the labels that came in.
"""

from collections.abc import Mapping

from attrs import Factory, define, frozen

from flowc.compiler.checker.context import Facts, World
from flowc.compiler.checker.label_graph import Graph, Sink
from flowc.compiler.checker.label_statements import build_graph
from flowc.compiler.checker.lattice import Lattice, forbidden, integrity, lattice, names_of, value_of
from flowc.compiler.checker.model import Labels, Relabelling, Signature
from flowc.compiler.checker.names import listed
from flowc.compiler.checker.report import Report
from flowc.compiler.syntax import Span

_STEPS = 8
"""Steps of a label's way that a message shows at most."""


@frozen
class Case:
    """A flow under certain labels of its parameters."""

    flow: str
    parameters: tuple[int, ...]


@define
class Solution:
    """The labels of each node. `caller` is the call that first led here: its case and its node."""

    values: list[int]
    result: int = 0
    caller: tuple[Case, int] | None = None


@define
class Solver:
    """All graphs, and the solutions found so far; `open` guards against flows that call themselves."""

    world: World
    facts: Facts
    report: Report
    labels: Lattice
    graphs: dict[str, Graph] = Factory(dict)
    solved: dict[Case, Solution] = Factory(dict)


@frozen
class LabelFacts:
    """What is known about labels: of expressions by id, and the manifest of what lowers them."""

    labels: Mapping[int, Labels]
    manifest: tuple[Relabelling, ...]


def check_labels(world: World, facts: Facts, report: Report) -> LabelFacts:
    """Checks every flow of a program; callees are solved when their callers meet them."""
    solver = Solver(world, facts, report, lattice(world.chains))
    for signature in world.callables.values():
        if signature.kind == "flow":
            _solve(solver, _declared_case(solver, signature), None)
    for case in list(solver.solved):
        for sink in solver.graphs[case.flow].sinks:
            _check_sink(solver, case, sink)
    return _facts(solver)


def _declared_case(solver: Solver, signature: Signature) -> Case:
    given = tuple(value_of(solver.labels, parameter.bounds) for parameter in signature.parameters)
    return Case(signature.name, given)


def _solve(solver: Solver, case: Case, caller: tuple[Case, int] | None) -> int:
    """The labels of the flow's result in this case."""
    known = solver.solved.get(case)
    if known is not None:
        return known.result
    if case.flow not in solver.graphs:
        signature = solver.world.callables[case.flow]
        solver.graphs[case.flow] = build_graph(solver.world, solver.facts, solver.labels, signature)
    graph = solver.graphs[case.flow]
    solution = Solution([0] * len(graph.nodes), caller=caller)
    solver.solved[case] = solution
    solution.values[1 : 1 + len(case.parameters)] = case.parameters
    while _pass(solver, case, graph, solution) and graph.loops:
        pass
    for node in graph.returned:
        solution.result |= solution.values[node]
    return solution.result


def _pass(solver: Solver, case: Case, graph: Graph, solution: Solution) -> bool:
    values, changed = solution.values, False
    for index in range(1 + len(case.parameters), len(values)):
        node = graph.nodes[index]
        if node.flow is not None:
            found = _call(solver, case, graph, solution, index)
        else:
            found = 0
            for source in graph.inputs[index]:
                found |= values[source]
        found = (found & ~node.clear) | node.own
        if found != values[index]:
            values[index] = found
            changed = True
    return changed


def _call(solver: Solver, case: Case, graph: Graph, solution: Solution, index: int) -> int:
    return _solve(solver, _called(solver, case, graph, index, solution.values), (case, index))


def _called(solver: Solver, case: Case, graph: Graph, index: int, values: list[int] | None = None) -> Case:
    """The case of the callee of a call."""
    values = solver.solved[case].values if values is None else values
    callee = solver.world.callables[graph.nodes[index].flow or ""]
    given = []
    for parameter, source in zip(callee.parameters, graph.inputs[index], strict=True):
        least = value_of(solver.labels, parameter.bounds)
        passed = values[source] & ~forbidden(solver.labels, parameter.bounds)
        given.append(passed | least)
    return Case(callee.name, tuple(given))


@frozen
class Step:
    """A place on the way of a label, and what to say there."""

    span: Span
    text: str


def _check_sink(solver: Solver, case: Case, sink: Sink) -> None:
    bad = solver.solved[case].values[sink.node] & sink.forbidden
    if not bad:
        return
    bit = bad & -bad
    found = listed(
        sorted(names_of(solver.labels, solver.solved[case].values[sink.node] & _chain_of(solver, bit)))
    )
    allowed = _allowed(solver, sink.forbidden, bit)
    steps = _way(solver, case, sink.node, bit)
    shown = steps if len(steps) <= _STEPS else [*steps[: _STEPS // 2], *steps[-_STEPS // 2 :]]
    code, title = _TITLES[sink.kind]
    source = f"{steps[0].text}; " if steps else ""
    solver.report.error(
        code,
        title.format(what=sink.what, allowed=allowed, found=found),
        sink.span,
        f"this is {found}",
        why=f"{source}{sink.what} takes at most `{allowed}`",
        help=_help(solver, bit),
        causes=_causes(sink, shown, allowed),
    )


_TITLES = {
    "argument": ("E0303", "{what} must be `{allowed}`, and this is {found}"),
    "result": ("E0304", "{what} is promised `{allowed}`, and this is {found}"),
    "store": ("E0308", "{what} holds only `{allowed}`, and this is {found}"),
}


def _causes(sink: Sink, steps: list[Step], allowed: str) -> tuple[tuple[Span, str], ...]:
    places = {sink.span}
    found = []
    for step in (*steps, Step(sink.declared, f"declared `{allowed}` here")):
        if step.span not in places:
            places.add(step.span)
            found.append((step.span, step.text))
    return tuple(found)


def _chain_of(solver: Solver, bit: int) -> int:
    return next((whole for whole in solver.labels.whole.values() if whole & bit), 0)


def _allowed(solver: Solver, mask: int, bit: int) -> str:
    for chain in solver.labels.chains:
        if chain and solver.labels.whole[chain[0]] & bit:
            fits = [name for name in chain if not solver.labels.masks[name] & mask]
            return fits[-1] if fits else chain[0]
    return ""


def _help(solver: Solver, bit: int) -> str:
    chain = integrity(solver.labels)
    if chain and solver.labels.whole[chain[0]] & bit:
        return 'check the value, then say so: `endorse(x, "why it can be trusted")`'
    return 'leave out what is secret, or say why it may go: `declassify(x, "why it may be known")`'


def _way(solver: Solver, case: Case, node: int, bit: int) -> list[Step]:
    """The way of a label from where it came into the program to `node`."""
    steps: list[Step] = []
    seen: set[tuple[Case, int]] = set()
    entered: list[tuple[Case, int]] = []
    while (case, node) not in seen:
        seen.add((case, node))
        graph, values = solver.graphs[case.flow], solver.solved[case].values
        this = graph.nodes[node]
        name = listed(sorted(names_of(solver.labels, values[node] & _chain_of(solver, bit))))
        if this.note and this.span is not None:
            steps.append(Step(this.span, this.note.format(label=name)))
        if this.own & bit:
            break
        if 0 < node <= len(case.parameters):
            caller = entered.pop() if entered else solver.solved[case].caller
            if caller is None:
                break
            case, node = caller[0], solver.graphs[caller[0].flow].inputs[caller[1]][node - 1]
        elif this.flow is not None:
            entered.append((case, node))
            case = _called(solver, case, graph, node)
            node = _source(solver, case, solver.graphs[case.flow].returned, bit)
        else:
            node = _source(solver, case, graph.inputs[node], bit)
    return steps[::-1]


def _source(solver: Solver, case: Case, nodes: list[int], bit: int) -> int:
    values = solver.solved[case].values
    return next((each for each in nodes if values[each] & bit), 0)


def _facts(solver: Solver) -> LabelFacts:
    values: dict[int, int] = {}
    manifest: dict[Span, Relabelling] = {}
    for case, solution in solver.solved.items():
        graph = solver.graphs[case.flow]
        for key, node in graph.expressions.items():
            values[key] = values.get(key, 0) | solution.values[node]
        for source, target, kind, reason, span in graph.relabelled:
            before = names_of(solver.labels, solution.values[source])
            after = names_of(solver.labels, solution.values[target])
            known = manifest.get(span)
            manifest[span] = Relabelling(
                "endorse" if kind == "endorse" else "declassify",
                case.flow,
                reason,
                before | known.before if known else before,
                after | known.after if known else after,
                span,
            )
    names = {value: names_of(solver.labels, value) for value in set(values.values())}
    ordered = sorted(manifest.values(), key=lambda each: (each.span.line, each.span.column))
    return LabelFacts({key: names[value] for key, value in values.items() if value}, tuple(ordered))
