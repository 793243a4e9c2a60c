"""The search of -O3: never worse than -O2, never beyond a bound, the same again, nothing of it real."""

from pathlib import Path

import pytest
from attrs import evolve
from hypothesis import given, settings

from flowc.compiler import driver
from flowc.compiler.driver import Options, compile_checked, compile_text
from flowc.passes.pipelines import O2, O3
from flowc.passes.search.goal import Goal
from flowc.passes.search.report import NO_CALLS, PLAN, SearchReport, report_text
from flowc.passes.search.search import SearchRequest, _affordable, _Search
from flowc.passes.search.stand_ins import World
from flowc.runtime.config import Config
from flowc.runtime.plan_json import dumps
from tests.passes.flow_text import programs
from tests.passes.search.searching import CONFIG, GUARDED, HASTY, SORTED, searched


def found_in(text: str, goal: Goal | None = None, *, seconds: float = 60.0) -> SearchReport:
    found = searched(text, goal, seconds=seconds).found
    assert found is not None
    return found


def means(found: SearchReport) -> tuple[float, float]:
    """The objective of the plan of -O2, and of the chosen one."""
    assert found.usual is not None
    assert found.winner is not None
    name = found.goal.objective
    return found.usual.score.means[name], found.winner.score.means[name]


def test_a_branch_starts_early_for_time_and_waits_for_money() -> None:
    before, after = means(found_in(GUARDED))
    assert after < 0.9 * before
    cheap = found_in(GUARDED, Goal("money"))
    assert cheap.chosen == O2
    assert any(each.efficient and each.pipeline != O2 for each in cheap.candidates)


def test_a_batch_is_taken_for_money_and_left_for_time() -> None:
    before, after = means(found_in(SORTED))
    assert before > 600 > 10 > after
    assert found_in(SORTED, Goal("money")).chosen == O2


def test_a_bound_keeps_the_faster_plan_away() -> None:
    free = found_in(SORTED)
    assert free.usual is not None
    assert free.winner is not None
    between = (free.usual.score.worst["money"] + free.winner.score.means["money"]) / 2
    bounded = found_in(SORTED, Goal("time", {"money": between}))
    assert bounded.chosen == O2
    assert bounded.feasible


def test_where_no_plan_keeps_the_bounds_that_is_said() -> None:
    found = found_in(GUARDED, Goal("time", {"tokens": 1.0}))
    assert not found.feasible
    assert "breaks a bound in 16 of 16 runs (tokens)" in report_text(found)


def test_a_plan_that_keeps_the_bounds_is_taken_though_the_usual_one_is_cheaper() -> None:
    found = found_in(SORTED, Goal("money", {"time": 60.0}))
    assert found.feasible
    before, after = means(found)
    assert after > before


def test_what_is_searched_again_is_found_again() -> None:
    first, second = searched(GUARDED), searched(GUARDED)
    assert dumps(first.plan) == dumps(second.plan)
    assert first.found is not None
    assert second.found is not None
    assert first.found.to_json() == second.found.to_json()


def test_without_time_the_plan_is_that_without_a_search() -> None:
    compiled = searched(GUARDED, seconds=1e-6)
    assert compiled.found is not None
    assert not compiled.found.complete
    assert dumps(compiled.plan) == dumps(compile_text(GUARDED, "searched.flow", level=3).plan)


@pytest.mark.parametrize("goal", [Goal("money"), Goal("tokens"), Goal("time", {"money": 1.0})])
def test_without_time_a_goal_of_ones_own_keeps_the_plan_of_o2(goal: Goal) -> None:
    found = searched(GUARDED, goal, seconds=1e-6)
    assert found.found is not None
    assert found.found.chosen == O2
    assert dumps(found.plan) == dumps(evolve(compile_text(GUARDED, "searched.flow").plan, optimisation=3))


@pytest.mark.alike(2)
@pytest.mark.parametrize("objective", ["money", "tokens", "time"])
def test_runs_that_a_limit_ends_sooner_are_no_better(objective: str) -> None:
    found = found_in(HASTY, Goal(objective))
    assert found.usual is not None
    assert found.usual.score.broken == found.usual.score.runs == 16
    assert found.usual.score.reasons == ("E0714",)
    assert any(each.score.means["money"] < found.usual.score.means["money"] for each in found.candidates)
    assert found.chosen == O2


