"""Recorded times, which are not always times: what cannot be used is set apart, with a warning."""

import statistics
from collections.abc import Sequence

from attrs import frozen

from flowc.compiler.diagnostics.model import CompileError, Diagnostic, Source

SHORTEST, LONGEST = 1e-9, 1e12
"""Seconds between which a recorded time is believed: no clock tells less, and 1e12 s are 30,000 years."""


@frozen
class Times:
    """Seconds to simulate with, the positions of tasks from which nothing is learned, and what was said."""

    seconds: tuple[float, ...]
    unusable: frozenset[int]
    warnings: tuple[Diagnostic, ...]


def usable_times(
    recorded: Sequence[object], ids: Sequence[str], categories: Sequence[str], source: Source
) -> Times:
    """The times of tasks. Raises CompileError E0674 where none can be used.

    A time of zero was below the clock's resolution and stays; one that is missing, no number, or not from
    SHORTEST to LONGEST is taken as the median of its category, else of all.
    """
    seconds = [_seconds(each) for each in recorded]
    good = [each for each in seconds if each is not None and each > 0]
    if not good:
        raise CompileError(source, (_nothing(len(ids), source),))
    warnings = []
    zero = [place for place, each in enumerate(seconds) if each == 0]
    if zero:
        warnings.append(
            _warning(
                zero, ids, source, "a recorded time of zero", "they were below the resolution of the clock"
            )
        )
    missing = [place for place, each in enumerate(seconds) if each is None]
    if missing:
        why = (
            f"they are missing, recorded twice, no numbers, or not from {SHORTEST:g} to {LONGEST:g} s; "
            "the median of the same program is taken, else of all"
        )
        warnings.append(_warning(missing, ids, source, "no usable recorded time", why))
    by_category: dict[str, list[float]] = {}
    for name, each in zip(categories, seconds, strict=True):
        if each:
            by_category.setdefault(name, []).append(each)
    usual = {name: statistics.median(each) for name, each in by_category.items()}
    general = statistics.median(good)
    filled = tuple(
        usual.get(name, general) if each is None else each
        for name, each in zip(categories, seconds, strict=True)
    )
    return Times(filled, frozenset((*zero, *missing)), tuple(warnings))


def _seconds(recorded: object) -> float | None:
    """A recorded time, None where it is none."""
    if isinstance(recorded, bool) or not isinstance(recorded, int | float):
        return None
    try:
        seconds = float(recorded)
    except OverflowError:
        return None
    return seconds if seconds == 0 or SHORTEST <= seconds <= LONGEST else None


def _warning(places: Sequence[int], ids: Sequence[str], source: Source, what: str, why: str) -> Diagnostic:
    several = f"{len(places):,} of {len(ids):,} tasks {'has' if len(places) == 1 else 'have'}"
    first = ", ".join(ids[place][:60] for place in places[:3]) + (", ..." if len(places) > 3 else "")
    return Diagnostic(
        "E0675",
        f"{several} {what}",
        why=f"{why}: {first}",
        help="nothing is learned from these tasks; all else is used",
        severity="warning",
        path=source.path,
    )


def _nothing(tasks: int, source: Source) -> Diagnostic:
    return Diagnostic(
        "E0674",
        f"none of {tasks:,} tasks has a usable time" if tasks > 1 else "the only task has no usable time",
        why=f"a time is a number from {SHORTEST:g} to {LONGEST:g}, at "
        "workflow.execution.tasks[...].runtimeInSeconds",
        help="use the record of a run that took place",
        path=source.path,
    )
