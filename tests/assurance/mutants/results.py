"""What has become of each fault, in a committed file."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from attrs import asdict, frozen

from tests.assurance.mutants.killing import Verdict
from tests.assurance.mutants.model import Area

RESULTS = Path(__file__).with_name("results.json")


@frozen
class Score:
    """How many of an area's faults were found, of how many that were sown; `left` were not sown yet."""

    area: str
    killed: int
    sown: int
    survivors: tuple[str, ...]
    left: int = 0


def read(path: Path = RESULTS) -> dict[str, Any]:
    """What is known: for each fault `killed`, `by`, `seconds` and the `commit` in which it was sown."""
    return dict(json.loads(path.read_text(encoding="utf-8"))) if path.exists() else {}


def keep(mutant: str, found: Verdict, commit: str, path: Path = RESULTS) -> None:
    """Notes what has become of a fault."""
    known = {**read(path), mutant: {**asdict(found), "commit": commit}}
    path.write_text(json.dumps(dict(sorted(known.items())), indent=1) + "\n", encoding="utf-8")


def scores(areas: Sequence[Area], known: Mapping[str, Any]) -> tuple[Score, ...]:
    """The score of each area, of the faults whose end is known."""
    found = []
    for area in areas:
        ids = [each.id for each in area.mutants if each.id in known]
        survivors = tuple(each for each in ids if not known[each]["killed"])
        left = len(area.mutants) - len(ids)
        found.append(Score(area.name, len(ids) - len(survivors), len(ids), survivors, left))
    return tuple(found)


def table(of: Sequence[Score]) -> str:
    """The scores, and who survived."""
    survivors = [each for score in of for each in score.survivors]
    sums = [sum(counts) for counts in zip(*((each.killed, each.sown, each.left) for each in of), strict=True)]
    whole = Score("all", *sums[:2], tuple(survivors), *sums[2:])
    lines = ["| area | found | sown | | not sown yet |", "|---|---|---|---|---|"]
    lines += [
        f"| {each.area} | {each.killed} | {each.sown} | {_share(each.killed, each.sown)} | {each.left} |"
        for each in (*of, whole)
    ]
    return "\n".join([*lines, "", f"Survived: {', '.join(survivors) or 'none'}."])


def _share(killed: int, sown: int) -> str:
    return f"{100 * killed / sown:.1f} %" if sown else ""
