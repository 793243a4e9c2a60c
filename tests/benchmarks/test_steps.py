"""The benchmark of the steps leaves out what it says, and the results stay right."""

import numpy as np
import pytest

from benchmarks import steps
from benchmarks.kernels.child import kernels, result
from benchmarks.kernels.kernel import disagreement
from benchmarks.rounds import Options


def test_a_row_has_a_factor_for_each_step() -> None:
    (row,) = steps.run(Options(quick=True)).rows
    assert [key for key in row if key.startswith("without")] == [
        "without_recompute",
        "without_groups",
        "without_threads",
    ]
    assert all(float(str(value)) >= 0 for key, value in row.items() if key != "kernel")


@pytest.mark.parametrize("left_out", [steps.without_recomputing, steps.without_groups])
def test_a_kernel_gives_the_same_result_without_a_step(left_out: steps.LeftOut) -> None:
    kernel = kernels()["layernorm"]
    arrays = kernel.inputs(np.random.default_rng(2), 0.0005)
    call = steps.compiled(kernel, arrays, left_out())
    assert not disagreement(kernel, kernel.reference(arrays), result(call()))
