"""Peak extra memory of every kernel, flowc beside NumPy; the bar is 2 % of the inputs and 8 MB."""

import sys
import tempfile
from pathlib import Path

from benchmarks.kernels.child import kernels, save
from benchmarks.measure import Row, Table
from benchmarks.rounds import Command, Options, started

LIBRARIES = ("flowc", "numpy")
MEGABYTE = 1 << 20


def run(options: Options) -> Table:
    """A row per kernel, in megabytes."""
    rows: list[Row] = []
    for name, kernel in list(kernels().items())[: 1 if options.quick else None]:
        if options.only and name not in options.only:
            continue
        with tempfile.TemporaryDirectory() as small, tempfile.TemporaryDirectory() as large:
            save(Path(small), kernel, 0.002)
            save(Path(large), kernel, 0.05 if options.quick else 0.4)
            rows.append({"kernel": kernel.title} | _measured(name, (small, large), options))
            print(rows[-1], flush=True)
    note = (
        "Beside inputs and outputs, at two fifths of the elements in the titles; compiled on smaller inputs."
    )
    return Table("memory", "Peak extra memory of one call", tuple(rows), note)


def _measured(name: str, folders: tuple[str, str], options: Options) -> Row:
    row: dict[str, object] = {}
    for library in LIBRARIES:
        python = sys.executable if library == "flowc" else options.peers
        command = Command(python, "benchmarks.memory.child", (library, name, *folders), 2)
        with started([command], 120, lambda _, why: print(f"{name}: {why}")) as workers:
            for worker in workers:
                inputs = worker.facts["inputs"] / MEGABYTE
                row["inputs_MB"] = round(inputs, 1)
                row["bar_MB"] = round(0.02 * inputs + 8, 1)
                row[f"{library}_MB"] = round(max(worker.facts["extra"], 0) / MEGABYTE, 1)
    return row
