"""`flowc fmt`: one layout for every program; comments stay, meaning stays."""

import difflib

import click

from flowc.cli import files, options, streams
from flowc.cli.failure import FINE, PROGRAM


@click.command("fmt")
@click.argument("paths", nargs=-1, required=True, metavar="FILE...")
@click.option(
    "--check", "check_only", is_flag=True, help="Change nothing; exit with 1 if a file would change."
)
@click.option(
    "--diff", "show_diff", is_flag=True, help="Change nothing; print what would change; exit as --check does."
)
@options.colour
def command(paths: tuple[str, ...], check_only: bool, show_diff: bool) -> int:
    """Format programs in place. `-` reads stdin and writes stdout."""
    changed = [path for path in paths if _format(path, check_only or show_diff, show_diff)]
    if changed and (check_only or show_diff):
        return PROGRAM
    return FINE


def _format(path: str, keep: bool, show_diff: bool) -> bool:
    """Formats one file; whether it differs from its formatted form."""
    from flowc.compiler.formatter import format_text
    from flowc.compiler.parser import decode

    shown = "<stdin>" if path == files.STDIN else path
    text = decode(files.read_bytes(path), shown)
    formatted = format_text(text, shown)
    if show_diff:
        before, after = text.splitlines(keepends=True), formatted.splitlines(keepends=True)
        for line in difflib.unified_diff(before, after, shown, f"{shown} (formatted)"):
            streams.write(line)
    elif path == files.STDIN and not keep:
        streams.write(formatted)
    elif formatted != text:
        streams.say(f"{'would format' if keep else 'formatted'} {shown}")
        if not keep:
            files.write_file(path, formatted)
    return formatted != text
