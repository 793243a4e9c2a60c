"""NPBench's programs are found in a checkout, run from their NumPy form, and judged by its own rule."""

import json
from pathlib import Path

import numpy as np
import pytest

from benchmarks.npbench import programs, suite
from benchmarks.rounds import Options

INFO = {
    "short_name": "scaled",
    "relative_path": "own/scaled",
    "module_name": "scaled",
    "func_name": "scaled",
    "parameters": {"S": {"N": 40}},
    "init": {"func_name": "initialize", "input_args": ["N"], "output_args": ["x", "y"]},
    "input_args": ["N", "x", "y"],
    "array_args": ["x", "y"],
    "output_args": [],
}
FILES = {
    "scaled.py": "import numpy as np\ndef initialize(N):\n    return np.arange(N) + 1.0, np.ones(N)\n",
    "scaled_numpy.py": "def scaled(N, x, y):\n    return x * 2 + y * N\n",
    "scaled_jax.py": "raise ImportError('not here')\n",
}


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A checkout with one program."""
    folder = tmp_path / "npbench" / "benchmarks" / "own" / "scaled"
    folder.mkdir(parents=True)
    (tmp_path / "bench_info").mkdir()
    (tmp_path / "bench_info" / "scaled.json").write_text(json.dumps({"benchmark": INFO}))
    for name, text in FILES.items():
        (folder / name).write_text(text)
    monkeypatch.setenv("FLOWC_NPBENCH", str(tmp_path))
    return tmp_path


def test_a_program_is_measured_from_its_numpy_form(
    checkout: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    table = suite.run(Options(quick=True))
    (row,) = table.rows
    assert row["program"] == "scaled"
    assert float(str(row["flowc_ms"])) > 0
    assert float(str(row["numpy_ms"])) > 0
    assert row["numba_ms"] == ""
    assert "1 of 1 programs compile" in table.title


def test_nothing_is_measured_without_a_checkout(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FLOWC_NPBENCH", "")
    assert suite.run(Options(quick=True)).rows == ()


def test_results_are_judged_elementwise_and_then_by_their_norm(checkout: Path) -> None:
    (program,) = programs.load(checkout, "S")
    exact = [np.array([1.0, 1e-3])]
    assert not programs.agree(program, exact, [np.array([1.0, 1e-3 + 1e-7])])
    assert not programs.agree(program, exact, [np.array([1.0, 1e-3 + 5e-6])])
    assert "off by" in programs.agree(program, exact, [np.array([1.0, 2e-3])])
    assert "shape" in programs.agree(program, exact, [np.array([1.0])])
    assert "0 results" in programs.agree(program, exact, [])


def test_arrays_that_a_program_changes_count_as_results(checkout: Path) -> None:
    (program,) = programs.load(checkout, "S")
    changed = program._replace(written=("x",))
    assert programs.results(changed, None, {"x": 3}) == [3]
    assert programs.results(changed, (1, 2), {"x": 3}) == [1, 2, 3]
