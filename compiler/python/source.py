"""Finds the text and the syntax of a Python function, and lays the files of a program end to end.

A syntax tree has spans of one source only, but decorated functions may stand in several files. So the files
form one text, each from a line of its own; `Sources.relocate` takes what the compiler says about that text
back to the files.
"""

import ast
import inspect
import linecache
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any

from attrs import Factory, define, evolve, frozen

from flowc.compiler.diagnostics.model import CompileError, Diagnostic, Label, Source
from flowc.compiler.syntax import Span

FunctionNode = ast.FunctionDef | ast.AsyncFunctionDef


@frozen
class File:
    """A Python file: its path as shown, its text, the lines before it, and its path as Python has it."""

    path: str
    text: str
    offset: int
    lines: tuple[str, ...]
    origin: str

    def span(self, node: ast.AST) -> Span:
        """The place of a node; Python counts columns in UTF-8 bytes, flowc in code points."""
        line = getattr(node, "lineno", 1)
        end_line = getattr(node, "end_lineno", line)
        return Span(
            line + self.offset,
            self._column(line, getattr(node, "col_offset", 0)),
            end_line + self.offset,
            self._column(end_line, getattr(node, "end_col_offset", 0)),
        )

    def first_line(self, node: ast.AST) -> Span:
        """The first line of a node, from where it begins: a compound statement's header."""
        span = self.span(node)
        text = self.lines[span.line - self.offset - 1].rstrip()
        return Span(span.line, span.column, span.line, len(text) + 1)

    def _column(self, line: int, offset: int) -> int:
        text = self.lines[line - 1] if line <= len(self.lines) else ""
        if text.isascii():
            return offset + 1
        return len(text.encode()[:offset].decode(errors="ignore")) + 1


@define
class Sources:
    """The files of one program, in order of first use; the entry's file comes first and keeps its lines."""

    files: list[File] = Factory(list)

    def add(self, path: str) -> File:
        """The file of that path, taken in when it is new."""
        for file in self.files:
            if file.origin == path:
                return file
        lines = tuple(line.rstrip("\n") for line in linecache.getlines(path))
        offset = self.files[-1].offset + len(self.files[-1].lines) if self.files else 0
        file = File(_shown(path), "\n".join(lines), offset, lines, path)
        self.files.append(file)
        return file

    def joined(self) -> Source:
        """One source that all spans of the program point into."""
        return Source(self.files[0].path if self.files else "<python>", "\n".join(f.text for f in self.files))

    def relocate(self, error: CompileError) -> CompileError:
        """The same error in terms of the real files, drawn."""
        if len(self.files) < 2:
            return drawn(error)
        placed = [self._relocate(diagnostic) for diagnostic in error.diagnostics]
        home = placed[0][0]
        found = CompileError(Source(home.path, home.text), tuple(diagnostic for _, diagnostic in placed))
        return drawn(found, tuple(Source(file.path, file.text) for file, _ in placed))

    def _relocate(self, diagnostic: Diagnostic) -> tuple[File, Diagnostic]:
        primary = next((label for label in diagnostic.labels if label.primary), None)
        home = self._file_of(primary.span.line) if primary else self.files[0]
        labels = tuple(
            evolve(label, span=_shift(label.span, home.offset))
            for label in diagnostic.labels
            if self._file_of(label.span.line) is home
        )
        return home, evolve(diagnostic, labels=labels, path=home.path)

    def _file_of(self, line: int) -> File:
        return next(file for file in reversed(self.files) if file.offset < line or file.offset == 0)


def _shown(path: str) -> str:
    """The path from here where the file is below the current folder, else the whole."""
    try:
        return str(Path(path).relative_to(Path.cwd()))
    except ValueError:
        return path


def drawn(error: CompileError, sources: tuple[Source, ...] = ()) -> CompileError:
    """The error with its diagnostics drawn as notes, which Python prints below a traceback."""
    from flowc.compiler.diagnostics.render import render_plain

    for index, diagnostic in enumerate(error.diagnostics):
        error.add_note(render_plain(diagnostic, sources[index] if sources else error.source))
    return error


def _shift(span: Span, offset: int) -> Span:
    return Span(span.line - offset, span.column, span.end_line - offset, span.end_column)


def locate(function: Callable[..., Any], sources: Sources) -> tuple[File, FunctionNode]:
    """The file and the definition of a function; raises CompileError where its source cannot be had."""
    code = getattr(inspect.unwrap(function), "__code__", None)
    if code is None:
        raise TypeError(f"flowc decorates Python functions; {function!r} is none")
    path = inspect.getsourcefile(function) or code.co_filename
    text = "".join(linecache.getlines(path))
    node = _definitions(text).get((code.co_firstlineno, code.co_name)) if text else None
    if node is None:
        raise drawn(CompileError(Source(_shown(path), ""), (_no_source(code.co_name, _shown(path)),)))
    return sources.add(path), node


@lru_cache(maxsize=64)
def _definitions(text: str) -> dict[tuple[int, str], FunctionNode]:
    """Every function of a file by its first line (decorators count) and name."""
    found: dict[tuple[int, str], FunctionNode] = {}
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, FunctionNode):
            first = min((decorator.lineno for decorator in node.decorator_list), default=node.lineno)
            found[first, node.name] = node
    return found


def _no_source(name: str, path: str) -> Diagnostic:
    return Diagnostic(
        "E0080",
        f"the source of `{name}` cannot be read",
        why=f"flowc reads what a function says, and {path} has no such text",
        help="define decorated functions in a file or a notebook cell, not through exec or a lambda",
    )


def problem(
    code: str, title: str, span: Span, text: str = "", *, why: str = "", help: str = ""
) -> Diagnostic:
    """A diagnostic with one place."""
    return Diagnostic(code, title, (Label(span, text),), why, help)
