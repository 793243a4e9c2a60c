"""Checks of flows: nothing outside is touched, a seed repeats a run, faults come where they are to."""

import asyncio
from typing import Any

import pytest
from hypothesis import find, given, settings
from hypothesis import strategies as st

from flowc.compiler.diagnostics.model import CompileError
from flowc.runtime.errors import FlowError
from flowc.runtime.providers.offline import Offline
from flowc.testing import POLITE, REAL, UNRULY, Behaviour, Fault, Raw, check, inputs, load, strategies
from flowc.testing.flows.faults import FAULTS
from tests.testing import shop

LETTER = shop.Letter("ann", "where is it?", None)
ARGUMENTS = {"letter": LETTER}


def told(run: Any) -> str:
    return str(run)


def test_nothing_outside_is_called_and_all_that_was_asked_is_noted() -> None:
    run = check(
        shop.careful,
        ARGUMENTS,
        model={"mood": shop.Mood.angry, "reply": lambda text: f"I see: {text}"},
        answers={"approve": True},
        tools={"refund": 7},
    )
    assert (run.status, run.value) == ("ok", 7)
    assert [each.operation for each in run.effects] == ["send", "refund"]
    assert run.calls_of("send")[0].arguments == {"to": "ann", "body": "I see: where is it?"}
    assert run.calls_of("approve")[0].prompt == "May 10 be paid back?"
    assert run.tokens > 0
    assert 0 < run.seconds < 5


@given(inputs(shop.careless), st.integers(0, 1000))
@settings(max_examples=10)
def test_the_same_seed_gives_the_same_run(arguments: dict[str, Any], seed: int) -> None:
    assert told(check(shop.careless, arguments, seed=seed)) == told(
        check(shop.careless, arguments, seed=seed)
    )


def test_another_seed_gives_another_run() -> None:
    assert len({told(check(shop.careful, ARGUMENTS, seed=seed))[60:] for seed in range(8)}) > 4


def test_an_adversary_says_every_member_and_hostile_texts_and_what_it_says_fits() -> None:
    runs = [check(shop.careful, ARGUMENTS, model=Behaviour(extreme=1.0), seed=seed) for seed in range(50)]
    assert {run.status for run in runs} == {"ok"}
    moods = {str(call.result) for run in runs for call in run.calls_of("mood")}
    assert moods == {"friendly", "angry"}
    replies = [str(run.calls_of("reply")[0].result) for run in runs]
    assert all(each.strip() for each in replies), "an empty answer is no answer"
    assert any("previous instructions" in each for each in replies)
    assert max(map(len, replies)) > 10_000


def test_a_polite_model_says_nothing_of_the_kind() -> None:
    replies = [check(shop.careful, ARGUMENTS, model=POLITE, seed=s).calls_of("reply")[0] for s in range(25)]
    assert all(0 < len(str(each.result)) < 200 for each in replies)


def test_an_unruly_model_breaks_a_flow_in_the_ways_that_models_do() -> None:
    runs = [check(shop.careful, ARGUMENTS, model=UNRULY, seed=seed) for seed in range(60)]
    codes = {run.problem.code for run in runs if run.problem is not None}
    assert len(codes & {"E0810", "E0811", "E0812", "E0813", "E0814", "E0820", "E0821", "E0822"}) >= 4
    assert any(run.ok for run in runs)


CODES = {
    "fails": "E0821",
    "rate limited": "E0820",
    "breaks": "E0822",
    "mistyped": "E0811",
    "malformed": "E0810",
    "truncated": "E0812",
    "empty": "E0813",
    "refuses": "E0814",
}


@pytest.mark.parametrize("how", FAULTS["llm"])
def test_a_fault_of_a_model_comes_at_its_call(how: Any) -> None:
    first = check(shop.careful, ARGUMENTS, faults=[Fault("mood", 1, how)], longest=10_000)
    each = check(shop.careful, ARGUMENTS, faults=[Fault("mood", 0, how)], longest=10_000)
    if how == "hangs":
        assert each.status == "hung"
    elif how == "slow":
        assert each.ok
        assert each.seconds > 90
    else:
        assert first.ok, "it is asked once more"
        assert each.problem is not None
        assert each.problem.code == CODES[how]
        assert len(each.calls_of("mood")) == 2


