"""Other orders of what is ready than by the longest path."""

import math

import pytest
from xdsl.dialects.builtin import FloatAttr, ModuleOp

from flowc.compiler import driver
from flowc.dialects.agent.calls import ToolCallOp
from flowc.passes.cost.learned import keep_expectations, step_place
from flowc.passes.cost.model import LONGEST_MS
from flowc.passes.pipelines import PIPELINES, PipelineError, optimise, parse_pipeline
from flowc.runtime.expectations import Expectations, Quantiles, StepExpectation, step_key

DIAMOND = """\
tool a(n: int) -> int reads x
tool b(n: int) -> int reads x
tool c(n: int) -> int reads x
tool d(n: int, m: int) -> int reads x

flow main(n: int) -> int:
    first = a(n)
    return d(b(first), c(first))
"""


def ranks(order: str) -> dict[str, float]:
    checked = driver.check_text(DIAMOND, "diamond.flow")
    options = driver.Options(pipeline=f'inline,parallelise,schedule{{order="{order}"}}')
    module: ModuleOp = driver.optimised(checked, options)
    found = {}
    for op in module.walk():
        if isinstance(op, ToolCallOp):
            rank = op.attributes["rank"]
            assert isinstance(rank, FloatAttr)
            found[op.callee.root_reference.data] = rank.value.data
    return found


def test_the_work_behind_counts_what_two_paths_share_once() -> None:
    one = ranks("path")["d"]
    assert ranks("path") == pytest.approx({"a": 3 * one, "b": 2 * one, "c": 2 * one, "d": one}, rel=1e-4)
    assert ranks("work") == pytest.approx({"a": 4 * one, "b": 2 * one, "c": 2 * one, "d": one}, rel=1e-4)


def test_by_arrival_nothing_goes_ahead() -> None:
    assert set(ranks("arrival").values()) == {0.0}


def test_another_order_is_refused() -> None:
    with pytest.raises(PipelineError) as refused:
        parse_pipeline('schedule{order="best"}')
    assert refused.value.code == "E0692"


def test_ranks_of_rounds_without_end_are_numbers() -> None:
    """A table may say 1e12 rounds of each of thirty loops inside each other."""
    deep = 30
    text = DIAMOND.partition("flow")[0] + "flow deep0(n: int) -> int:\n    return a(n)\n\n"
    for level in range(1, deep):
        text += f"flow deep{level}(n: int) -> int:\n    x = n\n    for k in range(3):\n"
        text += f"        x = deep{level - 1}(x)\n    return x\n\n"
    text += f"flow main(n: int) -> int:\n    return deep{deep - 1}(n)\n"
    module = driver.lowered(driver.check_text(text, "deep.flow"), driver.Options(native=False))
    keys = {step_key(*place) for op in module.walk() if (place := step_place(op)) is not None}
    rounds = Quantiles(1e12, 1e12, 1e12, 100)
    keep_expectations(module, Expectations(steps={key: StepExpectation(rounds, samples=100) for key in keys}))
    optimise(module, PIPELINES["O2"])
    found = [op.attributes.get("rank") for op in module.walk()]
    ranked = [each.value.data for each in found if isinstance(each, FloatAttr)]
    assert max(ranked) == LONGEST_MS
    assert all(map(math.isfinite, ranked))
