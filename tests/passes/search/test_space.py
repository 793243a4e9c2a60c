"""What a plan search may change never changes what a program means."""

import os
from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st
from xdsl.dialects.builtin import ModuleOp

from flowc.compiler import driver, syntax
from flowc.compiler.checker.model import Checked
from flowc.compiler.reference import evaluate
from flowc.passes.pipelines import O2, Optimised, Pipeline, optimise, parse_pipeline
from flowc.passes.search.space import (
    OPTIONAL,
    difference,
    distance,
    neighbours,
    places_of,
    starts,
    text_of,
)
from flowc.runtime.execute import run
from flowc.testing.oracles import programs as oracles
from flowc.testing.strategies.programs import typed_programs
from tests.passes.flow_text import programs
from tests.passes.running import RecordingWorld
from tests.passes.search.searching import GUARDED
from tests.passes.test_meaning import GeneratedWorld, writes_by_name
from tests.passes.test_typed_meaning import checked_program, outcome

MORE = int(os.environ.get("FLOWC_EXAMPLES", "1"))
FAR = 4
"""How many choices are changed, one after the other."""


def compiled_by(checked: Checked, pipeline: Pipeline) -> tuple[ModuleOp, Optimised]:
    module = driver.lowered(checked, driver.Options())
    return module, optimise(module, pipeline)


def wandered(checked: Checked, chance: Random) -> Pipeline:
    """A pipeline of the space, some changes away from one where a search begins."""
    pipeline = chance.choice([O2, *starts()])
    for _ in range(chance.randint(0, FAR)):
        module, done = compiled_by(checked, pipeline)
        pipeline = chance.choice([*neighbours(pipeline, places_of(module, done.remarks)), pipeline])
    return pipeline


@settings(max_examples=14 * MORE, deadline=None)
@given(typed_programs(), st.integers(0, 2**32))
def test_every_pipeline_of_the_space_gives_what_the_sequential_reading_gives(
    program: syntax.Program, seed: int
) -> None:
    checked = checked_program(program)
    wanted = outcome(driver.optimised(checked, driver.Options(level=0)))
    module, _ = compiled_by(checked, wandered(checked, Random(seed)))
    oracles.assert_same(wanted, outcome(module))


@settings(max_examples=8 * MORE, deadline=None)
@given(programs(), st.integers(0, 4), st.integers(0, 2**32))
def test_every_plan_of_the_space_does_what_the_sequential_reading_does(text: str, n: int, seed: int) -> None:
    checked = driver.check_text(text, "generated.flow")
    base = driver.optimised(checked, driver.Options(level=0))
    wanted = evaluate(base, "main", {"n": n}, GeneratedWorld())
    pipeline = wandered(checked, Random(seed))
    plan = driver.compile_checked(checked, driver.Options(level=3, pipeline=text_of(pipeline))).plan
    world = RecordingWorld()
    result = run(plan, "main", {"n": n}, environment=world.environment())
    assert (result.status == "ok") == (wanted.failure is None), result.problem
    if wanted.failure is None:
        assert result.result == wanted.value
        assert world.writes() == writes_by_name(wanted.trace)


@settings(max_examples=6 * MORE, deadline=None)
@given(typed_programs(), st.integers(0, 2**32))
def test_a_pipeline_reads_back_as_it_is_written(program: syntax.Program, seed: int) -> None:
    pipeline = wandered(checked_program(program), Random(seed))
    assert parse_pipeline(text_of(pipeline)) == pipeline


def test_neighbours_differ_in_one_pass_and_are_not_the_pipeline_itself() -> None:
    checked = driver.check_text(GUARDED, "guarded.flow")
    for pipeline in (O2, *starts()):
        module, done = compiled_by(checked, pipeline)
        found = list(neighbours(pipeline, places_of(module, done.remarks)))
        assert len(found) == len(set(found)) > 0
        for each in found:
            names = {one.name for one in frozenset(pipeline) ^ frozenset(each)}
            assert len(names) == 1
            assert names <= {*OPTIONAL, "parallelise", "schedule"}


def test_a_place_can_be_left_out_by_its_line() -> None:
    checked = driver.check_text(GUARDED, "guarded.flow")
    eager = parse_pipeline(text_of(list(starts())[1]))
    module, done = compiled_by(checked, eager)
    assert ("speculate", 10) in places_of(module, done.remarks)
    left_out = next(
        each
        for each in neighbours(eager, places_of(module, done.remarks))
        if any(getattr(one, "without", ()) == (10,) and one.name == "speculate" for one in each)
    )
    module, done = compiled_by(checked, left_out)
    assert not any(name == "speculate" for name, _ in places_of(module, done.remarks))


def test_what_is_said_of_a_pipeline_tells_it_from_the_usual_one() -> None:
    assert difference(O2) == "-O2"
    assert distance(O2) == 0
    for pipeline in starts():
        assert difference(pipeline) != "-O2"
        assert distance(pipeline) > 0
