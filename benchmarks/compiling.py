"""Compile time and memory for programs of 100, 1,000 and 10,000 nodes: each in a process of its own."""

import json
import statistics
import subprocess
import sys

from benchmarks.measure import Row, Table
from benchmarks.rounds import Options

SIZES = {"chain": (100, 1000, 10_000), "fan_out": (100, 1000, 10_000), "grid": (10, 32, 100)}

CHILD = """
import json, re, sys, time
from pathlib import Path
from benchmarks import programs
text = getattr(programs, sys.argv[1])(int(sys.argv[2]))
start = time.perf_counter()
from flowc.compiler.driver import compile_text
compile_text(programs.chain(2), "small.flow")  # loads every module of the way
loaded = time.perf_counter()
compile_text(text, "generated.flow")
done = time.perf_counter()
peak = int(re.search(r"VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text())[1]) / 1024
print(json.dumps({"load": loaded - start, "compile": done - loaded, "peak": peak}))
"""


def run(options: Options) -> Table:
    """Seconds from text to plan at -O2, imports apart, and the peak memory of the whole process."""
    rows: list[Row] = []
    for shape, sizes in (
        ("chain", (100, 1000, 10_000)),
        ("fan_out", (100, 1000, 10_000)),
        ("grid", (10, 32, 100)),
    ):
        for size in sizes[: 2 if options.quick else 3]:
            samples = [_sample(shape, size) for _ in range(1 if options.quick else 3)]
            nodes = size * size if shape == "grid" else size
            seconds = statistics.median(sample["compile"] for sample in samples)
            rows.append(
                {
                    "program": shape.replace("_", "-"),
                    "nodes": nodes,
                    "seconds": round(seconds, 3),
                    "us_per_node": round(seconds / nodes * 1e6, 1),
                    "peak_MB": round(max(sample["peak"] for sample in samples)),
                    "imports_s": round(statistics.median(sample["load"] for sample in samples), 3),
                }
            )
    return Table("compiling", "Compile time at -O2 (bar: 10,000 nodes under 20 s and 1 GB)", tuple(rows))


def _sample(shape: str, size: int) -> dict[str, float]:
    command = [sys.executable, "-c", CHILD, shape, str(size)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    sample: dict[str, float] = json.loads(done.stdout)
    return sample
