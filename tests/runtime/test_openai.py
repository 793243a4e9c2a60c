"""The `openai` provider against a real socket: what is sent, what comes back, and everything that can go
wrong.
"""

import asyncio
from pathlib import Path

import pytest

from flowc.runtime.config import Config
from flowc.runtime.durable import runs
from flowc.runtime.durable.keeper import Keeping
from flowc.runtime.environment import Environment
from flowc.runtime.execute import run, run_plan
from flowc.runtime.journal.memory import MemoryStore
from flowc.runtime.journal.writer import Writer
from flowc.runtime.limits import Price
from flowc.runtime.plan import Json, Limits, Plan
from flowc.runtime.providers.base import ModelSettings
from flowc.runtime.providers.openai import OpenAI
from flowc.runtime.providers.openai_errors import problem_of, retry_after
from flowc.runtime.result import RunResult
from flowc.runtime.types import INT, STR, Enum, List, Record, Type
from tests.openai_server import Behave, Server
from tests.runtime.plans import Builder, llm, plan

RECORDS = {"Note": (("text", STR), ("score", INT), ("again", List(Record("Note"))))}
ENUMS = {"Verdict": ("yes", "no")}


def asking(result: Type = STR, retries: int = 0, times: int = 1, **limits: float) -> Plan:
    """A flow that asks `times` times and gives the list of answers."""
    inner = Builder()
    number = inner.parameter()
    answer = inner.one(
        "generate", number, operation="ask", segments=["What is ", {"input": 0, "name": "n"}, "?"]
    )
    body = Builder()
    numbers = body.apply("range", body.constant(times))
    answers = body.one("map", numbers, regions=[inner.region(answer)])
    declared = llm("ask", result=result, limits=Limits(retries=retries, backoff=0.001), model="small")
    return plan(
        body.region(answers),
        operations=[declared],
        result=List(result),
        records=RECORDS,
        enums=ENUMS,
        limits=Limits(**limits),
    )


def config(server: Server, timeout: float = 20.0, **more: int) -> Config:
    price = Price(1e-6, 4e-6)
    settings = ModelSettings(
        "small", "openai", "tiny-1", server.url, "FLOWC_TEST_KEY", price, timeout=timeout, **more
    )
    return Config(models={"small": settings})


def ask(of: Plan, server: Server, timeout: float = 20.0, **more: int) -> RunResult:
    return run(of, "main", environment=Environment(config=config(server, timeout, **more)))


@pytest.mark.parametrize(
    ("result", "expected"),
    [
        (STR, "a plain answer"),
        (INT, 42),
        (Enum("Verdict"), "yes"),
        (List(STR), ["text"]),
    ],
)
def test_answers_come_back_as_values_of_their_type(result: Type, expected: object) -> None:
    with Server().running() as server:
        outcome = ask(asking(result), server)
    assert outcome.result == [expected]
    assert (outcome.tokens_in, outcome.tokens_out, outcome.calls) == (11, 5, 1)
    assert outcome.cost_usd == pytest.approx(11e-6 + 20e-6)
    sent = server.requests[0]["body"]
    assert sent["messages"] == [{"role": "user", "content": "What is 0?"}]
    assert sent["model"] == "tiny-1"
    assert ("response_format" in sent) == (result != STR)


FAULTS = {
    "429": "E0820",
    "500": "E0821",
    "reset": "E0822",
    "cut": "E0822",
    "drip": "E0823",
    "401": "E0824",
    "404": "E0825",
    "endless": "E0826",
    "huge": "E0826",
    "garbage": "E0827",
    "html": "E0827",
    "prose": "E0810",
    "schema": "E0811",
    "truncated": "E0812",
    "empty": "E0813",
}


@pytest.mark.parametrize(("fault", "code"), FAULTS.items())
def test_each_fault_has_its_code_and_its_way_out(fault: str, code: str) -> None:
    with Server([Behave(fault)]).running() as server:
        outcome = ask(asking(INT), server, timeout=0.3 if fault == "drip" else 20.0)
    assert outcome.status == "failed"
    assert outcome.problem is not None
    assert outcome.problem.code == code
    assert outcome.problem.help


