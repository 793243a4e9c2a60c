"""Sleeps and events: time goes by where the program says so, and nobody is asked for an event."""

import math
from typing import Any

import pytest

from flowc.compiler import driver
from flowc.runtime import people
from flowc.runtime.environment import Environment
from flowc.runtime.people import answers
from flowc.runtime.result import RunResult
from tests.runtime.worlds import virtually

TOOLS = """\
tool look(key: str) -> int reads db
tool put(key: str) -> int writes db
tool other(key: str) -> int writes shelf
tool twice(number: int) -> int pure
event paid(order: str) -> int:
    \"\"\"How much was paid for {order}?\"\"\"

human ask(text: str) -> int:
    \"\"\"{text}\"\"\"

"""


def ran(body: str, level: int = 2, parameter: float = 0.0, **more: Any) -> tuple[RunResult, list[str]]:
    """The run of a flow of these statements in virtual time, and what was called, in order."""
    lines = "".join(f"    {line}\n" for line in body.strip("\n").split("\n"))
    text = f"{TOOLS}flow main(time: float) -> int:\n{lines}"
    called: list[str] = []

    def noting(name: str) -> Any:
        def call(key: Any) -> int:
            called.append(f"{name} {key}")
            return len(called)

        return call

    tools = {name: noting(name) for name in ("look", "put", "other", "twice")}
    plan = driver.compile_text(text, "sleeping.flow", level=level).plan
    return virtually(plan, Environment(tools=tools, **more), time=parameter), called


@pytest.mark.parametrize("level", [0, 2, 3])
def test_what_comes_after_a_sleep_waits_for_it(level: int) -> None:
    result, called = ran(
        'a = look("a")\nput("b")\nother("c")\nsleep(1h)\nother("d")\nb = look("a")\nreturn b - a', level
    )
    assert result.wall_ms == pytest.approx(3_600_000)
    assert called.index("other d") > called.index("other c")
    assert [each for each in called if each == "look a"] == 2 * ["look a"]
    assert called[-1] != "other c"
    assert isinstance(result.result, int)
    assert result.result > 0


def test_sleeps_are_one_after_the_other_also_through_flows() -> None:
    text = "flow nap(time: float) -> int:\n    sleep(time)\n    return 1\n\n"
    text += "flow main() -> int:\n    return sum([nap(10.0) for _ in range(3)])\n"
    for level in (0, 2):
        result = virtually(driver.compile_text(text, "naps.flow", level=level).plan, Environment())
        assert (result.result, result.wall_ms) == (3, pytest.approx(30_000))


def test_each_round_of_a_loop_looks_anew() -> None:
    _, called = ran('for i in range(3):\n    look("a")\n    sleep(10)\nreturn 0')
    assert called == 3 * ["look a"]


@pytest.mark.parametrize("time", [-1.0, math.nan, math.inf, 4e8])
def test_what_is_no_time_to_wait_fails(time: float) -> None:
    result, _ = ran("sleep(time)\nreturn 0", parameter=time)
    assert result.problem is not None
    assert result.problem.code == "E0735"


def test_a_sleep_ends_with_what_is_around_it() -> None:
    result, _ = ran("try:\n    with timeout(2s):\n        sleep(1h)\n    x = 1\nelse:\n    x = 2\nreturn x")
    assert (result.result, result.wall_ms) == (2, pytest.approx(2000))


def test_an_event_is_told_by_its_name() -> None:
    result, _ = ran('return paid("12")', people=answers({"paid": "7"}))
    assert result.result == 7


def test_nobody_is_asked_for_an_event(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(people.sys.stdin, "readline", lambda: "8\n")
    result, _ = ran('return paid("12")', people=people.ask_terminal)
    assert result.problem is not None
    assert result.problem.code == "E0730"
    assert "`paid` waits for an event" in result.problem.message
    asked, _ = ran('return ask("12")', people=people.ask_terminal)
    assert asked.result == 8
