"""What each step of the kernel compiler is worth: the same kernels with one step left out."""

import os
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from statistics import median
from typing import Any
from unittest import mock

import numpy as np

import flowc
from benchmarks.kernels.child import kernels
from benchmarks.kernels.kernel import Arrays, Kernel
from benchmarks.measure import Row, Table, interleaved, seconds
from benchmarks.rounds import Options
from benchmarks.worker import Call
from flowc.compiler.backends import llvm
from flowc.passes.array_to_loops import segment

LeftOut = Callable[[], AbstractContextManager[object]]
NAMES = ("gelu", "softmax", "layernorm", "logsumexp", "cosine", "kmeans", "attention", "smooth")


def run(options: Options) -> Table:
    """Milliseconds of each kernel with all steps, and how many times as long it takes without one."""
    rows = [
        _row(kernels()[name], options)
        for name in NAMES[: 1 if options.quick else None]
        if not options.only or name in options.only
    ]
    note = (
        "recompute: operators are recomputed where they are used instead of stored; groups: operators share\n"
        "a loop over tiles; threads: all instead of one. Factors: the time without a step over that with it."
    )
    return Table("steps", "What the steps of the kernel compiler are worth", tuple(rows), note)


def _row(kernel: Kernel, options: Options) -> Row:
    arrays = kernel.inputs(np.random.default_rng(0), 0.01 if options.quick else 0.2)
    most = max(options.threads)
    variants = {
        "all": _on(most, compiled(kernel, arrays, nullcontext())),
        "recompute": _on(most, compiled(kernel, arrays, without_recomputing())),
        "groups": _on(most, compiled(kernel, arrays, without_groups())),
        "threads": _on(1, compiled(kernel, arrays, nullcontext())),
    }
    figures = interleaved(_timed(variants), 2 if options.quick else 15)
    times = {name: median(values) for name, values in figures.items()}
    return {
        "kernel": kernel.title,
        "all_steps_ms": round(times["all"] * 1e3, 3),
        **{f"without_{name}": round(times[name] / times["all"], 2) for name in variants if name != "all"},
    }


def _timed(variants: Mapping[str, Call]) -> dict[str, Callable[[], float]]:
    return {name: lambda call=call: seconds(call) for name, call in variants.items()}


def compiled(kernel: Kernel, arrays: Arrays, left_out: AbstractContextManager[object]) -> Call:
    """A call of the kernel, compiled anew while a step is left out."""
    with (
        tempfile.TemporaryDirectory() as folder,
        mock.patch.dict(os.environ, FLOWC_CACHE_DIR=folder),
        left_out,
    ):
        call = kernel.forms["flowc"](arrays, 2)["flowc"]
        call()
    return call


def _on(threads: int, call: Call) -> Call:
    def run() -> object:
        with _threads(threads):
            return call()

    return run


@contextmanager
def _threads(count: int) -> Iterator[None]:
    before = flowc.threads()
    flowc.set_threads(count)
    try:
        yield
    finally:
        flowc.set_threads(before)


def without_recomputing() -> AbstractContextManager[object]:
    """Every operator is a stage whose value is stored."""
    return mock.patch.object(llvm, "fuse_kernels", return_value=0)


def without_groups() -> AbstractContextManager[object]:
    """Every stage has a loop of its own."""
    together = segment.group_stages

    def apart(lowering: Any, stages: Iterable[Any]) -> list[Any]:
        return [group for stage in stages for group in together(lowering, [stage])]

    return mock.patch.object(segment, "group_stages", apart)