@pytest.mark.parametrize(
    "fault", ["429", "500", "reset", "cut", "garbage", "prose", "schema", "truncated", "empty"]
)
def test_what_may_pass_is_tried_again(fault: str) -> None:
    with Server([Behave(fault, retry_after="0")] * 2).running() as server:
        outcome = ask(asking(INT, retries=2), server)
    assert (outcome.result, outcome.calls) == ([42], 3)


@pytest.mark.parametrize("fault", ["401", "404", "quota"])
def test_what_cannot_pass_is_not_tried_again(fault: str) -> None:
    with Server([Behave(fault)] * 3).running() as server:
        outcome = ask(asking(INT, retries=2), server)
    assert (outcome.status, len(server.requests)) == ("failed", 1)


def test_the_key_is_sent_and_never_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FLOWC_TEST_KEY", "sk-very-secret-key")
    with Server([Behave("401")]).running() as server:
        outcome = ask(asking(), server)
    headers = {name.lower(): value for name, value in server.requests[0]["headers"].items()}
    assert headers["authorization"] == "Bearer sk-very-secret-key"
    assert "secret" not in repr(outcome.problem)


def test_secrets_in_an_address_are_never_shown() -> None:
    url = "https://someone:hidden@example.com/v1?key=hidden"
    problem = problem_of(EOFError(), ModelSettings("m", "openai", "m-1", url), "").problem
    assert "hidden" not in repr(problem)
    assert "https://example.com/v1:" in problem.why


def test_missing_usage_is_estimated() -> None:
    with Server([Behave(usage=False)]).running() as server:
        outcome = ask(asking(), server)
    assert outcome.tokens_in > 0
    assert outcome.tokens_out > 0


def test_an_endpoint_that_does_not_stream_serves_as_well() -> None:
    with Server([Behave(stream=False)]).running() as server:
        assert ask(asking(INT), server).result == [42]


def test_no_more_calls_are_in_flight_than_the_model_allows() -> None:
    with Server().running() as server:
        outcome = ask(asking(INT, times=24), server, max_in_flight=3)
    assert outcome.result == [42] * 24
    assert server.peak <= 3


def test_a_storm_of_faults_is_weathered_with_retries() -> None:
    with Server(seed=5, storm=0.4).running() as server:
        outcome = ask(asking(INT, retries=12, times=40), server)
    assert outcome.result == [42] * 40
    assert outcome.calls == len(server.requests) > 40


def test_a_budget_of_money_is_never_exceeded_whatever_fails() -> None:
    with Server(seed=7, storm=0.3).running() as server:
        outcome = ask(asking(INT, retries=12, times=40, money=0.0015), server, max_tokens=20)
    assert outcome.status == "over-budget"
    assert outcome.cost_usd <= 0.0015


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"retry-after": "3"}, 3.0),
        ({"retry-after-ms": "250"}, 0.25),
        ({}, None),
        ({"retry-after": "soon"}, None),
        ({"retry-after": "nan"}, None),
        ({"retry-after-ms": "nan", "retry-after": "inf"}, 600.0),
        ({"retry-after": "Wed, 21 Oct 9007199254740993 07:28:00 GMT"}, None),
    ],
)
def test_the_asked_for_pause_is_read_in_all_its_forms(headers: dict[str, str], seconds: float | None) -> None:
    assert retry_after(headers) == seconds


def test_without_a_key_the_real_service_is_not_even_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    monkeypatch.delenv("OPENAI_BASE_URL", raising=False)
    outcome = run(asking(), "main", environment=Environment(provider="openai"))
    assert outcome.problem is not None
    assert outcome.problem.code == "E0831"


