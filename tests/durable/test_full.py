"""A journal that cannot be written any more: the run stops with its problem, and goes on once it can be."""

import contextlib
from collections.abc import Callable

import pytest
from hypothesis import settings

from flowc.runtime.durable import runs
from flowc.runtime.errors import FlowError, Problem
from flowc.runtime.execute import load, run
from flowc.runtime.journal import failures
from flowc.runtime.journal.memory import Faults, MemoryStore
from flowc.runtime.journal.writer import Writer
from flowc.runtime.reading import bind_arguments
from flowc.runtime.result import RunResult
from tests.durable.crashing import Machine, ending_of
from tests.durable.programs import PROGRAMS, Program
from tests.durable.simulated import compiled
from tests.durable.test_crashes import undisturbed
from tests.durable.world import RUN, World

LONG = settings.get_current_profile_name() == "long"
NAMES = ("chain", "nested", "otherwise", "transaction", "calls of models", "plans", "race")


def in_earnest(program: Program, world: World, store: MemoryStore) -> RunResult | Problem:
    """A run in real time, with threads, and a writer that has one of its own."""
    plan = compiled(program).plan
    values = bind_arguments(plan, plan.functions["main"], program.arguments)
    writer = Writer(store)
    journal = runs.Journal(store, writer)
    try:
        keeping = runs.begin(journal, plan, "main", values, {}, run=RUN)
        arguments = dict(program.arguments)
        return run(load(plan, world.environment(8)), "main", arguments, keeper=keeping)
    except FlowError as error:
        return error.problem
    finally:
        with contextlib.suppress(FlowError):
            journal.close()


@pytest.mark.parametrize("name", NAMES)
def test_a_run_whose_journal_fails_says_so_and_goes_on_later(name: str) -> None:
    program = next(each for each in PROGRAMS if each.name == name)
    wanted, _ = undisturbed(program)
    for place in range(1, 60, 1 if LONG else 3):
        for after in (False, True):
            store, world = MemoryStore(faults=Faults(place, after)), World()
            result = in_earnest(program, world, store)
            problem = result if isinstance(result, Problem) else result.problem
            if problem is None or problem.code != "E0912":
                break  # the run had ended before
            left = store.crashed()
            machine = Machine(compiled(program), program.arguments, program.answers, world=world, store=left)
            world.now = 0.0
            assert ending_of(machine) == wanted
        else:
            continue
        return
    raise AssertionError("the run never ended before its journal failed")


def _full(where: str) -> FlowError:
    return failures.unwritable(where, "database or disk is full")


def _worn(where: str) -> FlowError:
    return failures.unwritable(where, "disk I/O error")


def _only_read(where: str) -> FlowError:
    return failures.unwritable(where, "attempt to write a readonly database")


@pytest.mark.parametrize("failure", [_full, _worn, _only_read])
def test_what_the_journal_says_is_what_the_run_says(failure: Callable[[str], FlowError]) -> None:
    program = PROGRAMS[0]

    class Failing(MemoryStore):
        def append(self, *arguments: object, sync: bool) -> None:
            if self._appends >= 3:
                raise failure("x.db")
            super().append(*arguments, sync=sync)  # type: ignore[arg-type]

    store = Failing()
    result = in_earnest(program, World(), store)
    assert isinstance(result, RunResult)
    assert (result.status, result.result) == ("failed", None)
    assert result.problem == failure("x.db").problem
    assert runs.past_of(store, RUN).status == ""
