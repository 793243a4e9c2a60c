"""Turns whatever ended a command into words on stderr and an exit status."""

import errno
import sys
import tempfile
import traceback
from collections.abc import Sequence
from pathlib import Path

import click

from flowc.compiler.diagnostics.model import CompileError, Diagnostic
from flowc.runtime.errors import FlowError

FINE, PROGRAM, USAGE, RUN, WAITING, INTERRUPTED = 0, 1, 2, 3, 4, 130
"""Exit statuses; the last is the shell's own for Ctrl-C."""

WRONGLY_NAMED = ("E0911", "E0920", "E0922", "E0923", "E0924")
"""A journal, a run or a step of it that is not what a command needs, and what was told of it."""


class UsageProblem(Exception):
    """A wrong argument, file or option: one diagnostic without a place in a program."""

    def __init__(self, code: str, title: str, *, why: str = "", help: str = "") -> None:
        super().__init__(f"{code}: {title}")
        self.diagnostic = Diagnostic(code, title, why=why, help=help)


def report(error: BaseException, words: Sequence[str]) -> int:
    """Prints what ended the command `flowc WORDS` and gives the exit status."""
    from flowc.cli.streams import show_compile_error, show_diagnostic, show_problem

    match error:
        case CompileError():
            show_compile_error(error)
            return PROGRAM
        case FlowError():
            show_problem(error.problem, None)
            return status_of(error.problem.code)
        case UsageProblem():
            show_diagnostic(error.diagnostic, None)
            return USAGE
        case click.exceptions.NoArgsIsHelpError():
            print(error.format_message(), file=sys.stderr)
            return USAGE
        case click.ClickException():
            show_diagnostic(_usage_diagnostic(error), None)
            return USAGE
        case OSError(errno=errno.ENOSPC):
            show_diagnostic(Diagnostic("E0682", "the output cannot be written", why=str(error)), None)
            return USAGE
        case click.Abort() | KeyboardInterrupt():
            print("interrupted", file=sys.stderr)
            return INTERRUPTED
    print(_internal(error, words), file=sys.stderr)
    return USAGE


def status_of(code: str) -> int:
    """The status where a run never began: arguments, flowc.toml, the name of a run and what describes a
    simulation are usage, an artifact is the program.
    """
    if (
        code in WRONGLY_NAMED
        or code in ("E0658", "E0659")
        or "E0647" <= code <= "E0655"
        or "E0701" <= code <= "E0706"
    ):
        return USAGE
    return PROGRAM if code.startswith("E06") else RUN


def _usage_diagnostic(error: click.ClickException) -> Diagnostic:
    message = error.format_message().split(" Did you mean")[0].rstrip(".?")
    near = getattr(error, "possibilities", None)
    help_line = ""
    if near:
        help_line = f"did you mean {' or '.join(near)}?"
    elif isinstance(error, click.UsageError) and error.ctx is not None:
        help_line = f"`{error.ctx.command_path} --help` lists what there is"
    return Diagnostic("E0670", message[:1].lower() + message[1:], help=help_line)


def _internal(error: BaseException, words: Sequence[str]) -> str:
    lines = [
        f"internal error: flowc itself failed ({type(error).__name__}), not your program",
        "  = why: this should never happen; whatever the input was, flowc owed you a diagnostic",
    ]
    path = _keep_report(error, words)
    if path is not None:
        lines.append(f"  = help: please send {path}: it holds the input and what went wrong where")
    return "\n".join(lines)


def _keep_report(error: BaseException, words: Sequence[str]) -> Path | None:
    """Writes a file with the command, its input files and the traceback; argument values are left out."""
    import importlib.metadata
    import platform

    named = [Path(word) for word in words if word.endswith((".flow", ".mlir", ".ir"))]
    parts = [
        f"flowc {importlib.metadata.version('flowc')}, Python {platform.python_version()}",
        platform.platform(),
        "flowc " + " ".join(word.split("=", 1)[0] + "=..." if "=" in word else word for word in words),
        "".join(traceback.format_exception(error)),
    ]
    parts += [
        f"--- {path}\n{path.read_bytes()[:1_000_000].decode(errors='replace')}"
        for path in named
        if path.is_file()
    ]
    try:
        with tempfile.NamedTemporaryFile(
            "w", prefix="flowc-report-", suffix=".txt", delete=False, encoding="utf-8"
        ) as file:
            file.write("\n\n".join(parts))
        return Path(file.name)
    except OSError:
        return None
