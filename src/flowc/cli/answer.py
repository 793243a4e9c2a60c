"""`flowc answer`: answers what a run waits for, and goes on with it."""

from typing import Any

import click

from flowc.cli import journals, options, streams
from flowc.cli.failure import FINE
from flowc.cli.once import Settings, given_settings


@click.command("answer")
@click.argument("run", metavar="RUN")
@click.argument("step", metavar="STEP")
@click.argument("value", metavar="VALUE")
@click.option("--no-resume", is_flag=True, help="Write the answer down, and do not go on with the run.")
@journals.journal
@options.going_on
@options.colour
def command(
    run: str, step: str, value: str, no_resume: bool, journal: str | None, program: str | None, **rest: Any
) -> int:
    """Answer what RUN waits for at STEP, and go on with it.

    STEP may be the name of the human or event, where one step waits for it. VALUE is read by its type, as
    in NAME=VALUE of `flowc run`.
    """
    settings: Settings = given_settings(**rest)
    with journals.kept_run(run, journal) as (there, place, name):
        from flowc.cli.going_on import resume
        from flowc.runtime.durable.telling import answer

        found = answer(there, name, step, value)
        if not no_resume:
            return resume(there, place, name, settings, program=program)
        streams.say(f"{found} is answered; to go on with the run: flowc resume {name}{place.said}")
        return FINE
