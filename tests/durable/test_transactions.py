"""Kill a transaction anywhere: in the end it has happened as a whole, or been taken back as a whole."""

from collections.abc import Sequence
from functools import cache

import pytest
from attrs import define, evolve

from flowc.compiler.driver import Compiled, compile_text
from flowc.runtime.durable import runs, telling
from flowc.runtime.environment import Environment
from flowc.runtime.errors import FlowError
from flowc.runtime.journal.writer import Writer
from tests.durable.crashing import Fuse, Machine, ending_of
from tests.durable.world import HEADER, RUN, World

POST = """
tool post(i: int) -> int writes letters undo unpost
tool unpost(i: int) -> none writes letters
tool file(i: int) -> int writes letters idempotent undo unpost
"""

PROGRAMS = {
    "a loop that fails": """
flow order(n: int) -> int:
    with transaction:
        t = 0
        for i in range(n):
            t = t + post(i)
        return t + shaky(3)

flow main(n: int) -> int:
    return try order(n) else put(n)
""",
    "a time limit in the middle of a write": """
flow order(n: int) -> int:
    with timeout(100ms):
        with transaction:
            t = 0
            for i in range(n):
                t = t + post(i)
            return t

flow main(n: int) -> int:
    return try order(n) else put(n)
""",
    "a failure beside it": """
flow order(n: int) -> int:
    with transaction:
        t = 0
        for i in range(n):
            t = t + post(i)
        return t

flow main(n: int) -> int:
    a = order(n)
    return shaky(slow(slow(slow(n))) * 3) + a
""",
    "a budget that the write under way has taken": """
flow order(n: int) -> int:
    with budget(calls=3):
        with transaction:
            t = 0
            for i in range(n):
                t = t + file(i)
            return t

flow main(n: int) -> int:
    return try order(n) else put(n)
""",
    "the loser of a race": """
flow order(n: int) -> int:
    with transaction:
        t = 0
        for i in range(n):
            t = t + file(i)
        return t

flow main(n: int) -> int:
    return put(race(order(n), slow(slow(n))))
""",
    "waiting, and one in the other": """
flow main(n: int) -> int:
    a = 0
    try:
        with transaction:
            a = post(n)
            sleep(1h)
            with transaction:
                b = post(arrived(a))
            c = shaky(b * 3)
    else:
        c = put(7)
    return c
""",
}


@define(eq=False)
class Office(World):
    """A world with letters, each of which takes a while."""

    def environment(self, threads: int) -> Environment:
        usual = super().environment(threads)
        tools = {name: self._tool(name, getattr(self, name)) for name in ("unpost",)}
        tools |= {name: self._slow(self._tool(name, getattr(self, name))) for name in ("post", "file")}
        return evolve(usual, tools={**usual.tools, **tools})

    def post(self, i: int) -> int:
        return int(self._write("post", i, i + 7))

    def file(self, i: int) -> int:
        return int(self._write("post", i, i + 7, idempotent=True))

    def unpost(self, i: int) -> None:
        self._write("unpost", i, None)


@cache
def compiled(name: str) -> Compiled:
    return compile_text(HEADER + POST + PROGRAMS[name], "program.flow", level=2)


def machine(name: str, fuses: Sequence[Fuse] = ()) -> Machine:
    return Machine(compiled(name), {"n": 6}, {"arrived": 12}, world=Office(), fuses=[*fuses])


@pytest.mark.parametrize("name", PROGRAMS)
def test_all_letters_are_there_or_none_is(name: str) -> None:
    whole = machine(name)
    ending_of(whole)
    records = whole.fuse.used
    for place in range(1, records + 1, max(1, records // 9)):
        for second in ((), (Fuse(3, True),), (Fuse(6, False), Fuse(2, True))):
            fuses = [Fuse(place, keeps=place % 3 > 0), *[Fuse(each.left, each.keeps) for each in second]]
            broken = machine(name, fuses)
            writes = ending_of(broken).writes
            posted = {key[1] for key in writes if isinstance(key, tuple) and key[0] == "post"}
            unposted = {key[1] for key in writes if isinstance(key, tuple) and key[0] == "unpost"}
            assert unposted == posted or (not unposted and posted == set(range(6))), broken.statuses


def test_a_letter_that_may_have_been_posted_is_asked_about_although_its_time_is_up() -> None:
    name = "a time limit in the middle of a write"
    statuses = set()
    for place in range(8, 13):
        broken = machine(name, [Fuse(place, True)])
        ending_of(broken)
        statuses |= set(broken.statuses)
    assert "in-doubt" in statuses


def test_what_failed_is_not_made_again_where_writes_were_taken_back_for_it() -> None:
    text = "flow main(n: int) -> int:\n    with transaction:\n        return send(n) + shaky(n)\n"
    failed = Machine(compile_text(HEADER + text, "program.flow", level=2), {"n": 3}, {})
    assert failed.last().status == "failed"
    assert [each.tool for each in failed.world.effects] == ["send", "unsend"]
    assert telling.failed_steps(failed.past()) == []
    step = next(step for step in failed.past().outcomes if step.endswith(":shaky"))
    journal = runs.Journal(failed.store, Writer(failed.store))
    with pytest.raises(FlowError, match="E0922") as refused:
        telling.resolve(journal, RUN, step, "retry")
    journal.writer.close()
    assert "send has been taken back since" in refused.value.problem.why
