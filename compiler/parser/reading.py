"""Bytes to text: encoding, line ends, and the limits that are cheaper to check on the whole."""

import re

from flowc.compiler.diagnostics.model import CompileError, Diagnostic, Label, Source
from flowc.compiler.parser import limits
from flowc.compiler.parser.problem import SyntaxProblem, problem
from flowc.compiler.parser.strange import too_long
from flowc.compiler.syntax import Span

_INVISIBLE = re.compile("[\0\u202a-\u202e\u2066-\u2069\u200b\ufeff]")


def decode(data: bytes, path: str) -> str:
    """The text of a program's file. Raises `CompileError` where the file is too large or no UTF-8."""
    if len(data) > limits.MAX_BYTES:
        diagnostic = Diagnostic(
            "E0040",
            f"the file is larger than {limits.MAX_BYTES // 2**20} MB",
            why=f"it has {len(data):,} bytes",
            help="give data as arguments (`flowc run --args FILE.json`), not as program text",
            path=path,
        )
        raise CompileError(Source(path, ""), (diagnostic,))
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise _not_utf8(data, error, path) from None
    return unix_lines(text)


def unix_lines(text: str) -> str:
    """The text with one kind of line end; lines and columns stay the same."""
    return text.replace("\r\n", "\n")


def _not_utf8(data: bytes, error: UnicodeDecodeError, path: str) -> CompileError:
    before = data[: error.start].decode("utf-8-sig").replace("\r\n", "\n")
    line = before.count("\n") + 1
    column = len(before) - before.rfind("\n")
    begin = data.rfind(b"\n", 0, error.start) + 1
    end = data.find(b"\n", error.start)
    shown = data[begin : min(end if end >= 0 else len(data), error.start + 200)].decode("utf-8", "replace")
    text = "\n" * (line - 1) + shown.lstrip("\ufeff")
    label = Label(Span(line, column, line, column + 1), f"byte 0x{data[error.start]:02x}")
    return CompileError(
        Source(path, text),
        (Diagnostic("E0045", "the file is not UTF-8", (label,), help="save it as UTF-8", path=path),),
    )


def check_text(text: str) -> None:
    """Raises a SyntaxProblem for what no part of a program may hold, or for too much of it."""
    found = _INVISIBLE.search(text)
    if found is not None:
        raise _invisible(text, found.start())
    if (lines := text.count("\n")) > limits.MAX_LINES:
        raise too_long(limits.MAX_LINES, f"{lines:,} lines, more than {limits.MAX_LINES:,}")
    brackets = sum(text.count(opening) for opening in "([{")
    if brackets > limits.MAX_BRACKETS:
        raise too_long(1, f"{brackets:,} brackets, more than {limits.MAX_BRACKETS:,}")


def _invisible(text: str, offset: int) -> SyntaxProblem:
    line = text.count("\n", 0, offset) + 1
    column = offset - text.rfind("\n", 0, offset)
    code = ord(text[offset])
    return problem(
        "E0038",
        f"an invisible character, U+{code:04X}",
        Span(line, column, line, column + 1),
        why="it can make a program look different from what it does",
        help=f"remove it; a text that needs it writes `\\u{code:04x}`",
        last=True,
    )
