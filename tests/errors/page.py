"""Reads an error page, writes its files, and runs its commands.

A page has two sections, Wrong and Right. Each holds files and one console block. A file is a fenced block
whose info string is a language and a name (`flow main.flow`); Right begins with the files of Wrong and
replaces some. A block of the language `pieces` gives a file that is too large or too odd to write down:
each line is a quoted string with Python's escapes, alone or followed by `* N`, or by `indented N times`;
all are joined, one byte a character.

A console block begins with `$ flowc ...` or `$ python ...`; what follows is all that the command prints,
and `exit: N` where the status N is not 0. A line `host: reason` stands in place of a block that depends on
the machine.
"""

import ast
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

from attrs import frozen
from click.testing import CliRunner

from flowc.cli import main
from tests.forked import run_forked

_PLAIN = {"NO_COLOR": "1", "COLUMNS": "100"}
_AHEAD = "from tests.imported import fork_flowc; fork_flowc()"
_FENCE = re.compile(r"^```(?P<language>\w+)[ \t]*(?P<name>\S*)\n(?P<body>.*?)^```$", re.MULTILINE | re.DOTALL)
_PIECE = re.compile(r'(?P<text>".*")(?: \* (?P<count>\d+)| indented (?P<levels>\d+) times)?')


_ACCOUNT = re.compile(
    r"^(?:[a-z-]+ after )?[\d.,]+ (?:us|ms|s|min) for \d+ nodes;.*\n"
    r"critical path .*\n\d+ calls, .*\n?(?:  \d+ x .*\n?)*",
    re.MULTILINE,
)
"""The last lines of a run: how long it took, which no two runs agree on."""


_RUN = re.compile(r"\b[0-9a-f]{16}\b")
"""The name of a run, which is drawn anew each time."""


@frozen
class Section:
    """Files, the recorded console text with its place in the page, and whether it depends on the machine."""

    files: dict[str, bytes]
    console: str
    start: int
    end: int
    host: bool


@frozen
class Outcome:
    """What a command printed, and its exit status."""

    printed: str
    status: int


def sections(page: str) -> tuple[Section, Section]:
    """The Wrong and the Right section of a page."""
    wrong_at, right_at = page.index("\n## Wrong\n"), page.index("\n## Right\n")
    wrong = _section(page, wrong_at, right_at, {})
    return wrong, _section(page, right_at, len(page), wrong.files)


def _section(page: str, start: int, end: int, files: dict[str, bytes]) -> Section:
    files = dict(files)
    console, place = "", (0, 0)
    for fence in _FENCE.finditer(page, start, end):
        if fence["language"] == "console":
            console, place = fence["body"], fence.span("body")
        elif fence["language"] == "pieces":
            files[fence["name"]] = _pieces(fence["body"])
        elif fence["name"]:
            files[fence["name"]] = fence["body"].encode()
    host = re.search(r"^host: \S", page[start:end], re.MULTILINE) is not None
    return Section(files, console, *place, host)


def _pieces(body: str) -> bytes:
    made = []
    for line in body.splitlines():
        piece = _PIECE.fullmatch(line)
        assert piece is not None, f"no piece: {line}"
        text = ast.literal_eval(piece["text"])
        levels = range(int(piece["levels"] or 0))
        made.append("".join(" " * level + text for level in levels) or text * int(piece["count"] or 1))
    return "".join(made).encode("latin-1")


def command(section: Section) -> str:
    """The section's command line."""
    first = section.console.split("\n", 1)[0]
    assert first.startswith(("$ flowc ", "$ python ")), (
        f"a console block begins with `$ flowc`, not {first!r}"
    )
    return first


def run(section: Section, folder: Path) -> Outcome:
    """Writes the files to `folder`, the current one, and runs the command there."""
    for name, content in section.files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    program, *words = shlex.split(command(section))[1:]
    if program == "python":
        return _python(words, folder)
    result = CliRunner(env=_PLAIN).invoke(main, words)
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return Outcome(_printed(result.output), result.exit_code)


def _printed(output: str) -> str:
    """What is printed, without what differs from run to run."""
    return _RUN.sub("3f2a9c1d5b7e8046", _ACCOUNT.sub("", output)).strip("\n")


def _python(words: list[str], folder: Path) -> Outcome:
    if len(words) > 1 or words == ["without.py"]:  # this one needs a process in which nothing is imported
        result = subprocess.run(
            [sys.executable, *words],
            cwd=folder,
            env=os.environ | _PLAIN,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            timeout=60,
        )
        return Outcome(_printed(result.stdout), result.returncode)
    done = run_forked(
        (folder / words[0]).read_text(encoding="utf-8"),
        tuple(words),
        ahead=_AHEAD,
        folder=folder,
        environment=os.environ | _PLAIN,
        together=True,
        at_once=True,
    )
    return Outcome(_printed(done.out), done.status)


def recorded(section: Section) -> Outcome:
    """What the page says that the command prints, and its status."""
    lines = section.console.rstrip("\n").split("\n")[1:]
    status = 0
    if lines and lines[-1].startswith("exit: "):
        status = int(lines.pop().removeprefix("exit: "))
    return Outcome("\n".join(lines).strip("\n"), status)


def console(section: Section, outcome: Outcome) -> str:
    """The console block's text for an outcome."""
    lines = [command(section), *([outcome.printed] if outcome.printed else [])]
    if outcome.status:
        lines.append(f"exit: {outcome.status}")
    return "\n".join(lines) + "\n"
