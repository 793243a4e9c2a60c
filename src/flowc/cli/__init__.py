"""The `flowc` command: each subcommand is a file of this package, imported only when it is used."""

import click

from flowc.cli.group import LazyGroup

COMMANDS = {
    "check": ("flowc.cli.check", "Check a program: names, types, shapes, labels, effects, limits."),
    "fmt": ("flowc.cli.fmt", "Format programs in place, or say which would change."),
    "compile": ("flowc.cli.compile", "Compile a program to an artifact, or print any stage of it."),
    "warm": ("flowc.cli.warm", "Compile kernels into the cache before they are needed."),
    "run": ("flowc.cli.run", "Run a program or an artifact."),
    "runs": ("flowc.cli.runs", "List the runs that are kept."),
    "show": ("flowc.cli.show", "Show a kept run: its steps, what it waits for, what is in doubt."),
    "resume": ("flowc.cli.resume", "Go on with a kept run where it stopped."),
    "answer": ("flowc.cli.answer", "Answer what a run waits for, and go on with it."),
    "resolve": ("flowc.cli.resolve", "Say how a call ended that is in doubt."),
    "replay": ("flowc.cli.replay", "Make a kept run once more over what is kept, and compare."),
    "fork": ("flowc.cli.fork", "Begin a run that shares what a kept run did before a step."),
    "simulate": ("flowc.cli.simulate", "Simulate a program or a recorded workflow on a described cluster."),
    "tune": ("flowc.cli.tune", "Fit the cost model to this machine, or a simulated endpoint to a trace."),
    "import": ("flowc.cli.import_", "Print a program of another system as a flowc program."),
    "opt": ("flowc.cli.opt", "Read IR text, run a pass pipeline, print IR text."),
    "explain": ("flowc.cli.explain", "Explain a diagnostic code, or list them all."),
    "graph": ("flowc.cli.graph", "Draw a program's plan as Mermaid, dot or SVG."),
}
"""Every command: the module whose `command` it is, and the line that `flowc --help` shows."""

EPILOG = (
    "Exit status: 0 fine; 1 the program has errors; 2 usage or internal; "
    "3 a run failed or spent its budget; 4 a run waits for a person or is in doubt."
)


@click.group(
    cls=LazyGroup,
    commands_by_name=COMMANDS,
    name="flowc",
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog=EPILOG,
)
@click.version_option(package_name="flowc", message="%(prog)s %(version)s")
def main() -> None:
    """A compiler and runtime for typed agentic programs.

    LLM calls, tools, people and tensor mathematics in one checked graph.
    """
