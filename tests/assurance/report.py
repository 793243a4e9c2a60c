"""The report of a run: what was tried and reached, what failed, and what follows where nothing has."""

import json
import platform
import subprocess
from collections.abc import Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from flowc.testing.oracles.reached import ALL_OPERATIONS, ALL_PASSES, never
from tests.assurance.campaign import KINDS, UNANSWERED
from tests.assurance.ledger import GOALS, entries, total
from tests.assurance.mutants import results
from tests.assurance.mutants.catalogue import AREAS
from tests.assurance.mutants.results import scores, table
from tests.assurance.runner import Account, Failure
from tests.assurance.worker import ROOT

FOLDER = ROOT / "build" / "assurance"
FOUND = Path(__file__).with_name("found.md")
BOUND = (
    "Where nothing failed, less than 3/N of what these campaigns draw fails, with a confidence of 95 % (the "
    "rule of three). That says nothing of what they never draw."
)
VERSIONS = "flowc", "xdsl", "llvmlite", "numpy", "hypothesis", "atheris"


def bound(tried: int) -> float:
    """The failure rate that so many trials without a failure leave possible, with a confidence of 95 %.

    The rule of three: Hanley & Lippman-Hand, "If nothing goes wrong, is everything all right?", JAMA 249
    (1983).
    It holds for independent draws from one distribution, and says nothing of what is never drawn. Ours are
    nearly so: those of one module share how it is compiled, and Hypothesis varies some of what it has drawn.
    """
    return min(1.0, 3 / tried) if tried else 1.0


def facts(account: Account) -> dict[str, Any]:
    """All that a run has come to, as JSON holds it."""
    tally = account.tally
    return {
        "seed": account.order.seed,
        "seconds": round(account.took, 1),
        "commit": commit(),
        "versions": {"python": platform.python_version(), **{name: _version(name) for name in VERSIONS}},
        "tried": in_order(tally.tried),
        "bounds": {kind: bound(number) for kind, number in tally.tried.items() if kind != UNANSWERED},
        "campaigns": {
            each.name: {"cases": account.cases[each.name], "seconds": round(account.seconds[each.name], 1)}
            for each in account.campaigns
        },
        "operations": dict(tally.operations.most_common()),
        "operations_never_compiled": never(sorted(ALL_OPERATIONS), tally.operations),
        "operations_never_written": never(sorted(ALL_OPERATIONS), tally.texts),
        "pairs": dict(tally.pairs.most_common()),
        "passes": dict(tally.passes.most_common()),
        "passes_never_fired": never(sorted(ALL_PASSES), tally.passes),
        "failures": [_failure(each) for each in account.failures],
        "broken_off": account.broken_off,
        "all_long_runs": dict(total(entries())),
    }


def write(account: Account, folder: Path = FOLDER) -> dict[str, Any]:
    """Writes report.md and report.json; gives what they say."""
    known = facts(account)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "report.json").write_text(json.dumps(known, indent=1) + "\n", encoding="utf-8")
    (folder / "report.md").write_text(markdown(known), encoding="utf-8")
    return known


