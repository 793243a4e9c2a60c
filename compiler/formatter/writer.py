"""Puts formatted lines, the program's comments and its blank lines in order.

A comment on a line of its own stays before what it stood before; one behind code stays behind it; one
inside a bracket moves to the line before the statement. One blank line stays one, several become one.
"""

from collections.abc import Callable, Iterable

from flowc.compiler.formatter.documents import STEP
from flowc.compiler.syntax import Comment, Span


class Writer:
    """Collects the lines of the formatted program."""

    def __init__(self, comments: Iterable[Comment]) -> None:
        self._comments = sorted(
            comments, key=lambda comment: (comment.span.line, comment.span.column), reverse=True
        )
        self._lines: list[str] = []
        self._last = 0
        self._block_begins = True
        self._after_comment = False
        self.depth = 0

    @property
    def indent(self) -> int:
        """The indentation of the current block."""
        return STEP * self.depth

    def text(self) -> str:
        """All lines; empty for an empty program."""
        while self._lines and not self._lines[-1]:
            self._lines.pop()
        return "\n".join(self._lines) + "\n" if self._lines else ""

    def write(self, lines: list[str], span: Span, *, separate: bool = False) -> None:
        """Writes what stood at `span`, with the comments before, inside and behind it."""
        self.comments_before(span.line, separate=separate)
        separate = separate and not self._after_comment
        inside = self._take(
            lambda comment: comment.span.line <= span.end_line and not self._ends(comment, span)
        )
        self._gap(span.line, separate)
        self._lines += [" " * self.indent + _spaced(comment.text) for comment in inside]
        self._lines += lines
        self._last = span.end_line
        for comment in self._take(lambda comment: self._ends(comment, span)):
            self._lines[-1] += f"  {_spaced(comment.text)}"
        self._block_begins = self._after_comment = False

    @staticmethod
    def _ends(comment: Comment, span: Span) -> bool:
        """Whether a comment stands behind the end of a span, on its last line."""
        return (
            comment.trailing and comment.span.line == span.end_line and comment.span.column >= span.end_column
        )

    def comments_before(self, line: int, *, column: int = 0, separate: bool = False) -> None:
        """Writes the comments above a line that are indented by at least `column`."""
        for comment in self._take(lambda comment: comment.span.line < line and comment.span.column > column):
            self._gap(comment.span.line, separate and not self._after_comment)
            self._lines.append(" " * self.indent + _spaced(comment.text))
            self._last = comment.span.line
            self._block_begins = False
            self._after_comment = True

    def begin_block(self) -> None:
        """Goes one level in."""
        self.depth += 1
        self._block_begins = True

    def end_block(self, line: int, column: int) -> None:
        """Goes one level out, after the comments above `line` that are indented like the block's `column`."""
        self.comments_before(line, column=column - 1)
        self.depth -= 1
        self._block_begins = self._after_comment = False

    def _take(self, wanted: Callable[[Comment], bool]) -> list[Comment]:
        """Removes and gives the next comments, as long as they are wanted."""
        taken: list[Comment] = []
        while self._comments and wanted(self._comments[-1]):
            taken.append(self._comments.pop())
        return taken

    def _gap(self, line: int, separate: bool) -> None:
        if self._lines and not self._block_begins and (separate or line - self._last > 1) and self._lines[-1]:
            self._lines.append("")


def _spaced(text: str) -> str:
    """`#x` becomes `# x`."""
    return f"# {text[1:]}" if text[1:2].isalnum() else text
