"""Pipelines of kernels: what `flowc simulate` foretells of them beside their wall time."""

import gc
import statistics
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from attrs import evolve, frozen
from numpy.typing import NDArray

from benchmarks.measure import Row
from benchmarks.rounds import ROOT, Options
from flowc.compiler.driver import Options as Compilation
from flowc.compiler.driver import compile_text
from flowc.compiler.kernel_times import kernel_times
from flowc.compiler.learned import History
from flowc.compiler.stopwatch import shortest
from flowc.passes.simulation.forecast import forecast
from flowc.passes.simulation.rehearsal import Setting
from flowc.passes.simulation.stand_ins import KernelTime
from flowc.passes.simulation.unknown import Unknown, UnknownArray
from flowc.runtime.dtypes import numpy_dtype
from flowc.runtime.environment import Environment
from flowc.runtime.execute import Loaded, load
from flowc.runtime.execute import run as execute
from flowc.runtime.history.kernel_samples import KernelNotes
from flowc.runtime.history.samples import Samples
from flowc.runtime.history.store import write
from flowc.runtime.kernels import Kernel
from flowc.runtime.kernels import load as load_kernels
from flowc.runtime.plan import Plan

RUNS = 15
TAUGHT_BY, TAUGHT_RUNS = (0.5, 0.7, 1.5), 3
"""At so many times the sizes that are foretold, so many runs each teach."""
Arrays = Callable[[np.random.Generator, float], Mapping[str, Any]]


@frozen
class Pipeline:
    """A flow of kernels, and its arguments with so many times the rows."""

    name: str
    text: str
    arguments: Arrays


def rows(options: Options, bar: float) -> Sequence[Row]:
    """A row for each pipeline."""
    return [row(each, options, bar) for each in pipelines() if not options.only or each.name in options.only]


def row(pipeline: Pipeline, options: Options, bar: float) -> Row:
    """One pipeline: taught by runs at other sizes, foretold from shapes, then run."""
    compiled = compile_text(pipeline.text, "pipeline.flow")
    assert compiled.kernels is not None
    kernels = load_kernels(compiled.kernels.object_code, compiled.kernels.signatures)
    arguments = pipeline.arguments(np.random.default_rng(0), 1.0)
    setting = Setting(
        arguments=arguments,
        kernel_times=kernel_times(compiled.plan, pipeline.text, "pipeline.flow", Path()),
        signatures={name: kernel.signature for name, kernel in kernels.items()},
    )
    untaught = forecast(compiled.plan, "main", setting).mean
    plan = taught(pipeline, compiled.plan, kernels)
    learned = kernel_times(plan, pipeline.text, "pipeline.flow", Path())
    predicted = forecast(plan, "main", evolve(setting, kernel_times=learned)).mean
    clocked = {name: _clocked(kernel) for name, kernel in kernels.items()}
    composed = forecast(compiled.plan, "main", evolve(setting, kernel_times=clocked)).mean
    loaded = load(compiled.plan, Environment(kernels=kernels))
    took = [_seconds(loaded, arguments) for _ in range(5 if options.quick else RUNS)][2:]
    executed = options.estimate(took)
    off = abs(predicted / executed - 1)
    return {
        "program": f"kernels: {pipeline.name}",
        "predicted": f"{predicted * 1e3:.3f} ms",
        "executed": f"{executed * 1e3:.3f} ms",
        "ratio": f"{predicted / executed:.3f}",
        "bar": f"{'kept' if off <= bar else 'missed'} ({bar:.0%})",
        "run to run": f"{statistics.pstdev(took) / statistics.fmean(took):.0%}",
        "learned": len(TAUGHT_BY) * TAUGHT_RUNS,
        "held out": len(took),
        "untaught": f"{untaught / executed:.3f}",
        "clocked": f"{composed / executed:.3f}",
    }


def taught(pipeline: Pipeline, plan: Plan, kernels: Mapping[str, Kernel]) -> Plan:
    """The plan as it is compiled after traced runs at other sizes."""
    notes = KernelNotes(kernels)
    loaded = load(plan, Environment(kernels=notes.watched()))
    for scale in TAUGHT_BY:
        arguments = pipeline.arguments(np.random.default_rng(1), scale)
        for _ in range(TAUGHT_RUNS):
            _seconds(loaded, arguments)
    with tempfile.TemporaryDirectory() as folder:
        where = Path(folder) / "history.db"
        write(where, Samples(kernels=notes.take()))
        options = Compilation(history=History(where), native=False)
        return compile_text(pipeline.text, "pipeline.flow", options=options).plan