def markdown(known: dict[str, Any]) -> str:
    """What a person reads."""
    failures, sown = known["failures"], scores(AREAS, results.read())
    parts = [
        "# Assurance",
        f"Seed {known['seed']}, {known['seconds']:g} s, commit {known['commit']}"
        + (" (+: some files differ from it); " if known["commit"].endswith("+") else "; ")
        + ", ".join(f"{name} {number}" for name, number in known["versions"].items())
        + ".",
        "## Tried",
        _tried(known),
        BOUND,
        _table(
            ("campaign", "cases", "seconds"),
            [(name, each["cases"], each["seconds"]) for name, each in known["campaigns"].items()],
        ),
        "## Reached",
        *_reached(known),
        f"## Failures: {len(failures)}",
        *(f"- `{each['command']}` ({each['how']})\n\n```\n{each['text']}\n```" for each in failures[:20]),
        *(
            ["Not ended when the time was over:", "\n".join(f"- `{each}`" for each in known["broken_off"])]
            if known["broken_off"]
            else []
        ),
        "## All long runs",
        f"What the ledger has: {len(entries())} runs with `--ledger`.",
        _table(
            ("kind", "tried", "goal", ""),
            [
                (kind, f"{known['all_long_runs'].get(kind, 0):,}", f"{goal:,}", _part(known, kind, goal))
                for kind, goal in GOALS.items()
            ],
        ),
        "## Sown faults",
        "Of `python -m tests.assurance.mutants`, which takes hours: not all have been tried yet."
        if any(each.left for each in sown)
        else "",
        table(sown),
        "## Found and mended",
        FOUND.read_text(encoding="utf-8").strip(),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def summary(known: dict[str, Any]) -> str:
    """One line: the last of the output."""
    tried = ", ".join(f"{number:,} {kind}" for kind, number in known["tried"].items()) or "nothing tried"
    failures = len(known["failures"])
    outcome = "no failure" if not failures else "1 failure" if failures == 1 else f"{failures} failures"
    return f"assure: {outcome}; {tried}; {known['seconds']:.0f} s, seed {known['seed']}"


def told(failure: Failure) -> str:
    """What a failure says at once."""
    heads = {
        "wrong": "is wrong",
        "died": "ended its process",
        "time-out": "did not end",
        "import": "cannot be imported",
        "driver": "has an error of its own",
    }
    head = f"FAILED {failure.campaign} {heads[failure.how]}"
    return f"{head}\n{failure.text}\nto see it again: {failure.command}\n"


def commit() -> str:
    """The commit of the tree, with `+` where files differ from it."""
    try:
        return _git("rev-parse", "--short=12", "HEAD") + ("+" if _git("status", "--porcelain") else "")
    except (OSError, subprocess.CalledProcessError):
        return "none"


def _git(*arguments: str) -> str:
    done = subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=True)
    return done.stdout.strip()


def in_order(tried: Mapping[str, int]) -> dict[str, int]:
    """What was tried, in the order of `KINDS`."""
    places = {kind: place for place, kind in enumerate(KINDS)}
    return {kind: tried[kind] for kind in sorted(tried, key=lambda kind: places.get(kind, len(places)))}


def _tried(known: dict[str, Any]) -> str:
    """With a failure nothing is known of a kind but that it fails: there is no bound."""
    bounds = {} if known["failures"] else known["bounds"]
    rows = [
        (kind, f"{number:,}", f"{bounds[kind]:.1e}" if kind in bounds else "", KINDS.get(kind, ""))
        for kind, number in known["tried"].items()
    ]
    return _table(("tried", "number", "95 % bound", "what one is"), rows)


def _reached(known: dict[str, Any]) -> list[str]:
    """How much of what there is; of pairs it is not known how many there could be."""
    compiled, written = known["operations_never_compiled"], known["operations_never_written"]
    count, passes = len(ALL_OPERATIONS), known["passes_never_fired"]
    return [
        f"- {count - len(compiled)} of {count} operations in modules that were compiled, in "
        f"{len(known['pairs']):,} pairs of one that uses what another gives (those of xDSL included)\n"
        f"- {count - len(written)} of {count} operations in modules that were written and read back\n"
        f"- {len(ALL_PASSES) - len(passes)} of {len(ALL_PASSES)} passes changed something",
        f"Operations never compiled: {_names(compiled)}.",
        f"Operations never written: {_names(written)}.",
        f"Passes that never fired: {_names(passes)}.",
        _table(("pass", "changed a module"), list(known["passes"].items())),
    ]


def _part(known: dict[str, Any], kind: str, goal: int) -> str:
    return f"{100 * known['all_long_runs'].get(kind, 0) / goal:.1f} %"


def _failure(failure: Failure) -> dict[str, Any]:
    return {
        "campaign": failure.campaign,
        "how": failure.how,
        "text": failure.text,
        "seed": failure.seed,
        "command": failure.command,
    }


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "none"


def _names(names: Sequence[str]) -> str:
    return ", ".join(f"`{name}`" for name in names) or "none"


def _table(heads: tuple[str, ...], rows: list[tuple[Any, ...]]) -> str:
    if not rows:
        return ""
    lines = [heads, ("---",) * len(heads), *rows]
    return "\n".join(f"| {' | '.join(map(str, line))} |" for line in lines)
