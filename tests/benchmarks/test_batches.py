"""The figures of a batch are counted in virtual time, so they can be held; the large ones need FLOWC_DATA."""

import pytest

from benchmarks.agents import halo
from benchmarks.agents.batches import BAR_PREFILL, BAR_SPEED, row

pytest.importorskip("duckdb")


@pytest.mark.alike(2)
@pytest.mark.parametrize("steady", [False, True])
@pytest.mark.parametrize("name", ["small", *halo.FILES])
def test_a_batch_makes_each_operation_once_and_computes_each_beginning_once(name: str, steady: bool) -> None:
    graph = halo.graph_of(name)
    if graph is None:
        pytest.skip("FLOWC_DATA does not name the graphs")
    found = row(name, graph, 100 if name == "small" else 24, steady=steady)
    assert found["made"] == found["distinct"]
    assert float(str(found["made_without"])) > float(str(found["made"]))
    assert float(str(found["prefill/bound"])) <= BAR_PREFILL
    assert float(str(found["gain_naive"])) >= BAR_SPEED
    assert float(str(found["gain_naive"])) <= float(str(found["ceiling"]))
