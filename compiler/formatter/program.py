"""A whole program in its canonical layout."""

from collections.abc import Sequence

from flowc.compiler.formatter import literals
from flowc.compiler.formatter.documents import WIDTH, Bracket, Document, lines
from flowc.compiler.formatter.expressions import Expressions, type_text
from flowc.compiler.formatter.statements import Statements
from flowc.compiler.formatter.writer import Writer
from flowc.compiler.parser import parse
from flowc.compiler.parser.limits import recursion_room
from flowc.compiler.parser.literals import dedent
from flowc.compiler.parser.reading import unix_lines
from flowc.compiler.syntax import (
    Callable,
    Declaration,
    Decorator,
    Effect,
    Enum,
    Import,
    LabelOrder,
    Parameter,
    Program,
    Record,
    Span,
    Template,
)


def format_text(text: str, path: str) -> str:
    """Formats a program's text. Raises `CompileError` where it has syntax errors."""
    return _Formatter(parse(text, path), unix_lines(text)).formatted()


def format_program(program: Program) -> str:
    """The canonical text of a tree: parsed again, it gives an equal tree."""
    return _Formatter(program, None).formatted()


class _Formatter:
    def __init__(self, program: Program, text: str | None) -> None:
        self._program = program
        self._source = tuple(text.split("\n")) if text is not None else ()
        self._writer = Writer(program.comments)
        self._expressions = Expressions(self._spelling)
        self._statements = Statements(self._writer, self._expressions, self._source)

    def formatted(self) -> str:
        """The text."""
        with recursion_room():
            versioned = self._language()
            declarations = self._program.declarations
            for index, declaration in enumerate(declarations):
                before = declarations[index - 1] if index else None
                last = index + 1 == len(declarations)
                following = len(self._source) + 1 if last else declarations[index + 1].span.line
                together = before is not None and _together(before, declaration)
                separate = versioned if before is None else not together
                self._declaration(declaration, separate, following)
            self._writer.comments_before(len(self._source) + 1)
            return self._writer.text()

    def _spelling(self, span: Span) -> str | None:
        if not self._source:
            return None
        if span.line == span.end_line:
            return self._source[span.line - 1][span.column - 1 : span.end_column - 1]
        first, last = self._source[span.line - 1], self._source[span.end_line - 1]
        between = self._source[span.line : span.end_line - 1]
        return "\n".join((first[span.column - 1 :], *between, last[: span.end_column - 1]))

    def _language(self) -> bool:
        """Writes the line with the language's version where the author wrote one; tells whether so."""
        for number, line in enumerate(self._source, start=1):
            if line.startswith("language"):
                span = Span(number, 1, number, len("language 1") + 1)
                self._writer.write([f"language {self._program.language}"], span)
                return True
            if line.strip() and not line.lstrip().startswith("#"):
                break
        return False

    def _declaration(self, node: Declaration, separate: bool, following: int) -> None:
        match node:
            case Import():
                names: Document = (", ".join(node.names),)
                text = f"from {literals.string(node.path)} import "
                if len(text) + len(", ".join(node.names)) > WIDTH:
                    names = (Bracket("(", tuple((name,) for name in node.names), ")"),)
                self._write(node.span, (text, *names), separate)
            case LabelOrder():
                self._write(node.span, (f"labels {' < '.join(node.names)}",), separate)
            case Enum():
                self._write(node.span, (f"enum {node.name}: {', '.join(node.members)}",), separate)
            case Record():
                header = Span(node.span.line, 1, node.span.line, len(f"record {node.name}:") + 1)
                self._write(header, (f"record {node.name}:",), separate)
                self._writer.begin_block()
                for member in node.fields:
                    self._write(member.span, (f"{member.name}: {type_text(member.type)}",))
                self._writer.end_block(following, node.fields[0].span.column)
            case Callable():
                self._callable(node, separate, following)

    def _write(self, span: Span, document: Document, separate: bool = False) -> None:
        self._writer.write(lines(document, self._writer.indent), span, separate=separate)

    def _callable(self, node: Callable, separate: bool, following: int) -> None:
        for decorator in node.decorators:
            self._write(decorator.span, self._decorator(decorator), separate)
            separate = False
        colon = "" if node.kind == "tool" and node.documentation is None else ":"
        self._write(node.header, (*self._signature(node), colon), separate)
        if node.documentation is not None:
            self._writer.begin_block()
            self._documentation(node)
            self._writer.depth -= 1
        if node.prompt is not None:
            self._writer.begin_block()
            self._writer.write(self._prompt(node.prompt, node), node.prompt.span)
            self._writer.end_block(following, node.prompt.span.column)
        elif node.body:
            self._statements.block(node.body, following)
            return
        else:
            self._writer.comments_before(following, column=1)

    def _documentation(self, node: Callable) -> None:
        """Has no span of its own: it ends before the first statement, or where the callable does."""
        text = literals.block_string(str(node.documentation), self._writer.indent)
        line = node.header.end_line + 1
        self._writer.write(text, Span(line, 1, line, 1))

    def _decorator(self, node: Decorator) -> Document:
        called = (self._expressions.arguments(node.arguments),) if node.arguments else ()
        return (f"@{node.name}", *called)

    def _signature(self, node: Callable) -> Document:
        parameters = Bracket("(", tuple(self._parameter(parameter) for parameter in node.parameters), ")")
        effects = "".join(
            ("," if index else "") + " " + _effect(effect) for index, effect in enumerate(node.effects or ())
        )
        return (f"{node.kind} {node.name}", parameters, f" -> {type_text(node.result)}{effects}")

    def _parameter(self, node: Parameter) -> Document:
        default = (" = ", *self._expressions.document(node.default)) if node.default is not None else ()
        return (f"{node.name}: {type_text(node.type)}", *default)

    def _prompt(self, node: Template, owner: Callable) -> list[str]:
        written = self._spelling(node.span)
        if written is not None and "\\" in written and written.startswith('"""'):
            alone = node.span.line > owner.header.end_line
            return literals.reindented(
                dedent(written[3:-3], node.span.column - 1 if alone else 0), self._writer.indent
            )
        return literals.prompt(node, self._writer.indent, self._expressions.prompt_text)


def _together(before: Declaration, node: Declaration) -> bool:
    """Whether two declarations may stand on neighbouring lines."""
    return _small(before) and _small(node) and type(before) is type(node)


def _small(node: Declaration) -> bool:
    """Whether a declaration is one line of a list of such lines."""
    if isinstance(node, Callable):
        return node.kind == "tool" and node.documentation is None
    return not isinstance(node, Record)


def _effect(node: Effect) -> str:
    words: Sequence[str] = [node.kind, *([node.resource] if node.resource else [])]
    idempotent = ["idempotent"] if node.idempotent else []
    undo = ["undo", node.undo] if node.undo else []
    return " ".join([*words, *idempotent, *undo])
