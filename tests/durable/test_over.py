"""What is over when a run goes on: the time of a block that has ended, a write that was given up."""

import pytest

from flowc.compiler.driver import Compiled, compile_text
from flowc.runtime.durable import runs, telling
from flowc.runtime.durable.codec import encode_json
from flowc.runtime.durable.looking import look
from flowc.runtime.durable.past import read_past
from flowc.runtime.errors import FlowError
from flowc.runtime.journal.writer import Writer
from tests.durable.crashing import RUN, Fuse, Machine, ending_of
from tests.durable.world import HEADER, World


def program(text: str) -> Compiled:
    return compile_text(HEADER + text, "program.flow", level=2)


IN_TIME = """
flow main(n: int) -> int:
    with timeout(50ms):
        a = put(n)
    t = a
    for i in range(n):
        t = drip(t) % 7
    return t
"""


def test_a_block_that_ended_in_time_has_ended_in_time_for_all_who_go_on() -> None:
    compiled = program(IN_TIME)
    whole = Machine(compiled, {"n": 4}, {})
    wanted = ending_of(whole)
    assert wanted.status == "ok"
    assert whole.past().until  # a deadline there was; it passed, and was nobody's any more
    assert not whole.past().fired
    for place in range(1, whole.fuse.used):
        broken = Machine(compiled, {"n": 4}, {}, fuses=[Fuse(place, True), Fuse(3, True)])
        assert ending_of(broken) == wanted, place


class Mended(World):
    def shaky(self, i: int) -> int:
        return i


def test_a_write_that_was_given_up_and_is_asked_for_again_can_be_resolved() -> None:
    text = "flow main(n: int) -> int:\n    a = drip(n)\n    return a + shaky(slow(0))\n"
    machine = Machine(program(text), {"n": 6}, {})
    assert machine.last().status == "failed"
    (step,) = telling.failed_steps(machine.past())
    journal = runs.Journal(machine.store, Writer(machine.store))
    telling.resolve(journal, RUN, step, "retry")
    journal.writer.close()
    machine.world = Mended()
    result = machine.process()
    assert result is not None
    assert result.status == "in-doubt"
    assert [intent.step for intent in machine.past().in_doubt()] == ["main/0:drip"]
    assert machine.last().result == 30


def test_a_run_that_has_failed_waits_for_no_answer() -> None:
    text = "flow main(n: int) -> int:\n    a = approve(n)\n    b = shaky(slow(0))\n    return b if a else 0\n"
    machine = Machine(program(text), {"n": 6}, {})
    result = machine.process()
    assert result is not None
    assert result.status == "failed"
    assert machine.past().asked
    journal = runs.Journal(machine.store, Writer(machine.store))
    with pytest.raises(FlowError) as refused:
        telling.answer(journal, RUN, "approve", "yes")
    assert refused.value.problem.code == "E0924"
    journal.writer.close()
    assert machine.past().status == "failed"


def test_what_a_person_says_does_not_set_a_virtual_clock() -> None:
    records = [["asked", 2.0, "main/0:approve", {}], ["status", 3.0, "waiting", {}]]
    told = ["told", 1.8e9, "main/0:approve", "done", True, ""]
    written = [(number, encode_json(each).encode()) for number, each in enumerate([*records, told])]
    assert read_past(RUN, {}, written).latest() == 3.0


def test_a_run_whose_end_is_lost_is_damaged(monkeypatch: pytest.MonkeyPatch) -> None:
    machine = Machine(program("flow main(n: int) -> int:\n    return put(n)\n"), {"n": 6}, {})
    assert machine.last().status == "ok"
    whole = machine.store.segments
    monkeypatch.setattr(machine.store, "segments", lambda run: iter([*whole(run)][:-1]))
    with pytest.raises(FlowError) as refused:
        look(machine.store, RUN)
    assert refused.value.problem.code == "E0910"
