"""Real calls are made once, and given again from a file; what the file lacks is said."""

from pathlib import Path
from typing import Any

import pytest

from flowc.runtime.config import Config, ModelSettings
from flowc.testing import Program, Recording, load
from flowc.testing.flows.keys import keys_of
from flowc.testing.flows.targets import Target

PROGRAM = '''
from "tools.py" import prices, order

record Price:
    item: str
    cost: float

tool prices(shop: str) -> list[Price] reads web

tool order(item: str) -> none writes orders

llm advise(shop: str, prices: list[Price]) -> str:
    """What is cheap at {shop}? {prices}"""

flow main(shop: str) -> str:
    found = prices(shop)
    order(found[0].item)
    return advise(shop, found)
'''
TOOLS = """
from pathlib import Path
from typing import NamedTuple


class Price(NamedTuple):
    item: str
    cost: float


def prices(shop):
    with (Path(__file__).parent / "asked.txt").open("a") as file:
        file.write(shop + "\\n")
    return [Price("pears", 0.5), Price("plums", 2.0)]


def order(item):
    raise OSError("nothing is ordered in tests")
"""


@pytest.fixture
def program(tmp_path: Path) -> Program:
    (tmp_path / "tools.py").write_text(TOOLS)
    (tmp_path / "main.flow").write_text(PROGRAM)
    return load(tmp_path / "main.flow")


def asked(program: Program) -> list[str]:
    return (program.path.parent / "asked.txt").read_text().split()


def test_what_was_recorded_is_given_again_and_nothing_real_is_called(
    program: Program, tmp_path: Path
) -> None:
    path = tmp_path / "recordings" / "one.jsonl"
    writing = Recording(path, writes=True)
    first = writing.check(program, {"shop": "corner"})
    second = writing.check(program, {"shop": "market"})
    assert (first.status, second.status) == ("ok", "ok")
    assert asked(program) == ["corner", "market"]
    assert first.effects[0].arguments == {"item": "pears"}

    reading = Recording(path)
    assert reading.check(program, {"shop": "corner"}).value == first.value
    assert reading.check(program, {"shop": "market"}).value == second.value
    assert asked(program) == ["corner", "market"]
    assert first.value != ""


def test_a_recording_is_written_anew(program: Program, tmp_path: Path) -> None:
    path = tmp_path / "one.jsonl"
    for _ in range(2):
        Recording(path, writes=True).check(program, {"shop": "corner"})
    assert len(path.read_text().splitlines()) == 2


@pytest.mark.parametrize("name", ["SHOP_API_KEY", "MY_TOKEN", "DB_PASSWORD"])
def test_no_key_of_this_machine_comes_into_a_recording(
    program: Program, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    path = tmp_path / "one.jsonl"
    Recording(path, writes=True).check(program, {"shop": "corner"})
    before = path.read_text()
    key = 'sk-"never-said"'
    monkeypatch.setattr(Target, "real", lambda *_: lambda shop: [{"item": key, "cost": 1.0}])
    monkeypatch.setenv(name, key)
    with pytest.raises(ValueError, match=f"what `prices` gave holds the value of .*variable {name}"):
        Recording(path, writes=True).check(program, {"shop": "corner"})
    assert path.read_text() == before, "what was recorded before stays"


def test_a_key_is_told_by_its_name_and_by_flowc_toml() -> None:
    environment = {
        "OURS": "s" * 20,
        "A_TOKEN": "short",
        "HOME": "/home/of/somebody",
        "KEYBOARD": "querty-us-x",
    }
    assert keys_of(environment, Config()) == {}
    settings = ModelSettings("m", api_key_env="OURS")
    assert keys_of(environment, Config(models={"m": settings})) == {"OURS": "s" * 20}


def test_what_is_missing_is_said_with_the_command_that_records_it(program: Program, tmp_path: Path) -> None:
    path = tmp_path / "one.jsonl"
    with pytest.raises(
        AssertionError, match=r"there is no recording .*one.jsonl\n  record it with: pytest --flowc"
    ):
        Recording(path).check(program, {"shop": "corner"})
    Recording(path, writes=True).check(program, {"shop": "corner"})
    with pytest.raises(AssertionError, match=r"has no answer for prices\(shop='market'\)"):
        Recording(path).check(program, {"shop": "market"})
    other: Any = [{"item": "figs", "cost": 1.0}]
    with pytest.raises(AssertionError, match=r"asked: 'What is cheap at corner\?"):
        Recording(path).check(program, {"shop": "corner"}, tools={"prices": other})


def test_a_model_may_be_called_otherwise_where_it_is_replayed(program: Program, tmp_path: Path) -> None:
    path, config = tmp_path / "one.jsonl", tmp_path / "flowc.toml"
    config.write_text('[models.default]\nprovider = "offline"\nmodel = "large"\n')
    recorded = Recording(path, writes=True).check(program, {"shop": "corner"})
    config.write_text('[models.default]\nprovider = "openai"\nmodel = "small"\n')
    assert Recording(path).check(program, {"shop": "corner"}).value == recorded.value
