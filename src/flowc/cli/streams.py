"""Where output goes and how: results plainly on stdout, all else on stderr, in colour where wanted."""

import contextlib
import io
import os
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, TextIO

from flowc.compiler.diagnostics.model import CompileError, Diagnostic, Label, Source
from flowc.compiler.spans import Span
from flowc.runtime.errors import Problem

if TYPE_CHECKING:
    from rich.console import Console

WIDTH = 100
"""Columns where stderr is no terminal, so that a log does not depend on who wrote it."""

_chosen = {"colour": "auto"}


def choose_colour(value: str) -> None:
    """Takes the `--color` of the running command: auto, always or never."""
    _chosen["colour"] = value


def coloured() -> bool:
    """Whether stderr is coloured: `--color` decides, then NO_COLOR and TERM, then the terminal."""
    if _chosen["colour"] != "auto":
        return _chosen["colour"] == "always"
    return not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb" and sys.stderr.isatty()


def stderr() -> "Console":
    """A console on stderr. Made anew each time, for tests replace the stream."""
    from rich.console import Console

    if coloured():
        return Console(stderr=True, force_terminal=True, highlight=False)
    width = None if sys.stderr.isatty() else WIDTH
    return Console(stderr=True, force_terminal=False, no_color=True, highlight=False, width=width)


_results: list[TextIO] = []
"""The stream that `only_results` keeps for results; the last one counts."""


def write(text: str) -> None:
    """Prints a result on stdout, with a line end; what stdout cannot encode is written as `\\uXXXX`."""
    stream = _results[-1] if _results else sys.stdout
    line = text if text.endswith("\n") else text + "\n"
    try:
        stream.write(line)
    except UnicodeEncodeError as error:
        stream.write(line.encode(error.encoding, "backslashreplace").decode(error.encoding))


@contextlib.contextmanager
def only_results() -> Iterator[None]:
    """Keeps stdout for `write`: what tools and the processes that they start print goes to stderr."""
    with contextlib.ExitStack() as stack:
        _results.append(stack.enter_context(_own_stdout()))
        stack.callback(_results.pop)
        stack.enter_context(contextlib.redirect_stdout(sys.stderr))
        yield


@contextlib.contextmanager
def _own_stdout() -> Iterator[TextIO]:
    """A stream to where stdout leads now; until the end descriptor 1 leads to stderr."""
    stdout = sys.stdout
    if _descriptor(stdout) != 1:  # replaced from within Python, and so out of reach of other processes
        yield stdout
        return
    stdout.flush()
    kept = os.dup(1)
    _lead_to_stderr(1)
    try:
        with open(kept, "w", encoding=stdout.encoding, errors=stdout.errors, closefd=False) as stream:
            yield stream
    finally:
        os.dup2(kept, 1)
        os.close(kept)


def _descriptor(stream: TextIO | None) -> int | None:
    """The file descriptor that a stream writes to, where it has one."""
    try:
        return None if stream is None else stream.fileno()
    except (io.UnsupportedOperation, ValueError):
        return None


def _lead_to_stderr(descriptor: int) -> None:
    """Makes a descriptor lead to where stderr leads; to nowhere where stderr is closed."""
    try:
        os.dup2(2, descriptor)
    except OSError:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, descriptor)
        os.close(nowhere)


def say(text: str) -> None:
    """Prints a plain message on stderr."""
    print(text, file=sys.stderr)


def show_diagnostic(diagnostic: Diagnostic, source: Source | None) -> None:
    """Draws one diagnostic on stderr."""
    from flowc.compiler.diagnostics import render

    drawn_from = source or Source(diagnostic.path or "", "")
    if coloured():
        stderr().print(render.render(diagnostic, drawn_from), soft_wrap=True, end="")
    else:
        sys.stderr.write(render.render_plain(diagnostic, drawn_from))


def show_compile_error(error: CompileError) -> None:
    """Draws all that is wrong with a program, and counts it."""
    for diagnostic in error.diagnostics:
        show_diagnostic(diagnostic, error.source)
    errors = sum(diagnostic.severity == "error" for diagnostic in error.diagnostics)
    if errors > 1:
        say(f"{errors} errors")


def show_problem(problem: Problem, source: Source | None) -> None:
    """Draws what went wrong in a run, at its place in the program where that is known."""
    show_diagnostic(problem_diagnostic(problem, source), source)


def show_warning(problem: Problem) -> None:
    """Draws what went wrong without ending anything."""
    from attrs import evolve

    show_diagnostic(evolve(problem_diagnostic(problem, None), severity="warning"), None)


def problem_diagnostic(problem: Problem, source: Source | None) -> Diagnostic:
    """A run's problem in the form of the compiler's diagnostics."""
    labels: tuple[Label, ...] = ()
    if source is not None and problem.line:
        labels = (Label(_statement_at(source, problem.line, problem.column)),)
    return Diagnostic(problem.code, problem.message, labels, why=problem.why, help=problem.help)


def _statement_at(source: Source, line: int, column: int) -> Span:
    """From the place to the end of its line; the plan knows where a node begins, not where it ends."""
    lines = source.text.split("\n")
    text = lines[line - 1].rstrip() if line <= len(lines) else ""
    start = column or len(text) - len(text.lstrip()) + 1
    return Span(line, start, line, max(len(text) + 1, start + 1))
