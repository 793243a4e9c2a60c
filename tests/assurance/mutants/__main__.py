"""Sows faults one at a time, and says which of them the suite finds: `python -m tests.assurance.mutants`.

An ID may be the name of an area. What a part of a run has found is kept in results.json. Which tests reach
which fault is found first, once, and kept in build/assurance until the tests or the code in question change.
Those that quick tests find come first, then the others.
"""

import argparse
import signal
import sys
from collections.abc import Iterator
from itertools import zip_longest
from typing import Any

from tests.assurance.mutants.catalogue import AREAS
from tests.assurance.mutants.copies import copied, sown
from tests.assurance.mutants.killing import Means, Verdict
from tests.assurance.mutants.model import Area, Mutant
from tests.assurance.mutants.reaching import Reaching
from tests.assurance.mutants.results import keep, read, scores, table
from tests.assurance.mutants.running import Tree
from tests.assurance.report import FOLDER, commit
from tests.assurance.worker import ROOT


def main(arguments: list[str]) -> int:
    """Runs what the command line says; gives the exit status."""
    parser = argparse.ArgumentParser(prog="python -m tests.assurance.mutants", description=__doc__)
    parser.add_argument("ids", nargs="*", metavar="ID")
    parser.add_argument("--seconds", type=float, default=10.0, help="how long each campaign searches")
    parser.add_argument("--missing", action="store_true", help="only those whose end is not known")
    parser.add_argument("--survivors", action="store_true", help="only those that have survived before")
    given = parser.parse_args(arguments)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # what runs in a copy ends, too
    known = read()
    head = commit()
    reaching = Reaching(
        ROOT, tuple(each for area in AREAS for each in area.mutants), FOLDER / "reaching.json"
    )
    with copied() as copied_to, copied() as left, Tree(copied_to) as copy, Tree(left) as clean:
        means = {area.name: Means(area, clean, reaching) for area in AREAS}
        left_over = []
        for area, mutant in _in_turn():
            if given.ids and not {mutant.id, area.name} & {*given.ids}:
                continue
            if (given.missing and mutant.id in known) or (given.survivors and _is_killed(known, mutant)):
                continue
            reaching.learn(area)
            with sown(mutant, copy.root):
                found = means[area.name].quickly(mutant, copy)
            if found is None:
                left_over.append((area, mutant))
            else:
                _tell(mutant, found, head)
        for area, mutant in left_over:
            with sown(mutant, copy.root):
                _tell(mutant, means[area.name].verdict(mutant, copy, given.seconds), head)
        for each in means.values():
            if each.failing:
                print(f"{each.area.name}: these fail without a fault, and find none: {sorted(each.failing)}")
    print(table(scores(AREAS, read())))
    return 0


def _tell(mutant: Mutant, found: Verdict, head: str) -> None:
    keep(mutant.id, found, head)
    end = "killed" if found.killed else "SURVIVED"
    print(f"{mutant.id}: {end} by {found.by}, {found.seconds} s", flush=True)


def _is_killed(known: dict[str, Any], mutant: Mutant) -> bool:
    return mutant.id not in known or known[mutant.id]["killed"]


def _in_turn() -> Iterator[tuple[Area, Mutant]]:
    """One of each area after the other, so that a part of a run says something of each."""
    for row in zip_longest(*([(area, mutant) for mutant in area.mutants] for area in AREAS)):
        yield from (each for each in row if each is not None)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
