"""How the benchmarks measure: interleaved repeats, medians, and ratios within one run."""

import gc
import os
import platform
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from importlib import metadata
from pathlib import Path

from attrs import field, frozen

Row = Mapping[str, object]


@frozen
class Table:
    """A titled table of figures. `note` says what a reader must know to judge them, losses included.

    `details` are figures behind the rows, kept with the results and not drawn.
    """

    name: str
    title: str
    rows: tuple[Row, ...]
    note: str = ""
    details: Mapping[str, object] = field(factory=dict)


def interleaved(
    variants: Mapping[str, Callable[[], float]], repeats: int, *, warm_up: int = 1
) -> dict[str, list[float]]:
    """Runs every variant once a round, so that a noisy moment hits all; gives what the calls returned."""
    figures: dict[str, list[float]] = {name: [] for name in variants}
    for round_ in range(repeats + warm_up):
        for name, variant in variants.items():
            gc.collect()
            figure = variant()
            if round_ >= warm_up:
                figures[name].append(figure)
    return figures


def seconds(call: Callable[[], object]) -> float:
    """Wall time of one call."""
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def spread(figures: Sequence[float], *, scale: float = 1.0, digits: int = 2) -> dict[str, float]:
    """Median, least and greatest, scaled."""
    return {
        "median": round(statistics.median(figures) * scale, digits),
        "min": round(min(figures) * scale, digits),
        "max": round(max(figures) * scale, digits),
    }


def machine() -> dict[str, object]:
    """What a figure depends on and a reader should know."""
    packages = ("xdsl", "lark", "llvmlite", "numpy", "langgraph")
    return {
        "processor": _processor(),
        "cores": os.cpu_count(),
        "system": platform.system(),
        "python": platform.python_version(),
        "packages": {name: version for name in packages if (version := _version(name))},
    }


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def _processor() -> str:
    try:
        with Path("/proc/cpuinfo").open(encoding="utf-8") as lines:
            return next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.machine()
