"""What a node of trivial Python costs: flowc, plain asyncio and LangGraph, interleaved in one process."""

import statistics
from collections.abc import Callable

from benchmarks import peers, programs
from benchmarks.measure import Row, Table, interleaved
from benchmarks.rounds import Options

SHAPES = {
    "chain": ("chain", programs.chain, 1000),
    "fan-out": ("fan-out", programs.fan_out, 1000),
    "fan-out, comprehension": ("fan-out", programs.fan_out_map, 1000),
    "grid, 30 x 30": ("grid", programs.grid, 30),
    "grid, 100 x 100": ("grid", programs.grid, 100),
}
BARS = {"chain": 15, "fan-out": 10, "fan-out, comprehension": 10}


def run(options: Options) -> Table:
    """Microseconds a node, medians; `flowc_us` is overhead_ms over nodes, `flowc_wall_us` the whole call."""
    rows: list[Row] = []
    for title, (shape, program, size) in SHAPES.items():
        size = max(10, size // 10) if options.quick else size
        nodes = size * size if shape == "grid" else size
        walls: list[float] = []
        variants: dict[str, Callable[[], float]] = {
            "flowc": flowc_case(program(size), walls),
            "asyncio": peers.asyncio_case(shape, size),
        }
        if peers.has_langgraph() and not (shape == "grid" and size > 32):
            variants["langgraph"] = peers.langgraph_case(shape, size)
        figures = interleaved(variants, 3 if options.quick else 15)
        per_node = {name: statistics.median(values) / nodes * 1e6 for name, values in figures.items()}
        graph = per_node.get("langgraph")
        rows.append(
            {
                "graph": title,
                "nodes": nodes,
                "flowc_us": round(per_node["flowc"], 2),
                "flowc_wall_us": round(statistics.median(walls) / nodes * 1e6, 2),
                "bar_us": BARS.get(title, ""),
                "asyncio_us": round(per_node["asyncio"], 2),
                "langgraph_us": round(graph, 1) if graph else "not run",
                "langgraph/flowc": round(graph / per_node["flowc"], 1) if graph else "",
            }
        )
    note = "" if peers.has_langgraph() else "LangGraph is not installed here, so it has no column. "
    note += "LangGraph is not run on the grid of 10,000 nodes: its merged state grows with every node."
    return Table("overhead", "Orchestration overhead a node, trivial pure Python tools", tuple(rows), note)


def flowc_case(text: str, walls: list[float]) -> Callable[[], float]:
    """Compiles now; the returned call runs once and returns the seconds that no node's body covers."""
    from flowc.compiler.driver import compile_text
    from flowc.runtime.execute import Environment
    from flowc.runtime.execute import run as execute

    compiled = compile_text(text, "generated.flow")
    environment = Environment(tools={"work": programs.work, "add": programs.add})

    def once() -> float:
        result = execute(compiled.plan, "main", {}, environment=environment)
        if result.status != "ok":
            raise RuntimeError(f"the benchmark's flow ended {result.status}: {result.problem}")
        walls.append(result.wall_ms / 1e3)
        return result.overhead_ms / 1e3

    return once
