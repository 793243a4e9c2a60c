"""A provider's endpoint for many requests: used where there is time, and believed in nothing."""

import asyncio
import contextlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pytest
from attrs import define, field

from flowc.compiler import driver
from flowc.runtime.config import Config
from flowc.runtime.environment import Environment
from flowc.runtime.limits import Price
from flowc.runtime.providers.base import (
    BatchProvider,
    ModelSettings,
    ProviderError,
    Request,
    Response,
    Usage,
)
from flowc.runtime.result import RunResult
from tests.runtime.worlds import Scripted, virtually

Answers = list[tuple[str, Response | ProviderError]]

PROGRAM = """
@model("m")
@retry({retries})
llm ask(text: str) -> str:
    \"\"\"{{text}}\"\"\"

flow main(texts: list[str]) -> list[str]:
    {limits}found = [ask(t) for t in texts]
    return found
"""


async def alone(request: Request) -> str:
    return f"alone {request.prompt}"


@define(eq=False)
class Batching(Scripted):
    """A provider whose batches take an hour; `twist` does to the answers what a bad endpoint does."""

    twist: Callable[[Answers, int], Answers] = lambda answers, round: answers
    rounds: list[list[str]] = field(factory=list)

    async def generate_many(self, requests: Mapping[str, Request]) -> Answers:
        self.rounds.append([request.prompt for request in requests.values()])
        await asyncio.sleep(3600)
        answers: Answers = [
            (id_, Response(f"together {request.prompt}", Usage(10, 1))) for id_, request in requests.items()
        ]
        return self.twist(answers, len(self.rounds))


def ask(
    provider: Scripted,
    texts: Sequence[str],
    *,
    retries: int = 0,
    limits: str = "",
    latency: float = 7200,
) -> RunResult:
    program = PROGRAM.format(retries=retries, limits=limits)
    made = driver.compile_text(program, "main.flow")
    model = ModelSettings(
        "m", "batching", "m-1", Price(1e-6, 1e-6), max_in_flight=1, batch=True, batch_latency=latency
    )
    environment = Environment(config=Config(models={"m": model}), providers={"batching": provider})
    return virtually(made.plan, environment, texts=texts)


def test_all_calls_go_out_in_one_round_past_the_limit_of_single_ones() -> None:
    provider = Batching(alone)
    assert isinstance(provider, BatchProvider)
    result = ask(provider, [f"t{i}" for i in range(200)])
    assert result.result == [f"together t{i}" for i in range(200)]
    assert [len(each) for each in provider.rounds] == [200]
    assert provider.requests == []
    assert (result.calls, result.tokens_in, result.tokens_out) == (200, 2000, 200)


def test_answers_out_of_order_reach_their_own_calls() -> None:
    result = ask(Batching(alone, twist=lambda answers, _: answers[::-1]), ["a", "b", "c"])
    assert result.result == ["together a", "together b", "together c"]


def test_an_answer_to_no_request_and_the_same_one_twice_do_no_harm() -> None:
    def twist(answers: Answers, _: int) -> Answers:
        return [("other", Response("for nobody")), *answers, answers[0]]

    assert ask(Batching(alone, twist=twist), ["a", "b"]).result == ["together a", "together b"]


def test_a_missing_answer_fails_its_call_alone_and_is_asked_for_again_where_that_is_allowed() -> None:
    def drop(answers: Answers, round: int) -> Answers:
        return answers[1:] if round == 1 else answers

    failed = ask(Batching(alone, twist=drop), ["a", "b"])
    assert failed.problem is not None
    assert failed.problem.code == "E0847"
    assert "[0]" in failed.problem.why
    provider = Batching(alone, twist=drop)
    assert ask(provider, ["a", "b"], retries=1).result == ["together a", "together b"]
    assert provider.rounds == [["a", "b"], ["a"]]


def test_two_different_answers_to_one_request_fail_it() -> None:
    def twice(answers: Answers, _: int) -> Answers:
        return [*answers, (answers[1][0], Response("another"))]

    result = ask(Batching(alone, twist=twice), ["a", "b"])
    assert result.problem is not None
    assert (result.problem.code, "[1]" in result.problem.why) == ("E0848", True)


def _raise(answers: Any, _: int) -> Answers:
    raise KeyError("no such thing")


def _nothing(answers: Any, _: int) -> Any:
    return [(id_, None) for id_, _ in answers]


def _cancel(answers: Any, _: int) -> Answers:
    raise asyncio.CancelledError


@pytest.mark.parametrize(
    "twist", [_raise, _cancel, lambda answers, _: [(1, 2, 3)], lambda answers, _: None, _nothing]
)
def test_an_endpoint_that_breaks_its_word_ends_in_a_code(twist: Callable[[Answers, int], Answers]) -> None:
    result = ask(Batching(alone, twist=twist), ["a", "b"])
    assert result.problem is not None
    assert result.problem.code == "E0847"


@pytest.mark.parametrize(
    ("limits", "batched"),
    [("", True), ("with timeout(3h):\n        ", True), ("with timeout(1h):\n        ", False)],
)
def test_the_endpoint_is_used_only_where_the_deadline_leaves_it_time(limits: str, batched: bool) -> None:
    result = ask(Batching(alone), ["a", "b"], limits=limits.replace("3h", "10800s").replace("1h", "3600s"))
    assert result.result == [f"{'together' if batched else 'alone'} {text}" for text in ("a", "b")]


def test_a_single_call_and_a_provider_without_such_an_endpoint_are_asked_one_by_one() -> None:
    assert ask(Batching(alone), ["a"]).result == ["alone a"]
    assert ask(Scripted(alone), ["a", "b"]).result == ["alone a", "alone b"]


def test_a_call_that_its_provider_cancels_fails_as_it_does_outside_of_a_batch() -> None:
    async def gone(request: Request) -> str:
        raise asyncio.CancelledError

    problems = [ask(Scripted(gone), texts).problem for texts in (["a"], ["a", "b"])]
    assert [problem.code for problem in problems if problem is not None] == ["E0715", "E0715"]


def test_a_cancelled_batch_leaves_nothing_behind() -> None:
    limits = "with timeout(1800s):\n        "
    provider = Batching(alone)
    result = ask(provider, ["a", "b"], limits=limits, latency=60)
    assert result.problem is not None
    assert (result.problem.code, result.wall_ms) == ("E0714", 1_800_000)


def test_a_provider_that_ignores_its_cancellation_does_not_hold_the_run() -> None:
    class Stubborn(Batching):
        async def generate_many(self, requests: Mapping[str, Request]) -> Answers:
            loop = asyncio.get_running_loop()
            end = loop.time() + 10_000
            while loop.time() < end:
                with contextlib.suppress(asyncio.CancelledError):
                    await asyncio.sleep(end - loop.time())
            return []

    result = ask(Stubborn(alone), ["a", "b"], limits="with timeout(60s):\n        ", latency=60)
    assert result.problem is not None
    assert result.problem.code == "E0714"
    assert result.wall_ms <= 61_000
