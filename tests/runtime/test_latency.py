"""What `@latency` says of a tool reaches the plan, the cost model and the simulated provider."""

import json
import math
from collections.abc import Mapping

import pytest
from attrs import evolve

import flowc
from flowc.compiler.diagnostics.model import CompileError
from flowc.compiler.driver import check_text, compile_text
from flowc.runtime.config import Config
from flowc.runtime.environment import Environment
from flowc.runtime.execute import run
from flowc.runtime.plan import Plan
from flowc.runtime.plan_json import dumps, loads
from flowc.runtime.providers.simulated.behaviour import Simulation
from flowc.runtime.providers.simulated.distributions import Family

PROGRAM = """
@latency(4s)
tool slow(i: int) -> int reads web

tool quick(i: int) -> int reads web

flow main(i: int) -> int:
    return slow(i) + quick(i)

flow one(i: int) -> int:
    return slow(i)
"""


def plan() -> Plan:
    return compile_text(PROGRAM, "main.flow").plan


def mean(plan: Plan, tools: Mapping[str, Family] | None = None) -> float:
    """Milliseconds of `one` over many arguments."""
    config = Config(simulation=Simulation(tools=tools)) if tools is not None else Config()
    environment = Environment(provider="simulated", config=config)
    return sum(run(plan, "one", {"i": i}, environment=environment).wall_ms for i in range(300)) / 300


def test_a_simulated_tool_takes_its_latency_in_the_mean_and_not_always() -> None:
    assert mean(plan()) == pytest.approx(4000, rel=0.1)
    one = run(plan(), "one", {"i": 1}, environment=Environment(provider="simulated")).wall_ms
    assert one != pytest.approx(4000, rel=1e-6)


def test_what_flowc_toml_says_of_a_tool_goes_before_what_the_program_says() -> None:
    assert mean(plan(), {"slow": Family(0.25)}) == pytest.approx(250)


def test_the_slower_of_two_tools_is_expected_to_be_so() -> None:
    ranks = {node.name: node.rank for node in plan().functions["main"].body.nodes}
    assert ranks["slow"] - ranks["quick"] == pytest.approx(3900, abs=1)


def test_a_latency_is_kept_by_the_plan_as_json_and_one_without_reads_as_before() -> None:
    written = dumps(plan())
    assert loads(written) == plan()
    assert loads(written).operations["slow"].latency == 4.0
    assert "latency" not in json.loads(written)["operations"]["quick"]


@pytest.mark.parametrize("wrong", [math.nan, math.inf, -1.0, 0.0])
def test_a_latency_that_is_none_leaves_the_provider_its_own(wrong: float) -> None:
    found = plan()
    operations = {**found.operations, "slow": evolve(found.operations["slow"], latency=wrong)}
    assert mean(evolve(found, operations=operations)) < 1000


def test_only_tools_have_one_and_it_is_a_time() -> None:
    for text, code in (
        ('@latency(3s)\nllm a(q: str) -> str:\n    """{q}"""\n', "E0127"),
        ("@latency(3)\ntool a(i: int) -> int pure\n", "E0502"),
    ):
        with pytest.raises(CompileError) as caught:
            check_text(text + "flow main() -> int:\n    return 1\n", "main.flow")
        assert code in {each.code for each in caught.value.diagnostics}


@flowc.tool(effects="reads web", latency=2.0)
def look(i: int) -> int:
    return i


@flowc.flow
def looking(i: int) -> int:
    return look(i)


def test_a_python_tool_says_it_as_an_argument_and_runs_as_fast_as_it_is() -> None:
    assert looking(3) == 3
    assert loads(looking.emit("json")).operations["look"].latency == 2.0
