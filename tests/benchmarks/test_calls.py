"""First calls, warm calls and memory are measured in processes of their own."""

from pathlib import Path

import pytest

from benchmarks.calls.suite import run as run_calls
from benchmarks.memory.suite import run as run_memory
from benchmarks.rounds import Options


def test_first_calls_from_the_compiler_and_from_disk_are_told_apart() -> None:
    table = run_calls(Options(quick=True, only=("gelu",)))
    rows = {row["call"]: row for row in table.rows}
    for name in ("first call, gelu", "alone, gelu"):
        assert 0 < float(str(rows[name]["flowc_from_disk"])) < float(str(rows[name]["flowc"]))


def test_warm_calls_are_in_microseconds_beside_numpy() -> None:
    table = run_calls(Options(quick=True, only=("warm",)))
    (plus,) = (row for row in table.rows if row["call"] == "a + 1, 1,000 f32")
    assert 0 < float(str(plus["flowc"])) < 1000
    assert 0 < float(str(plus["numpy"])) < 1000


@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="no high-water mark to reset")
def test_the_temporaries_of_numpy_are_seen_as_extra_memory() -> None:
    (row,) = run_memory(Options(quick=True, only=("gelu",))).rows
    assert float(str(row["numpy_MB"])) > 1
    assert float(str(row["flowc_MB"])) <= float(str(row["bar_MB"]))
