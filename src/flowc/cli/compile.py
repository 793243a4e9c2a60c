"""`flowc compile`: a program to an artifact, or any stage of it to text."""

import click

from flowc.cli import files, options
from flowc.cli.failure import UsageProblem

FORMS = ("tree", "flow", "opt", "plan", "llvm", "asm", "mermaid", "dot", "json")


@click.command("compile")
@click.argument("path", metavar="FILE")
@click.option(
    "-o", "--output", metavar="FILE", help="Where to write; default FILE.flowc, or stdout with --emit."
)
@click.option(
    "--emit", type=click.Choice(FORMS), help="Print a stage instead: the tree, the IR, the plan, native code."
)
@click.option(
    "--flow", "flow_name", help="The flow that mermaid and dot draw; default: main, else the only one."
)
@options.level
@options.target
@click.option(
    "--pass-pipeline", "pipeline", metavar="PIPELINE", help='Passes instead of -O, as in "cse,dce".'
)
@click.option(
    "--print-ir-after-all", "print_after_all", is_flag=True, help="Print the IR after each pass on stderr."
)
@click.option("--time-passes", "time_passes", is_flag=True, help="Print on stderr how long each pass took.")
@click.option("--remarks", is_flag=True, help="Print on stderr what passes did, and why not more.")
@options.colour
def command(
    path: str,
    output: str | None,
    emit: str | None,
    flow_name: str | None,
    level: int,
    target: str,
    pipeline: str | None,
    print_after_all: bool,
    time_passes: bool,
    remarks: bool,
) -> None:
    """Compile FILE to a .flowc artifact, which runs without the compiler."""
    del target  # there is one so far; the option says so
    if path.endswith(files.ARTIFACT):
        raise UsageProblem(
            "E0688", f"{path} is already compiled", help="compile the .flow file that it was made from"
        )
    from flowc.cli.compilation import compile_file, print_after

    compiled = compile_file(path, level, pipeline, observe=print_after if print_after_all else None)
