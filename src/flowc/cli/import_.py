"""`flowc import`: programs of other systems, as text of this language."""

import click

from flowc.cli import files, options, streams


@click.command("import")
@click.argument("form", metavar="FORMAT", type=click.Choice(["llmcompiler"]))
@click.argument("path", metavar="FILE")
@click.option("-o", "--output", metavar="FILE", help="Write to a file instead of stdout.")
@options.colour
def command(form: str, path: str, output: str | None) -> None:
    """Print FILE, a program of another system, as a program that checks and runs alone.

    FORMAT is llmcompiler: a plan of lines `N. tool(arguments)`. `-` reads stdin. Steps become calls of tools
    that `--provider simulated` can stand in for, until they are given functions.
    """
    from flowc.compiler.importers import importer
    from flowc.compiler.parser import decode

    shown = "<stdin>" if path == files.STDIN else path
    text = importer(form)(decode(files.read_bytes(path), shown), shown)
    if output is None:
        streams.write(text)
    else:
        files.write_file(output, text)
