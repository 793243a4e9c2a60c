"""Runs the benchmarks, prints their tables, and writes benchmarks/results/NAME.json."""

import argparse
import importlib
import json
import os
import sys
from pathlib import Path

from rich.console import Console
from rich.table import Table as Drawing

from benchmarks import report
from benchmarks.measure import Table, machine
from benchmarks.rounds import Options

SUITES = {
    "overhead": "benchmarks.overhead",
    "waiting": "benchmarks.waiting",
    "compiling": "benchmarks.compiling",
    "runs": "benchmarks.runs",
    "starting": "benchmarks.starting",
    "passes": "benchmarks.passes",
    "kernels": "benchmarks.kernels.suite",
    "gpu": "benchmarks.gpu.suite",
    "steps": "benchmarks.steps",
    "calls": "benchmarks.calls.suite",
    "memory": "benchmarks.memory.suite",
    "npbench": "benchmarks.npbench.suite",
    "predictions": "benchmarks.predictions",
    "decisions": "benchmarks.decisions",
    "calls_foretold": "benchmarks.calls_foretold",
    "engine": "benchmarks.engine",
    "agents": "benchmarks.agents.suite",
    "batches": "benchmarks.agents.batches",
    "ablation": "benchmarks.agents.ablation",
    "multi_turn": "benchmarks.agents.multi_turn",
    "critical_chain": "benchmarks.agents.critical_chain",
    "priorities": "benchmarks.priorities",
    "simulated_executed": "benchmarks.simulated_executed",
    "task_times": "benchmarks.wfinstances.times",
    "wfinstances": "benchmarks.wfinstances.schedules",
    "search": "benchmarks.search.suite",
    "durable": "benchmarks.durable.suite",
    "hanoi": "benchmarks.hanoi.suite",
    "in_flight": "benchmarks.in_flight.suite",
    "soak": "benchmarks.soak.suite",
}
RESULTS = Path(__file__).parent / "results"


def main() -> None:
    """The command line."""
    names, options = arguments(sys.argv[1:])
    os.environ["FLOWC_HISTORY"] = "none"  # what this user's runs have shown must not change the figures
    console = Console(width=180)
    for name in names:
        table: Table = importlib.import_module(SUITES[name]).run(options)
        draw(console, table)
        if not (options.quick or options.only or options.least) and table.rows:
            save(name, table)
            report.main()


def arguments(words: list[str]) -> tuple[list[str], Options]:
    """Which benchmarks to run, and how."""
    parser = argparse.ArgumentParser(prog="benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of: {', '.join(SUITES)}; else all")
    parser.add_argument("--quick", action="store_true", help="few repeats, small sizes: does it work?")
    parser.add_argument(
        "--peers",
        default=sys.executable,
        metavar="PYTHON",
        help="an interpreter whose environment has the peers",
    )
    parser.add_argument(
        "--only", action="append", default=[], metavar="ROW", help="these rows alone; nothing is written"
    )
    parser.add_argument(
        "--threads", default=f"1,{min(os.cpu_count() or 1, 2)}", metavar="N,N", help="numbers of threads"
    )
    parser.add_argument("--least", action="store_true", help="least instead of median: the machine is busy")
    parser.add_argument("--seconds", type=float, help="for how long to soak; else a minute")
    parser.add_argument("--disks", type=int, default=14, metavar="N", help="of the Tower of Hanoi")
    parsed = parser.parse_args(words)
    unknown = set(parsed.names) - set(SUITES)
    if unknown:
        parser.error(f"no benchmark is called {', '.join(sorted(unknown))}; there are {', '.join(SUITES)}")
    threads = tuple(int(word) for word in parsed.threads.split(","))
    options = Options(
        quick=parsed.quick,
        peers=parsed.peers,
        only=tuple(parsed.only),
        threads=threads,
        least=parsed.least,
        seconds=parsed.seconds,
        disks=parsed.disks,
    )
    return parsed.names or list(SUITES), options


def save(name: str, table: Table) -> None:
    """Keeps a table for the pages that quote it."""
    RESULTS.mkdir(exist_ok=True)
    content = {"machine": machine(), "title": table.title, "note": table.note, "rows": table.rows}
    if table.details:
        content["details"] = dict(table.details)
    (RESULTS / f"{name}.json").write_text(json.dumps(content, indent=1) + "\n")


def draw(console: Console, table: Table) -> None:
    """Prints one table."""
    drawing = Drawing(
        title=table.title, title_justify="left", caption=table.note or None, caption_justify="left"
    )
    columns = list(dict.fromkeys(key for row in table.rows for key in row))
    for column in columns:
        drawing.add_column(column.replace("_", " "), justify="left" if column == columns[0] else "right")
    for row in table.rows:
        drawing.add_row(*(_cell(row.get(column, "")) for column in columns))
    console.print(drawing)
    console.print()


def _cell(value: object) -> str:
    return f"{value:,.2f}" if isinstance(value, float) else str(value)


if __name__ == "__main__":
    main()
