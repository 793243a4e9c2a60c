"""Kill it anywhere: a run comes to what it would have come to, and no finished effect happens twice."""

from collections.abc import Callable, Iterable, Mapping
from functools import cache
from typing import Any

import pytest
from attrs import define, evolve, field
from hypothesis import given, settings
from hypothesis import strategies as st

from flowc.compiler.driver import Compiled, compile_text
from flowc.runtime.environment import Environment
from tests.durable.crashing import Ending, Fuse, Machine, Setting, ending_of
from tests.durable.programs import PROGRAMS, Program
from tests.durable.world import HEADER, World
from tests.passes.flow_text import GeneratedWorld, programs
from tests.passes.running import IDEMPOTENT, TOOLS, WRITES, LetterModel

LONG = settings.get_current_profile_name() == "long"
PLACES = 10_000 if LONG else 7
"""At so many records, spread over the journal, a program is broken off."""


@cache
def compiled(program: Program) -> Compiled:
    return compile_text(HEADER + program.text, "program.flow", level=program.level)


def machine(program: Program, *fuses: Fuse, threads: Iterable[int] = (0,)) -> Machine:
    used = tuple(Setting(each) for each in threads)
    return Machine(compiled(program), program.arguments, program.answers, fuses=[*fuses], settings=used)


@cache
def undisturbed(program: Program) -> tuple[Ending, int]:
    """What a program comes to, and in how many records."""
    whole = machine(program)
    return ending_of(whole), whole.fuse.used


def spread(records: int) -> list[int]:
    """Numbers of records from the first to the last."""
    step = max(1.0, (records - 1) / (PLACES - 1))
    return sorted({round(1 + step * place) for place in range(PLACES) if 1 + step * place <= records + 0.5})


def assert_as_if_undisturbed(program: Program, broken: Machine) -> None:
    wanted, _ = undisturbed(program)
    ending = ending_of(broken)
    if not program.loose:
        assert ending == wanted, broken.statuses
    assert program.asks is None or broken.world.asked <= program.asks
    assert program.tokens is None or broken.world.tokens <= program.tokens


@pytest.mark.parametrize("program", PROGRAMS, ids=str)
def test_a_run_that_dies_at_a_record_ends_as_if_it_had_not(program: Program) -> None:
    _, records = undisturbed(program)
    for place in spread(records):
        for keeps in (False, True):
            assert_as_if_undisturbed(program, machine(program, Fuse(place, keeps)))


@pytest.mark.alike(6)
@pytest.mark.parametrize("program", PROGRAMS, ids=str)
def test_the_process_that_goes_on_may_die_too(program: Program) -> None:
    _, records = undisturbed(program)
    for place in spread(records)[1 :: 1 if LONG else 2]:
        for second in range(1, records, 1 if LONG else records // 2):
            fuses = Fuse(place, True), Fuse(second, bool(second % 2)), Fuse(2)
            assert_as_if_undisturbed(program, machine(program, *fuses))


@pytest.mark.alike(5)
@pytest.mark.parametrize("program", PROGRAMS, ids=str)
def test_any_number_of_threads_may_go_on(program: Program) -> None:
    _, records = undisturbed(program)
    for place in spread(records)[:: 1 if LONG else 3]:
        fuses = Fuse(place, True), Fuse(records // 2)
        assert_as_if_undisturbed(program, machine(program, *fuses, threads=(8, 1, 0, 3)))


# ---- programs that nobody wrote


@define(eq=False)
class Drawn(World):
    """The world of generated programs, in which the order of effects shows in the values."""

    inner: GeneratedWorld = field(factory=GeneratedWorld)

    def environment(self, threads: int) -> Environment:
        return Environment(
            provider="letters",
            providers={"letters": LetterModel(self.inner)},
            tools={name: self._tool(name, self._made(name)) for name in TOOLS},
            threads=threads,
        )

    def _made(self, name: str) -> Callable[..., Any]:
        def call(i: int, j: int = 0) -> Any:
            value = self.inner.tool(name, {"i": i, "j": j})
            return self._write(name, i, value, idempotent=name in IDEMPOTENT) if name in WRITES else value

        return call


def drawn(program: Compiled, arguments: Mapping[str, object], *fuses: Fuse) -> Machine:
    return Machine(program, arguments, {}, world=Drawn(), fuses=[*fuses])


@settings(max_examples=400 if LONG else 12, deadline=None)
@given(programs(), st.integers(0, 4), st.data())
def test_programs_that_nobody_wrote_end_as_if_undisturbed(text: str, n: int, data: st.DataObject) -> None:
    program = compile_text(text, "generated.flow", level=data.draw(st.sampled_from((0, 2, 3)), "level"))
    whole = drawn(program, {"n": n})
    wanted = ending_of(whole)
    for _ in range(3):
        places = data.draw(st.lists(st.tuples(st.integers(1, whole.fuse.used), st.booleans()), max_size=3))
        ending = ending_of(drawn(program, {"n": n}, *[Fuse(*each) for each in places]))
        assert _without_values(ending) == _without_values(wanted), places


def _without_values(ending: Ending) -> Ending:
    """Of a run that fails: what is unordered with the failed step may have happened or not."""
    return ending if ending.status == "ok" else evolve(ending, writes={}, value=None)