def test_answers_are_recorded_and_replayed(tmp_path: Path) -> None:
    recording = tmp_path / "answers.jsonl"
    of = asking(INT, times=3)
    with Server().running() as server:
        settings = ModelSettings("small", "openai", "tiny-1", server.url)
        config = Config(models={"small": settings})
        recorded = run(of, "main", environment=Environment(config=config, record=recording))
    environment = Environment(config=config, provider="replay", recording=recording)
    replayed = run(of, "main", environment=environment)
    assert replayed.result == recorded.result == [42] * 3
    assert replayed.tokens_in == recorded.tokens_in
    missing = run(asking(INT, times=4), "main", environment=environment)
    assert missing.problem is not None
    assert missing.problem.code == "E0834"


def keys(server: Server) -> list[str]:
    return [request["headers"]["idempotency-key"] for request in server.requests]


def test_every_attempt_of_every_call_has_a_key_of_its_own() -> None:
    body = Builder()
    texts = body.constant([str(index) for index in range(100)])
    embedded = plan(body.region(body.apply("len", body.one("embed", texts, model="small"))))
    with Server([Behave("500"), Behave("prose")]).running() as server:
        assert ask(asking(INT, retries=2, times=3), server).result == [42] * 3
        assert ask(asking(INT, times=3), server).result == [42] * 3
        assert ask(embedded, server).result == 100
    assert len(server.requests) == len(set(keys(server))) == 5 + 3 + 2


def test_a_run_that_goes_on_asks_with_the_same_key_what_it_had_asked() -> None:
    store, of = MemoryStore(), asking(INT, times=2)

    async def cut_off(environment: Environment, server: Server, kept: Keeping) -> MemoryStore:
        going = asyncio.create_task(run_plan(of, "main", environment=environment, keeper=kept))
        while len(server.requests) < 2:
            await asyncio.sleep(0.01)
        left = store.crashed()
        going.cancel()
        await asyncio.wait([going])
        return left

    with Server([Behave("drip")] * 2).running() as server:
        environment = Environment(config=config(server))
        kept = runs.begin(runs.Journal(store, Writer(store)), of, "main", [], {}, run="r")
        left = asyncio.run(cut_off(environment, server, kept))
        again = runs.go_on(runs.Journal(left, Writer(left)), "r")
        assert run(of, "main", environment=environment, keeper=again).result == [42] * 2
    assert sorted(keys(server)[:2]) == sorted(keys(server)[2:])
    assert len(set(keys(server))) == 2


def test_many_texts_are_embedded_in_requests_of_a_size_that_endpoints_take() -> None:
    body = Builder()
    texts: list[Json] = ["x" * (index % 40) for index in range(150)]
    of = plan(body.region(body.apply("len", body.one("embed", body.constant(texts), model="small"))))
    with Server().running() as server:
        outcome = ask(of, server)
    assert (outcome.result, outcome.tokens_in) == (150, 21)
    sent = [request["body"]["input"] for request in server.requests]
    assert [len(part) for part in sent] == [64, 64, 22]
    assert [text for part in sent for text in part] == texts


@pytest.mark.parametrize("counted", [{"prompt_tokens": -5, "completion_tokens": -1000}, {}, [1], "many"])
def test_a_count_of_tokens_that_cannot_be_is_not_believed(counted: object) -> None:
    """A negative one would fill the budgets up again."""
    with Server([Behave(stream=False, counted=counted)]).running() as server:
        outcome = ask(asking(), server)
    assert outcome.result == ["a plain answer"]
    assert (outcome.tokens_in, outcome.tokens_out) == (3, 4)


def test_a_compressed_answer_is_refused_before_it_is_unpacked() -> None:
    with Server([Behave("gzip")]).running() as server:
        outcome = ask(asking(), server)
    assert outcome.problem is not None
    assert outcome.problem.code == "E0827"
    assert "gzip" in outcome.problem.why


def test_two_models_at_one_endpoint_have_their_own_timeouts() -> None:
    provider = OpenAI()
    models = [ModelSettings("m", "openai", "m", "http://localhost/v1", timeout=seconds) for seconds in (1, 9)]
    assert [provider.client(model).timeout for model in models] == [1, 9]
