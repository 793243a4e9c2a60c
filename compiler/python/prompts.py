"""Docstrings as prompts: text with `{expression}` holes, `{{` and `}}` for the braces themselves."""

import ast
import inspect

from flowc.compiler.python.expressions import Translator
from flowc.compiler.syntax import Expression, Hole, Template


def prompt(translator: Translator, node: ast.Constant) -> Template:
    """The docstring `node` as a template; its indentation is taken off as `inspect.cleandoc` does."""
    text = inspect.cleandoc(str(node.value))
    parts: list[str | Hole] = []
    written, position = "", 0
    while position < len(text):
        character = text[position]
        if text[position : position + 2] in ("{{", "}}"):
            written += character
            position += 2
        elif character == "{":
            end = _end_of_hole(text, position + 1)
            source = text[position + 1 : end]
            parts += [written] if written else []
            parts.append(_hole(translator, node, source))
            written, position = "", end + 1
        else:
            written += character
            position += 1
    parts += [written] if written else []
    return Template(tuple(parts), span=translator.file.span(node))


def _end_of_hole(text: str, start: int) -> int:
    """The closing brace of the hole that starts there: the first before which an expression is complete."""
    end = text.find("}", start)
    while end != -1:
        if _parse(text[start:end]) is not None:
            return end
        end = text.find("}", end + 1)
    return first if (first := text.find("}", start)) != -1 else len(text)


def _parse(source: str) -> ast.expr | None:
    try:
        return ast.parse(source.strip(), mode="eval").body
    except (SyntaxError, ValueError, RecursionError):
        return None


def _hole(translator: Translator, docstring: ast.Constant, source: str) -> Hole:
    """A hole, its expression placed where its text stands in the file."""
    line, column = _place(translator, docstring, source)
    node = _parse(source)
    span = translator.file.span(docstring)
    if node is None:
        help = "write an expression between the braces, or {{ and }} for the braces themselves"
        return Hole(
            translator.refuse(docstring, f"`{{{source}}}` is no expression", help, "E0090"), span=span
        )
    for part in ast.walk(node):
        if isinstance(part, ast.expr | ast.keyword):
            part.col_offset, part.end_col_offset = (
                part.col_offset + column,
                (part.end_col_offset or 0) + column,
            )
            part.lineno = part.end_lineno = line
    found: Expression = translator.expression(node)
    place = translator.file.span(node)
    return Hole(found, span=place)


def _place(translator: Translator, docstring: ast.Constant, source: str) -> tuple[int, int]:
    """The line and byte offset of a hole's expression in the file; the docstring's start if not found."""
    for number in range(docstring.lineno, (docstring.end_lineno or docstring.lineno) + 1):
        line = translator.file.lines[number - 1]
        at = line.find("{" + source + "}")
        if at != -1:
            lead = len(source) - len(source.lstrip())
            return number, len(line[: at + 1 + lead].encode())
    return docstring.lineno, docstring.col_offset