def test_a_search_is_hurried_only_where_plans_that_are_there_are_left_out() -> None:
    state = _Search(SearchRequest(World(Config()), seconds=60.0), lambda _: pytest.fail("nothing is built"))
    state.slowest = 2.0
    assert (_affordable(state, 2), state.hurried) == (2, False)
    assert _affordable(state, 6) < 6
    assert state.hurried


def test_no_code_is_made_to_find_that_a_program_calls_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(driver, "_native", lambda *_, **__: pytest.fail("code was made"))
    text = "kernel double(x: f64[n]) -> f64[n]:\n    return x + x\n\n"
    text += "flow main(x: f64[n]) -> f64[n]:\n    return double(x)\n"
    request = SearchRequest(World(Config()))
    found = compile_text(text, "main.flow", options=Options(level=3, native=False, search=request)).found
    assert found is not None
    assert found.reason == NO_CALLS


def test_a_program_that_runs_for_ever_does_not_hold_up_the_search() -> None:
    text = '''\
llm again(text: str) -> bool:
    """Once more? {text}"""

flow main() -> int:
    n = 0
    while n < 1000000000 up to 1000000000:
        n += 1 if again(str(n)) else 1
    return n
'''
    found = found_in(text, seconds=2.0)
    assert found.reason == "there was too little time"
    assert not found.complete


@settings(max_examples=3, deadline=None)
@given(programs())
def test_no_program_gets_a_plan_that_is_worse_than_that_of_o2(text: str) -> None:
    checked = driver.check_text(text, "generated.flow")
    request = SearchRequest(World(Config()), seconds=60.0, steps=3)
    found = compile_checked(checked, Options(level=3, search=request)).found
    assert found is not None
    if found.usual is not None:
        before, after = means(found)
        assert after <= before
        assert found.winner is not None
        assert found.winner.score.broken <= found.usual.score.broken


def test_tools_people_and_models_are_stood_in_for(tmp_path: Path) -> None:
    (tmp_path / "tools.py").write_text(
        "from pathlib import Path\n"
        "Path(__file__).with_name('imported').touch()\n\n"
        "def send(text: str) -> None:\n"
        "    Path(__file__).with_name('called').touch()\n",
        "utf-8",
    )
    text = '''\
from "tools.py" import send

tool send(text: str) -> none writes mail

llm draft(topic: str) -> str:
    """Write about {topic}"""

human approve(draft: str) -> bool:
    """May this be sent? {draft}"""

flow main(topic: str) -> str:
    text = draft(topic)
    if approve(text):
        send(endorse(text, reason="a person has approved it"))
    return text
'''
    checked = driver.check_text(text, "mail.flow", folder=tmp_path)
    request = SearchRequest(World(CONFIG), seconds=60.0, steps=6)
    compiled = compile_checked(checked, Options(level=3, search=request))
    assert compiled.found is not None
    assert compiled.found.runs > 0
    assert sorted(path.name for path in tmp_path.iterdir()) == ["tools.py"]
    assert compiled.plan.operations["send"].module == "tools.py"


def test_a_budget_of_the_flow_is_kept_by_every_plan_that_is_chosen() -> None:
    text = GUARDED.replace("flow main", "@budget($0.0005)\nflow main")
    found = found_in(text)
    assert found.winner is not None
    assert found.winner.score.broken == 0


def test_a_flow_that_cannot_be_tried_gets_the_plan_without_a_search_and_says_why() -> None:
    text = GUARDED + "\nflow other(question: str) -> str:\n    return answer(question)\n"
    found = found_in(text.replace("flow main", "flow first"))
    assert found.chosen == O3
    assert found.reason == "which flow to run is not clear"
    assert f"{found.reason}; the plan is that of -O3 without a search" in report_text(found)


def test_a_flow_that_fails_on_made_up_values_is_not_judged_by_them() -> None:
    text = GUARDED.replace(
        "flow main(question: str) -> str:", "flow main(question: str) -> str:\n    first = [1][9]"
    )
    found = found_in(text.replace("return answer(question)", "return answer(question + str(first))"))
    assert found.blind
    assert "fails with E0711" in found.reason


def test_a_program_without_calls_is_not_searched() -> None:
    found = found_in("flow main(n: int) -> int:\n    return n + 1\n")
    assert found.reason == NO_CALLS
    assert not found.blind


def test_the_choice_is_a_decision_with_its_alternatives() -> None:
    compiled = searched(GUARDED)
    decision = next(each for each in compiled.decisions if each.what == PLAN)
    assert decision.default.name == "-O2"
    assert decision.choice == decision.chosen.name == "speculate"
    assert decision.gain == pytest.approx(decision.default.ms - decision.chosen.ms)
