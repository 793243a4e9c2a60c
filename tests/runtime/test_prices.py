"""What calls cost where parts of them are cheaper: kept beginnings of prompts, batches."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flowc.compiler.driver import Options, compile_text
from flowc.runtime.config import Config, load_config
from flowc.runtime.environment import Environment
from flowc.runtime.errors import FlowError
from flowc.runtime.execute import run
from flowc.runtime.limits import Price
from flowc.runtime.result import RunResult

RULES = "No claim without a source. " * 200

PROGRAM = f'''\
@model("m")
llm fits(text: str) -> bool:
    """{RULES}Does this fit the rules? {{text}}"""

flow main() -> int:
    return len([n for n in range(8) if fits(str(n))])
'''

tokens = st.integers(0, 10**6)
dollars = st.floats(0, 1e-3)


def config(tmp_path: Path, content: str) -> Config:
    path = tmp_path / "flowc.toml"
    path.write_text(content, "utf-8")
    return load_config(path)


def ran(tmp_path: Path, content: str) -> RunResult:
    plan = compile_text(PROGRAM, "main.flow").plan
    world = Environment(config=config(tmp_path, content), provider="simulated", seed=1)
    result = run(plan, environment=world)
    assert result.status == "ok", result.problem
    return result


@given(dollars, dollars, st.floats(0, 1), st.floats(0, 1), tokens, tokens, tokens, st.booleans())
def test_no_call_costs_more_than_the_full_price_that_budgets_reserve(
    prompt: float,
    answer: float,
    kept: float,
    share: float,
    read: int,
    written: int,
    cached: int,
    batched: bool,
) -> None:
    price = Price(prompt, answer, prompt * kept, share)
    cost = price.of(read, written, cached, batched=batched)
    assert -1e-12 <= cost <= price.of(read, written) * (1 + 1e-9)


def test_what_a_model_has_kept_of_prompts_costs_its_own_price(tmp_path: Path) -> None:
    plain = "[models.m]\nprice_in = 1.0\nprefix_cache = true\n"
    full, cheap = ran(tmp_path, plain), ran(tmp_path, plain + "price_cached = 0.1\n")
    assert full.result == cheap.result
    kept = 7 * len(RULES) / 4
    assert full.cost_usd - cheap.cost_usd == pytest.approx(kept * 0.9e-6, rel=0.01)
    assert ran(tmp_path, "[models.m]\nprice_in = 1.0\nprice_cached = 0.1\n").cost_usd == full.cost_usd


def test_a_batch_costs_its_share_and_takes_its_time(tmp_path: Path) -> None:
    plain = "[models.m]\nprice_in = 1.0\nprice_out = 2.0\nprice_batch = 0.5\n"
    alone = ran(tmp_path, plain)
    batch = plain + "batch = true\n[models.m.simulated]\nbatch_seconds = '10m'\n"
    together = ran(tmp_path, batch)
    assert together.result == alone.result
    assert together.cost_usd == pytest.approx(alone.cost_usd / 2)
    assert alone.wall_ms < 10_000 < 600_000 < together.wall_ms


@pytest.mark.parametrize(
    "line", ["price_batch = 2.0", "price_batch = -1", "price_cached = 1.5", "price_cached = nan"]
)
def test_what_should_be_cheaper_may_not_be_dearer(tmp_path: Path, line: str) -> None:
    with pytest.raises(FlowError) as refused:
        config(tmp_path, f"[models.m]\nprice_in = 1.0\n{line}\n")
    assert refused.value.problem.code == "E0649"


def test_a_tool_that_is_asked_once_more_answers_the_same_at_a_time_of_its_own(tmp_path: Path) -> None:
    text = (
        "tool offer(shop: int) -> float reads shops\n\n"
        "flow main() -> float:\n    return sum([offer(shop) for shop in range(60)])\n"
    )
    latency = 'offer = { latency = "300ms", distribution = "lognormal", shape = 2.0 }\n'
    world = config(tmp_path, f"[simulated.tools]\n{latency}")
    found = {}
    for pipeline in ("parallelise{width=8}", "parallelise{width=8},hedge"):
        plan = compile_text(text, "main.flow", options=Options(pipeline=pipeline)).plan
        ends = [
            run(plan, environment=Environment(config=world, provider="simulated", seed=seed))
            for seed in range(8)
        ]
        found[pipeline] = [each.result for each in ends], sum(each.wall_ms for each in ends)
    (plain, slow), (hedged, fast) = found.values()
    assert plain == hedged
    assert fast < 0.9 * slow
