"""Recorded scientific workflows (WfFormat 1.5 of WfCommons) as programs, and as task graphs to simulate.

The format: https://github.com/wfcommons/WfFormat. Coleman et al., "WfCommons: a framework for enabling
scientific workflow research and development", Future Generation Computer Systems 128, 2022.
"""

from flowc.compiler.diagnostics.model import CompileError, Diagnostic, Source
from flowc.compiler.formatter import format_text
from flowc.compiler.importers.wfcommons.packed import refused
from flowc.compiler.importers.wfcommons.program import MOST_STEPS, program, settings
from flowc.compiler.importers.wfcommons.reading import read

_SIMULATE = "`flowc simulate` takes it as it is"


def convert(text: str, path: str) -> str:
    """The program of a workflow, formatted. Raises CompileError (E0674, E0698, E0699)."""
    workflow = read(text, path)
    tasks = len(workflow.graph.tasks)
    if tasks > MOST_STEPS:
        why = f"this workflow has {tasks:,}"
        raise refused(path, f"a program is made of at most {MOST_STEPS:,} tasks", why, _SIMULATE)
    made = program(workflow)
    try:
        return format_text(made, path)
    except CompileError as error:  # the program passes a limit of the language: its places are not the file's
        title = f"this workflow makes no program: {error.diagnostics[0].title}"
        raise CompileError(Source(path, text), (Diagnostic("E0698", title, help=_SIMULATE),)) from None


def warnings(text: str, path: str) -> tuple[Diagnostic, ...]:
    """What is to be said of a workflow that `convert` takes: times that could not be used (E0675)."""
    return read(text, path).warnings


def configure(text: str, path: str) -> str:
    """The flowc.toml in which each tool takes exactly the recorded time; raises what `convert` raises."""
    return settings(read(text, path))
