"""Decorated functions whose runs somebody listens to teach what their calls take."""

import asyncio
from pathlib import Path

import pytest

import flowc
from flowc.runtime.history.store import read


@flowc.llm
def judge(text: str) -> bool:
    """Is this good? {text}"""


@flowc.flow
def judged(texts: list[str]) -> list[bool]:
    return [judge(text) for text in texts]


def _ignored(event: object) -> None:
    pass


@pytest.fixture
def where(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("FLOWC_HISTORY", str(tmp_path / "history.sqlite"))
    return tmp_path / "history.sqlite"


def test_a_run_that_nobody_listens_to_teaches_nothing(where: Path) -> None:
    assert len(judged.using(provider="simulated")(["a", "b"])) == 2
    assert not where.exists()


def test_a_run_that_somebody_listens_to_teaches_and_is_learned_from(where: Path) -> None:
    heard: list[object] = []
    first = judged.using(provider="simulated", seed=3, subscribers=(heard.append,))
    value = first(["a", "b"])
    assert heard
    assert len(read(where, [], ["default"], []).models["default"]) == 2
    again = judged.using(provider="simulated", seed=3, subscribers=(heard.append,))
    assert again(["a", "b"]) == value
    assert len(read(where, [], ["default"], []).models["default"]) == 4


def test_the_coroutine_form_teaches_too(where: Path) -> None:
    async def go() -> list[bool]:
        return await judged.using(provider="offline", subscribers=(_ignored,)).run(["a"])

    assert len(asyncio.run(go())) == 1
    assert len(read(where, [], ["default"], []).models["default"]) == 1


def test_a_history_that_cannot_be_written_is_a_warning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("FLOWC_HISTORY", str(tmp_path / "file" / "history.sqlite"))
    with pytest.warns(UserWarning, match="E0901"):
        judged.using(provider="simulated", seed=4, subscribers=(_ignored,))(["a"])
