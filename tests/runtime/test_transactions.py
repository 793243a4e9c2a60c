"""Transactions: what failed or was cancelled is taken back, the latest first, before anything goes on."""

import asyncio
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flowc.compiler import driver
from flowc.compiler.driver import Compiled
from flowc.runtime.environment import Environment
from flowc.runtime.execute import run
from flowc.runtime.result import RunResult
from tests.runtime.worlds import virtually

TOOLS = """\
tool book(room: str, nights: int) -> str writes hotel undo cancel
tool cancel(result: str, room: str, reason: str = "it failed") -> none writes hotel
tool pay(amount: int) -> int writes bank idempotent undo refund, writes ledger undo erase
tool refund(amount: int) -> none writes bank
tool erase(amount: int) -> none writes ledger
tool slow(seconds: int) -> int writes queue undo drop
tool drop(seconds: int) -> none writes queue
tool odd(seconds: int) -> int writes box undo stuck
tool stuck(seconds: int) -> none writes box
tool wait(seconds: int) -> int pure
tool fail(seconds: int) -> int pure
human approve(what: str) -> bool:
    \"\"\"{what}?\"\"\"

"""


class World:
    """Tools that note what they do, and when."""

    def __init__(self) -> None:
        self.done: list[str] = []

    def environment(self, **more: Any) -> Environment:
        names = ("book", "cancel", "pay", "refund", "erase", "slow", "drop", "odd", "stuck", "wait", "fail")
        return Environment(tools={name: getattr(self, name) for name in names}, **more)

    def book(self, room: str, nights: int) -> str:
        self.done.append(f"book {room}")
        return f"{room} for {nights}"

    async def cancel(self, result: str, room: str, reason: str) -> None:
        self.done.append(f"cancel {result}, {room}: {reason}")

    def pay(self, amount: int) -> int:
        self.done.append(f"pay {amount}")
        return amount

    def refund(self, amount: int) -> None:
        self.done.append(f"refund {amount}")

    def erase(self, amount: int) -> None:
        self.done.append(f"erase {amount}")

    async def slow(self, seconds: int) -> int:
        await asyncio.sleep(seconds)
        self.done.append(f"slow {seconds}")
        return seconds

    async def drop(self, seconds: int) -> None:
        await asyncio.sleep(1)
        self.done.append(f"drop {seconds}")

    def odd(self, seconds: int) -> int:
        self.done.append(f"odd {seconds}")
        return seconds

    def stuck(self, seconds: int) -> None:
        raise OSError("no answer")

    async def wait(self, seconds: int) -> int:
        await asyncio.sleep(seconds)
        return seconds

    async def fail(self, seconds: int) -> int:
        await asyncio.sleep(seconds)
        raise ValueError("broken")


@cache
def compiled(text: str, level: int) -> Compiled:
    return driver.compile_text(text, "transactions.flow", level=level)


def ran(body: str, level: int = 2, result: str = "int", **more: Any) -> tuple[RunResult, World]:
    """Runs a flow of these statements in virtual time."""
    lines = "".join(f"    {line}\n" for line in body.strip("\n").split("\n"))
    world = World()
    plan = compiled(f"{TOOLS}flow main() -> {result}:\n{lines}", level).plan
    return virtually(plan, world.environment(**more)), world


def code(result: RunResult) -> str:
    assert result.problem is not None
    return result.problem.code


FAILING = """
with transaction:
    a = book("one", 3)
    b = pay(7)
    c = fail(1)
return b + c
"""


@pytest.mark.parametrize("level", [0, 2, 3])
def test_undos_run_in_reverse_and_get_arguments_results_and_defaults(level: int) -> None:
    result, world = ran(FAILING, level)
    undone = ["erase 7", "refund 7", "cancel one for 3, one: it failed"]
    assert world.done == ["book one", "pay 7", *undone]
    assert code(result) == "E0801"
    assert result.problem is not None
    assert "broken" in result.problem.why


def test_the_failure_can_be_caught_once_all_is_taken_back() -> None:
    tried = FAILING.strip().replace("return b + c", "").replace("\n", "\n    ")
    result, world = ran(f"try:\n    {tried}\n    d = 1\nelse:\n    d = pay(2)\nreturn d")
    assert result.result == 2
    assert world.done[-2:] == ["cancel one for 3, one: it failed", "pay 2"]


def test_what_ended_well_is_final() -> None:
    result, world = ran("with transaction:\n    a = pay(1)\nreturn a + fail(1)")
    assert code(result) == "E0801"
    assert world.done == ["pay 1"]


def test_the_writes_of_an_inner_transaction_belong_to_the_outer_one() -> None:
    result, world = ran("""
with transaction:
    a = pay(1)
    with transaction:
        b = slow(1)
    c = fail(1)
return a + b + c
""")
    assert code(result) == "E0801"
    assert world.done == ["pay 1", "slow 1", "drop 1", "erase 1", "refund 1"]