def _clocked(kernel: Callable[..., Any]) -> KernelTime:
    """The time of a kernel as single calls of it take, with arrays of the shapes that are foretold."""

    def seconds(arguments: Sequence[Any] | None) -> float:
        if arguments is None:
            raise LookupError
        given = [
            np.full(each.shape, 0.5, numpy_dtype(each.dtype))
            if isinstance(each, UnknownArray)
            else 0.5
            if isinstance(each, Unknown)
            else each
            for each in arguments
        ]
        return shortest(lambda: kernel(*given))

    return seconds


def _seconds(loaded: Loaded, arguments: Mapping[str, object]) -> float:
    gc.collect()
    done = execute(loaded, "main", arguments)
    assert done.status == "ok", done.problem
    return done.wall_ms / 1e3


def _floats(generator: np.random.Generator, *shape: int) -> NDArray[np.float32]:
    return generator.standard_normal(shape, dtype=np.float32)


def pipelines() -> Sequence[Pipeline]:
    """The pipelines."""
    nearest = (ROOT / "examples" / "nearest" / "nearest.flow").read_text(encoding="utf-8")
    return (
        Pipeline(
            "nearest",
            nearest.replace("flow nearest(", "flow main("),
            lambda g, s: {"queries": _floats(g, 8, 384), "corpus": _floats(g, round(100_000 * s), 384)},
        ),
        Pipeline(
            "a layer",
            LAYER,
            lambda g, s: {
                "x": _floats(g, round(2048 * s), 512),
                "w": _floats(g, 512, 1024),
                "v": _floats(g, 1024, 512),
            },
        ),
        Pipeline(
            "blocks", BLOCKS, lambda g, s: {"x": _floats(g, round(1024 * s), 256), "w": _floats(g, 256, 256)}
        ),
        Pipeline(
            "scores", SCORES, lambda g, s: {name: _floats(g, round(1_000_000 * s)) for name in ("x", "y")}
        ),
        Pipeline(
            "clusters",
            CLUSTERS,
            lambda g, s: {"x": _floats(g, round(50_000 * s), 16), "start": _floats(g, 8, 16)},
        ),
        Pipeline(
            "small steps",
            STEPS,
            lambda g, s: {name: _floats(g, round(64 * s), round(64 * s)) for name in ("x", "w")},
        ),
    )


LAYER = """
kernel normed(x: f32[n, d]) -> f32[n, d]:
    centred = x - mean(x, axis=1, keepdims=true)
    return centred * rsqrt(mean(centred * centred, axis=1, keepdims=true) + 0.00001)

kernel wide(x: f32[n, d], w: f32[d, h]) -> f32[n, h]:
    return maximum(x @ w, 0.0)

kernel back(x: f32[n, h], v: f32[h, d], before: f32[n, d]) -> f32[n, d]:
    return x @ v + before

flow main(x: f32[n, d], w: f32[d, h], v: f32[h, d]) -> f32[n, d]:
    return back(wide(normed(x), w), v, x)
"""
BLOCKS = """
kernel step(x: f32[n, d], w: f32[d, d], scale: f32) -> f32[n, d]:
    return tanh((x @ w) * scale)

kernel total(x: f32[n, d]) -> f32:
    return sum(x * x)

flow main(x: f32[n, d], w: f32[d, d]) -> list[f32]:
    scales: list[f32] = [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8]
    return [total(step(x, w, scale)) for scale in scales]
"""
SCORES = """
kernel logistic(x: f32[n]) -> f32[n]:
    return 1.0 / (1.0 + exp(-x))

kernel distance(x: f32[n], y: f32[n]) -> f32[n]:
    return sqrt(x * x + y * y + 1.0) * logistic(x - y)

kernel ranked(x: f32[n]) -> f32[n]:
    return sort(x)

flow main(x: f32[n], y: f32[n]) -> f32[n]:
    return ranked(distance(logistic(x), y))
"""
CLUSTERS = """
kernel distances(x: f32[n, d], c: f32[k, d]) -> f32[n, k]:
    return sum(x * x, axis=1, keepdims=true) - 2.0 * (x @ c.T) + sum(c * c, axis=1)

kernel best(x: f32[n, k]) -> f32[n]:
    return min(x, axis=1)

kernel cost(x: f32[n]) -> f32:
    return mean(x)

flow main(x: f32[n, d], start: f32[k, d]) -> f32:
    return cost(best(distances(x, start)))
"""
STEPS = """
kernel step(x: f32[n, n], w: f32[n, n]) -> f32[n, n]:
    return tanh(x @ w)

flow main(x: f32[n, n], w: f32[n, n]) -> f32[n, n]:
    for turn in range(50):
        x = step(x, w)
    return x
"""
