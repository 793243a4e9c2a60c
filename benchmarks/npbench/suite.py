"""NPBench under `@flowc.jit`, NumPy, Numba and JAX: which programs compile, and how fast they are."""

import math
import os
import sys
from collections.abc import Sequence

from benchmarks.measure import Row, Table
from benchmarks.npbench.programs import FUSED, Program, checkout, load
from benchmarks.rounds import Command, Options, interleave, started

LIBRARIES = ("numpy", "numba", "jax")
TIMEOUT = 120.0


def run(options: Options) -> Table:
    """A row per program: milliseconds, and how many times as long NumPy and the best peer take."""
    folder = checkout()
    if folder is None:
        return Table(
            "npbench", "NPBench", (), "FLOWC_NPBENCH names no checkout of NPBench: nothing measured."
        )
    chosen = [each for each in load(folder, "S") if not options.only or each.name in options.only]
    if options.quick:
        chosen = chosen[:2]
    rows, busy = [], 0
    for program in chosen:
        row, disturbed = _row(program, options, sys.executable)
        rows.append(row)
        busy += disturbed
        print(" ".join(f"{key}={value}" for key, value in row.items() if value != ""), flush=True)
    return Table("npbench", _title(rows), tuple(rows), _note(rows, busy, options))


def _row(program: Program, options: Options, python: str) -> tuple[Row, int]:
    threads = min(max(options.threads), os.cpu_count() or 1)
    problems: dict[str, str] = {}
    commands = [
        Command(
            python if library == "flowc" else options.peers,
            "benchmarks.npbench.child",
            (library, program.name, "S"),
            threads,
        )
        for library in ("flowc", *LIBRARIES)
    ]

    def failed(command: Command, why: str) -> None:
        problems[command.arguments[0]] = why

    with started(commands, TIMEOUT, failed) as workers:
        rounds, seconds = (1, 0.02) if options.quick else (3, 0.25)
        busy = interleave(workers, rounds, seconds, options.patience)
        best: dict[str, float | None] = {}
        for worker in workers:
            library = worker.command.arguments[0]
            best[library] = min(map(options.estimate, worker.samples.values()), default=None)
            if worker.problems:
                problems[library] = "; ".join(worker.problems.values())
    ours, numpy = best.get("flowc"), best.get("numpy")
    peers = [figure for name in LIBRARIES if (figure := best.get(name)) is not None]
    return {
        "program": program.name,
        "fused": "yes" if program.name in FUSED else "",
        **{f"{name}_ms": _ms(best.get(name)) for name in ("flowc", *LIBRARIES)},
        "numpy/flowc": round(numpy / ours, 2) if ours and numpy else "",
        "numpy/best_peer": round(numpy / min(peers), 2) if numpy else "",
        "best_peer/flowc": round(min(peers) / ours, 2) if ours and peers else "",
        "problem": problems.get("flowc", ""),
    }, busy


def _ms(seconds: float | None) -> object:
    return "" if seconds is None else round(seconds * 1e3, 4)


def _title(rows: Sequence[Row]) -> str:
    compiled = sum(1 for row in rows if row["flowc_ms"] != "")
    return f"NPBench, preset S: {compiled} of {len(rows)} programs compile from their NumPy form"


def _note(rows: Sequence[Row], busy: int, options: Options) -> str:
    fused = [row for row in rows if row["fused"]]
    lines = []
    for label, some in (("fused programs", fused), ("all that compile", rows)):
        both = [row for row in some if row["numpy/flowc"] != ""]
        if both:
            lines.append(
                f"{label} ({len(both)} of {len(some)}), geometric means: "
                f"numpy/flowc {_mean(both, 'numpy/flowc')}, "
                f"numpy/best peer {_mean(both, 'numpy/best_peer')}; "
                f"slower than NumPy: {_slower(both) or 'none'}"
            )
    lines.append(f"Fresh arrays for each call; {options.estimator}; {busy} blocks began on a busy machine.")
    return "\n".join(lines)


def _mean(rows: Sequence[Row], column: str) -> str:
    values = [float(str(row[column])) for row in rows]
    return f"{math.exp(sum(map(math.log, values)) / len(values)):.2f}"


def _slower(rows: Sequence[Row]) -> str:
    return ", ".join(str(row["program"]) for row in rows if float(str(row["numpy/flowc"])) < 1)
