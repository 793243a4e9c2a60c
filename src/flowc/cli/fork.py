"""`flowc fork`: a new run that shares with a kept one what it did before a step, and goes its own way from
there.
"""

from typing import Any

import click

from flowc.cli import arguments, journals, options, streams
from flowc.cli.failure import FINE
from flowc.cli.once import Settings, given_settings


@click.command("fork")
@click.argument("run", metavar="RUN")
@click.option("--at", "step", metavar="STEP", required=True, help="The first step that is made again.")
@click.option(
    "--set",
    "values",
    multiple=True,
    metavar="NAME=VALUE",
    help="Another value of a parameter of what STEP calls, or `result`: what it gives, without being made.",
)
@click.option("--no-resume", is_flag=True, help="Begin the fork, print its name, and do not go on with it.")
@journals.journal
@options.going_on
@options.colour
def command(
    run: str,
    step: str,
    values: tuple[str, ...],
    no_resume: bool,
    journal: str | None,
    program: str | None,
    **rest: Any,
) -> int:
    """Begin a run that shares with RUN what it did before STEP, and go on with it.

    What is shared is not made again. STEP, and what RUN did after it, is. STEP may be the name of the flow:
    then the whole is run again, with other arguments.
    """
    settings: Settings = given_settings(**rest)
    given = arguments.split_words(values, "a value to set")
    with journals.kept_run(run, journal) as (there, place, origin):
        from flowc.cli.going_on import resume
        from flowc.runtime.durable.forking import fork

        name = fork(there, origin, step, given)
        if no_resume:
            streams.write(name)
            return FINE
        streams.say(f"run {name} is a fork of {origin} at {step}")
        return resume(there, place, name, settings, program=program)
