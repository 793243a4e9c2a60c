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


def environment(folder: Path, submitter: str, weight: float, provider: Scripted) -> Environment:
    path = folder / f"{submitter}.toml"
    path.write_text(
        f'[run]\nsubmitter = "{submitter}"\nweight = {weight}\n\n'
        '[models.m]\nprovider = "offline"\nmax_in_flight = 1\n'
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


@pytest.mark.parametrize("weight", ["0", "-1.5", "inf"])
def test_a_weight_that_is_no_share_is_refused(tmp_path: Path, weight: str) -> None:
    path = tmp_path / "flowc.toml"
    path.write_text(f"[run]\nweight = {weight}\n")
    with pytest.raises(FlowError) as refused:
        load_config(path)
    assert refused.value.problem.code == "E0649"
