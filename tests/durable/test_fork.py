"""Forks: what is shared is not made again, and from the step on a run goes as it would have gone."""

from collections import Counter

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from flowc.compiler.driver import compile_text
from flowc.runtime.durable.forking import fork
from flowc.runtime.durable.records import read_records
from flowc.runtime.durable.replay import replay
from flowc.runtime.durable.runs import past_of
from flowc.runtime.errors import FlowError
from tests.durable.broken_off import journal_of, surroundings, taken_up, whole
from tests.durable.crashing import RUN, Machine, ending_of
from tests.durable.programs import PROGRAMS, Program
from tests.durable.test_crashes import LONG, Drawn, drawn
from tests.passes.flow_text import programs

EVERY = 1 if LONG else 9


def steps_of(machine: Machine, run: str = RUN) -> list[str]:
    return list(dict.fromkeys(each.step for each in read_records(machine.store, run) if each.step))


def forked(machine: Machine, step: str, **values: object) -> str:
    journal = journal_of(machine)
    try:
        return fork(journal, RUN, step, values)
    finally:
        journal.writer.close()


@pytest.mark.alike(6)
@pytest.mark.parametrize("program", PROGRAMS, ids=str)
def test_a_fork_at_any_step_comes_to_what_the_run_came_to(
    program: Program, monkeypatch: pytest.MonkeyPatch
) -> None:
    origin = whole(program)
    wanted = ending_of(origin)
    for step in steps_of(origin)[:: 1 if len(steps_of(origin)) < 5 else EVERY]:
        try:
            name = forked(origin, step)
        except FlowError as refused:  # what it would share was taken back
            if (refused.problem.code, program.name) != ("E0935", "transaction"):
                raise
            continue
        shared = past_of(origin.store, name)
        with monkeypatch.context() as patch:
            other = taken_up(origin, name, patch)
            ending = ending_of(other)
            if program.loose:
                continue
            assert (ending.status, ending.value) == (wanted.status, wanted.value), step
            found = replay(other.store, name, surroundings(other))
            assert (found.whole, found.differences) == (True, ())
            tools = Counter(each.tool for each in origin.world.effects)
            kept = Counter(each.operation for each in shared.outcomes.values() if each.problem is None)
            made = Counter(each.tool for each in other.world.effects)
            if not shared.turns:
                assert {tool: made[tool] + kept[tool] for tool in tools} == dict(tools), step


