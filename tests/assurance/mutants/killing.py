"""What finds a fault, in a copy of the tree: the tests that reach it, quick ones first, then campaigns."""

import re
import time
from collections.abc import Sequence
from itertools import accumulate

from attrs import define, field, frozen

from tests.assurance.mutants.model import Area, Mutant
from tests.assurance.mutants.reaching import Reaching, file_of
from tests.assurance.mutants.running import Tree

LIMIT = 1200.0
"""Seconds for all tests of a fault; what is not found by then has survived."""
FIRST = 10.0
"""Seconds of quick tests that are tried before all others: they find most."""
ENDED, UNCHOSEN = 0, 5
"""The status of pytest where all is well, and where there was nothing to run."""
NOTHING = "nothing"
FAILED = re.compile(r"^(?:FAILED|ERROR) (.+?)(?: - (?:assert .*|\w[\w.]*(?::.*)?))?$", re.MULTILINE)
"""The names of tests may have spaces."""


@frozen
class Verdict:
    """Whether a fault was found, by what, after how many seconds."""

    killed: bool
    by: str
    seconds: float


@define
class Means:
    """What may find the faults of an area: but for `failing`, tests and campaigns that fail without any. The
    tests that are `sound` have been seen not to. Of the faults that were `tried` the first tests found none.
    """

    area: Area
    clean: Tree
    reaching: Reaching
    failing: set[str] = field(factory=set)
    sound: set[str] = field(factory=set)
    tried: set[str] = field(factory=set)

    def quickly(self, mutant: Mutant, copy: Tree) -> Verdict | None:
        """What becomes of a fault if it is found by the first tests."""
        begun = time.monotonic()
        first, _, files = self._chosen(mutant)
        self.tried.add(mutant.id)
        by = self._part(copy, files, first, (), begun + LIMIT) if first else NOTHING
        return None if by.startswith(NOTHING) else Verdict(True, by, _since(begun))

    def verdict(self, mutant: Mutant, copy: Tree, seconds: float) -> Verdict:
        """What becomes of the fault that is in the copy: what finds it finds it again, and finds nothing in
        the clean tree.
        """
        begun = time.monotonic()
        by = self._tests(mutant, copy)
        if by.startswith(NOTHING):
            by = self._campaigns(copy, seconds) or by
        return Verdict(not by.startswith(NOTHING), by, _since(begun))

    def _campaigns(self, copy: Tree, seconds: float) -> str:
        for name in self.area.campaigns if seconds > 0 else ():
            if name in self.failing or not copy.campaign(name, seconds):
                continue
            if not self.clean.campaign(name, seconds):
                return f"campaign {name}"
            self.failing.add(name)
        return ""

    def _tests(self, mutant: Mutant, copy: Tree) -> str:
        until = time.monotonic() + LIMIT
        first, rest, files = self._chosen(mutant)
        by = NOTHING
        for only in ([] if mutant.id in self.tried else first), rest:
            if only and by == NOTHING:
                by = self._part(copy, files, only, (), until)
        return self._part(copy, files, None, [*first, *rest], until) if by == NOTHING else by

    def _chosen(self, mutant: Mutant) -> tuple[list[str], list[str], list[str]]:
        """The first tests that reach a fault, the rest of them, and the files where others may."""
        tests, files = self.reaching.tests(mutant, self.area)
        first = max(1, sum(seconds <= FIRST for seconds in accumulate(tests.values())))
        return [*tests][:first], [*tests][first:], files

    def _part(
        self, copy: Tree, files: list[str], only: list[str] | None, left: Sequence[str], until: float
    ) -> str:
        """What finds a fault among the tests of some files: `only` these, or all but those `left`."""
        if only is not None:
            files = [file for file in files if file in {*map(file_of, only)}]
        unsteady: set[str] = set()
        while time.monotonic() < until:
            left_out = [*left, *self.failing, *unsteady]
            status, said = copy.pytest(["-x", *files], until - time.monotonic(), only, left_out)
            if status in (ENDED, UNCHOSEN):
                return NOTHING
            if status is None:
                break
            found = FAILED.search(said)
            if found is None:
                return f"the tests end with the status {status}"
            test = found[1]
            if test not in self.sound and self.clean.pytest([test], LIMIT)[0] != ENDED:
                self.failing.add(test)
                continue
            self.sound.add(test)
            if copy.pytest([test], LIMIT)[0] != ENDED:
                return test
            unsteady.add(test)
        return f"{NOTHING} in time"


def _since(begun: float) -> float:
    return round(time.monotonic() - begun, 1)
