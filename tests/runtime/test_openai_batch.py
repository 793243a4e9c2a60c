"""OpenAI's endpoint for many requests, and its hint for prompts that begin alike, against a real socket."""

import json
from collections.abc import Sequence
from typing import Any

import pytest

from flowc.compiler import driver
from flowc.runtime.config import Config
from flowc.runtime.environment import Environment
from flowc.runtime.execute import run
from flowc.runtime.limits import Price
from flowc.runtime.providers import openai_batch
from flowc.runtime.providers.base import ModelSettings
from flowc.runtime.providers.openai import OpenAI
from flowc.runtime.result import RunResult
from flowc.runtime.trace.model import Trace
from tests.openai_server import Server

PROGRAM = '''
@model("small")
llm ask(rules: str, text: str) -> str:
    """Rules: {rules}

    Text: {text}"""

flow main(texts: list[str]) -> list[str]:
    return [ask("be brief", t) for t in texts]
'''


def ask(server: Server, texts: Sequence[str], **more: Any) -> RunResult:
    settings = ModelSettings(
        "small",
        "openai",
        "tiny-1",
        server.url,
        "FLOWC_TEST_KEY",
        Price(1e-6, 4e-6),
        **{"batch": True, **more},
    )
    plan = driver.compile_text(PROGRAM, "main.flow").plan
    providers = {"openai": OpenAI(look=0.01)}
    environment = Environment(config=Config(models={"small": settings}), providers=providers)
    return run(plan, "main", {"texts": texts}, environment=environment)


def test_a_comprehension_goes_up_as_one_file_and_answers_come_down_in_another_order() -> None:
    with Server().running() as server:
        result = ask(server, ["a", "b", "c"])
    assert result.result == [f"batch: Rules: be brief\n\nText: {text}" for text in "abc"]
    assert [request["path"] for request in server.requests[:4]] == [
        "/v1/files",
        "/v1/batches",
        "/v1/batches/b1",
        "/v1/files/f2/content",
    ]
    assert (result.tokens_in, result.tokens_out) == (15, 6)
    bodies = [json.loads(line)["body"] for line in server.uploaded]
    assert all(body["model"] == "tiny-1" and "stream" not in body for body in bodies)


def test_an_answer_with_a_status_fails_its_own_call() -> None:
    with Server().running() as server:
        result = ask(server, ["a", "broken"])
    assert result.problem is not None
    assert result.problem.code == "E0821"


@pytest.mark.parametrize(("status", "code"), [("failed", "E0825"), ("expired", "E0847")])
def test_a_round_that_ends_badly_fails_its_calls_with_a_code(status: str, code: str) -> None:
    with Server(batch_script=["in_progress", status]).running() as server:
        result = ask(server, ["a", "b"])
    assert result.problem is not None
    assert result.problem.code == code


def deleted(server: Server) -> list[str]:
    return sorted(each["path"] for each in server.requests if each.get("method") == "DELETE")


def test_the_files_of_a_round_are_deleted_once_its_answers_are_read() -> None:
    with Server().running() as server:
        ask(server, ["a", "b"])
    assert [request["method"] for request in server.requests[-2:]] == ["DELETE"] * 2
    assert deleted(server) == ["/v1/files/f1", "/v1/files/f2"]


def test_what_could_not_be_read_is_not_deleted_and_what_nobody_answered_is() -> None:
    with Server(batch_script=["404"]).running() as server:
        ask(server, ["a", "b"])
    assert not deleted(server)
    with Server(batch_script=["failed"]).running() as server:
        ask(server, ["a", "b"])
    assert deleted(server) == ["/v1/files/f1"]


def test_a_file_that_cannot_be_deleted_stands_in_the_trace_and_changes_no_answer() -> None:
    with Server(keeps=("f2",)).running() as server:
        result = ask(server, ["a", "b"])
    assert result.problem is None
    assert result.result == [f"batch: Rules: be brief\n\nText: {text}" for text in "ab"]
    assert isinstance(result.trace, Trace)
    notes = [str(event.attributes["note"]) for event in result.trace.events() if "note" in event.attributes]
    assert notes == ["files that the endpoint did not delete: f2 (status 500)"]


def test_looks_that_fail_for_a_while_do_not_lose_a_round() -> None:
    with Server(batch_script=["502", "in_progress", "429"]).running() as server:
        result = ask(server, ["a", "b"])
    assert result.problem is None
    assert sum(request["path"] == "/v1/files" for request in server.requests) == 1


def test_a_round_that_is_given_up_is_cancelled() -> None:
    with Server(batch_script=["404"]).running() as server:
        result = ask(server, ["a", "b"])
    assert result.problem is not None
    assert server.requests[-1]["path"] == "/v1/batches/b1/cancel"


def test_a_line_that_is_no_answer_fails_its_own_call() -> None:
    with Server().running() as server:
        result = ask(server, ["a", "garbled"])
    assert result.problem is not None
    assert (result.problem.code, "map[1]" in result.problem.why) == ("E0847", True)


def test_an_answer_may_hold_any_separator_of_lines() -> None:
    with Server().running() as server:
        result = ask(server, ["a\u2028b", "c\x85d"])
    assert result.result == [f"batch: Rules: be brief\n\nText: {text}" for text in ("a\u2028b", "c\x85d")]


def test_large_batches_go_up_in_rounds() -> None:
    bodies: dict[str, object] = {str(number): {} for number in range(1201)}
    assert [len(each) for each in openai_batch.rounds(bodies)] == [500, 500, 201]


def test_prompts_that_begin_alike_carry_one_hint_where_the_model_caches() -> None:
    with Server().running() as server:
        ask(server, ["a", "b"], batch=False, prefix_cache=True)
        ask(server, ["a"], batch=False)
    hints = [request["body"].get("prompt_cache_key") for request in server.requests]
    assert hints[0] == hints[1] is not None
    assert hints[2] is None