@settings(
    max_examples=150 if LONG else 5,
    deadline=None,
    phases=(Phase.explicit, Phase.reuse, Phase.generate) if not LONG else tuple(Phase),
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(programs(), st.integers(0, 3), st.data())
def test_forks_of_programs_that_nobody_wrote(
    monkeypatch: pytest.MonkeyPatch, text: str, n: int, data: st.DataObject
) -> None:
    origin = drawn(compile_text(text, "generated.flow"), {"n": n})
    ending_of(origin)
    steps = steps_of(origin)
    if not steps:
        return
    name = forked(origin, data.draw(st.sampled_from(steps)))
    with monkeypatch.context() as patch:
        shared = past_of(origin.store, name).outcomes
        other = taken_up(origin, name, patch)
        other.world = Drawn()
        other.last()
        ended = past_of(other.store, name, whole=True).outcomes
        assert {step: ended[step].value for step in shared} == {s: each.value for s, each in shared.items()}
        found = replay(other.store, name, Drawn().environment(4))
        assert (found.whole, found.differences) == (True, ())


CHAIN = PROGRAMS[0]
MODELS = Program("models", """
record Note:
    title: str
    size: int

llm sum_up(note: Note, tone: str) -> str:
    \"\"\"Say {note.size} about {note}, {tone}.\"\"\"

flow main(n: int) -> str:
    note = Note("wind", n)
    return sum_up(note, "short")
""")  # fmt: skip


def driven(origin: Machine, name: str, patch: pytest.MonkeyPatch) -> Machine:
    other = taken_up(origin, name, patch)
    ending_of(other)
    return other


def value_of(machine: Machine, run: str) -> object:
    from flowc.runtime.durable.runs import result_of

    return result_of(machine.store, past_of(machine.store, run))


def test_a_parameter_is_set_for_the_step_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    origin = whole(CHAIN)  # x = work(4) = 31; y = put(31); z = put(y); look(z) + work(y)
    name = forked(origin, "main/1:put", i="5")
    other = driven(origin, name, monkeypatch)
    assert [(each.tool, each.arguments) for each in other.world.effects] == [("put", 5), ("put", 51)]
    assert value_of(other, name) == (511 * 2 % 97) + (51 * 7 + 3) % 101
    found = replay(other.store, name, surroundings(other))
    assert (found.whole, found.differences) == (True, ())


def test_a_value_that_two_calls_read_is_set_for_one(monkeypatch: pytest.MonkeyPatch) -> None:
    origin = whole(Program("both", "flow main(n: int) -> int:\n    a = put(n)\n    return put(n) + a\n"))
    name = forked(origin, "main/0:put", i=9)
    other = driven(origin, name, monkeypatch)
    assert sorted(each.arguments for each in other.world.effects) in ([4, 9], [9])
    assert value_of(other, name) == 91 + 41


def test_a_parameter_of_a_prompt_is_set_with_its_fields(monkeypatch: pytest.MonkeyPatch) -> None:
    origin = whole(MODELS)
    name = forked(origin, "sum_up", note={"title": "rain", "size": 8}, tone="long")
    other = driven(origin, name, monkeypatch)
    (prompt,) = [prompt for _, prompt in other.world.calls]
    assert str(prompt).startswith("Say 8 about ")
    assert "rain" in str(prompt)
    assert str(prompt).endswith(", long.")


def test_a_parameter_is_set_in_a_batch_of_calls(monkeypatch: pytest.MonkeyPatch) -> None:
    origin = whole(next(each for each in PROGRAMS if each.name == "calls of models"))
    name = forked(origin, "main/0:map[2]/0:say", i=77)
    other = driven(origin, name, monkeypatch)
    assert "It is 77." in value_of(other, name)  # type: ignore[operator]


def test_a_result_is_given_and_the_step_not_made(monkeypatch: pytest.MonkeyPatch) -> None:
    origin = whole(CHAIN)
    name = forked(origin, "main/1:put", result=1000)
    other = driven(origin, name, monkeypatch)
    assert [(each.tool, each.arguments) for each in other.world.effects] == [("put", 1000)]


def test_a_fork_at_the_flow_is_a_run_with_other_arguments(monkeypatch: pytest.MonkeyPatch) -> None:
    origin = whole(CHAIN)
    name = forked(origin, "main", n=6)
    other = driven(origin, name, monkeypatch)
    assert len(other.world.effects) == 2
    afresh = Machine(origin.compiled, {"n": 6}, {})
    monkeypatch.undo()
    assert value_of(other, name) == afresh.last().result


def test_a_fork_of_a_fork_keeps_what_was_set(monkeypatch: pytest.MonkeyPatch) -> None:
    origin = whole(CHAIN)
    first = forked(origin, "main/1:put", i=5)
    with monkeypatch.context() as patch:
        middle = driven(origin, first, patch)
        value = value_of(middle, first)
    journal = journal_of(middle)
    second = fork(journal, first, "main/3:look", {})
    journal.writer.close()
    other = driven(middle, second, monkeypatch)
    assert not other.world.effects
    assert value_of(other, second) == value


def test_what_was_under_way_when_the_step_began_has_ended_as_it_did(monkeypatch: pytest.MonkeyPatch) -> None:
    program = Program("beside", "flow main(n: int) -> list[int]:\n    return [drip(i) for i in range(n)]\n")
    origin = whole(program)
    name = forked(origin, "main/0:map[3]/0:drip")
    other = driven(origin, name, monkeypatch)
    assert [each.arguments for each in other.world.effects] == [3]


@pytest.mark.parametrize(
    ("step", "values", "code", "said"),
    [
        ("main/1:putt", {}, "E0931", "main/1:put"),
        ("put", {}, "E0931", "main/1:put"),
        ("nowhere", {}, "E0931", "flowc show"),
        ("main/1:put", {"j": 1}, "E0932", "`i`, `result`"),
        ("main", {"m": 1}, "E0932", "`n`"),
        ("main/1:put", {"i": "many"}, "E0933", "int"),
        ("main/1:put", {"result": "many"}, "E0933", "int"),
        ("main", {"n": "many"}, "E0933", "int"),
    ],
)
def test_what_cannot_be_set_is_refused_and_nothing_begun(
    step: str, values: dict[str, object], code: str, said: str
) -> None:
    origin = whole(CHAIN)
    with pytest.raises(FlowError) as raised:
        forked(origin, step, **values)
    problem = raised.value.problem
    assert problem.code == code
    assert said in problem.message + problem.why + problem.help
    assert [row.run for row in origin.store.rows()] == [RUN]
