"""Kernels against every peer that is installed, hand-written C and the machine's limits, in one run."""

import math
import os
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from attrs import define, field, frozen

from benchmarks import calibration
from benchmarks.kernels.child import kernels, save
from benchmarks.kernels.kernel import Kernel
from benchmarks.measure import Row, Table
from benchmarks.rounds import Command, Options, Worker, interleave, started, versions

OURS = ("flowc", "c")
LARGE = 400_000_000
"""Bytes of input above which not every peer is kept in memory at the same time."""

TIMEOUT = 240.0

FAR = 10.0
"""How many times as long as the quickest a form may take to be measured in more rounds than one."""


@frozen
class Work:
    """What a kernel must at least do, and where its inputs lie."""

    folder: Path
    read: int
    written: int
    operations: float


@define
class Figures:
    """Median seconds by variant, why a variant has none, and seconds of first calls."""

    seconds: dict[str, float] = field(factory=dict)
    problems: dict[str, str] = field(factory=dict)
    first: dict[str, float] = field(factory=dict)


def run(options: Options) -> Table:
    """Two rows per kernel, for one thread and for two."""
    limits = {count: calibration.measure(options, count) for count in options.threads}
    rows: list[Row] = []
    details: dict[str, object] = {str(count): dict(limits[count]) for count in options.threads}
    busy = 0
    for kernel in kernels().values():
        if options.only and kernel.name not in options.only:
            continue
        with tempfile.TemporaryDirectory(dir=_memory()) as folder:
            scale = 0.01 if options.quick else 1.0
            work = Work(Path(folder), *save(Path(folder), kernel, scale))
            for count in options.threads:
                figures, disturbed = _measure(kernel, work, options, count)
                busy += disturbed
                rows.append(_row(kernel, work, count, figures, limits[count]))
                details[f"{kernel.name}, {count}"] = {
                    "ms": {name: round(value * 1e3, 4) for name, value in sorted(figures.seconds.items())},
                    "first call ms": {name: round(value * 1e3) for name, value in figures.first.items()},
                    "problems": figures.problems,
                }
                print(_line(kernel, count, figures), flush=True)
    remarks = f"{note(rows, busy, options)}\nPeers: {versions(options.peers)}."
    return Table("kernels", "Kernels beside their peers", tuple(rows), remarks, details)


def _memory() -> str | None:
    """A folder in memory where there is one: the inputs are read by every child."""
    return "/dev/shm" if Path("/dev/shm").is_dir() else None


def _measure(kernel: Kernel, work: Work, options: Options, count: int) -> tuple[Figures, int]:
    """Medians over rounds in which all that are in reach take turns; with large inputs, each peer beside
    ours alone, in half as many rounds, since a call takes long and ours are in all of them."""
    peers = [library for library in kernel.forms if library not in OURS]
    if options.quick:
        peers = [library for library in peers if library == "numpy"]
    batches = [[peer] for peer in peers] if work.read > LARGE else [peers]
    figures, busy = Figures(), 0
    samples: dict[str, list[float]] = {}

    def failed(command: Command, why: str) -> None:
        figures.problems[command.arguments[0]] = why

    def command(library: str) -> Command:
        python = sys.executable if library in OURS else options.peers
        words = (library, kernel.name, str(count), str(work.folder))
        return Command(python, "benchmarks.kernels.child", words, count)

    rounds, seconds = (1, 0.01) if options.quick else (4 if len(batches) == 1 else 2, 0.2)
    with started([command(library) for library in OURS if library in kernel.forms], TIMEOUT, failed) as ours:
        for batch in batches:
            with started([command(library) for library in batch], TIMEOUT, failed) as workers:
                busy += interleave([*ours, *workers], rounds, seconds, options.patience, far=FAR)
                _collect(workers, figures, samples)
        _collect(ours, figures, samples)
    figures.seconds = {name: options.estimate(values) for name, values in samples.items()}
    return figures, busy


def _collect(workers: Sequence[Worker], figures: Figures, samples: dict[str, list[float]]) -> None:
    for worker in workers:
        samples |= worker.samples
        figures.problems |= worker.problems
        figures.first |= {name.removesuffix(" first call"): value for name, value in worker.facts.items()}


def _row(kernel: Kernel, work: Work, count: int, figures: Figures, limits: Mapping[str, float]) -> Row:
    seconds = figures.seconds
    peers = {name: value for name, value in seconds.items() if not name.startswith(("flowc", "c "))}
    fresh = {name: value for name, value in peers.items() if not name.endswith("out=")}
    best = min(fresh, key=lambda name: fresh[name], default="")
    best_out = min(peers, key=lambda name: peers[name], default="")
    floor = min((value for name, value in seconds.items() if name.startswith("c ")), default=None)
    ours, out = seconds.get("flowc"), seconds.get("flowc out=")
    quickest = min((value for value in (ours, out) if value), default=None)
    return {
        "kernel": kernel.title,
        "threads": count,
        "flowc_ms": _ms(ours),
        "out=_ms": _ms(out),
        "best_peer": best,
        "peer_ms": _ms(fresh.get(best)),
        "peer/flowc": _ratio(fresh.get(best), ours),
        "best_with_out=": best_out,
        "that_ms": _ms(peers.get(best_out)),
        "that/out=": _ratio(peers.get(best_out), out),
        "c_ms": _ms(floor),
        "flowc/c": _ratio(quickest, floor),
        "of_the_limit": _share(kernel, work, quickest, limits),
    }


def _ms(seconds: float | None) -> object:
    return "" if seconds is None else round(seconds * 1e3, 3)


def _ratio(left: float | None, right: float | None) -> object:
    return round(left / right, 2) if left and right else ""


def _share(kernel: Kernel, work: Work, seconds: float | None, limits: Mapping[str, float]) -> object:
    """How much of the bandwidth or of the arithmetic that calibration reached; empty where unknown."""
    if not seconds or not limits:
        return ""
    if kernel.bound == "arithmetic":
        return round(work.operations / seconds / limits["operations"], 2)
    limit = limits["read"] if kernel.bound == "read" else max(limits["copy"], limits["copy streaming"])
    return round((work.read + work.written) / seconds / limit, 2)


def _line(kernel: Kernel, count: int, figures: Figures) -> str:
    order = sorted(figures.seconds.items(), key=lambda item: item[1])
    figure = ", ".join(f"{name} {value * 1e3:.3f}" for name, value in order)
    problem = "; ".join(f"{name}: {why[:100]}" for name, why in figures.problems.items())
    return f"{kernel.name} at {count}: {figure}" + (f"  [{problem}]" if problem else "")


def note(rows: Sequence[Row], busy: int, options: Options) -> str:
    """What to know about the figures: the mean, wins that are only page faults, a busy machine."""
    ratios = [float(str(row["peer/flowc"])) for row in rows if row["peer/flowc"] != ""]
    pages = [
        str(row["kernel"])
        for row in rows
        if row["peer/flowc"] != ""
        and row["that/out="] != ""
        and float(str(row["peer/flowc"])) >= 1 > float(str(row["that/out="]))
    ]
    cores = os.cpu_count()
    lines = [f"Milliseconds, {options.estimator}; {cores} cores; {busy} blocks began on a busy machine."]
    if ratios:
        mean = math.exp(sum(math.log(ratio) for ratio in ratios) / len(ratios))
        lines.append(
            f"Best peer over flowc, fresh outputs: geometric mean {mean:.2f}, least {min(ratios):.2f}."
        )
    if pages:
        lines.append(f"Won by page faults alone: {', '.join(dict.fromkeys(pages))}.")
    return "\n".join(lines)
