"""One table: first calls against other compilers, warm calls on 1,000 elements, and calls after a rest."""

import statistics
import sys
import tempfile
from pathlib import Path

from benchmarks.calls.child import CALLS, REST
from benchmarks.kernels.child import kernels, save
from benchmarks.measure import Row, Table
from benchmarks.rounds import Command, Options, interleave, started

FIRST = ("gelu", "softmax", "layernorm", "cosine", "matmul", "attention", "columns", "turned", "smooth")
LIBRARIES = ("flowc", "numba", "jax", "torch_compile")
TIMEOUT = 120.0


def run(options: Options) -> Table:
    """Milliseconds of first calls, microseconds of warm ones."""
    names = [name for name in FIRST[: 1 if options.quick else None] if _wanted(name, options)]
    rows = [_first(name, options) for name in names]
    if rows:
        columns = [key for key in rows[0] if key not in ("call", "unit")]
        rows.append(
            {"call": "median of the first calls", "unit": "ms"} | {c: _median(rows, c) for c in columns}
        )
        rows.append(_first(names[0], options, "alone"))
    if _wanted("warm", options):
        rows += _later("warm", options, 1, "{}, 1,000 f32", CALLS)
    if _wanted("rested", options):
        rows += _later(
            "rested", options, max(options.threads), f"{{}}, 1e6 f32, after {REST * 1e3:.0f} ms of rest", 1
        )
    note = (
        "First calls come after one other kernel, so that lazily loaded modules are loaded; alone without. "
        "Fresh processes."
    )
    return Table("calls", "The first call and every call", tuple(rows), note)


def _wanted(name: str, options: Options) -> bool:
    return not options.only or name in options.only


def _median(rows: list[Row], column: str) -> object:
    values = [float(str(row[column])) for row in rows if row.get(column, "") != ""]
    return round(statistics.median(values), 1) if values else ""


def _first(name: str, options: Options, what: str = "first") -> Row:
    with tempfile.TemporaryDirectory() as folder, tempfile.TemporaryDirectory() as cache:
        save(Path(folder), kernels()[name], 0.001)
        environment = (("FLOWC_CACHE_DIR", cache), ("TORCHINDUCTOR_CACHE_DIR", cache))

        def seconds(library: str) -> object:
            python = sys.executable if library == "flowc" else options.peers
            words = (what, library, name, folder)
            command = Command(python, "benchmarks.calls.child", words, 1, environment)
            with started([command], TIMEOUT, lambda _, why: print(f"{library} {name}: {why}")) as workers:
                return next((round(worker.facts["seconds"] * 1e3, 1) for worker in workers), "")

        title = f"{'first call' if what == 'first' else 'alone'}, {name}"
        row: dict[str, object] = {"call": title, "unit": "ms", "flowc": seconds("flowc")}
        row["flowc_from_disk"] = seconds("flowc")
        for library in () if options.quick else LIBRARIES[1:]:
            row[library] = seconds(library)
    return row


def _later(what: str, options: Options, threads: int, title: str, calls: int) -> list[Row]:
    libraries = ("flowc", "numpy") if options.quick else (*LIBRARIES, "numpy")
    commands = [
        Command(
            sys.executable if library == "flowc" else options.peers,
            "benchmarks.calls.child",
            (what, library, "", ""),
            threads,
        )
        for library in libraries
    ]
    rows: dict[str, dict[str, object]] = {}
    with started(commands, TIMEOUT, lambda command, why: print(f"{command.arguments[1]}: {why}")) as workers:
        interleave(workers, 1 if options.quick else 5, 0.05 if options.quick else 0.2, options.patience)
        for worker in workers:
            for name, samples in worker.samples.items():
                row = rows.setdefault(name, {"call": title.format(name), "unit": "us"})
                row[worker.command.arguments[1]] = round(options.estimate(samples) / calls * 1e6, 2)
    return list(rows.values())
