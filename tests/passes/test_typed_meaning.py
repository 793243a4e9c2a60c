"""A pass keeps meaning, on typed programs: records, races, votes, people, kernels."""

import os
from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st
from xdsl.dialects.builtin import ModuleOp

from flowc.compiler import driver, syntax
from flowc.compiler.checker.model import Checked
from flowc.compiler.diagnostics.model import Source
from flowc.compiler.reference import Outcome
from flowc.dialects.agent.calls import ExecuteOp
from flowc.passes.pipelines import O2, O3, optimise
from flowc.testing.oracles import programs as oracles
from flowc.testing.oracles.running import Way, ways
from flowc.testing.strategies.programs import random_program, typed_programs
from tests.passes.test_meaning import round_trips

MORE = int(os.environ.get("FLOWC_EXAMPLES", "1"))


def checked_program(program: syntax.Program) -> Checked:
    return driver.check_program(program, Source("typed.flow", ""))


def outcome(module: ModuleOp) -> Outcome:
    return oracles.meaning(module)


def test_programs_are_generated_in_which_passes_fire_and_plans_are_executed() -> None:
    missing = {"prune", "batch-calls", "stream", "plans"}
    for seed in range(73, 573):  # the first twenty of these have all, and some of the next if they change
        module = driver.lowered(checked_program(random_program(Random(seed))), driver.Options())
        if any(isinstance(op, ExecuteOp) for op in module.walk()):
            missing.discard("plans")
        statistics = optimise(module, O2, verify=False).statistics
        missing.difference_update(each.name for each in statistics if each.fired)
        if not missing:
            return
    raise AssertionError(f"no program has {missing}")


@settings(max_examples=14 * MORE, deadline=None)
@given(typed_programs())
def test_every_level_gives_what_the_sequential_reading_gives(program: syntax.Program) -> None:
    checked = checked_program(program)
    wanted = outcome(driver.optimised(checked, driver.Options(level=0)))
    for level in (1, 2, 3):
        oracles.assert_same(wanted, outcome(driver.optimised(checked, driver.Options(level=level))))


@settings(max_examples=6 * MORE, deadline=None)
@given(typed_programs(6))
def test_printing_and_parsing_is_the_identity_after_every_pass(program: syntax.Program) -> None:
    module = driver.lowered(checked_program(program), driver.Options())
    watch = round_trips()
    watch(module)
    optimise(module, O3, watch=lambda _, current: watch(current))


@settings(max_examples=6 * MORE, deadline=None)
@given(typed_programs(), st.integers(0, 2**32))
def test_the_runtime_gives_what_the_reference_gives(program: syntax.Program, number: int) -> None:
    given = oracles.subject(program)
    oracles.run_as(given, Way(real=True, native=True, heard=True))
    oracles.run_as(given, ways(Random(number)))
