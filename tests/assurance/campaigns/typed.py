"""Typed programs check, read as they are printed, and end; those that leak are refused, each for its leak."""

from typing import Any

from flowc.compiler import driver, syntax
from flowc.compiler.diagnostics.model import CompileError, Source
from flowc.compiler.formatter import format_program
from flowc.compiler.parser import parse
from flowc.compiler.reference import evaluate
from flowc.testing.oracles.worlds import AnsweringWorld
from flowc.testing.strategies.leaks import Leaking, leaking_programs
from flowc.testing.strategies.programs import ARGUMENTS, typed_programs
from tests.assurance.campaign import Campaign, Tally, examples

SOURCE = Source("typed.flow", "")


def check_typed(program: syntax.Program, tally: Tally) -> None:
    """What every typed program promises."""
    tally.tried["typed programs"] += 1
    text = format_program(program)
    assert parse(text, "typed.flow") == program, text
    checked = driver.check_program(program, SOURCE)
    module = driver.optimised(checked, driver.Options(level=0))
    assert evaluate(module, "main", ARGUMENTS, AnsweringWorld()).failure is None


def refusals(program: syntax.Program) -> set[str]:
    """The codes of the errors of a program."""
    try:
        driver.check_program(program, SOURCE)
    except CompileError as error:
        return {each.code for each in error.diagnostics if each.severity == "error"}
    return set()


def check_leak(leaking: Leaking, tally: Tally, refused: Any = refusals) -> None:
    """A leak is refused for what it is, and is all that is wrong with its program."""
    tally.tried["leaks"] += 1
    assert refused(leaking.program) == {leaking.code}, format_program(leaking.program)
    assert refused(leaking.mended) == set(), format_program(leaking.mended)


CAMPAIGNS = (
    Campaign("typed", examples(typed_programs(), check_typed, 100), share=0.3),
    Campaign("leaks", examples(leaking_programs(), check_leak, 100), share=0.3),
)
