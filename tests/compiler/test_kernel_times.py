"""Times of kernels from shapes alone, and what a simulated pipeline makes of them."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest

from flowc.compiler.driver import compile_text
from flowc.compiler.kernel_times import PredictedTime, kernel_times
from flowc.passes.simulation.forecast import Forecast, forecast
from flowc.passes.simulation.rehearsal import Setting
from flowc.passes.simulation.unknown import UnknownArray
from flowc.runtime.kernels import load

PROGRAM = """
kernel scaled(x: f32[n, d], w: f32[d, m]) -> f32[n, m]:
    return tanh(x @ w)

kernel total(x: f32[n, m]) -> f32:
    return sum(x)

flow main(x: f32[n, d], w: f32[d, m]) -> f32:
    return total(scaled(x, w))
"""


def times(text: str = PROGRAM) -> Mapping[str, PredictedTime]:
    return kernel_times(compile_text(text, "main.flow").plan, text, "main.flow", Path())


def simulated(arguments: Mapping[str, object]) -> Forecast:
    compiled = compile_text(PROGRAM, "main.flow")
    assert compiled.kernels is not None
    kernels = load(compiled.kernels.object_code, compiled.kernels.signatures)
    signatures = {name: kernel.signature for name, kernel in kernels.items()}
    setting = Setting(arguments=arguments, kernel_times=times(), signatures=signatures)
    return forecast(compiled.plan, "main", setting)


def test_larger_arrays_take_longer_and_their_elements_are_not_looked_at() -> None:
    found = times()["scaled"]
    small, large = ([UnknownArray((n, 64), "f32"), UnknownArray((64, 32), "f32")] for n in (1_000, 100_000))
    assert 0 < found(small) < found(large)
    assert found(small) == found([np.zeros((1_000, 64), np.float32), np.zeros((64, 32), np.float32)])


def test_a_program_without_kernels_has_no_times_and_needs_no_model() -> None:
    assert times("tool t(a: str) -> str reads web\n\nflow main(a: str) -> str:\n    return t(a)\n") == {}


def test_shapes_are_followed_from_kernel_to_kernel() -> None:
    given = {"x": np.ones((20_000, 64), np.float32), "w": np.ones((64, 512), np.float32)}
    found = simulated(given)
    assert not found.graph.assumed
    first, second = (task.seconds for task in found.graph.tasks)
    rows = UnknownArray((20_000, 512), "f32")
    assert first >= times()["scaled"]([given["x"], given["w"]])
    assert second == pytest.approx(times()["total"]([rows]), abs=1e-4)
    assert found.makespan == pytest.approx(first + second)


def test_without_arguments_sizes_are_assumed_and_that_is_said() -> None:
    found = simulated({})
    assert found.makespan > 0
    assert found.graph.assumed[0] == "arrays of which nothing is known are 256 long each way, in `scaled`"
