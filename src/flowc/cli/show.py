"""`flowc show`: one run, step by step."""

import json
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from flowc.cli import journals, options, results, streams
from flowc.cli.failure import FINE

if TYPE_CHECKING:
    from flowc.runtime.durable.looking import Look
    from flowc.runtime.durable.runs import Journal

SHORT = 60
"""Characters of a value that are shown on a line."""


@click.command("show")
@click.argument("run", metavar="RUN")
@click.option("--source", is_flag=True, help="Print the text of the program as the run began with it.")
@click.option(
    "--prov",
    is_flag=False,
    flag_value="-",
    metavar="[FILE]",
    help="Write where every value came from, as W3C PROV-JSON; on stdout, unless FILE is given.",
)
@journals.journal
@options.output_format
@options.colour
def command(run: str, source: bool, prov: str | None, journal: str | None, output_format: str) -> int:
    """Show a kept RUN: its arguments, its steps, what it took, what it waits for, what is in doubt."""
    from flowc.runtime.durable.looking import look, look_json
    from flowc.runtime.durable.runs import named, part_of

    with results.any_digits(), journals.opened(journal) as (there, place):
        name = named(there.store, run)
        if prov is not None:
            _write_provenance(there, name, prov)
            return FINE
        found = look(there.store, name)
        if source:
            from flowc.cli.keeping import SOURCE

            streams.write((part_of(there.store, found.past.head, SOURCE) or b"").decode())
        elif output_format == "json":
            streams.write(json.dumps(look_json(found), ensure_ascii=False))
        else:
            streams.write(_text(found, look_json(found), place))
    return FINE


def _write_provenance(there: "Journal", run: str, path: str) -> None:
    from flowc.cli.as_kept import as_kept
    from flowc.cli.files import write_file
    from flowc.runtime.durable.provenance import provenance
    from flowc.runtime.durable.runs import past_of
    from flowc.runtime.environment import Environment

    kernels = as_kept(there, past_of(there.store, run).head).kernels
    world = Environment(provider="offline", kernels=kernels)
    written = json.dumps(provenance(there.store, run, world), indent=1)
    if path == "-":
        streams.write(written)
    else:
        write_file(path, written)


def _text(found: "Look", told: dict[str, Any], place: journals.Place) -> str:
    from flowc.cli.runs import table, when
    from flowc.runtime.visible import visible

    program = Path(told["program"]).name or "a program from standard input"
    lines = [
        f"run {found.run}: {found.status}",
        f"{told['flow']} of {visible(program)}, begun {when(told['begun'])}" + _sessions(told["sessions"]),
    ]
    lines += [f"  {name} = {_short(value)}" for name, value in told["arguments"].items()]
    if told["steps"]:
        rows = [("step", "status", "attempts", "took", ""), *(_row(step) for step in told["steps"])]
        lines += ["", table(rows)]
    lines += ["", _spent(told["spent"], told["left"])]
    named = f"{found.run}{place.said}"
    for each in told["waiting"]:
        choices = "/".join(each["choices"] or ()) or each["type"]
        lines += ["", f"{each['operation']} ({choices}): {visible(each['prompt'])}"]
        lines += [f"  flowc answer {named} {shlex.quote(each['step'])} VALUE"]
    for each in told["in_doubt"]:
        given = ", ".join(f"{name}={_short(value)}" for name, value in each["arguments"].items())
        lines += ["", f"in doubt: {each['operation']}({given}) may have happened or not"]
        step = shlex.quote(each["step"])
        lines += [f"  flowc resolve {named} {step} --done RESULT | --retry | --fail"]
    if found.status == "ok":
        lines += ["", results.value_text(found.value(found.past.ending["result"]))]
    elif "code" in told and not told["waiting"] and not told["in_doubt"]:
        lines += ["", f"error[{told['code']}]: {visible(told['message'])}"]
    return "\n".join(lines)


def _sessions(count: int) -> str:
    return "" if count == 1 else f", gone on with {count - 1} time{'s' if count > 2 else ''}"


def _row(step: dict[str, Any]) -> tuple[str, ...]:
    from flowc.runtime.trace.summary import duration
    from flowc.runtime.visible import visible

    timed = step["began"] is not None and step["ended"] is not None
    took = duration(max(0.0, step["ended"] - step["began"]) * 1e3) if timed else ""
    what = f"{step['code']}: {visible(step['message'])}" if "code" in step else ""
    if "result" in step:
        what = _short(step["result"])
    return (step["step"], step["status"], str(step["attempts"] or ""), took, what)


def _short(value: object) -> str:
    from flowc.runtime.visible import visible

    whole = json.dumps(value, ensure_ascii=False)
    return visible(whole if len(whole) <= SHORT else whole[: SHORT - 3] + "...")


def _spent(spent: dict[str, Any], left: dict[str, Any]) -> str:
    tokens = f"{spent['tokens_in']:,} tokens in, {spent['tokens_out']:,} out"
    line = f"spent: {spent['calls']:,} calls, {tokens}, ${spent['cost_usd']:.4f}"
    words = {"calls": "{:,} calls", "tokens": "{:,} tokens", "cost_usd": "${:.4f}"}
    rest = ", ".join(words[name].format(amount) for name, amount in left.items())
    return line + (f"; left: {rest}" if rest else "")
