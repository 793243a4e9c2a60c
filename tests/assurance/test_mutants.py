"""The sown faults are true of the code, each in one place; and the runner tells the found from the missed."""

import ast
from collections import Counter
from pathlib import Path

import pytest

from tests.assurance.listing import listing
from tests.assurance.mutants import killing
from tests.assurance.mutants.catalogue import AREAS
from tests.assurance.mutants.copies import copied, places, sown
from tests.assurance.mutants.killing import FAILED, Means, Verdict
from tests.assurance.mutants.model import Area, Mutant
from tests.assurance.mutants.results import keep, read, scores, table
from tests.assurance.worker import ROOT

MUTANTS = [mutant for area in AREAS for mutant in area.mutants]


def test_there_are_many_and_their_names_differ() -> None:
    assert len(MUTANTS) >= 100
    assert max(Counter(mutant.id for mutant in MUTANTS).values()) == 1
    assert not {area.name for area in AREAS} & {mutant.id for mutant in MUTANTS}


def test_what_each_replaces_is_there_once() -> None:
    found = {mutant.id: number for mutant in MUTANTS if (number := places(mutant)) != 1}
    assert not found, f"the code has changed: bring these up to date, {found}"


def test_each_is_a_program_still() -> None:
    for mutant in MUTANTS:
        text = (ROOT / mutant.file).read_text(encoding="utf-8").replace(mutant.old, mutant.new)
        ast.parse(text, mutant.id)


def test_what_is_to_find_them_is_there() -> None:
    assert all((ROOT / path).exists() for area in AREAS for path in area.tests)
    assert {name for area in AREAS for name in area.campaigns} <= {each.name for each in listing().campaigns}


FOUND = Mutant("found", "code.py", "x + 1", "x + 2", "one too many")
MISSED = Mutant("missed", "code.py", "x * 3", "x * 4", "nobody asks")


@pytest.fixture(scope="module")
def verdicts(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Verdict]:
    root = tmp_path_factory.mktemp("root")
    (root / "code.py").write_text("def more(x):\n    return x + 1\n\ndef thrice(x):\n    return x * 3\n")
    tests = "import code\nfrom pathlib import Path\nspace = {}\nexec(Path('code.py').read_text(), space)\n"
    tests += "def test_more(): assert space['more'](2) == 3\ndef test_broken(): assert False\n"
    (root / "test_code.py").write_text(tests)
    area = Area("tiny", (), ("test_code.py",), (FOUND, MISSED))
    found = {}
    with copied(root) as copy, pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")  # these tests need none, and pytest starts sooner
        patch.setattr(killing, "PYTEST", ("-q", "--tb", "no", "-rfE"))
        means = Means(area, root, {"test_code.py::test_broken"})
        for mutant in area.mutants:
            with sown(mutant, copy):
                found[mutant.id] = means.verdict(copy, 0.0)
        assert (copy / "code.py").read_text() == (root / "code.py").read_text()
    return found


def test_a_fault_that_a_test_finds_is_found(verdicts: dict[str, Verdict]) -> None:
    assert verdicts["found"].killed
    assert verdicts["found"].by == "test_code.py::test_more"


def test_what_fails_without_a_fault_is_read_off() -> None:
    said = "..F\nFAILED tests/a.py::test_x[1 - 2] - AssertionError: no\nERROR tests/b.py\n1 failed"
    assert FAILED.findall(said) == ["tests/a.py::test_x[1 - 2]", "tests/b.py"]


def test_what_fails_anyway_finds_nothing(verdicts: dict[str, Verdict]) -> None:
    assert not verdicts["missed"].killed
    assert verdicts["missed"].by == "nothing"


def test_survivors_are_listed(tmp_path: Path, verdicts: dict[str, Verdict]) -> None:
    path = tmp_path / "results.json"
    for name, found in verdicts.items():
        keep(name, found, "abc", path)
    told = table(scores((Area("tiny", (), (), (FOUND, MISSED)),), read(path)))
    assert "| tiny | 1 | 2 | 50.0 % | 0 |" in told
    assert told.endswith("Survived: missed.")
