"""`flowc resume`: goes on with a kept run where it stopped, in whatever way it stopped."""

from typing import Any

import click

from flowc.cli import journals, options
from flowc.cli.once import Settings, given_settings


@click.command("resume")
@click.argument("run", metavar="RUN")
@click.option(
    "--migrate", is_flag=True, help="Go on under a program that has changed, once that is agreed to."
)
@click.option("--yes", is_flag=True, help="Agree to what --migrate tells.")
@journals.journal
@options.going_on
@options.colour
def command(run: str, migrate: bool, yes: bool, journal: str | None, program: str | None, **rest: Any) -> int:
    """Go on with a kept RUN, by its name, the beginning of it, or `last`.

    What is done is not done again. A run that has ended tells its result once more.
    """
    settings: Settings = given_settings(**rest)
    with journals.kept_run(run, journal) as (there, place, name):
        from flowc.cli.going_on import resume

        return resume(there, place, name, settings, program=program, migrate=migrate, yes=yes)