@pytest.mark.parametrize("how", FAULTS["tool"])
def test_a_fault_of_a_tool_comes_at_its_call(how: Any) -> None:
    done: list[str] = []

    def refund(customer: str, amount: int) -> int:
        done.append(customer)
        return amount

    given = {"letter": LETTER, "amount": 3}
    run = check(
        shop.careless, given, tools={"refund": refund}, faults=[Fault("refund", 1, how)], longest=10_000
    )
    usual = "hung" if how == "hangs" else "ok"
    wanted = {"fails": "E0801", "fails late": "E0801", "mistyped": "E0802"}.get(how, usual)
    assert (run.problem.code if run.problem else run.status) == wanted
    assert bool(done) == (how in ("fails late", "slow", "mistyped"))
    assert (run.seconds >= 90) == (how in ("slow", "hangs"))


def test_tools_can_be_real_values_or_functions_of_the_programs_classes() -> None:
    seen: list[Any] = []

    async def send(to: Any, body: Any) -> None:
        await asyncio.sleep(1000)
        seen.append((to, body))

    run = check(
        shop.careless,
        ARGUMENTS,
        answers={"approve": lambda asked: "10" in asked},
        tools={"send": send, "balance": 3, "shout": REAL, "refund": 1},
    )
    assert seen == [("ann", "WHERE IS IT? 3")]
    assert run.seconds > 1000
    with pytest.raises(AssertionError, match="no test sends mails"):
        shop.send("a", "b")
    real = check(shop.careful, ARGUMENTS, tools={"send": REAL})
    assert real.problem is not None
    assert "no test sends mails" in real.problem.message + real.problem.why


def test_what_a_script_gets_wrong_is_an_error_of_the_test() -> None:
    with pytest.raises(TypeError, match="the scripted answer of `mood` does not fit"):
        check(shop.careful, ARGUMENTS, model={"mood": "hungry"})
    with pytest.raises(LookupError, match="the script has 1 answers of `mood`, not 2"):
        check(shop.careful, ARGUMENTS, model={"mood": [Raw("not json")]})
    with pytest.raises(ZeroDivisionError):
        check(shop.careful, ARGUMENTS, model=lambda request: 1 / 0)
    with pytest.raises(ValueError, match="calls nothing named `sent`; did you mean `send`"):
        check(shop.careful, ARGUMENTS, tools={"sent": 1})
    with pytest.raises(ValueError, match="`approve` is a human, which cannot be 'fails'"):
        check(shop.careful, ARGUMENTS, faults=[Fault("approve")])
    with pytest.raises(ValueError, match="`send` is a tool, which cannot be 'refuses'"):
        check(shop.careful, ARGUMENTS, faults=[Fault("send", 1, "refuses")])
    with pytest.raises(FlowError, match="E0703"):
        check(shop.careful, {})


LIES: tuple[tuple[Any, str], ...] = (
    ({"tools": {"balance": "much"}}, "what the test gives for `balance` does not fit: int was expected"),
    ({"tools": {"balance": lambda customer: "much"}}, "`balance` does not fit: int was expected, not 'much'"),
    ({"tools": {"balance": lambda: 3}}, r"`balance` is called with \(customer\): too many positional"),
    ({"answers": {"approve": "perhaps"}}, "the answer of `approve` does not fit: true or false was"),
    ({"answers": {"approve": 3}}, "`approve` does not fit: bool was expected, not 3"),
    ({"model": "polite"}, "`model` takes a Behaviour, a mapping .* not 'polite'"),
)


@pytest.mark.parametrize(("given_", "said"), LIES)
def test_what_a_test_gives_and_does_not_fit_is_an_error_of_the_test(given_: Any, said: str) -> None:
    given_ = {"answers": {"approve": True}, **given_}
    with pytest.raises(TypeError, match=said):
        check(shop.careless, ARGUMENTS, **given_)


@pytest.mark.parametrize("nobody", [LookupError, LookupError("asleep"), lambda prompt: LookupError])
def test_nobody_answers_where_the_answer_is_a_lookup_error(nobody: Any) -> None:
    run = check(shop.careless, ARGUMENTS, answers={"approve": nobody})
    assert not run.ok
    assert not run.calls_of("send")
    assert not run.calls_of("approve")[0].ended


