"""The sections of flowc.toml about simulation: all that is said counts, and what is wrong is told."""

from pathlib import Path

import pytest

from flowc.runtime.config import load_config
from flowc.runtime.errors import FlowError
from flowc.runtime.providers.simulated.behaviour import Behaviour, Quota, Serving, Simulation
from flowc.runtime.providers.simulated.distributions import Empirical, Family

WHOLE = """
[simulated]
first_token = "200ms"
answer_tokens = 12

[simulated.tools]
search = {latency = "3s", distribution = "gamma", shape = 2}
look = "250ms"

[simulated.llms]
ask = 1.5

[models.small]
provider = "openai"
[models.small.simulated]
network = 0.05
latency = "2s"
distribution = "exponential"
lengths = "trace.csv"
wrong_usage = 0.1
ignores_cancellation = true
quotas = [{requests_per_minute = 60}, {after = "1m", requests_per_minute = 6, concurrency = 2}]
[models.small.simulated.server]
prefill = "5ms"
kv_tokens = 4096
policy = "priority"
pin = "30s"

[models.large]
"""


def written(folder: Path, text: str) -> Path:
    path = folder / "flowc.toml"
    path.write_text(text)
    return path


def test_every_setting_arrives_and_the_rest_is_as_in_the_common_section(tmp_path: Path) -> None:
    (tmp_path / "trace.csv").write_text("arrival,tokens_in,tokens_out\n0,5,10\n1,5,30\n")
    config = load_config(written(tmp_path, WHOLE))
    small = Behaviour(
        first_token=0.2,
        answer_tokens=12,
        network=0.05,
        latency=Family(2.0, "exponential"),
        lengths=Empirical((10.0, 30.0)),
        wrong_usage=0.1,
        ignores_cancellation=True,
        quotas=(Quota(0.0, 60), Quota(60.0, 6, None, 2)),
        server=Serving(prefill=0.005, kv_tokens=4096, policy="priority", pin=30.0),
    )
    assert config.simulation == Simulation(
        Behaviour(first_token=0.2, answer_tokens=12),
        {"search": Family(3.0, "gamma", 2.0), "look": Family(0.25)},
        {"ask": Family(1.5)},
        {"small": small},
    )


def test_without_a_section_nothing_is_simulated_otherwise_than_before(tmp_path: Path) -> None:
    assert load_config(written(tmp_path, "[models.small]\n")).simulation is None


@pytest.mark.parametrize(
    ("code", "section"),
    [
        ("E0648", "[simulated]\nfirst = 1"),
        ("E0648", "[simulated]\nserver = {batch = 3}"),
        ("E0648", "[simulated.tools]\nlook = {mean = 3}"),
        ("E0648", "[models.a.simulated]\ntools = {}"),
        ("E0649", "simulated = 3"),
        ("E0649", "[models.a]\nsimulated = true"),
        ("E0649", '[simulated]\nfirst_token = "soon"'),
        ("E0649", "[simulated]\nfirst_token = 0"),
        ("E0649", "[simulated]\nfirst_token = nan"),
        ("E0649", "[simulated]\nnetwork = -1"),
        ("E0649", "[simulated]\nnetwork = inf"),
        ("E0649", "[simulated]\nnetwork = true"),
        ("E0649", "[simulated]\nreset = 1.5"),
        ("E0649", "[simulated]\nanswer_tokens = 2.5"),
        ("E0649", "[simulated]\nshape = 2"),
        ("E0649", f"[simulated]\nnetwork = {10**400}"),
        ("E0649", f"[models.a]\ntimeout = {10**400}"),
        ("E0649", "[simulated]\nspread = 5000"),
        ("E0649", "[simulated]\ntokens_per_second = 1e-300"),
        ("E0649", '[simulated.tools]\nlook = {latency = "1s", distribution = "gamma", shape = 1e-300}'),
        ("E0647", "[simulated]\nnetwork = 1" + 5000 * "0"),
        ("E0649", "[simulated]\nignores_cancellation = 1"),
        ("E0649", "[simulated]\nquotas = {}"),
        ("E0649", "[simulated]\nquotas = [{concurrency = 0}]"),
        ("E0649", "[simulated]\nlengths = 5"),
        ("E0649", "[simulated]\nlengths = {mean = 0}"),
        ("E0649", '[simulated]\nserver = {policy = "lifo"}'),
        ("E0649", "[simulated]\nserver = {kv_tokens = 8}"),
        ("E0649", "[simulated]\nserver = {iteration = 0, per_sequence = 0}"),
        ("E0649", '[simulated.tools]\nlook = {latency = "1s", distribution = "normal"}'),
        ("E0649", "[simulated.tools]\nlook = {shape = 2}"),
        ("E0649", '[simulated.tools]\nlook = {latency = "1s", distribution = "lognormal", shape = 40}'),
        ("E0650", '[simulated]\nlengths = "missing.csv"'),
    ],
)
def test_what_is_wrong_in_a_section_is_told_with_its_place(code: str, section: str, tmp_path: Path) -> None:
    with pytest.raises(FlowError) as error:
        load_config(written(tmp_path, section))
    problem = error.value.problem
    assert problem.code == code
    assert "flowc.toml" in problem.why or code in ("E0647", "E0650")
    assert problem.help
