"""The benchmark of durable runs: its programs do what they say, its figures are those of what it names."""

from pathlib import Path

import pytest

from benchmarks.durable import child, suite
from benchmarks.durable.programs import LOOP, MAP, TOGETHER, TOOLS, WRITES, chain, writes_at_once
from flowc.compiler.driver import compile_text
from flowc.runtime.environment import Environment
from flowc.runtime.execute import run


@pytest.mark.parametrize(
    ("program", "n", "result", "calls"),
    [
        (LOOP, 7, "x" * 200, 7),
        (MAP, 7, "x" * 200, 7),
        (WRITES, 7, 7, 7),
        (writes_at_once(), 3, 3, 3 * TOGETHER),
        (chain(5), 2, 7, 5),
    ],
)
def test_each_step_is_a_call(program: str, n: int, result: object, calls: int) -> None:
    plan = compile_text(program, "durable.flow").plan
    ended = run(plan, "main", {"n": n}, environment=Environment(tools=TOOLS))
    assert (ended.result, ended.calls) == (result, calls)


def test_what_is_gone_on_with_has_all_its_steps_behind_it(tmp_path: Path) -> None:
    loaded = child._loaded(LOOP)
    child._broken_off(loaded, 20, tmp_path / "loop.db")
    made: list[int] = []
    counting = Environment(tools={"text": lambda i, before: made.append(i)})
    again = child.load(loaded.plan, counting)
    child._resuming(tmp_path, "loop", again, 20)()()
    assert made == []


def test_all_runs_are_listed(tmp_path: Path) -> None:
    child._many_runs(tmp_path / "many.db", child._loaded(WRITES), 12)
    assert child._listed(tmp_path / "many.db") == 12


def test_a_bar_holds_from_the_right_side() -> None:
    assert suite._row("steps", 5.0, 4, least=True)["holds"] == "yes"
    assert suite._row("steps", 3.0, 4, least=True)["holds"] == "NO"
    assert suite._row("seconds", 3.0, 4)["holds"] == "yes"
    assert suite._row("seconds", 5.0, 4)["holds"] == "NO"
