"""A graph as a program: tools for what is outside, an llm for each agent, `main` for the edges."""

from collections.abc import Iterable, Sequence

from attrs import frozen

from flowc.compiler.checker.report import MAXIMUM
from flowc.compiler.diagnostics.model import CompileError, Source
from flowc.compiler.importers.halo import settings
from flowc.compiler.importers.halo.agents import Agents
from flowc.compiler.importers.halo.model import Graph, Step
from flowc.compiler.importers.halo.naming import Names, Records
from flowc.compiler.importers.halo.tools import Tools
from flowc.compiler.importers.halo.values import Typed, Values
from flowc.compiler.importers.halo.wiring import Wiring, wire

_ABOUT = """\
# The simulated provider stands in for both. For others, a flowc.toml says which models are meant:
#
"""


@frozen
class Program:
    """The text of a program, and of the flowc.toml that goes with it."""

    text: str
    settings: str


def program(graph: Graph, source: Source) -> Program:
    """The program of a graph. Raises CompileError (E0666 to E0669) with all that is wrong with it."""
    wiring = wire(graph)
    steps = wiring.order()
    _stop(wiring, source)
    names = Names()
    records = Records(names)
    values = Values(wiring, names, records)
    aliases = settings.aliases(steps)
    tools, agents = Tools(values), Agents(values, aliases)
    parameters = _parameters(steps, values)
    shared = {(o.step, o.name) for step in steps for o in wiring.taken(step) if o.step != step.id}
    body: list[str] = []
    for step in steps:
        body += _statements(step, tools, agents, shared)
    results = _results(steps, wiring, values)
    _stop(wiring, source)
    result, returned = _returned(results, records)
    head = settings.toml(aliases)
    calls = sum(step.kind == "inference" for step in steps)
    outside = sum(len(step.queries) + (step.kind in ("http", "processor")) for step in steps)
    counts = f"{_counted(calls, 'model call')}, {_counted(outside, 'tool call')}"
    parts = [
        f"# {_titled(graph.name)}: {counts}.\n{_about(head)}",
        *(_record(name, fields) for name, fields in records.fields.items()),
        *tools.texts,
        *agents.texts,
        "\n".join(
            [
                f"flow main({', '.join(f'{name}: {type_}' for name, type_ in parameters)}) -> {result}:",
                *(f"    {line}" for line in body),
                f"    return {returned}\n",
            ]
        ),
    ]
    return Program("\n".join(parts), head)


def _titled(name: str) -> str:
    """How the program calls its graph, on one line."""
    return f"The Halo graph {' '.join(name.split())[:60]}" if name else "A Halo graph"


def _counted(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"


def _about(head: str) -> str:
    """The flowc.toml as a comment; nothing where the graph says nothing for one."""
    return (
        _ABOUT + "".join(f"#   {line}".rstrip() + "\n" for line in head.splitlines()) if head.strip() else ""
    )


def _stop(wiring: Wiring, source: Source) -> None:
    if wiring.found:
        unique = {(d.code, d.title, d.labels): d for d in wiring.found}
        raise CompileError(
            source, tuple(sorted(unique.values(), key=lambda d: d.labels[0].span.line))[:MAXIMUM]
        )


def _parameters(steps: Iterable[Step], values: Values) -> list[tuple[str, str]]:
    """What a person gives: the outputs of input nodes, by their names."""
    found: list[tuple[str, str]] = []
    for step in steps:
        for output in step.outputs if step.kind == "input" else ():
            name = values.names.free(output)
            values.known[step.id, output] = Typed(name, "str")
            found.append((name, "str"))
    return found


def _statements(step: Step, tools: Tools, agents: Agents, shared: set[tuple[str, str]]) -> Iterable[str]:
    """The lines of a step. A query stands where its rows go, unless another step reads them too."""
    values = tools.values
    for query in step.queries:
        rows = tools.query(step, query)
        if (step.id, query.name) in shared:
            variable = values.names.free(query.name, "rows")
            yield f"{variable} = {rows.text}"
            rows = Typed(variable, rows.type)
        values.known[step.id, query.name] = rows
    if step.kind == "input":
        return
    if step.kind == "inference":
        made = agents.call(step)
    else:
        whole = tools.request(step) if step.kind == "http" else tools.rule(step)
        made = dict.fromkeys(step.outputs, whole)
    texts = {value.text for value in made.values()}
    if len(made) > 1:
        call = min(texts, key=len)
        inner = made if len(texts) > 1 else {}
        stem = call if not inner else call[: call.rindex(")") + 1]
        variable = values.names.free(step.id, "result")
        yield f"{variable} = {stem}"
        for output, value in made.items():
            values.known[step.id, output] = Typed(variable + value.text[len(stem) :], value.type)
        return
    for output, value in made.items():
        variable = values.names.free(output, "result")
        yield f"{variable} = {value.text}"
        values.known[step.id, output] = Typed(variable, value.type)


def _results(steps: Sequence[Step], wiring: Wiring, values: Values) -> dict[str, Typed]:
    """What nobody takes, of the steps that nobody takes anything from."""
    taken = {origin.step for step in steps for origin in wiring.taken(step)}
    last = [step for step in steps if step.kind != "input" and step.id not in taken]
    if not last:
        span = steps[0].span if steps else None
        if span is not None:
            values.wrong("E0666", "this graph has nothing to do", span, help="add a node that is no input")
    return {output: values.known[step.id, output] for step in last for output in step.outputs}


def _returned(results: dict[str, Typed], records: Records) -> tuple[str, str]:
    """The type of the result and its expression."""
    if len(results) == 1:
        only = next(iter(results.values()))
        return only.type, only.text
    name = records.add("results", {key: value.type for key, value in results.items()})
    keys = records.keys[name]
    return name, f"{name}({', '.join(f'{keys[key]}={value.text}' for key, value in results.items())})"


def _record(name: str, fields: Iterable[tuple[str, str]]) -> str:
    return "\n".join([f"record {name}:", *(f"    {key}: {type_}" for key, type_ in fields)]) + "\n"
