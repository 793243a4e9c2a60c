"""One graph of calls three times: by flowc, by LangGraph, and as a good engineer writes it in asyncio."""

import asyncio
import operator
from collections.abc import Callable, Coroutine, Sequence
from typing import Annotated, Any, TypedDict

from attrs import frozen

from benchmarks.agents.graph import Call
from benchmarks.agents.stage import Stage
from benchmarks.agents.workloads import Workload
from flowc.compiler.driver import Options, compile_text
from flowc.passes.pipelines import PIPELINES
from flowc.runtime.clock import VirtualLoop
from flowc.runtime.execute import load, run_plan
from flowc.runtime.result import RunResult

Wait = Callable[[Call], Coroutine[Any, Any, None]]


@frozen
class Outcome:
    """A run: seconds on the loop's clock, and what flowc says of it."""

    seconds: float
    result: RunResult | None = None


def virtually(work: Callable[[], Coroutine[Any, Any, RunResult | None]]) -> Outcome:
    """Runs a coroutine in virtual time."""
    loop = VirtualLoop()
    try:
        result = loop.run_until_complete(work())
        return Outcome(loop.time(), result)
    finally:
        loop.run_until_complete(loop.shutdown_default_executor())
        loop.close()


def really(work: Callable[[], Coroutine[Any, Any, RunResult | None]]) -> Outcome:
    """Runs a coroutine in real time."""

    async def timed() -> Outcome:
        begun = asyncio.get_running_loop().time()
        result = await work()
        return Outcome(asyncio.get_running_loop().time() - begun, result)

    return asyncio.run(timed())


def flowc(workload: Workload, stage: Stage, without: Sequence[str] = (), level: str = "O2") -> Any:
    """A call that runs the program, compiled now at a level without some passes."""
    names = [each.name for each in PIPELINES[level] if each.name not in without]
    compiled = compile_text(
        workload.program, f"{workload.name}.flow", options=Options(pipeline=",".join(names), native=False)
    )
    loaded = load(compiled.plan, stage.environment(compiled.plan))

    async def run() -> RunResult:
        result = await run_plan(loaded, "main", workload.arguments)
        if result.status != "ok":
            raise RuntimeError(f"{workload.name} ended {result.status}: {result.problem}")
        return result

    return run


def expert(calls: Sequence[Call], wait: Wait) -> Callable[[], Coroutine[Any, Any, None]]:
    """A task for each node, which begins when what it needs is there."""

    async def run() -> None:
        tasks: dict[str, asyncio.Task[None]] = {}

        async def node(call: Call) -> None:
            for need in call.needs:
                await tasks[need]
            await wait(call)

        for call in calls:
            tasks[call.name] = asyncio.create_task(node(call))
        await asyncio.gather(*tasks.values())

    return run


class _State(TypedDict):
    done: Annotated[list[str], operator.add]


def langgraph(calls: Sequence[Call], wait: Wait) -> Callable[[], Coroutine[Any, Any, None]]:
    """A node for each call, an edge from all that it needs, as LangGraph's documentation writes a graph."""
    from langgraph.graph import END, START, StateGraph

    graph: Any = StateGraph(_State)
    needed = {need for call in calls for need in call.needs}

    def make(call: Call) -> Any:
        async def node(state: _State) -> dict[str, list[str]]:
            await wait(call)
            return {"done": [call.name]}

        return node

    for call in calls:
        graph.add_node(call.name, make(call))
        graph.add_edge(list(call.needs) if call.needs else START, call.name)
    graph.add_edge([call.name for call in calls if call.name not in needed], END)
    application = graph.compile()

    async def run() -> None:
        await application.ainvoke({"done": []}, {"recursion_limit": 10 * len(calls) + 10})

    return run