def test_a_call_has_the_value_that_a_model_answered_and_its_text_where_that_is_none() -> None:
    run = check(shop.careful, ARGUMENTS, model={"mood": [Raw("what?"), shop.Mood.angry], "reply": "so"})
    assert [each.result for each in run.calls_of("mood")] == ["what?", "angry"]
    assert [each.result for each in run.calls_of("reply")] == ["so"]


def test_stand_ins_of_arrays_fit_whatever_their_extents(tmp_path: Any) -> None:
    path = tmp_path / "main.flow"
    path.write_text(
        "record Page:\n    rows: f32[n, 3]\n\ntool fetch(x: f32[m]) -> list[Page] reads web\n"
        "tool more(x: f32[m]) -> f32[m, 2] reads web\n\n"
        "flow main(x: f32[m]) -> int:\n    wide = more(x)\n    return len(fetch(x)) + len(wide)\n"
    )
    program = load(path)
    runs = [check(program, {"x": [1.0] * (seed % 2)}, seed=seed) for seed in range(20)]
    assert {run.status for run in runs} == {"ok"}, next(str(run) for run in runs if not run.ok)


def test_a_program_with_mistakes_says_where_they_are(tmp_path: Any) -> None:
    path = tmp_path / "main.flow"
    path.write_text("flow main(x: strr) -> int:\n    return 1\n")
    with pytest.raises(CompileError) as raised:
        load(path)
    assert "main.flow:1:14" in "".join(raised.value.__notes__)


def test_arguments_that_do_not_fit_are_told_without_the_inside_of_the_loop() -> None:
    with pytest.raises(FlowError, match="E0703") as raised:
        check(shop.careful, {})
    assert raised.value.__context__ is None
    assert not any("asyncio" in str(each.path) for each in raised.traceback)


def test_answers_one_after_the_other_raw_texts_functions_and_providers() -> None:
    again = check(shop.careful, ARGUMENTS, model={"mood": [Raw("what?"), shop.Mood.friendly]})
    assert again.ok
    assert len(again.calls_of("mood")) == 2
    refused = check(shop.careful, ARGUMENTS, model={"mood": Raw("no", finish="refusal")})
    assert refused.problem is not None
    assert refused.problem.code == "E0814"

    def said(request: Any) -> Any:
        return shop.Mood.friendly if request.operation == "mood" else request.operation

    assert check(shop.careful, ARGUMENTS, model=said).calls_of("send")[0].arguments["body"] == "reply"
    assert check(shop.careful, ARGUMENTS, model=Offline()).calls_of("mood")


def test_a_check_works_inside_a_running_loop() -> None:
    async def inside() -> Any:
        return check(shop.careful, ARGUMENTS)

    assert asyncio.run(inside()).ok


def test_a_program_of_a_file_is_tested_as_a_decorated_flow(tmp_path: Any) -> None:
    (tmp_path / "tools.py").write_text("def double(x):\n    return 2 * x\n\ndef put(x):\n    raise OSError\n")
    path = tmp_path / "main.flow"
    path.write_text(
        'from "tools.py" import double, put\n\ntool double(x: int) -> int pure\n\n'
        "tool put(x: int) -> none writes db\n\n"
        "flow main(x: int) -> int:\n    put(double(x))\n    return double(x)\n"
    )
    run = check(load(path), {"x": 4})
    assert run.value == 8
    assert run.effects[0].arguments == {"x": 8}
    assert check(load(path), {"x": 4}, tools={"put": REAL}).status == "failed"


@settings(max_examples=15)
@given(inputs(shop.careful), strategies.behaviours(), strategies.faults(shop.careful))
def test_whatever_a_model_and_a_schedule_do_a_run_ends_or_hangs_by_a_fault(
    arguments: dict[str, Any], model: Any, faults: Any
) -> None:
    run = check(shop.careful, arguments, model=model, faults=faults)
    assert run.status in ("ok", "failed", "hung")
    assert (run.status == "hung") <= any(each.how == "hangs" for each in faults)


def test_drawn_behaviours_and_faults_shrink_to_none() -> None:
    assert find(strategies.behaviours(), lambda _: True) == Behaviour(extreme=0.0, seed=0)
    assert find(strategies.faults(shop.careful), lambda _: True) == ()
    found = find(strategies.faults(shop.careful), lambda drawn: any(each.how == "hangs" for each in drawn))
    assert len(found) == 1