def test_a_failure_caught_inside_leaves_the_inner_transaction_alone_undone() -> None:
    result, world = ran("""
with transaction:
    a = pay(1)
    try:
        with transaction:
            b = slow(1)
            c = fail(1)
    else:
        c = 5
return a + c
""")
    assert result.result == 6
    assert world.done == ["pay 1", "slow 1", "drop 1"]


def test_flows_called_in_a_transaction_write_in_it() -> None:
    text = TOOLS + "flow inner() -> int:\n    return slow(2)\n\n"
    body = "    with transaction:\n        a = inner()\n        b = fail(1)\n    return a + b\n"
    text += f"flow main() -> int:\n{body}"
    for level in (0, 2):
        world = World()
        assert code(virtually(compiled(text, level).plan, world.environment())) == "E0801"
        assert world.done == ["slow 2", "drop 2"]


def test_a_time_limit_waits_until_the_write_under_way_has_ended_and_all_is_taken_back() -> None:
    result, world = ran("""
try:
    with timeout(3s):
        with transaction:
            a = pay(1)
            b = slow(5)
            c = wait(9)
else:
    return 7
return a + b + c
""")
    assert result.result == 7
    assert world.done == ["pay 1", "slow 5", "drop 5", "erase 1", "refund 1"]
    assert result.wall_ms == pytest.approx(6000)


def test_a_sibling_that_fails_takes_the_transaction_with_it() -> None:
    result, world = ran("""
x = fail(3)
with transaction:
    a = slow(1)
    b = wait(9)
return a + b + x
""")
    assert code(result) == "E0801"
    assert world.done == ["slow 1", "drop 1"]
    assert result.wall_ms == pytest.approx(4000)


@pytest.mark.parametrize("level", [0, 2])
def test_what_comes_after_a_failure_is_not_written_where_the_failure_is_caught(level: int) -> None:
    result, world = ran("with transaction:\n    a = fail(3)\n    b = pay(7)\nreturn a + b", level)
    assert (code(result), world.done) == ("E0801", [])
    inner = "flow inner(n: int) -> int:\n    a = fail(n)\n    b = pay(7)\n    return a + b\n\n"
    outer = "flow outer(n: int) -> int:\n    return inner(n) + inner(n + 1)\n\n"
    main = "flow main() -> int:\n    x = try outer(1) + outer(2) else 0\n    return x\n"
    world = World()
    result = virtually(compiled(f"{TOOLS}{inner}{outer}{main}", level).plan, world.environment())
    assert (result.result, world.done) == (0, [])


RACE = TOOLS.replace("writes queue undo", "writes queue idempotent undo")
LOSER = """\
flow loser() -> int:
    with transaction:
        a = slow(1)
        b = wait(9)
    return a + b

flow breaking() -> int:
    with transaction:
        a = slow(1) + slow(2)
        b = fail(a - 2)
    return b

"""


def raced(body: str, level: int) -> tuple[RunResult, World]:
    """Runs statements that may race what writes to the queue."""
    lines = "".join(f"    {line}\n" for line in body.strip("\n").split("\n"))
    world = World()
    plan = compiled(f"{RACE}{LOSER}flow main() -> int:\n{lines}", level).plan
    return virtually(plan, world.environment()), world


def test_the_loser_of_a_race_takes_back_what_it_wrote_before_the_run_ends() -> None:
    result, world = raced("return race(loser(), wait(3))", 2)
    assert result.result == 3
    assert world.done == ["slow 1", "drop 1"]


@pytest.mark.parametrize("level", [0, 2])
def test_a_race_goes_on_once_its_losers_are_taken_back(level: int) -> None:
    result, world = raced("a = race(loser(), wait(3))\nb = pay(a)\nreturn b", level)
    assert result.result == 3
    assert world.done == ["slow 1", "drop 1", "pay 3"]


@pytest.mark.parametrize(("level", "seconds"), [(0, 5), (2, 4)])
def test_a_race_waits_for_a_loser_that_was_being_taken_back_already(level: int, seconds: int) -> None:
    result, world = raced(f"a = race(breaking(), wait({seconds}))\nb = pay(a)\nreturn b", level)
    assert result.result == seconds
    assert world.done == ["slow 1", "slow 2", "drop 2", "drop 1", f"pay {seconds}"]


@pytest.mark.parametrize("level", [0, 2])
def test_a_transaction_takes_back_what_the_loser_of_a_race_was_still_writing(level: int) -> None:
    result, world = raced(
        """
try:
    with transaction:
        with transaction:
            a = race(slow(5), wait(1))
        b = fail(a)
else:
    return 7
return a + b
""",
        level,
    )
    assert result.result == 7
    assert world.done == ["slow 5", "drop 5"]


def test_an_undo_that_fails_leaves_the_others_to_be_tried_and_ends_the_run() -> None:
    result, world = ran("""
try:
    with transaction:
        a = pay(1)
        b = odd(4)
        c = pay(2)
        d = fail(1)
else:
    return 0
return a + b + c + d
""")
    assert world.done == ["pay 1", "odd 4", "pay 2", "erase 2", "refund 2", "erase 1", "refund 1"]
    assert code(result) == "E0734"
    assert result.problem is not None
    assert "main/0:attempt.0/0:transaction/1:odd (`stuck` failed with E0801" in result.problem.why
    assert "it failed with E0801: tool `fail` failed" in result.problem.why


