"""Writes docs/performance.md from the results: `python -m benchmarks.report`; a test compares."""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "docs" / "performance.md"
RESULTS = Path(__file__).parent / "results"
SHOWN = (
    "kernels",
    "gpu",
    "calls",
    "memory",
    "npbench",
    "predictions",
    "calls_foretold",
    "agents",
    "batches",
    "multi_turn",
    "critical_chain",
    "priorities",
    "passes",
    "ablation",
    "runs",
    "durable",
    "hanoi",
    "engine",
    "simulated_executed",
    "wfinstances",
    "task_times",
    "in_flight",
    "soak",
)

HEAD = """\
# Performance

This page is generated from `benchmarks/results`: `python -m benchmarks NAME` measures and rewrites it.
Ratios above 1 say that flowc is faster. Losses are shown like wins.
"""

MEANING = {
    "kernels": """\
`best peer` is the fastest of the other libraries into a fresh output, `best with out=` the fastest of all
their forms, those that write into a buffer that exists included; `c` is hand-written C with AVX-512 and
OpenMP. `of the limit` is the share of the bandwidth, or of the multiply-adds, that straight loops in C reach.
""",
    "gpu": """\
`make gpu` on a machine with a GPU measures this ([GPUs](cuda.md#measuring)); without one it checks what can
be checked.
""",
    "calls": "First calls are those of fresh processes; warm calls take 1,000 elements.\n",
    "memory": "Megabytes beside inputs and outputs; the bar is 2 % of the inputs and 8 MB.\n",
    "npbench": "Milliseconds; `problem` is the diagnostic of a program that does not compile.\n",
    "predictions": "What `--explain` says of kernels ([costs](cost.md)) beside what they took.\n",
    "calls_foretold": """\
What `run --explain` says of calls of models ([costs](cost.md#calls-and-steps)) beside what they took.
""",
    "agents": """\
Agentic workloads in virtual time: the graphs of Halo (W1, W5, W6: 17 operations each, SQL on generated
tables), plans and questions of LLMCompiler, a map-reduce, a support desk. The bar is 1.02 of the critical
path.
""",
    "batches": "The runs of one `--batch` on simulated servers that keep what prompts share.\n",
    "multi_turn": "Programs a second against a server that takes requests as they come.\n",
    "critical_chain": "Mean latency of chains against a server that takes requests as they come.\n",
    "priorities": "What compiled priorities are worth to generated programs, by what is known of times.\n",
    "passes": "For each pass a program that somebody would write, with it and without.\n",
    "engine": "How fast the simulated server itself is.\n",
    "simulated_executed": "What `flowc simulate` foretells ([simulate](simulate.md)) beside runs.\n",
    "wfinstances": "Recorded scientific workflows ([simulate](simulate.md)) on identical workers.\n",
    "task_times": "How well the learned policy knows the times of the tasks that it orders.\n",
    "runs": "Programs that are compiled and bound already; every call ends at once.\n",
    "in_flight": "One map of so many calls of a model, all of them under way for a while.\n",
    "soak": "Programs of all kinds, half of whose calls go wrong, for a long time in one process.\n",
    "durable": "What it costs that a run can be killed anywhere and gone on with.\n",
    "hanoi": "2 ** n - 1 moves that depend on each other, after the paper named in `benchmarks/hanoi`.\n",
    "ablation": "The same workloads at the highest level, with one pass left out at a time.\n",
}


def page() -> str:
    """The whole page, from the results that there are."""
    parts = [HEAD]
    for name in SHOWN:
        path = RESULTS / f"{name}.json"
        if path.exists():
            parts.append("\n".join(_section(name, json.loads(path.read_text(encoding="utf-8")))))
    return "\n".join(parts)


def _section(name: str, result: Mapping[str, Any]) -> Iterable[str]:
    yield f"## {result['title']}\n"
    yield MEANING[name]
    yield _machine(result["machine"]) + "\n"
    rows = result["rows"]
    columns = list(dict.fromkeys(key for row in rows for key in row))
    yield "| " + " | ".join(column.replace("_", " ") for column in columns) + " |"
    yield "|" + "---|" + "---:|" * (len(columns) - 1)
    for row in rows:
        yield "| " + " | ".join(_cell(row.get(column, "")) for column in columns) + " |"
    if result["note"]:
        yield "\n" + "\n".join(f"{line}  " for line in result["note"].splitlines()).rstrip() + "\n"


def _cell(value: object) -> str:
    return str(value).replace("|", "\\|")


def _machine(machine: Mapping[str, Any]) -> str:
    packages = ", ".join(f"{name} {version}" for name, version in machine["packages"].items())
    return f"{machine['processor']}, {machine['cores']} cores; Python {machine['python']}, {packages}."


def main() -> None:
    """Writes the page."""
    PAGE.write_text(page(), encoding="utf-8")


if __name__ == "__main__":
    main()
