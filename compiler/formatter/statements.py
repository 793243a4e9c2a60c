"""Statements as lines."""

from attrs import frozen

from flowc.compiler.formatter.documents import Document, lines
from flowc.compiler.formatter.expressions import Expressions, type_text
from flowc.compiler.formatter.writer import Writer
from flowc.compiler.syntax import (
    Assign,
    Block,
    Break,
    Constant,
    Continue,
    Expression,
    ExpressionStatement,
    For,
    If,
    Pass,
    Return,
    Span,
    Statement,
    Try,
    While,
    With,
)


@frozen
class Statements:
    """Writes statements. `source` holds the program's lines, or nothing where no text is known."""

    writer: Writer
    expressions: Expressions
    source: tuple[str, ...]

    def block(self, body: Block, following: int) -> None:
        """A block one level in; `following` is the source line of what comes after it."""
        if not body:
            return
        self.writer.begin_block()
        for index, statement in enumerate(body):
            after = body[index + 1].span.line if index + 1 < len(body) else following
            self.statement(statement, after)
        self.writer.end_block(following, body[0].span.column)

    def statement(self, node: Statement, following: int) -> None:
        """One statement; `following` is the source line of what comes after it."""
        match node:
            case Assign():
                self._line(node.span, self._assignment(node), self.expressions.statement(node.value))
            case Return(value=None):
                self._line(node.span, "return")
            case Return(value=value) if value is not None:
                self._line(node.span, "return ", self.expressions.statement(value))
            case Break():
                self._line(node.span, "break")
            case Continue():
                self._line(node.span, "continue")
            case Pass():
                self._line(node.span, "pass")
            case ExpressionStatement(value=value):
                document = self.expressions.statement(value)
                bare = isinstance(value, Constant) and value.kind == "str"
                self._line(node.span, "", ("(", *document, ")") if bare else document)
            case If():
                self._if(node, following)
            case For():
                self._header(node.span, node.iterable, f"for {', '.join(node.targets)} in ", node.iterable)
                self.block(node.body, following)
            case While():
                self._header(node.span, node.bound, "while ", node.test, " up to ", node.bound)
                self.block(node.body, following)
            case With():
                self._with(node, following)
            case Try():
                otherwise = self._keyword(node.body[-1].span.end_line, node.otherwise)
                self._line(_first_line(node.span, "try:"), "try:")
                self.block(node.body, otherwise.line)
                self._line(otherwise, "else:")
                self.block(node.otherwise, following)

    def _line(self, span: Span, text: str, document: Document = ()) -> None:
        self.writer.write(lines((text, *document), self.writer.indent), span)

    def _header(self, span: Span, last: Expression, *parts: str | Expression) -> None:
        """`word expression:`, which ends where its last expression does."""
        document: Document = ()
        for part in parts:
            document += (part,) if isinstance(part, str) else self.expressions.document(part)
        header = Span(span.line, span.column, last.span.end_line, last.span.end_column)
        self.writer.write(lines((*document, ":"), self.writer.indent), header)

    def _assignment(self, node: Assign) -> str:
        targets = ", ".join(node.targets)
        if node.annotation is not None:
            return f"{targets}: {type_text(node.annotation)} = "
        return f"{targets} {node.operator or ''}= "

    def _if(self, node: If, following: int) -> None:
        otherwise = (
            self._keyword(node.branches[-1][1][-1].span.end_line, node.otherwise) if node.otherwise else None
        )
        for index, (test, body) in enumerate(node.branches):
            if index + 1 < len(node.branches):
                after = node.branches[index + 1][0].span.line
            else:
                after = otherwise.line if otherwise is not None else following
            begin = node.span if index == 0 else test.span
            self._header(begin, test, "if " if index == 0 else "elif ", test)
            self.block(body, after)
        if otherwise is not None:
            self._line(otherwise, "else:")
            self.block(node.otherwise, following)

    def _with(self, node: With, following: int) -> None:
        if node.transaction:
            self._line(_first_line(node.span, "with transaction:"), "with transaction:")
            self.block(node.body, following)
            return
        parts: list[str | Expression] = []
        for limit in node.limits:
            parts += [", " if parts else "with ", limit]
        self._header(node.span, node.limits[-1], *parts)
        self.block(node.body, following)

    def _keyword(self, above: int, block: Block) -> Span:
        """Where the `else:` before a block stands: the first line with code after the block above."""
        first = block[0].span
        for number in range(above + 1, first.line + 1 if self.source else 0):
            text = self.source[number - 1].strip()
            if text and not text.startswith("#"):
                column = self.source[number - 1].index(text[0]) + 1
                return _first_line(Span(number, column, number, column), "else:")
        return Span(above, 1, above, 1)


def _first_line(span: Span, word: str) -> Span:
    return Span(span.line, span.column, span.line, span.column + len(word))
