"""The same graphs in plain asyncio and in LangGraph, as their own documentation would write them."""

import asyncio
import importlib.util
import operator
import os
import time
from collections.abc import Awaitable, Callable
from typing import Annotated, Any, TypedDict

os.environ.setdefault("LANGSMITH_TRACING", "false")

MODULUS = 1_000_003


async def _work(i: int) -> int:
    return i + 1


async def _asyncio_chain(nodes: int) -> int:
    value = 0
    for _ in range(nodes):
        value = await asyncio.create_task(_work(value))
    return value


async def _asyncio_fan_out(nodes: int) -> int:
    return sum(await asyncio.gather(*(_work(i) for i in range(nodes))))


async def _asyncio_grid(side: int) -> int:
    tasks: dict[tuple[int, int], asyncio.Task[int]] = {}

    async def cell(row: int, column: int) -> int:
        up = await tasks[row - 1, column] if row else 1
        left = await tasks[row, column - 1] if column else 1
        return (up + left) % MODULUS

    for row in range(side):
        for column in range(side):
            tasks[row, column] = asyncio.create_task(cell(row, column))
    return await tasks[side - 1, side - 1]


def asyncio_case(shape: str, size: int) -> Callable[[], float]:
    """A call that runs the graph once in a fresh loop and returns its seconds."""
    program: dict[str, Callable[[int], Awaitable[int]]] = {
        "chain": _asyncio_chain,
        "fan-out": _asyncio_fan_out,
        "grid": _asyncio_grid,
    }

    async def timed() -> float:
        start = time.perf_counter()
        await program[shape](size)
        return time.perf_counter() - start

    return lambda: asyncio.run(timed())


def has_langgraph() -> bool:
    """Whether LangGraph is installed."""
    return importlib.util.find_spec("langgraph") is not None


class _Chain(TypedDict):
    value: int


class _Fan(TypedDict):
    values: Annotated[list[int], operator.add]
    total: int


def langgraph_case(shape: str, size: int) -> Callable[[], float]:
    """Builds and compiles the graph now; the returned call runs it once and returns its seconds."""
    graph, inputs = {"chain": _langgraph_chain, "fan-out": _langgraph_fan_out, "grid": _langgraph_grid}[
        shape
    ](size)
    application = graph.compile()

    async def timed() -> float:
        start = time.perf_counter()
        await application.ainvoke(inputs, {"recursion_limit": 10 * size + 10})
        return time.perf_counter() - start

    return lambda: asyncio.run(timed())


def _langgraph_chain(nodes: int) -> tuple[Any, dict[str, Any]]:
    from langgraph.graph import END, START, StateGraph

    async def node(state: _Chain) -> dict[str, int]:
        return {"value": state["value"] + 1}

    graph: Any = StateGraph(_Chain)
    previous = START
    for index in range(nodes):
        graph.add_node(f"n{index}", node)
        graph.add_edge(previous, f"n{index}")
        previous = f"n{index}"
    graph.add_edge(previous, END)
    return graph, {"value": 0}


def _langgraph_fan_out(nodes: int) -> tuple[Any, dict[str, Any]]:
    from langgraph.graph import END, START, StateGraph

    def make(index: int) -> Any:
        async def node(state: _Fan) -> dict[str, list[int]]:
            return {"values": [index + 1]}

        return node

    async def join(state: _Fan) -> dict[str, int]:
        return {"total": sum(state["values"])}

    graph: Any = StateGraph(_Fan)
    graph.add_node("join", join)
    for index in range(nodes):
        graph.add_node(f"n{index}", make(index))
        graph.add_edge(START, f"n{index}")
    graph.add_edge([f"n{index}" for index in range(nodes)], "join")
    graph.add_edge("join", END)
    return graph, {"values": [], "total": 0}


def _merge(left: dict[str, int], right: dict[str, int]) -> dict[str, int]:
    return {**left, **right}


class _Grid(TypedDict):
    cells: Annotated[dict[str, int], _merge]


def _langgraph_grid(side: int) -> tuple[Any, dict[str, Any]]:
    from langgraph.graph import END, START, StateGraph

    def make(row: int, column: int) -> Any:
        async def node(state: _Grid) -> dict[str, dict[str, int]]:
            cells = state["cells"]
            up = cells[f"{row - 1}_{column}"] if row else 1
            left = cells[f"{row}_{column - 1}"] if column else 1
            return {"cells": {f"{row}_{column}": (up + left) % MODULUS}}

        return node

    graph: Any = StateGraph(_Grid)
    for row in range(side):
        for column in range(side):
            graph.add_node(f"g{row}_{column}", make(row, column))
            before = [f"g{r}_{c}" for r, c in ((row - 1, column), (row, column - 1)) if r >= 0 and c >= 0]
            if before:
                graph.add_edge(before, f"g{row}_{column}")
            else:
                graph.add_edge(START, f"g{row}_{column}")
    graph.add_edge(f"g{side - 1}_{side - 1}", END)
    return graph, {"cells": {}}
