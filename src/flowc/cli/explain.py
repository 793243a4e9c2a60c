"""`flowc explain`: the page of a diagnostic code, or the list of all codes."""

import sys

import click

from flowc.cli import options, streams
from flowc.cli.failure import UsageProblem


@click.command("explain")
@click.argument("code", required=False)
@options.colour
def command(code: str | None) -> None:
    """Explain a diagnostic CODE such as E0312; without one, list them all."""
    from flowc.compiler.diagnostics.pages import codes, page, title

    if code is None:
        for each in codes():
            streams.write(f"{each}  {title(each)}")
        return
    text = page(code.upper())
    if text is None:
        raise UsageProblem(
            "E0685", f"there is no diagnostic `{code}`", help=_suggestion(code.upper(), codes())
        )
    if streams.coloured() and sys.stdout.isatty():
        from rich.console import Console
        from rich.markdown import Markdown

        Console().print(Markdown(text))
    else:
        streams.write(text)


def _suggestion(code: str, codes: tuple[str, ...] | list[str]) -> str:
    import difflib

    close = difflib.get_close_matches(code, list(codes), n=1)
    return f"did you mean {close[0]}?" if close else "`flowc explain` lists them all"
