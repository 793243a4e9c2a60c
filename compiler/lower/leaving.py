"""What the text of statements says: whether they may or must leave their block, and what they assign."""

from collections.abc import Iterable, Sequence

from flowc.compiler import syntax

Statements = Sequence[syntax.Statement]


def blocks_of(statement: syntax.Statement) -> Iterable[Statements]:
    """The blocks inside a statement."""
    match statement:
        case syntax.If(branches, otherwise):
            yield from (body for _, body in branches)
            yield otherwise
        case syntax.For() | syntax.While() | syntax.With():
            yield statement.body
        case syntax.Try(body, otherwise):
            yield body
            yield otherwise


def may_return(statements: Statements) -> bool:
    """Whether a `return` stands anywhere inside."""
    return any(
        isinstance(each, syntax.Return) or any(map(may_return, blocks_of(each))) for each in statements
    )


def may_leave(statement: syntax.Statement) -> bool:
    """Whether what follows the statement may be skipped."""
    match statement:
        case syntax.Return() | syntax.Break() | syntax.Continue():
            return True
        case syntax.For() | syntax.While():
            return may_return(statement.body)
    return any(may_leave(inner) for block in blocks_of(statement) for inner in block)


def must_leave(statements: Statements) -> bool:
    """Whether every way through the statements leaves them."""
    for each in statements:
        match each:
            case syntax.Return() | syntax.Break() | syntax.Continue():
                return True
            case syntax.If(branches, otherwise):
                if otherwise and must_leave(otherwise) and all(must_leave(body) for _, body in branches):
                    return True
            case syntax.With(body=body):
                if must_leave(body):
                    return True
            case syntax.Try(body, otherwise):
                if must_leave(body) and must_leave(otherwise):
                    return True
    return False


def assigned(statements: Statements) -> set[str]:
    """The variables that statements bind, loop variables among them."""
    names: set[str] = set()
    for each in statements:
        if isinstance(each, syntax.Assign | syntax.For):
            names.update(each.targets)
        for block in blocks_of(each):
            names |= assigned(block)
    return names
