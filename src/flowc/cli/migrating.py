"""A run whose program has changed: it goes on by itself where the new one could have come as far, else on
request.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from flowc.cli import streams
from flowc.cli.failure import UsageProblem
from flowc.cli.keeping import parts_of
from flowc.runtime.durable.compatible import adopt, explain_change, follow
from flowc.runtime.durable.past import GONE

if TYPE_CHECKING:
    from flowc.cli.loaded import Loaded
    from flowc.runtime.durable.past import Past
    from flowc.runtime.durable.replaying import Difference
    from flowc.runtime.durable.runs import Journal
    from flowc.runtime.environment import Environment
    from flowc.runtime.plan import Json

MOST = 20
"""So many differences are told."""


def take_over(
    journal: "Journal",
    past: "Past",
    loaded: "Loaded",
    environment: "Environment",
    path: str,
    *,
    migrate: bool,
    yes: bool,
) -> tuple["Difference", ...]:
    """Has a run go on with the program that was `loaded`: where that is compatible, or with `migrate` once
    somebody has agreed to what is lost. Gives the differences that keep it from that, having changed nothing.
    """
    found = explain_change(journal.store, past, loaded.plan, environment)
    if not found:
        streams.say("the program has changed, and could have come as far: going on with the new one")
    elif not migrate or any(each.step == past.head["flow"] for each in found):
        return found
    else:
        again = follow(journal.store, past, loaded.plan, environment, found)
        streams.say("\n".join(told(found, again)))
        _agree(yes)
    folder = str(loaded.folder.absolute())
    settings: dict[str, Json] = {"code": loaded.code, "folder": folder, "path": str(Path(path).absolute())}
    adopt(journal, past.run, loaded.plan, found, parts=parts_of(loaded, path), settings=settings)
    return ()


def told(found: "Sequence[Difference]", again: Sequence[str]) -> list[str]:
    """What going on with the new program means, line by line."""
    lines = [f"the new program differs in {len(found)} kept step{'' if len(found) == 1 else 's'}:"]
    lines += [f"  {each.step.removeprefix(GONE)} {each.told}" for each in found[:MOST]]
    if len(found) > MOST:
        lines.append(f"  and {len(found) - MOST} more")
    wrote = [each.step.removeprefix(GONE) for each in found if each.wrote]
    if wrote:
        lines.append("these have written, which stays as it is: " + ", ".join(wrote[:MOST]))
    if again:
        lines.append("these come after, and may be made again: " + ", ".join(again[:MOST]))
    return lines


def _agree(yes: bool) -> None:
    """Asks at the terminal whether to go on."""
    from flowc.runtime.people import has_terminal

    if yes:
        return
    if not has_terminal():
        raise UsageProblem(
            "E0934",
            "--migrate asks before it changes a run, and nobody can be asked here",
            help="look at what is told above, and add --yes",
        )
    if not click.confirm("go on with the new program?", err=True):
        raise click.Abort
