"""Single runs: how near each workload comes to its critical path, beside LangGraph and asyncio by hand."""

import asyncio
import statistics
from collections.abc import Callable, Iterator

from attrs import frozen

from benchmarks import peers
from benchmarks.agents import plans
from benchmarks.agents.contenders import Wait, expert, flowc, langgraph, really, virtually
from benchmarks.agents.graph import Call, critical_path
from benchmarks.agents.stage import Stage, Times
from benchmarks.agents.workloads import Workload, of_plan, workloads
from benchmarks.measure import Row, Table, interleaved
from benchmarks.rounds import Options
from flowc.compiler.diagnostics.model import CompileError

BAR = 1.02
NOTE = """\
Seconds of virtual time for the same calls with the same times. The expert starts a task for each call, and
makes statements that the graph repeats once; LangGraph runs the same nodes in supersteps. Microseconds are
real time for each call where all end at once: what no node's body covers for flowc, else the whole run. No
prompt here begins with as many tokens as hosted models keep (1,024): no call waits for another's start."""


@frozen
class Spans:
    """Seconds of one workload: its critical path, and what each contender takes."""

    critical: float
    flowc: float
    expert: float
    langgraph: float | None


def run(options: Options) -> Table:
    """A row for each workload, and one for each set of questions of LLMCompiler."""
    rows: list[Row] = [
        row(each.name, each.title, len(each.calls), spans(each)) | _real(each, options)
        for each in workloads(100 if options.quick else 1_000)
        if not options.only or each.name in options.only
    ]
    for name in plans.FILES:
        if not options.only or name in options.only:
            rows += question_rows(name, 5 if options.quick else None)
    note = NOTE if peers.has_langgraph() else f"{NOTE}\nLangGraph is not installed here."
    return Table("agents", "Agentic workloads: single runs against their critical path", tuple(rows), note)


def row(name: str, title: str, calls: int, found: Spans) -> dict[str, object]:
    """Seconds and ratios."""
    return {
        "workload": name,
        "program": title,
        "calls": calls,
        "critical_path_s": round(found.critical, 3),
        "flowc_s": round(found.flowc, 3),
        "flowc/path": round(found.flowc / found.critical, 4),
        "bar": BAR,
        "expert_s": round(found.expert, 3),
        "langgraph_s": round(found.langgraph, 3) if found.langgraph is not None else "not run",
        "flowc/expert": round(found.flowc / found.expert, 4),
    }


def spans(workload: Workload) -> Spans:
    """What a workload takes in virtual time."""
    wait = _waiting(workload.times)
    return Spans(
        critical_path(workload.calls, workload.times),
        virtually(flowc(workload, Stage(workload.times, workload.functions))).seconds,
        virtually(expert(workload.calls, wait)).seconds,
        virtually(langgraph(workload.calls, wait)).seconds if peers.has_langgraph() else None,
    )


def question_rows(name: str, most: int | None) -> Iterator[Row]:
    """The questions of a data set one after the other, each with its plan."""
    found: list[tuple[int, Spans]] = []
    for question in plans.questions(name)[:most]:
        try:
            workload = of_plan(name, plans.planned(plans.plan_for(question)), question)
        except (
            CompileError
        ) as error:  # the plan is ours: a question that breaks it is a defect of the benchmark
            raise RuntimeError(f"the plan of {question!r} is malformed: {error}") from error
        found.append((len(workload.calls), spans(workload)))
    if found:
        total = Spans(
            sum(each.critical for _, each in found),
            sum(each.flowc for _, each in found),
            sum(each.expert for _, each in found),
            sum(each.langgraph or 0.0 for _, each in found) if peers.has_langgraph() else None,
        )
        yield row(
            name, f"LLMCompiler, {len(found)} questions in turn", sum(calls for calls, _ in found), total
        )


def _waiting(times: Times) -> Wait:
    async def wait(call: Call) -> None:
        await asyncio.sleep(times.seconds(call.operation, call.key))

    return wait


def _real(workload: Workload, options: Options) -> dict[str, object]:
    """Microseconds of real time a call when no call takes any: runs in a row, so that threads are there."""
    at_once = Times({}, workload.times.apart, otherwise=0.0)
    run = flowc(workload, Stage(at_once))
    wait = _waiting(at_once)

    def overhead() -> float:
        result = really(run).result
        assert result is not None
        return result.overhead_ms / 1e3

    variants: dict[str, Callable[[], float]] = {
        "flowc": overhead,
        "expert": lambda: really(expert(workload.calls, wait)).seconds,
    }
    if peers.has_langgraph():
        variants["langgraph"] = lambda: really(langgraph(workload.calls, wait)).seconds
    repeated = {name: _in_a_row(variant) for name, variant in variants.items()}
    figures = interleaved(repeated, 2 if options.quick else 5)
    return {
        f"{name}_us": round(options.estimate(values) / len(workload.calls) * 1e6, 1)
        for name, values in figures.items()
    }


def _in_a_row(run: Callable[[], float]) -> Callable[[], float]:
    return lambda: statistics.median(run() for _ in range(3))
