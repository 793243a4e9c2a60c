"""Runs of several submitters before one endpoint, as flowc.toml names them."""

import asyncio
from pathlib import Path

import pytest

from flowc.compiler.driver import compile_text
from flowc.runtime.config import load_config
from flowc.runtime.environment import Environment
from flowc.runtime.errors import FlowError
from flowc.runtime.execute import load, run_plan
from flowc.runtime.providers.base import Request
from tests.runtime.worlds import Scripted, in_virtual_time

TEXT = (
    '@model("m")\nllm ask(word: str) -> str:\n    """What is {word}?"""\n\n'
    "flow main(words: list[str]) -> list[str]:\n    return [ask(word) for word in words]\n"
)


MOST = {"loose": 6_000, "exact": 60}


def environment(
    folder: Path, submitter: str, weight: float, provider: Scripted, places: int = 1
) -> Environment:
    path = folder / f"{submitter}.toml"
    path.write_text(
        f'[run]\nsubmitter = "{submitter}"\nweight = {weight}\n\n'
        f'[models.m]\nprovider = "offline"\nmax_in_flight = {places}\n'
    )
    return Environment(config=load_config(path), providers={"offline": provider})


def test_submitters_before_one_endpoint_share_it_by_the_weights_of_flowc_toml(tmp_path: Path) -> None:
    async def answer(request: Request) -> str:
        await asyncio.sleep(1)
        return "fine"

    provider = Scripted(answer)
    plan = compile_text(TEXT, "main.flow").plan

    async def go() -> None:
        runs = []
        for name, weight in (("alice", 1.0), ("bob", 3.0)):
            loaded = load(plan, environment(tmp_path, name, weight, provider))
            words = [f"{name} {number:02d}" for number in range(30)]
            runs.append(run_plan(loaded, "main", {"words": words}))
        await asyncio.gather(*runs)

    in_virtual_time(go)
    first = [request.prompt.split()[2] for request in provider.requests[:32]]
    assert abs(first.count("alice") - 8) <= 1
    assert provider.most == 1


def test_a_submitter_whose_calls_might_answer_more_than_they_do_gets_the_same_share(tmp_path: Path) -> None:
    """Both use as much; what one of them may use at most is a hundred times what the other may."""

    async def answer(request: Request) -> str:
        await asyncio.sleep(1)
        return "fine"

    provider = Scripted(answer)
    texts = {
        name: TEXT.replace('@model("m")', f'@model("m", max_tokens={most})') for name, most in MOST.items()
    }

    async def go() -> None:
        runs = []
        for name, text in texts.items():
            loaded = load(compile_text(text, "main.flow").plan, environment(tmp_path, name, 1.0, provider, 4))
            words = [f"{name} {number:02d}" for number in range(40)]
            runs.append(run_plan(loaded, "main", {"words": words}))
        await asyncio.gather(*runs)

    in_virtual_time(go)
    first = [request.prompt.split()[2] for request in provider.requests[:40]]
    assert abs(first.count("loose") - 20) <= 4
    assert provider.most == 4


@pytest.mark.parametrize("weight", ["0", "-1.5", "inf"])
def test_a_weight_that_is_no_share_is_refused(tmp_path: Path, weight: str) -> None:
    path = tmp_path / "flowc.toml"
    path.write_text(f"[run]\nweight = {weight}\n")
    with pytest.raises(FlowError) as refused:
        load_config(path)
    assert refused.value.problem.code == "E0649"
