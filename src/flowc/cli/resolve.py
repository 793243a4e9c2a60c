"""`flowc resolve`: says how a call in doubt ended, or that a failed step is to be made again."""

import shlex

import click

from flowc.cli import journals, options, streams
from flowc.cli.failure import FINE, UsageProblem


@click.command("resolve")
@click.argument("run", metavar="RUN")
@click.argument("step", metavar="STEP")
@click.option("--done", metavar="JSON", help="It has been done, and gave this result.")
@click.option(
    "--retry", is_flag=True, help="It is to be made again: it has not been done, or may be done twice."
)
@click.option(
    "--fail",
    "reason",
    is_flag=False,
    flag_value="",
    metavar="[REASON]",
    help="It has not been done, and is to count as failed.",
)
@journals.journal
@options.colour
def command(
    run: str, step: str, done: str | None, retry: bool, reason: str | None, journal: str | None
) -> int:
    """Say how STEP of RUN ended, a call that may have happened or not when the run was broken off.

    --retry can be said of the step whose failure ended a run, too. The run does not go on by this.
    """
    said = [done is not None, retry, reason is not None]
    if sum(said) != 1:
        raise UsageProblem(
            "E0927",
            "say one of --done, --retry and --fail",
            why="none of them is given" if not any(said) else "more than one of them is given",
            help="look at what the step should have changed: --done RESULT if it has, else --retry or --fail",
        )
    with journals.opened(journal) as (there, place):
        from flowc.runtime.durable.runs import named, past_of
        from flowc.runtime.durable.telling import JsonText, resolve

        name = named(there.store, run)
        if done is not None:
            resolve(there, name, step, "done", JsonText(done))
        elif retry:
            resolve(there, name, step, "retry")
        else:
            resolve(there, name, step, "fail", reason)
        left = [each.step for each in past_of(there.store, name).in_doubt()]
        if left:
            streams.say(f"still in doubt: flowc resolve {name}{place.said} {shlex.quote(left[0])} ...")
        else:
            streams.say(f"to go on with the run: flowc resume {name}{place.said}")
    return FINE
