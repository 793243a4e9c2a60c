"""The programs of the search's benchmark: each has a choice in it, and figures that can be held."""

import pytest

from benchmarks.search.suite import CASES, PROGRAMS, ratio_of


def test_every_program_has_a_case() -> None:
    assert sorted(case.name for case in CASES) == sorted(path.name for path in PROGRAMS.iterdir())


@pytest.mark.parametrize("name", ["inbox", "survey", "rules"])
def test_a_search_finds_what_is_to_be_found(name: str) -> None:
    case = next(case for case in CASES if case.name == name)
    assert ratio_of(case, seconds=60.0, steps=16, runs=4) > 1.2
