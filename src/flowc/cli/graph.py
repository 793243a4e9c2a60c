"""`flowc graph`: a picture of what runs and what waits for what."""

import click

from flowc.cli import files, options, streams
from flowc.cli.failure import UsageProblem
from flowc.runtime.plan import Plan


@click.command("graph")
@click.argument("path", metavar="FILE")
@click.option("--flow", "flow_name", help="The flow to draw; default: main, else the only one.")
@click.option(
    "--format", "form", type=click.Choice(["mermaid", "dot", "svg"]), default="mermaid", show_default=True
)
@click.option("-o", "--output", metavar="FILE", help="Write to a file instead of stdout.")
@options.level
@options.colour
def command(path: str, flow_name: str | None, form: str, output: str | None, level: int) -> None:
    """Draw the plan of FILE (.flow or .flowc). SVG needs graphviz's `dot`."""
    from flowc.cli.loading import load
    from flowc.runtime.plan_check import entry

    plan = load(path, level).plan
    text = draw(plan, entry(plan, flow_name).name, form)
    if output is None:
        streams.write(text)
    else:
        files.write_file(output, text)


def draw(plan: Plan, flow: str, form: str) -> str:
    """The picture of a flow in one of the three forms."""
    from flowc.compiler.graph.model import graph

    picture = graph(plan, flow)
    if form == "mermaid":
        from flowc.compiler.graph.mermaid import mermaid

        return mermaid(picture)
    from flowc.compiler.graph.dot import dot, svg

    if form == "dot":
        return dot(picture)
    drawn = svg(picture)
    if drawn is None:
        raise UsageProblem(
            "E0686",
            "graphviz is not installed, so there is no SVG",
            why="flowc draws SVG through graphviz's `dot` program",
            help="install graphviz, or use --format=mermaid",
        )
    return drawn
