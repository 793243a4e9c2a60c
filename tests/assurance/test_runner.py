"""The driver tells every way to fail, and goes on; what it says of a failure shows it again."""

import json
from pathlib import Path

import pytest

from tests.assurance import ledger, report
from tests.assurance.__main__ import main
from tests.assurance.runner import Account, Failure, Order, run
from tests.assurance.seeds import case_seed

TINY = "tests.assurance.tiny"
UNTIDY = "tests.assurance.untidy"


@pytest.fixture(autouse=True)
def _reports(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(report, "FOLDER", tmp_path)
    monkeypatch.setattr(report.write, "__defaults__", (tmp_path,))


@pytest.fixture(scope="module")
def all_of_them() -> Account:
    told: list[Failure] = []
    account = run(Order(100.0, 5, workers=2, package=TINY, cases=2), told.append)
    assert {each.campaign for each in told} == {"wrong", "dies", "leaves", "hangs"}
    assert len(told) == 4  # the same again is counted, and not told again
    return account


def test_a_good_campaign_runs_on_beside_bad_ones(all_of_them: Account) -> None:
    assert all_of_them.cases["good"] == 2
    assert all_of_them.tally.operations.total() == 2
    assert "good" not in {each.campaign for each in all_of_them.failures}


@pytest.mark.parametrize(
    ("campaign", "how", "said"),
    [
        ("wrong", "wrong", "1000"),
        ("dies", "died", "SIGSEGV"),
        ("dies", "died", "last words"),
        ("leaves", "died", "the status 3"),
        ("hangs", "time-out", "no end after 0.5 s"),
    ],
)
def test_every_way_to_fail_is_told(all_of_them: Account, campaign: str, how: str, said: str) -> None:
    failure = next(each for each in all_of_them.failures if each.campaign == campaign)
    assert failure.how == how
    assert said in failure.text
    assert failure.seed in {case_seed(5, campaign, number) for number in range(2)}  # either may end first
    assert failure.command == f"python -m tests.assurance {campaign} --case {failure.seed}"


def test_what_fails_is_shrunk(all_of_them: Account) -> None:
    failure = next(each for each in all_of_them.failures if each.campaign == "wrong")
    assert "example=1000" in failure.text.replace(" ", "")


def test_a_failure_is_seen_again(all_of_them: Account, capsys: pytest.CaptureFixture[str]) -> None:
    failure = next(each for each in all_of_them.failures if each.campaign == "wrong")
    assert main(["wrong", "--case", str(failure.seed), "--package", TINY]) == 1
    said = capsys.readouterr().out
    assert failure.text.splitlines()[-1] in said
    assert said.splitlines()[-1].startswith("assure: 1 failure")


def test_the_last_line_is_the_summary(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["good", "--cases", "3", "--seed", "7", "--package", TINY]) == 0
    last = capsys.readouterr().out.splitlines()[-1]
    assert last.startswith("assure: no failure; ")
    assert last.endswith("seed 7")
    assert ": no failure; 6 programs" in last.replace("assure", "")
    known = json.loads((tmp_path / "report.json").read_text())
    assert known["bounds"]["programs"] == pytest.approx(3 / known["tried"]["programs"])
    assert "flow.return" in known["operations_never_compiled"]
    said = (tmp_path / "report.md").read_text()
    assert "| programs | 6 | 5.0e-01 | whole programs" in said
    assert "## Failures: 0" in said
    assert "| labels | " in said  # the sown faults that were found


def test_modules_that_cannot_be_imported_are_failures(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--seconds", "0", "--package", UNTIDY]) == 1
    said = capsys.readouterr().out
    assert "what it needs is not there" in said
    assert "neither CAMPAIGN nor CAMPAIGNS" in said


def test_an_unknown_campaign_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["goood", "--package", TINY]) == 2
    assert "there are dies, good, hangs, leaves, wrong" in capsys.readouterr().err


def test_the_ledger_grows(tmp_path: Path) -> None:
    path = tmp_path / "ledger.jsonl"
    for kernels in (3, 4):
        ledger.append(ledger.Entry("2026-01-01", "abc", 1, 600, {"kernels": kernels}, 0), path)
    assert ledger.total(ledger.entries(path)) == {"kernels": 7}
    assert all(each.seconds > 0 for each in ledger.entries())  # the committed one can be read


def test_seeds_of_cases_differ() -> None:
    seeds = {case_seed(seed, name, number) for seed in range(3) for name in "ab" for number in range(50)}
    assert len(seeds) == 300
    assert all(0 <= seed < 1 << 53 for seed in seeds)
