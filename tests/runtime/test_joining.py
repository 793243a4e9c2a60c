"""Embeddings of several runs of a batch go out together, and each run ends as it would alone."""

import asyncio
from pathlib import Path
from typing import Any

from attrs import define, evolve, field
from hypothesis import given, settings
from hypothesis import strategies as st

from flowc.runtime.config import Config
from flowc.runtime.environment import Environment
from flowc.runtime.errors import FlowError, Problem
from flowc.runtime.providers.base import Embedding, EmbedRequest, ModelSettings, ProviderError, Usage
from flowc.runtime.result import RunResult
from flowc.runtime.scheduler.joining import MOST_TEXTS
from tests.runtime.batches import World, alone, compiled, together

EACH = 'flow main(n: int) -> f32[2, 2]:\n    return embed([f"text {n}", "same"])\n'
TIMED = (
    "flow main(n: int) -> f32[2, 2]:\n    with timeout(1s):\n" + '        return embed([f"{n}", "same"])\n'
)


@define
class Vectors(World):
    """Embeds by the lengths of texts in two seconds; refuses requests with a text that ends like this. The
    first `broken` requests fail and cost all the same.
    """

    refused: str = "nothing"
    short: int = 0
    dropped: str = ""
    broken: int = 0
    seconds: float = 2.0
    requests: list[tuple[str, ...]] = field(factory=list)

    async def embed(self, request: EmbedRequest) -> Embedding:
        self.requests.append(request.texts)
        if any(text.endswith(self.refused) for text in request.texts):
            raise ProviderError(Problem("E0825", "the endpoint refused the request"), retryable=False)
        await asyncio.sleep(self.seconds)
        if len(self.requests) <= self.broken:
            failed = ProviderError(Problem("E0824", "the endpoint failed"), retryable=False)
            failed.usage = Usage(sum(map(len, request.texts)), 0)
            raise failed
        rows = tuple((float(len(text)), 1.0) for text in request.texts if text != self.dropped)
        return Embedding(rows[self.short :], Usage(sum(map(len, request.texts)), 0))

    def environment(self, **more: Any) -> Environment:
        model = ModelSettings("default", "counting", "m-1", **more)
        return Environment(config=Config(models={"default": model}), providers={"counting": self})


def results(text: str, world: Vectors, count: int, **more: Any) -> list[RunResult]:
    found = together(compiled(text), world.environment(**more), [{"n": n} for n in range(count)], 64)
    assert not [each for each in found if isinstance(each, FlowError)]
    return [each for each in found if isinstance(each, RunResult)]


def test_what_runs_ask_for_at_one_moment_is_one_request() -> None:
    world = Vectors()
    found = results(EACH, world, 20, requests_per_minute=1)
    assert len(world.requests) == 1
    for n, result in enumerate(found):
        assert result.status == "ok", result.problem
        assert result.result.tolist() == [[len(f"text {n}"), 1], [4, 1]]
    assert sum(each.tokens_in for each in found) == sum(map(len, world.requests[0]))


def test_a_request_has_no_more_texts_than_providers_take() -> None:
    world = Vectors()
    results(EACH, world, 60)
    assert [len(texts) for texts in world.requests] == [MOST_TEXTS, 2 * 60 - MOST_TEXTS]


@settings(max_examples=20, deadline=None)
@given(st.integers(1, 30), st.sampled_from(["3", "7", "nothing", "same"]))
def test_each_run_ends_as_it_does_alone(count: int, refused: str) -> None:
    world = Vectors(refused=refused)
    for n, result in enumerate(results(EACH, world, count)):
        single = alone(compiled(EACH), Vectors(refused=refused).environment(), {"n": n})
        assert (result.status, str(result.result)) == (single.status, str(single.result))
        assert (result.problem is None) == (single.problem is None)
        if result.problem is not None and single.problem is not None:
            assert result.problem.code == single.problem.code


def test_vectors_that_cannot_be_told_apart_are_given_to_nobody() -> None:
    codes = [each.problem.code for each in results(EACH, Vectors(short=1), 5) if each.problem is not None]
    assert codes == ["E0836"] * 5


def test_a_request_that_nobody_waits_for_any_more_is_broken_off() -> None:
    world = Vectors(seconds=1000.0)
    found = results(TIMED, world, 5)
    assert [each.status for each in found] == ["failed"] * 5
    assert all(each.wall_ms < 1_100 for each in found)


def test_a_joint_request_that_fails_and_costs_all_the_same_fails_no_run_and_each_pays_its_part() -> None:
    world = Vectors(broken=1)
    found = results(EACH, world, 4)
    assert [each.status for each in found] == ["ok"] * 4
    assert [each.tokens_in for each in found] == [2 * len("text 1same")] * 4


def test_a_text_without_a_vector_fails_its_own_run_alone() -> None:
    world = Vectors(dropped="text 3")
    found = results(EACH, world, 5)
    assert [each.problem and each.problem.code for each in found] == [None, None, None, "E0836", None]


def test_a_joint_request_stays_within_the_tokens_of_a_minute() -> None:
    world = Vectors()
    results(EACH, world, 20, tokens_per_minute=40)
    assert max(sum(map(len, texts)) for texts in world.requests) == 40


def test_no_run_is_charged_more_than_its_texts_can_count() -> None:
    text = "flow main(n: int) -> f32[1, 2]:\n    return embed([repeat(n)])\n"
    text = "tool repeat(n: int) -> str pure\n\n" + text
    world = Vectors()
    environment = evolve(world.environment(), tools={"repeat": lambda n: "x" * (1 + 4 * n)})
    found = together(compiled(text), environment, [{"n": n} for n in range(6)], 64)
    assert len(world.requests) == 1
    assert [each.tokens_in for each in found if isinstance(each, RunResult)] == [1 + 4 * n for n in range(6)]


def test_who_asks_alone_after_a_refusal_is_broken_off_alone_and_has_paid_nothing() -> None:
    world = Vectors(refused="3", seconds=1000.0)
    found = results(TIMED, world, 5, max_in_flight=1)
    assert [each.status for each in found] == ["failed"] * 5
    assert sum(1 for each in found if each.tokens_in) == 1, "only one call was begun and broken off"


def test_a_recording_of_a_batch_answers_any_other_batch_of_its_lines(tmp_path: Path) -> None:
    recording = tmp_path / "answers.jsonl"
    lines = [{"n": n} for n in range(7)]

    def runs(provider: str, width: int, **more: Any) -> list[Any]:
        config = Config(models={"default": ModelSettings("default", provider, "m-1")})
        found = together(compiled(EACH), Environment(config=config, **more), lines, width)
        return [each.result.tolist() for each in found if isinstance(each, RunResult) and each.status == "ok"]

    wanted = runs("simulated", 64, record=recording)
    for width in (1, 3, 64):
        assert runs("replay", width, recording=recording) == wanted != []
