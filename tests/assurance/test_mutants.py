"""The sown faults are true of the code, each in one place; and the runner tells the found from the missed."""

import ast
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from attrs import frozen

from tests.assurance.listing import listing
from tests.assurance.mutants import running
from tests.assurance.mutants.catalogue import AREAS
from tests.assurance.mutants.copies import copied, places, sown
from tests.assurance.mutants.killing import FAILED, Means, Verdict
from tests.assurance.mutants.model import Area, Mutant
from tests.assurance.mutants.probing import changed_lines, with_probes
from tests.assurance.mutants.reaching import Reaching
from tests.assurance.mutants.results import keep, read, scores, table
from tests.assurance.mutants.running import Tree
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


CODE = """def more(x):
    return x + 1

def thrice(x):
    # of three
    if x:
        return x * 3
    return 0
"""
TESTS = """import subprocess
import sys
from pathlib import Path

import pytest
from flowc.code import more, thrice

def ran(name):
    with Path("ran").open("a") as file:
        file.write(name + " ")

@pytest.mark.parametrize("name", ["slow one"])
def test_more(name):
    ran("more")
    assert more(2) == 3

def test_other():
    ran("other")

def test_zero():
    ran("zero")
    assert thrice(0) == 0

def test_process():
    ran("process")
    subprocess.run([sys.executable, "-c", "import flowc.code; flowc.code.thrice(1)"], check=True)

def test_broken():
    ran("broken")
    assert False
"""
FILE = "src/flowc/code.py"
FOUND = Mutant("found", FILE, "x + 1", "x + 2", "one too many")
MISSED = Mutant("missed", FILE, "return x * 3", "return x * 4", "nobody asks")
TINY = Area("tiny", (), ("test_code.py",), (FOUND, MISSED))


@frozen
class Told:
    """What became of the faults of a small tree, which tests ran for it, and what was known before."""

    verdicts: dict[str, Verdict]
    ran: dict[str, list[str]]
    reaching: Reaching


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Told]:
    root = tmp_path_factory.mktemp("root")
    (root / "src/flowc").mkdir(parents=True)
    (root / "src/flowc/__init__.py").touch()
    (root / FILE).write_text(CODE)
    (root / "test_code.py").write_text(TESTS)
    verdicts, ran = {}, {}
    reaching = Reaching(root, TINY.mutants, root / "kept.json")
    with copied(root) as copy, Tree(copy) as tree, Tree(root) as clean, pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")  # these tests need none, and pytest starts sooner
        patch.setattr(running, "PYTEST", ("-q", "--tb", "no", "-rfE"))
        patch.setattr(running, "OTHERS", ())
        reaching.learn(TINY)
        means = Means(TINY, clean, reaching, {"test_code.py::test_broken"})
        for mutant in TINY.mutants:
            with sown(mutant, copy):
                found = means.quickly(mutant, tree)
                verdicts[mutant.id] = found or means.verdict(mutant, tree, 0.0)
            ran[mutant.id] = (copy / "ran").read_text().split()
            (copy / "ran").unlink()
        assert (copy / FILE).read_text() == CODE
        yield Told(verdicts, ran, reaching)


@pytest.fixture
def verdicts(told: Told) -> dict[str, Verdict]:
    return told.verdicts


def test_only_the_tests_that_reach_a_fault_are_run_where_one_finds_it(told: Told) -> None:
    assert told.ran["found"] == ["more", "more"]  # and once more to be sure


def test_the_others_of_its_file_are_run_where_none_does(told: Told) -> None:
    assert told.ran["missed"] == ["process", "more", "other", "zero"]


def test_a_test_reaches_what_its_processes_do_and_not_what_is_beside_its_way(told: Told) -> None:
    missed, files = told.reaching.tests(MISSED, TINY)
    assert [*missed] == ["test_code.py::test_process"]
    assert files == ["test_code.py"]
    assert [*told.reaching.tests(FOUND, TINY)[0]] == ["test_code.py::test_more[slow one]"]


def test_what_is_reached_is_found_once(told: Told, monkeypatch: pytest.MonkeyPatch) -> None:
    again = Reaching(told.reaching.root, TINY.mutants, told.reaching.kept)
    monkeypatch.setattr(Tree, "pytest", None)
    again.learn(TINY)
    assert again.found == told.reaching.found
    test = told.reaching.root / "test_code.py"
    test.write_text(TESTS + "\n")
    with pytest.raises(TypeError, match="not callable"):
        again.learn(TINY)
    test.write_text(TESTS)


def test_what_no_test_is_known_to_reach_is_looked_for_in_all_files(told: Told) -> None:
    assert told.reaching.tests(Mutant("new", FILE, "x", "y", ""), TINY) == ({}, ["test_code.py"])


@pytest.mark.parametrize(
    ("old", "new", "lines"),
    [
        ("x + 1", "x + 2", [2]),
        ("    # of three\n    if x:\n", "    # of three\n    if not x:\n", [6]),
        ("        return x * 3\n", "", [7]),
        ("    # of three\n    if x:\n        return x * 3\n", "", [6, 7]),
        ("        return x * 3\n", "        x = 1\n        return x * 3\n", [6, 7]),
    ],
)
def test_a_fault_is_in_the_lines_that_it_changes(old: str, new: str, lines: list[int]) -> None:
    assert changed_lines(CODE, Mutant("m", FILE, old, new, "")) == lines


def test_a_probe_stands_where_a_statement_of_a_function_begins() -> None:
    header = Mutant("header", FILE, "thrice(x):", "thrice(x=1):", "")
    code, names = with_probes(CODE, [FOUND, MISSED, header])
    assert names == {"found", "missed"}  # what runs at import is no test's
    assert "    if x:\n        _reached_by_a_test('missed')\n        return x * 3\n    return 0" in code
    assert "def more(x):\n    _reached_by_a_test('found')\n    return x + 1" in code


def test_a_fault_that_a_test_finds_is_found(verdicts: dict[str, Verdict]) -> None:
    assert verdicts["found"].killed
    assert verdicts["found"].by == "test_code.py::test_more[slow one]"


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
    told = table(scores((TINY,), read(path)))
    assert "| tiny | 1 | 2 | 50.0 % | 0 |" in told
    assert told.endswith("Survived: missed.")
