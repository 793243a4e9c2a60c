"""What generated programs are: all of the language, well typed, without failures, small once shrunk."""

import math
from collections.abc import Callable
from random import Random

import pytest
from hypothesis import find, settings

from flowc.compiler import driver, syntax
from flowc.compiler.formatter import format_program
from flowc.compiler.reference import evaluate
from flowc.testing.oracles.worlds import AnsweringWorld
from flowc.testing.strategies import forms, launches, phrases
from flowc.testing.strategies.constructs import CONSTRUCTS, NOT_GENERATED, constructs
from flowc.testing.strategies.leaks import leaking_programs
from flowc.testing.strategies.programs import random_program, typed_programs
from flowc.testing.strategies.trees import PLACE, constant, declared
from tests.assurance.campaign import Tally, examples
from tests.assurance.campaigns.typed import SOURCE, check_leak, check_typed, refusals

_TYPES = {"RISK": "INT", "QUIET": "MOOD"}
_LISTS = {"MAP_INT": "INTS", "MAP_STR": "STRS", "MAP_FLOAT": "FLOATS", "MAP_ITEM": "ITEMS"}


def filled(hole: str) -> syntax.Expression:
    """Something simple for a hole."""
    if hole == "TAG":
        return constant(5)
    if hole in _TYPES:
        return forms.lines(hole)[0].build(filled)
    return forms.constants(_LISTS.get(hole, hole))[-1].build(filled)


def phrase_program(hole: str) -> syntax.Program:
    """A program with every phrase for a hole, and every constant."""
    type_ = phrases.TYPES[_TYPES.get(hole, hole)]
    values = [each.build(filled) for each in (*forms.lines(hole), *forms.constants(_TYPES.get(hole, hole)))]
    if hole == "RISK":
        values = [syntax.TryElse(value, constant(0), span=PLACE) for value in values]
    body = [syntax.Assign((f"v{i}",), value, span=PLACE) for i, value in enumerate(values)]
    last = syntax.Return(syntax.Name("v0", span=PLACE), span=PLACE)
    main = declared("flow", "main", {}, type_, body=(*body, last))
    return syntax.Program((*forms.needed(forms.mentioned((main,))), main), span=PLACE)


@pytest.mark.parametrize("hole", phrases.FORMS)
def test_every_phrase_is_well_typed_and_has_a_value(hole: str) -> None:
    module = driver.optimised(driver.check_program(phrase_program(hole), SOURCE), driver.Options(level=0))
    assert evaluate(module, "main", {}, AnsweringWorld()).failure is None


def kernel_program(dtype: str) -> syntax.Program:
    """A program with a kernel that says everything for a dtype."""
    rows = "[3, -1, 2], [1, 0, 0]" if dtype[0] == "i" else "[0.5, -2.0, 1.5], [1.0, 0.0, 0.5]"
    value = forms.read(f"float(sum(bend({rows})))")
    last = syntax.Return(value, span=PLACE)
    main = declared("flow", "main", {}, phrases.TYPES["FLOAT"], body=(last,))
    return syntax.Program((launches.everything(dtype), main), span=PLACE)


@pytest.mark.parametrize("dtype", ["f64", "f32", "i64"])
def test_every_phrase_of_kernels_is_well_typed_and_has_a_finite_value(dtype: str) -> None:
    module = driver.optimised(driver.check_program(kernel_program(dtype), SOURCE), driver.Options(level=0))
    value = evaluate(module, "main", {}, AnsweringWorld()).value
    assert isinstance(value, float)
    assert math.isfinite(value)


def test_kernels_of_matrices_are_well_typed_where_they_are_called() -> None:
    drawn = [random_program(Random(seed)) for seed in range(150)]
    called = {kernel: each for each in drawn for kernel in each.declarations if _is_grid(kernel)}
    assert len(called) >= 5
    for program in called.values():
        driver.check_program(program, SOURCE)


def _is_grid(declaration: syntax.Declaration) -> bool:
    return isinstance(declaration, syntax.Callable) and declaration.name == "grid"


def test_every_construct_of_the_language_is_generated() -> None:
    chance = Random(1)
    drawn = frozenset[str]().union(*(constructs(random_program(chance)) for _ in range(800)))
    programs = [*map(phrase_program, phrases.FORMS), kernel_program("f64")]
    said = frozenset[str]().union(*map(constructs, programs))
    built_in = {each for each in CONSTRUCTS if each.startswith("built-in")}
    assert drawn <= CONSTRUCTS
    assert drawn | (said & built_in) == CONSTRUCTS - NOT_GENERATED.keys()
    assert len(drawn & built_in) > 0.9 * len(built_in)


def has(construct: str) -> Callable[[syntax.Program], bool]:
    return lambda program: construct in constructs(program)


def test_programs_shrink_to_a_few_lines() -> None:
    """Which program is found first, and so where shrinking ends, depends on what else is imported: mostly at
    5 to 13 lines.
    """
    quick = settings(max_examples=200, database=None, deadline=None)
    found = format_program(find(typed_programs(), has("form: race"), settings=quick, random=Random(1)))
    assert len([line for line in found.splitlines() if line.strip()]) <= 20, found


def test_a_program_that_fails_is_shown_as_its_text() -> None:
    def fails(program: syntax.Program, _: Tally) -> None:
        raise AssertionError("wrong")

    with pytest.raises(AssertionError) as caught:
        examples(typed_programs(), fails, 5)(Random(5), Tally())
    assert "flow main(" in "".join(caught.value.__notes__)


def test_typed_programs_check_read_as_printed_and_end() -> None:
    tally = Tally()
    examples(typed_programs(), check_typed, 15)(Random(1), tally)
    assert tally.tried["typed programs"] >= 15


def test_leaks_are_refused_and_mended_ones_are_not() -> None:
    examples(leaking_programs(), check_leak, 20)(Random(2), Tally())


def test_a_checker_that_misses_a_label_is_found() -> None:
    with pytest.raises(AssertionError):
        examples(leaking_programs(), lambda leak, tally: check_leak(leak, tally, lambda _: set()), 3)(
            Random(3), Tally()
        )


def test_a_checker_that_refuses_everything_is_found() -> None:
    def refused(program: syntax.Program) -> set[str]:
        return refusals(program) or {"E0303"}

    with pytest.raises(AssertionError):
        examples(leaking_programs(), lambda leak, tally: check_leak(leak, tally, refused), 3)(
            Random(4), Tally()
        )
