"""Kernels on a GPU beside their peers, the copy and the products that it can do at most; or what can be said
without one."""

import datetime
import json
import shutil
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.gpu import card, unmeasured
from benchmarks.gpu.bars import remark, row
from benchmarks.gpu.catalogue import KERNELS
from benchmarks.gpu.child import save
from benchmarks.gpu.kernel import GpuKernel
from benchmarks.gpu.libraries import LIBRARIES
from benchmarks.gpu.parts import Parts
from benchmarks.measure import Row, Table
from benchmarks.rounds import ROOT, Command, Options, Worker, interleave, started, versions
from flowc.runtime.device.presence import absence

RESULT = ROOT / "benchmarks" / "results" / "gpu.json"
PARTS = ROOT / "build" / "gpu-parts.json"
TITLE = "Kernels on a GPU beside their peers"
PACKAGES = ("cupy-cuda12x", "cupy-cuda13x", "torch", "triton", "jax", "jaxlib", "numpy")
OURS = ("flowc", "cupy")
TIMEOUT = 600.0
AT_ONCE = 4
"""Children that start at the same time: they compile for long, on the processor."""
AMPLE = 64 << 30
"""Bytes of a card on which all libraries can hold their arrays at once."""
QUICK = 1 / 256


def run(options: Options) -> Table:
    """The table of a machine with a GPU; without one, what was checked instead, unless there are times of an
    earlier run, which stay."""
    missing = absence()
    if missing is None:
        return measured(options)
    why = missing.problem.message
    if keeps(RESULT):
        print(f"Nothing measured: {why}. {RESULT.relative_to(ROOT)} keeps the times it has.", flush=True)
        return Table("gpu", TITLE, (), f"Not measured: {why}.")
    print(f"Nothing measured: {why}. What can be checked without a GPU follows.", flush=True)
    return unmeasured.run(options, why)


def keeps(path: Path) -> bool:
    """Whether a result was measured on a GPU."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return bool(found.get("details", {}).get("measured"))


def measured(options: Options) -> Table:
    """A row for each kernel at each of its sizes; a run that was cut short goes on where it was."""
    device, today = card.described(), datetime.date.today().isoformat()
    setting = {"device": device, "date": today, "peers": options.peers}
    parts = Parts({}) if options.only or options.quick else Parts.of(PARTS, setting)
    limits = parts.once("ceilings", card.ceilings)
    rows: list[Row] = []
    details: dict[str, object] = {"measured": True, "device": device, "ceilings": dict(limits)}
    for kernel in KERNELS.values():
        if options.only and kernel.name not in options.only:
            continue
        for size, scale in sizes(kernel, options.quick).items():
            name = f"{kernel.name} {size}".strip()
            found = parts.once(name, lambda kernel=kernel, scale=scale: compared(kernel, scale, options))
            rows.append(row(kernel, size, found, limits))
            details[name] = found
            print(f"{kernel.title} {size}: {json.dumps(rows[-1])}", flush=True)
    details["clocks at the end"] = card.described(card.CLOCKS)
    note = remark(rows, device, limits, today)
    parts.clear()
    return Table("gpu", TITLE, tuple(rows), f"{note}\nPeers: {versions(options.peers, PACKAGES)}.", details)


def sizes(kernel: GpuKernel, quick: bool) -> Mapping[str, float]:
    """The sizes to measure at; in a hurry the small one of each, or the least of those that have names."""
    if not quick:
        return kernel.sizes
    return {"quick": kernel.small if kernel.small > 1 else QUICK}


def compared(kernel: GpuKernel, scale: float, options: Options) -> dict[str, Any]:
    """Median seconds by variant over rounds in which all libraries take turns, or on a card with little
    memory flowc and CuPy with one other at a time; why variants have none; what flowc's child told of itself;
    the bytes moved, and the operations."""
    arrays = kernel.inputs(np.random.default_rng(0), scale)
    found: dict[str, Any] = {"seconds": {}, "problems": {}, "facts": {}}
    found |= {"moved": kernel.moved(arrays), "operations": kernel.operations(arrays)}
    peers = [library for library in LIBRARIES if library not in OURS]
    batches = [peers] if card.memory() >= AMPLE else [[peer] for peer in peers]
    with tempfile.TemporaryDirectory(dir=room(arrays)) as folder:
        save(Path(folder), kernel, arrays)
        del arrays
        _interleaved(kernel, folder, batches, options, found)
    return found


def _interleaved(
    kernel: GpuKernel, folder: str, batches: Sequence[Sequence[str]], options: Options, found: dict[str, Any]
) -> None:
    samples: dict[str, list[float]] = {}

    def failed(command: Command, why: str) -> None:
        found["problems"][command.arguments[0]] = why

    def commands(libraries: Sequence[str]) -> list[Command]:
        return [
            Command(
                sys.executable if library in OURS else options.peers,
                "benchmarks.gpu.child",
                (library, kernel.name, folder),
                2,
            )
            for library in libraries
        ]

    def collect(workers: Sequence[Worker]) -> None:
        for worker in workers:
            samples.update(worker.samples)
            found["problems"].update(worker.problems)
            found["facts"].update(worker.facts)

    rounds, seconds = (1, 0.02) if options.quick else (3, 0.15)
    with started(commands(OURS), TIMEOUT, failed, AT_ONCE) as ours:
        for batch in batches:
            with started(commands(batch), TIMEOUT, failed, AT_ONCE) as workers:
                interleave([*ours, *workers], rounds, seconds, 0.0)
                collect(workers)
        collect(ours)
    found["seconds"] = {name: options.estimate(values) for name, values in samples.items()}


def room(arrays: Mapping[str, Any]) -> str | None:
    """A folder in memory, where one is large enough for the inputs and as much again."""
    memory = Path("/dev/shm")
    needed = 3 * sum(each.nbytes for each in arrays.values())
    return str(memory) if memory.is_dir() and shutil.disk_usage(memory).free > needed else None
