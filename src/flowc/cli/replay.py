"""`flowc replay`: whether a kept run, made once more over what is kept of it, is the run that it was."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from flowc.cli import journals, options, streams
from flowc.cli.failure import FINE

if TYPE_CHECKING:
    from flowc.runtime.durable.replay import Replayed
    from flowc.runtime.environment import Environment

MOST = 5
"""So many differences are told."""

PURE = "a tool that is declared pure must give the same for the same arguments: declare what it reads"
COMPUTED = "what is computed between the steps comes out otherwise: on another machine, or by another flowc"
"""What to do about differences, by where they come from."""


@click.command("replay")
@click.argument("run", metavar="RUN")
@journals.journal
@options.output_format
@options.colour
def command(run: str, journal: str | None, output_format: str) -> int:
    """Make a kept RUN once more over what is kept of it, and compare.

    What computes and what is declared pure is made again; all else is given what is kept. Nothing outside is
    touched, and nothing is written.
    """
    with journals.kept_run(run, journal) as (there, _, name):
        from flowc.cli.as_kept import as_kept
        from flowc.runtime.durable.replay import replay
        from flowc.runtime.durable.runs import past_of

        head = past_of(there.store, name).head
        loaded = as_kept(there, head)
        found = replay(there.store, name, _environment(loaded.folder, loaded.kernels, head["settings"]))
        if output_format == "json":
            streams.write(json.dumps(_json(name, found), ensure_ascii=False))
        else:
            streams.write(_text(found))
    return _refuse(name, found) if found.differences else FINE


def _environment(folder: Path, kernels: Any, kept: dict[str, Any]) -> "Environment":
    """The world of a replay: the code of the program, and no way out."""
    from flowc.cli.configured import config_near
    from flowc.runtime.environment import Environment

    config = config_near(folder)
    simulated = (kept.get("provider") or config.provider) == "simulated"
    return Environment(
        config=config,
        provider="simulated" if simulated else "offline",
        folder=folder,
        kernels=kernels,
        seed=kept.get("seed"),
    )


def _text(found: "Replayed") -> str:
    steps = f"{found.steps:,} step{'' if found.steps == 1 else 's'}, {found.made:,} pure re-executed"
    so_far = "" if found.whole else ", as far as the run has come"
    if not found.differences:
        return f"{steps}, all equal{so_far}"
    count = len(found.differences)
    return f"{steps}, {count:,} {'differs' if count == 1 else 'differ'}{so_far}"


def _json(run: str, found: "Replayed") -> dict[str, Any]:
    return {
        "run": run,
        "steps": found.steps,
        "pure": found.made,
        "whole": found.whole,
        "equal": not found.differences,
        "differences": [
            {"step": each.step, "operation": each.operation, "what": each.what, "message": each.told}
            for each in found.differences
        ],
    }


def _refuse(run: str, found: "Replayed") -> int:
    """Tells the first differences."""
    from flowc.runtime.errors import fail

    told = [f"{each.step} {each.told}" for each in found.differences[:MOST]]
    left = len(found.differences) - len(told)
    raise fail(
        "E0930",
        f"the replay of run {run} is not the run that it was",
        why="; ".join(told) + (f"; and {left} more" if left else ""),
        help=PURE if all(each.what == "result" for each in found.differences) else COMPUTED,
    )
