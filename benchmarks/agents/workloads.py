"""The workloads of a single run: their programs, arguments, times, and bare graphs."""

import random
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from attrs import field, frozen

from benchmarks.agents import halo, plans
from benchmarks.agents.graph import Call
from benchmarks.agents.stage import Times

PROGRAMS = Path(__file__).parent / "programs"
QUESTIONS = {"W1": "Who directed Inception?", "small": "a film about a river, since=1950"}
PARAMETERS = "region=AMERICA segment=HOUSEHOLD year=1993 shipmode=MAIL"
CAUSES = (
    "a full disk",
    "an expired certificate",
    "a lost packet",
    "a wrong default",
    "heat",
    "a second leader",
)


@frozen
class Workload:
    """A program with what it is run on. `calls` is the graph that an expert would write down."""

    name: str
    title: str
    program: str
    arguments: Mapping[str, object]
    times: Times
    calls: tuple[Call, ...]
    functions: Mapping[str, Callable[..., Any]] = field(factory=dict)


def workloads(documents: int = 1_000) -> Iterator[Workload]:
    """All workloads that are to be had here: those of Halo and LLMCompiler need FLOWC_DATA."""
    for name in ("small", *halo.FILES):
        graph = halo.graph_of(name)
        if graph is not None:
            yield of_graph(name, graph)
    yield from of_plans()
    yield map_reduce(documents)
    yield triage(max(4, documents // 20))


def of_graph(name: str, graph: halo.HaloGraph) -> Workload:
    """A graph of Halo; without DuckDB its statements are simulated."""
    argument = next(output for step in graph.graph.steps if step.kind == "input" for output in step.outputs)
    try:
        functions = halo.functions(graph)
    except ImportError:
        functions = {}
    return Workload(
        name,
        graph.graph.name,
        graph.program,
        {argument: QUESTIONS.get(name, PARAMETERS)},
        Times(halo.means(graph)),
        halo.calls(graph),
        functions,
    )


def of_plans() -> Iterator[Workload]:
    """The published plans of LLMCompiler."""
    for number, plan in enumerate(plans.published(), 1):
        yield of_plan(f"plan {number}", plan)


def of_plan(name: str, plan: plans.Planned, question: str = "?") -> Workload:
    """A plan, for a question."""
    arguments = {"question": question} if "main(question" in plan.program else {}
    times = Times(plans.MEANS, plans.APART)
    return Workload(name, f"LLMCompiler, {len(plan.calls)} calls", plan.program, arguments, times, plan.calls)


def map_reduce(documents: int, group: int = 50, seed: int = 7) -> Workload:
    """Documents with shared instructions, in groups."""
    chance = random.Random(seed)
    texts = [document(chance, number) for number in range(documents)]
    groups = [texts[start : start + group] for start in range(0, documents, group)]
    calls: list[Call] = []
    for number, each in enumerate(groups):
        notes = [Call(f"note {number}.{place}", "note", (), text) for place, text in enumerate(each)]
        calls += notes
        calls.append(Call(f"digest {number}", "digest", tuple(note.name for note in notes)))
    calls.append(Call("report", "report", tuple(f"digest {number}" for number in range(len(groups)))))
    return Workload(
        "map-reduce",
        f"{documents:,} documents",
        (PROGRAMS / "map_reduce.flow").read_text(encoding="utf-8"),
        {"groups": groups},
        Times({"note": 1.5, "digest": 4.0, "report": 6.0}, {"note": "document"}),
        tuple(calls),
    )


def triage(tickets: int, seed: int = 7) -> Workload:
    """Tickets of which every third is a fault: its diagnosis waits for what kind it is, or is speculated."""
    chance = random.Random(seed)
    found: list[dict[str, str]] = []
    calls = [Call("handbook", "handbook")]
    for number in range(tickets):
        fault = number % 3 == 0
        text = f"Ticket {number}: {'it fails since' if fault else 'what about'} {chance.choice(CAUSES)}."
        customer = f"customer {number}"
        found.append({"customer": customer, "text": text})
        calls.append(Call(f"kind {number}", "kind", (), text))
        needs = [f"kind {number}", "handbook"]
        if fault:
            calls.append(Call(f"history {number}", "history", (f"kind {number}",), customer))
            calls.append(Call(f"diagnose {number}", "diagnose", (f"history {number}",), text))
            needs.append(f"diagnose {number}")
        calls.append(Call(f"reply {number}", "reply", tuple(needs), text))
    return Workload(
        "triage",
        f"{tickets} tickets",
        (PROGRAMS / "triage.flow").read_text(encoding="utf-8"),
        {"tickets": found},
        Times(
            {"handbook": 0.3, "history": 0.4, "kind": 0.6, "diagnose": 3.0, "reply": 1.5},
            {"history": "customer", "kind": "text", "diagnose": "text", "reply": "text"},
        ),
        tuple(calls),
        {"kind": lambda request: "fault" if "it fails" in request.prompt else "question"},
    )


def document(chance: random.Random, number: int) -> str:
    """A report of an incident, of 60 to 180 words."""
    lines = [
        f"Report {number}, machine m{chance.randrange(400)}: the service failed for {chance.choice(CAUSES)}."
    ]
    lines += [
        f"At {chance.randrange(24):02d}:{chance.randrange(60):02d} load was {chance.randrange(100)} % and "
        f"{chance.choice(CAUSES)} was seen on m{chance.randrange(400)}."
        for _ in range(chance.randint(4, 12))
    ]
    return " ".join(lines)
