"""The benchmark of small runs: its programs do what they say."""

import pytest

from benchmarks import runs
from flowc.runtime.execute import run


@pytest.mark.parametrize("kind", runs.CALLS)
@pytest.mark.parametrize("shape", ["chain", "fan-out"])
def test_each_call_of_the_graph_is_made(kind: str, shape: str) -> None:
    result = run(runs.ready(kind, shape, 3), "main")
    assert result.problem is None
    assert result.calls == 3
    assert result.result == ("fine" if shape == "chain" else "fine" * 3)
