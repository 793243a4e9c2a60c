"""`flowc opt`: IR text in, IR text out, as mlir-opt does it."""

import click

from flowc.cli import files, options, streams


@click.command("opt")
@click.argument("path", metavar="FILE", default="-")
@click.option(
    "-p",
    "--passes",
    "pipeline",
    default="",
    metavar="PIPELINE",
    help='Passes to run, as in "canonicalise,cse,dce".',
)
@options.colour
def command(path: str, pipeline: str) -> None:
    """Run PIPELINE over the IR in FILE (or stdin) and print the IR that comes out.

    A .flow file is lowered first.
    """
    from flowc.compiler.opt import opt
    from flowc.compiler.parser import decode

    shown = "<stdin>" if path == files.STDIN else path
    streams.write(opt(decode(files.read_bytes(path), shown), shown, pipeline))
