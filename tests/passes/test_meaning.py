"""A pass keeps meaning: values, failures and the order of effects, on generated programs."""

import json
import os
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from xdsl.dialects.builtin import FileLineColLoc, ModuleOp
from xdsl.parser import Parser

from flowc.compiler import driver
from flowc.compiler.backends.plan import select
from flowc.compiler.reference import Event, Outcome, evaluate
from flowc.dialects.registry import context
from flowc.passes.pipelines import O3, optimise
from flowc.runtime.execute import run
from flowc.testing.oracles import programs as oracles
from tests.passes.flow_text import IDEMPOTENT, GeneratedWorld, programs
from tests.passes.running import RecordingWorld

MORE = int(os.environ.get("FLOWC_EXAMPLES", "1"))
"""How many times the usual number of programs to try."""


def module_at(text: str, level: int) -> ModuleOp:
    checked = driver.check_text(text, "generated.flow")
    return driver.optimised(checked, driver.Options(level=level))


def outcome(module: ModuleOp, n: int) -> Outcome:
    return evaluate(module, "main", {"n": n}, GeneratedWorld())


def writes_by_name(trace: tuple[Event, ...]) -> dict[str, list[tuple[str, int]]]:
    return {
        resource: [(name, json.loads(arguments)[0]) for name, arguments in events]
        for resource, events in oracles.writes(trace, IDEMPOTENT).items()
    }


def assert_same(first: Outcome, second: Outcome) -> None:
    oracles.assert_same(first, second, idempotent=IDEMPOTENT)


@settings(max_examples=14 * MORE, deadline=None)
@given(programs(), st.integers(0, 4))
def test_every_level_gives_what_the_sequential_reading_gives(text: str, n: int) -> None:
    wanted = outcome(module_at(text, 0), n)
    for level in (1, 2, 3):
        assert_same(wanted, outcome(module_at(text, level), n))


@settings(max_examples=8 * MORE, deadline=None)
@given(programs(), st.integers(0, 4))
def test_the_runtime_gives_what_the_reference_gives(text: str, n: int) -> None:
    wanted = outcome(module_at(text, 0), n)
    for level in (0, 2, 3):
        compiled = driver.compile_text(text, "generated.flow", level=level)
        world = RecordingWorld()
        result = run(compiled.plan, "main", {"n": n}, environment=world.environment())
        assert (result.status == "ok") == (wanted.failure is None), result.problem
        if wanted.failure is None:
            assert result.result == wanted.value
            assert world.writes() == writes_by_name(wanted.trace)


@settings(max_examples=4 * MORE, deadline=None)
@given(programs())
def test_printing_and_parsing_is_the_identity_after_every_pass(text: str) -> None:
    checked = driver.check_text(text, "generated.flow")
    module = driver.lowered(checked, driver.Options())
    watch = round_trips()
    watch(module)
    optimise(module, O3, watch=lambda _, current: watch(current))
    watch(select(module))


def round_trips() -> Callable[[ModuleOp], None]:
    """Holds a module that changes to the round trip, once for each text that it prints."""
    shown: set[str] = set()

    def watch(current: ModuleOp) -> None:
        printed = driver.print_ir(current, locations=True)
        if printed not in shown:  # a pass that changes nothing prints what has been read back already
            shown.add(printed)
            assert_round_trip(current, printed)

    return watch


def assert_round_trip(module: ModuleOp, printed: str) -> None:
    again = Parser(context(), printed).parse_module()
    again.verify()
    assert module.is_structurally_equivalent(again)
    assert driver.print_ir(again, locations=True).count("loc(") == printed.count("loc(")


@settings(max_examples=10 * MORE, deadline=None)
@given(programs())
def test_every_operation_knows_its_line_after_every_pass(text: str) -> None:
    checked = driver.check_text(text, "generated.flow")
    module = driver.lowered(checked, driver.Options())
    last = text.count("\n")

    def assert_located(_: object, current: ModuleOp) -> None:
        for op in current.walk():
            assert isinstance(op.location, FileLineColLoc), f"{op.name} has lost its location"
            assert 1 <= op.location.line.data <= last

    optimise(module, O3, watch=assert_located)
    assert_located(None, select(module))


@pytest.mark.parametrize("step", ["reversed(found)", "concat(found, [i], [n])", "concat(found, [i])"])
def test_a_loop_that_does_more_to_a_list_than_append_one_value_stays_as_it_is_meant(step: str) -> None:
    body = f"    found = [1, 2]\n    for i in range(n):\n        found = {step}\n    return found\n"
    text = f"flow main(n: int) -> list[int]:\n{body}"
    wanted = outcome(module_at(text, 0), 3)
    assert wanted.failure is None
    assert_same(wanted, outcome(module_at(text, 2), 3))
