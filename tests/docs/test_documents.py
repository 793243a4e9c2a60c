"""Every program and every command in the documents does what the document shows.

Blocks named with a file (```flow hello.flow) are written to a folder; ```console blocks run there, command by
command, and what they print must be what is shown. `...` in shown output stands for any text.
"""

import doctest
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from attrs import frozen
from click.testing import CliRunner

from flowc.cli import main

ROOT = Path(__file__).parents[2]
DOCUMENTS = [path for path in (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))) if path.exists()]
FENCE = re.compile(r"^```(\w+)?([^\n]*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@frozen
class Block:
    """A fenced block: its language, what stands behind it, its text and its line."""

    language: str
    info: str
    text: str
    line: int


def blocks(document: Path) -> Iterator[Block]:
    text = document.read_text(encoding="utf-8")
    for found in FENCE.finditer(text):
        line = text.count("\n", 0, found.start()) + 1
        yield Block(found[1] or "", found[2].strip(), found[3], line)


def commands(block: Block) -> Iterator[tuple[str, str]]:
    """The commands of a console block with the output that is shown for each."""
    parts = re.split(r"^\$ (.*)\n", block.text, flags=re.MULTILINE)
    yield from zip(parts[1::2], parts[2::2], strict=True)


def output(command: str) -> str:
    """What a command prints on stdout and stderr together."""
    words = shlex.split(command)
    if words[0] == "flowc":
        return CliRunner().invoke(main, words[1:]).output
    assert words[0] == "python", f"a document may run flowc and python, not {words[0]}"
    done = subprocess.run([sys.executable, *words[1:]], capture_output=True, text=True, timeout=60)
    return done.stdout + done.stderr


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_a_document_shows_what_happens(
    document: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(ROOT if document.name == "README.md" else tmp_path)
    if document.name == "testing.md":  # its tests stand beside an example
        shutil.copytree(ROOT / "examples", tmp_path / "examples")
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("FLOWC_HISTORY", str(tmp_path / "history.sqlite"))  # a reader's own, and new
    monkeypatch.setenv("FLOWC_JOURNAL", str(tmp_path / "journal.db"))
    monkeypatch.setattr(os, "get_terminal_size", lambda *_: os.terminal_size((100, 40)))
    checker = doctest.OutputChecker()
    for block in blocks(document):
        if block.language in ("flow", "python", "json", "toml", "text", "yaml") and block.info:
            Path(block.info).write_text(block.text, encoding="utf-8")
        if block.language != "console":
            continue
        for command, shown in commands(block):
            got = output(command)
            flags = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
            assert checker.check_output(shown, got, flags), (
                f"{document.name}, line {block.line}: `{command}` prints\n{got}"
            )
