"""Which tests reach which faults, and how long each test takes: found by probes, and kept for each file of
tests until it or the code changes.
"""

import hashlib
import json
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path

from attrs import asdict, define, field, frozen

from tests.assurance.mutants.copies import copied
from tests.assurance.mutants.model import Area, Mutant
from tests.assurance.mutants.probe import NOTES
from tests.assurance.mutants.probing import probed
from tests.assurance.mutants.running import Tree

QUICK = 0.2
"""Seconds of a test that is worth a try before others are, and then four times as many, and so on."""
LIMIT = 3600.0


@frozen
class Found:
    """What a file of tests reaches: the seconds of each test, and for each fault the tests, or the file where
    it is reached while they are collected. `of` says for what this holds.
    """

    of: str
    seconds: dict[str, float]
    tests: dict[str, list[str]]


@define
class Reaching:
    """What is known of a tree, by files of tests; without probes in these faults nothing is."""

    root: Path
    mutants: tuple[Mutant, ...]
    kept: Path | None = None
    found: dict[str, Found] = field(factory=dict)

    def learn(self, area: Area) -> None:
        """Runs the tests of an area of which nothing is known, or no longer."""
        if self.kept is not None and self.kept.exists():
            self.found |= _read(self.kept)
        sums = _sums(self.root, self.mutants, files_of(area.tests, self.root))
        files = [file for file in sums if file not in self.found or self.found[file].of != sums[file]]
        if not files:
            return
        with copied(self.root) as copy, Tree(copy) as tree:
            probed(copy, self.mutants)
            self.found |= _run(tree, {file: sums[file] for file in files})
        if self.kept is not None:
            self.kept.parent.mkdir(parents=True, exist_ok=True)
            facts = {file: asdict(each) for file, each in self.found.items()}
            self.kept.write_text(json.dumps(facts), encoding="utf-8")

    def tests(self, mutant: Mutant, area: Area) -> tuple[dict[str, float], list[str]]:
        """The tests of an area that are known to reach a fault, those worth their seconds first, and the
        files where others may: what one test has computed the next may find in a cache. All files where none
        is known to, as those are not that run code at import or in processes that pytest knows nothing of.
        """
        files = files_of(area.tests, self.root)
        reaching = [file for file in files if file in self.found and mutant.id in self.found[file].tests]
        ranked = sorted(
            (_slowness(seconds), place, seconds, test)
            for place, known in enumerate(self.found[file] for file in reaching)
            for test in known.tests[mutant.id]
            if (seconds := known.seconds.get(test)) is not None
        )
        return {test: seconds for *_, seconds, test in ranked}, reaching or files


def files_of(tests: Iterable[str], root: Path) -> list[str]:
    """The files of tests, each once, in their order."""
    files: dict[str, None] = {}
    for each in tests:
        path = root / each
        for file in [path] if path.is_file() else sorted(path.rglob("test_*.py")):
            files[file.relative_to(root).as_posix()] = None
    return [*files]


def file_of(test: str) -> str:
    """The file of a test."""
    return test.partition("::")[0]


def _run(tree: Tree, sums: dict[str, str]) -> dict[str, Found]:
    """Runs files of tests in a tree with probes."""
    notes = tree.root / "src/flowc" / NOTES.name
    with tempfile.TemporaryDirectory(prefix="flowc-reaching-") as scratch:
        told = Path(scratch) / "told.json"
        status, said = tree.pytest([*sums], LIMIT, notes=told)
        if status not in (0, 1):
            raise RuntimeError(f"the tests with probes end with the status {status}: {said[-2000:]}")
        seconds: dict[str, float] = json.loads(told.read_text(encoding="utf-8"))["seconds"]
    found = {file: Found(of, {}, {}) for file, of in sums.items()}
    for test, took in seconds.items():
        found[file_of(test)].seconds[test] = took
    for line in notes.read_text(encoding="utf-8").splitlines() if notes.exists() else ():
        fault, test = json.loads(line)
        if (known := found.get(file_of(test))) and test not in (tests := known.tests.setdefault(fault, [])):
            tests.append(test)
    return found


def _read(kept: Path) -> dict[str, Found]:
    return {file: Found(**each) for file, each in json.loads(kept.read_text(encoding="utf-8")).items()}


def _sums(root: Path, mutants: Sequence[Mutant], files: Iterable[str]) -> dict[str, str]:
    """For each file of tests a checksum of all that decides what it reaches."""
    whole = hashlib.sha256(repr([(each.id, each.old, each.new) for each in mutants]).encode())
    shared = (path for path in (root / "tests").rglob("*.py") if not path.name.startswith("test_"))
    for path in sorted({*(root / each.file for each in mutants), *shared}):
        if "assurance" not in path.parts:
            whole.update(path.read_bytes())
    sums = {}
    for file in files:
        sum = whole.copy()
        sum.update((root / file).read_bytes())
        sums[file] = sum.hexdigest()
    return sums


def _slowness(seconds: float) -> int:
    return next(place for place in range(99) if seconds < QUICK * 4**place)