@pytest.mark.parametrize(
    "declared", ["@timeout(2s)\ntool slow(seconds: int) -> int", "tool slow(seconds: int) -> str"]
)
def test_a_write_that_may_have_happened_although_it_failed_is_left(declared: str) -> None:
    text = TOOLS.replace("tool slow(seconds: int) -> int", declared)
    body = "    with transaction:\n        a = pay(1)\n        b = slow(3)\n    return a\n"
    world = World()
    result = virtually(compiled(f"{text}flow main() -> int:\n{body}", 2).plan, world.environment())
    assert code(result) == "E0734"
    assert result.problem is not None
    assert "main/0:transaction/1:slow (may have happened: E0" in result.problem.why
    assert world.done[-2:] == ["erase 1", "refund 1"]


def test_what_is_left_is_told_where_the_run_fails_anyway() -> None:
    result, world = ran("x = fail(3)\nwith transaction:\n    a = odd(1)\n    b = wait(9)\nreturn a + b + x")
    assert world.done == ["odd 1"]
    assert code(result) == "E0734"


def test_a_transaction_is_tried_again_once_all_is_taken_back() -> None:
    result, world = ran("""
with retry(2, backoff=1s):
    with transaction:
        a = slow(1)
        b = fail(1)
return a + b
""")
    assert code(result) == "E0801"
    assert world.done == 3 * ["slow 1", "drop 1"]


def test_undos_are_outside_of_budgets() -> None:
    result, world = ran(
        "with budget(calls=2):\n    with transaction:\n        a = pay(1)\n        b = fail(1)\nreturn a + b"
    )
    assert code(result) == "E0801"
    assert world.done == ["pay 1", "erase 1", "refund 1"]


def test_an_absent_person_ends_the_run_and_the_transaction_with_it() -> None:
    result, world = ran('with transaction:\n    a = pay(1)\n    b = approve("so")\nreturn a if b else 0')
    assert code(result) == "E0730"
    assert world.done == ["pay 1", "erase 1", "refund 1"]


def test_each_undo_is_a_step_below_its_write() -> None:
    events: list[Any] = []
    ran(FAILING, subscribers=(events.append,))
    steps = [event.step for event in events if event.kind == "effect.done"]
    assert steps[2:] == [
        "main/0:transaction/1:pay/undo:erase",
        "main/0:transaction/1:pay/undo:refund",
        "main/0:transaction/0:book/undo:cancel",
    ]


def test_programs_without_transactions_need_no_undo_to_be_there() -> None:
    text = "tool put(x: int) -> int writes db undo take\ntool take(x: int) -> none writes db\n"
    text += "flow main() -> int:\n    return put(1)\n"
    result = run(compiled(text, 2).plan, "main", {}, environment=Environment(tools={"put": lambda x: x}))
    assert result.result == 1


STEPS: Sequence[Callable[[int], str]] = (
    lambda n: f"pay({n})",
    lambda n: f"slow({n})",
    lambda n: f'book("{n}", 1)',
    lambda n: f"wait({n})",
)


@st.composite
def blocks(draw: st.DrawFn, depth: int = 2) -> list[str]:
    """Statements with transactions, some of which fail and are caught."""
    lines: list[str] = []
    for _ in range(draw(st.integers(1, 3))):
        kind = draw(st.integers(0, 5 if depth else 2))
        if kind < 3:
            lines.append(draw(st.sampled_from(STEPS))(draw(st.integers(1, 4))))
            continue
        inner = [f"    {line}" for line in draw(blocks(depth - 1))]
        if kind == 3:
            inner += ["    fail(1)"] if draw(st.booleans()) else []
            tried = ["    with transaction:", *(f"    {line}" for line in inner)]
            lines += ["try:", *tried, "else:", f"    {draw(st.sampled_from(STEPS))(9)}"]
        elif kind == 4:
            lines += ["with transaction:", *inner]
        else:
            lines += [f"for i in range({draw(st.integers(0, 2))}):", *inner]
    return lines


def resource(done: str) -> str:
    """What a note of the world writes; a pay writes two."""
    word = done.split()[0]
    return {"cancel": "book", "refund": "pay", "erase": "pay", "drop": "slow"}.get(word, word)


@settings(max_examples=25, deadline=None)
@given(blocks())
def test_every_level_writes_and_takes_back_the_same(lines: list[str]) -> None:
    body = "\n".join([*lines, "return 1"])
    runs = [ran(body, level) for level in (0, 2)]
    assert [result.status for result, _ in runs] == ["ok", "ok"]
    first, second = (
        {name: [each for each in world.done if resource(each) == name] for name in map(resource, world.done)}
        for _, world in runs
    )
    assert first == second
