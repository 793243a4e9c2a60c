"""What all long runs have come to: a line of JSON each, committed, so that it can only grow."""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from attrs import asdict, frozen

LEDGER = Path(__file__).with_name("ledger.jsonl")
GOALS: Mapping[str, int] = {"kernels": 1_000_000, "programs": 100_000, "inputs": 10_000_000}
"""What is to be tried over all long runs, by kind."""


@frozen
class Entry:
    """A long run: when, of which commit (`+` where files differed from it), from which seed, for how long."""

    date: str
    commit: str
    seed: int
    seconds: int
    tried: Mapping[str, int]
    failures: int


def append(entry: Entry, path: Path = LEDGER) -> None:
    """Adds a run."""
    with path.open("a", encoding="utf-8") as ledger:
        ledger.write(json.dumps(asdict(entry), sort_keys=True) + "\n")


def entries(path: Path = LEDGER) -> tuple[Entry, ...]:
    """All runs, in the order of their lines."""
    if not path.exists():
        return ()
    lines: Sequence[dict[str, Any]] = [
        json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()
    ]
    return tuple(Entry(**line) for line in lines)


def total(runs: Sequence[Entry]) -> Counter[str]:
    """What all of them have tried, by kind."""
    tried: Counter[str] = Counter()
    for each in runs:
        tried.update(each.tried)
    return tried
