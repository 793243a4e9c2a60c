"""`flowc import`: programs of other systems, as text of this language."""

import click

from flowc.cli import files, options, streams


@click.command("import")
@click.argument("form", metavar="FORMAT", type=click.Choice(["halo", "llmcompiler", "wfcommons"]))
@click.argument("path", metavar="FILE")
@click.option("-o", "--output", metavar="FILE", help="Write to a file instead of stdout.")
@click.option(
    "--config",
    metavar="FILE",
    help="Write a flowc.toml, too: the models of a halo graph, the exact times of a wfcommons workflow.",
)
@options.colour
def command(form: str, path: str, output: str | None, config: str | None) -> None:
    """Print FILE, a program of another system, as a program that checks and runs alone.

    FORMAT is halo (a graph of agents, SQL and HTTP as YAML), llmcompiler (a plan of lines
    `N. tool(arguments)`) or wfcommons (a recorded workflow, WfFormat 1.5, as JSON or compressed by gzip).
    `-` reads stdin. Steps become calls of tools that `--provider simulated` can stand in for, until they
    are given functions.
    """
    from flowc.compiler.importers import CONFIGURED, configuration, importer
    from flowc.compiler.parser import decode

    if config is not None and form not in CONFIGURED:
        raise click.UsageError(f"--config belongs to {', '.join(CONFIGURED)}: {form} knows no settings")
    shown = "<stdin>" if path == files.STDIN else path
    if form == "wfcommons":
        from flowc.compiler.importers.wfcommons.packed import MOST_BYTES, unpacked

        given = unpacked(files.read_bytes(path, MOST_BYTES), shown)
    else:
        given = decode(files.read_bytes(path), shown)
    text = importer(form)(given, shown)
    if form == "wfcommons":
        from flowc.compiler.importers.wfcommons import warnings

        for warning in warnings(given, shown):
            streams.show_diagnostic(warning, None)
    if config is not None:
        files.write_file(config, configuration(form)(given, shown))
    if output is None:
        streams.write(text)
    else:
        files.write_file(output, text)
