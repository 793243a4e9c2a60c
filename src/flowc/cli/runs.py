"""`flowc runs`: the runs of a journal, newest first."""

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from flowc.cli import journals, options, streams
from flowc.cli.failure import FINE

if TYPE_CHECKING:
    from flowc.runtime.durable.listing import Listed

SHOWN = 50
"""Runs that are listed for a person unless another number is asked for."""
STATUSES = (
    "ok", "failed", "over-budget", "waiting", "in-doubt", "cancelled", "interrupted", "running", "damaged"
)  # fmt: skip


@click.command("runs")
@click.option(
    "--limit", type=click.IntRange(min=1), metavar="N", help=f"At most N; default: {SHOWN}, all in JSON."
)
@click.option("--status", type=click.Choice(STATUSES), help="Only runs of this status.")
@journals.journal
@options.output_format
@options.colour
def command(limit: int | None, status: str | None, journal: str | None, output_format: str) -> int:
    """List the runs that are kept, newest first.

    A run without an end is `running` where a living process has it, `in-doubt` where a call may have happened
    or not, else `interrupted`.
    """
    from flowc.runtime.durable.listing import listed

    with journals.opened(journal) as (there, _):
        if output_format == "json":
            found = [each.to_json() for each in listed(there.store, status=status, limit=limit)]
            streams.write(json.dumps(found, ensure_ascii=False))
            return FINE
        most = limit or SHOWN
        rows = list(listed(there.store, status=status, limit=most + 1))
    if not rows:
        streams.say("no runs are kept here" + (f" with the status {status}" if status else ""))
        return FINE
    streams.write(table([HEADINGS, *map(_cells, rows[:most])]))
    if not all(row.run for row in rows[:most]):
        streams.say("runs without a name began in this journal and are there no more: flowc explain E0910")
    if len(rows) > most:
        streams.say(f"older ones are left out: --limit N lists more than {most}")
    return FINE


HEADINGS = ("run", "status", "flow", "program", "begun", "took")


def _cells(row: "Listed") -> tuple[str, ...]:
    from flowc.runtime.trace.summary import duration
    from flowc.runtime.visible import visible

    took = (
        "" if row.begun is None or row.changed is None else duration(max(0.0, row.changed - row.begun) * 1e3)
    )
    return (row.run or "?", row.status, row.flow, visible(Path(row.program).name), when(row.begun), took)


def when(seconds: float | None) -> str:
    """A time as the clock on the wall shows it."""
    from datetime import datetime

    return "" if seconds is None else datetime.fromtimestamp(seconds).strftime("%Y-%m-%d %H:%M:%S")


def table(rows: "list[tuple[str, ...]]") -> str:
    """Rows in columns as wide as their widest cell."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    )
