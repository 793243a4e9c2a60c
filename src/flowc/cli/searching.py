"""What `-O3` is to look for: the options of the command line as a request, and what was found as words."""

import contextlib
import math
import re
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from attrs import evolve, frozen

from flowc.cli import streams
from flowc.cli.failure import UsageProblem
from flowc.compiler.diagnostics.model import Diagnostic

if TYPE_CHECKING:
    from flowc.passes.search.report import SearchReport
    from flowc.passes.search.search import SearchRequest
    from flowc.passes.search.stand_ins import Arguments

LEVEL = 3
"""The level that searches."""

_AMOUNT = re.compile(r"\$?([0-9]{1,15}(?:\.[0-9]{1,15})?(?:e-?[0-9]{1,3})?) ?(ms|s|min|h)?", re.ASCII)
_SECONDS = {"ms": 1e-3, "s": 1.0, "min": 60.0, "h": 3600.0}


@frozen
class Wanted:
    """What the command line says of the search; None where it says nothing. `args_file` are arguments that
    are there for the search alone.
    """

    objective: str | None = None
    at_most: tuple[str, ...] = ()
    seconds: float | None = None
    args_file: str | None = None

    @property
    def said(self) -> str:
        """The first option that was given; empty where none was."""
        given = {
            "--objective": self.objective is not None,
            "--at-most": bool(self.at_most),
            "--search-seconds": self.seconds is not None,
            "--args": self.args_file is not None,
        }
        return next((name for name, there in given.items() if there), "")


def check_level(wanted: Wanted, searches: bool) -> None:
    """Refuses options of the search where none takes place (E0816)."""
    if wanted.said and not searches:
        raise UsageProblem(
            "E0816",
            f"{wanted.said} is about the search of -O3, and there is none",
            why="only at -O3 is a program searched, and neither an artifact nor with a pipeline of one's own",
            help=f"add -O3, or leave {wanted.said} out",
        )
    if wanted.seconds == 0 and (said := evolve(wanted, seconds=None).said):
        raise UsageProblem(
            "E0816",
            f"{said} is about the search of -O3, and --search-seconds 0 leaves none",
            help=f"give the search time, or leave {said} out",
        )


def request(
    wanted: Wanted,
    folder: Path,
    flow: str | None,
    arguments: "Arguments | None" = None,
    seed: int = 0,
) -> "SearchRequest | None":
    """The search that the options ask for; None where they ask for none."""
    from flowc.passes.search.goal import Goal
    from flowc.passes.search.search import SECONDS, SearchRequest
    from flowc.passes.search.stand_ins import World
    from flowc.runtime.config import find_config, load_config

    seconds = SECONDS if wanted.seconds is None else wanted.seconds
    goal = Goal(wanted.objective or "time", bounds(wanted.at_most))
    if not seconds:
        return None
    from platformdirs import user_config_path

    world = World(load_config(find_config(folder, user_config_path("flowc"))), flow, arguments)
    return SearchRequest(world, goal, seconds, seed=seed)


def bounds(words: tuple[str, ...]) -> Mapping[str, float]:
    """The bounds as figures; raises E0815 for what is none."""
    from flowc.passes.search.goal import FIGURES

    found: dict[str, float] = {}
    for word in words:
        name, _, amount = word.partition("=")
        match = _AMOUNT.fullmatch(amount)
        unit = match[2] if match is not None else None
        value = float(match[1]) * _SECONDS.get(unit or "s", 1.0) if match is not None else math.nan
        money = amount.startswith("$")
        fits = name in FIGURES and (unit is None or name == "time") and (not money or name == "money")
        if not fits or name in found or not 0 < value < math.inf:
            raise UsageProblem(
                "E0815",
                f"`{word}` is no bound for a plan",
                why=f"there is a bound of {name} already" if name in found else "",
                help="write time=30s, money=0.05 or tokens=4000, each at most once",
            )
        found[name] = value
    return found


@contextlib.contextmanager
def waiting(search: "SearchRequest | None") -> Iterator[None]:
    """While a search goes on, a line on the terminal says so, and how long it may take."""
    shown = search is not None and search.seconds >= 1 and sys.stderr.isatty()
    if not shown or search is None:
        yield
        return
    text = f"searching for a plan, {search.seconds:g} s at most ..."
    sys.stderr.write(text)
    sys.stderr.flush()
    try:
        yield
    finally:
        sys.stderr.write("\r" + " " * len(text) + "\r")
        sys.stderr.flush()


def tell(found: "SearchReport | None", path: str, *, explain: bool) -> None:
    """Prints what a search found where that is asked for; and a warning where no plan keeps all bounds."""
    if found is None:
        return
    from flowc.passes.search.report import report_text

    if explain:
        streams.say(report_text(found))
    if found.blind or found.unpriced:
        _tell_little(found, path)
    if not found.feasible and found.winner is not None:
        score = found.winner.score
        streams.show_diagnostic(
            Diagnostic(
                "E0817",
                f"no plan of `{found.flow}` keeps all bounds",
                why=f"the best one breaks them in {score.broken} of {score.runs} simulated runs:"
                f" {', '.join(map(_bound, score.reasons))}",
                help="allow more, or ask for less; a run ends where a limit of the program is reached",
                severity="warning",
                path=path,
            ),
            None,
        )


def _tell_little(found: "SearchReport", path: str) -> None:
    """A warning where the search had nothing to go by."""
    title, why = (
        "the search of -O3 could try no plan",
        f"{found.reason}; the plan is that of {found.fallback}",
    )
    help_ = "`--flow` says which flow is tried, `--args` with which arguments, `--search-seconds` how long"
    if found.unpriced:
        title = "the search of -O3 is asked about money, and nothing costs any"
        why = "no model that was called has a price"
        help_ = "give the models of flowc.toml their prices, or ask for tokens"
    streams.show_diagnostic(
        Diagnostic("E0818", title, why=why, help=help_, severity="warning", path=path), None
    )


def _bound(reason: str) -> str:
    from flowc.passes.search.trials import LIMITS

    if reason in LIMITS:
        return f"a limit of the program ({reason})"
    return f"a failure ({reason})" if reason.startswith("E") else f"more {reason} than --at-most allows"
