"""What flowc.toml and the Python decorators say about batches, prefixes and paragraphs."""

from pathlib import Path

import pytest

import flowc
from flowc.runtime.config import load_config
from flowc.runtime.errors import FlowError


def config(folder: Path, text: str) -> Path:
    path = folder / "flowc.toml"
    path.write_text(f"[models.m]\n{text}\n", "utf-8")
    return path


def test_a_model_says_what_its_provider_keeps_and_takes_together(tmp_path: Path) -> None:
    text = "prefix_cache = true\nmin_prefix_tokens = 256\nbatch = true\nbatch_latency = 3600"
    model = load_config(config(tmp_path, text)).models["m"]
    assert (model.prefix_cache, model.min_prefix_tokens) == (True, 256)
    assert (model.batch, model.batch_latency) == (True, 3600.0)
    bare = load_config(config(tmp_path, "")).models["m"]
    assert (bare.prefix_cache, bare.min_prefix_tokens) == (False, 1024)
    assert (bare.batch, bare.batch_latency) == (False, 86_400.0)


@pytest.mark.parametrize(
    "text",
    ['batch = "yes"', "batch = 1", "prefix_cache = 0", "min_prefix_tokens = true", "batch_latency = 0"],
)
def test_a_setting_of_the_wrong_type_is_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(FlowError) as raised:
        load_config(config(tmp_path, text))
    assert raised.value.problem.code == "E0649"


@flowc.llm(reorder=True)
def judge(text: str, rules: str) -> str:
    """Text: {text}

    Rules: {rules}"""


@flowc.flow
def judged(texts: list[str], rules: str) -> list[str]:
    return [judge(text, rules) for text in texts]


def test_a_python_llm_may_be_reordered_as_well() -> None:
    written = judged.emit("plan")
    assert '"generate_batch"' in written
    assert '"Rules: ", {"input" = 0, "name" = "rules"}' in written
    assert '"prefix" = 3' in written
