"""Comparisons between processes go on when a contestant fails, and say why it did."""

import sys
from pathlib import Path

import pytest

from benchmarks import rounds
from benchmarks.rounds import Command, WorkerFailed, interleave, start, started

GOOD = """
from benchmarks import worker
channel = worker.claim_output()
print("libraries may print")
variants = {"works": worker.repeated(lambda: None), "fails": worker.repeated(lambda: 1 / 0)}
worker.serve(channel, variants, {}, {})
"""
APART = """
import json, sys
print(json.dumps({"ready": ["quick", "slow"], "problems": {}, "facts": {}}), flush=True)
for line in sys.stdin:
    figure = {"quick": 1.0, "slow": 20.0}[json.loads(line)["run"]]
    print(json.dumps({"samples": [figure] * 3}), flush=True)
"""
DIES = "raise SystemExit('no such library')"
SLEEPS = "import sys; sys.stdin.read()"


@pytest.fixture(autouse=True)
def children(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Children as modules of a folder beside the repository's."""
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}:{rounds.ROOT}")
    for name, text in {"good": GOOD, "apart": APART, "dies": DIES, "sleeps": SLEEPS}.items():
        Path(tmp_path, f"{name}_child.py").write_text(text)


def command(name: str) -> Command:
    return Command(sys.executable, f"{name}_child", (), 1)


def test_samples_come_from_the_variants_that_work_and_problems_from_those_that_do_not() -> None:
    failures: list[str] = []
    with started([command("good")], 30, lambda _, why: failures.append(why)) as workers:
        interleave(workers, 2, 0.001, 0)
        (worker,) = workers
        assert len(worker.samples["works"]) >= 6
        assert "fails" not in worker.samples
        assert worker.problems == {"fails": "ZeroDivisionError: division by zero"}
    assert not failures


def test_a_variant_that_is_far_behind_is_measured_in_one_round() -> None:
    with started([command("apart")], 30, lambda _, why: None) as workers:
        interleave(workers, 4, 0, 0, far=10)
        (worker,) = workers
        assert len(worker.samples["quick"]) == 12
        assert len(worker.samples["slow"]) == 3


def test_a_child_that_dies_is_reported_with_its_last_words() -> None:
    failures: list[str] = []
    with started([command("dies"), command("good")], 30, lambda _, why: failures.append(why)) as workers:
        assert len(workers) == 1
    assert failures == ["ended with 1: no such library"]


def test_a_child_that_says_nothing_is_ended() -> None:
    with pytest.raises(WorkerFailed, match="no answer within"):
        start(command("sleeps"), 0.5)
