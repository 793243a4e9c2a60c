"""The measured kernels do what they say in every form that runs here; a quick run measures them."""

import sys
from typing import Any

import numpy as np
import pytest

from benchmarks import floors
from benchmarks.kernels import suite
from benchmarks.kernels.child import kernels, result
from benchmarks.kernels.kernel import Kernel, disagreement
from benchmarks.rounds import Options

KERNELS = kernels()


def forms() -> list[Any]:
    return [
        pytest.param(kernel, library, id=f"{kernel.name}-{library}")
        for kernel in KERNELS.values()
        for library in ("flowc", "numpy", "c")
        if library in kernel.forms
    ]


@pytest.mark.alike(5)
@pytest.mark.parametrize(("kernel", "library"), forms())
def test_every_form_that_is_timed_gives_the_expected_result(kernel: Kernel, library: str) -> None:
    if library == "c":
        floors_or_skip()
    arrays = kernel.inputs(np.random.default_rng(1), 0.0005)
    expected = np.asarray(kernel.reference(arrays))
    for name, call in kernel.forms[library](arrays, 2).items():
        assert not disagreement(kernel, expected, result(call())), name


@pytest.mark.parametrize("kernel", KERNELS.values(), ids=KERNELS)
def test_a_result_that_is_wrong_is_not_timed(kernel: Kernel) -> None:
    arrays = kernel.inputs(np.random.default_rng(1), 0.0005)
    expected = np.asarray(kernel.reference(arrays))
    assert disagreement(kernel, expected, expected * 2 + 1)
    assert disagreement(kernel, expected, expected[..., None])


def test_a_quick_run_has_a_row_for_each_number_of_threads(capsys: pytest.CaptureFixture[str]) -> None:
    table = suite.run(Options(quick=True, only=("total",), threads=(1, 2)))
    assert [row["threads"] for row in table.rows] == [1, 2]
    for row in table.rows:
        assert float(str(row["flowc_ms"])) > 0
        assert row["best_peer"] == "numpy"
        assert float(str(row["peer/flowc"])) > 0
    assert set(table.details) >= {"total, 1", "total, 2"}
    assert "total at 2: " in capsys.readouterr().out


def test_a_win_by_page_faults_alone_is_named() -> None:
    row = {"kernel": "copy", "peer/flowc": 1.4, "that/out=": 0.9}
    fair = {"kernel": "sum", "peer/flowc": 1.4, "that/out=": 1.2}
    note = suite.note([row, fair], 0, Options())
    assert "page faults alone: copy." in note


def floors_or_skip() -> None:
    try:
        floors.library()
    except OSError as error:
        pytest.skip(f"no floors on {sys.platform}: {error}")
