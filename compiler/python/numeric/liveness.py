"""Which names are still read: backward liveness over structured Python statements."""

import ast
from collections.abc import Sequence
from functools import lru_cache

from flowc.compiler.python.numeric.jumps import EscapingFor

Names = frozenset[str]


def live_before(statements: Sequence[ast.stmt], after: Names) -> Names:
    """The names whose values are wanted before the statements, given those wanted after them."""
    live = after
    for statement in reversed(statements):
        live = _before(statement, live)
    return live


def live_behind(statements: Sequence[ast.stmt], after: Names) -> list[Names]:
    """For each of the statements, the names whose values are wanted after it."""
    found, live = [], after
    for statement in reversed(statements):
        found.append(live)
        live = _before(statement, live)
    return found[::-1]


def assigned(statements: Sequence[ast.stmt]) -> Names:
    """The names that the statements may bind, augmented assignments among them."""
    found = {
        node.id
        for statement in statements
        for node in ast.walk(statement)
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)
    }
    return frozenset(found)


def live_at_head(loop: ast.For | ast.While, after: Names) -> Names:
    """The names wanted where a round of a loop begins; what its body changes of these travels round."""
    test = _read(loop.test) if isinstance(loop, ast.While) else frozenset()
    if isinstance(loop, EscapingFor):
        test = frozenset([loop.flag])
    bound = _bound(loop.target) if isinstance(loop, ast.For) else frozenset()
    head = after | test
    while True:
        body = live_before(loop.body, head) - bound
        following = head | body | test
        if following == head:
            return head
        head = following


def _before(statement: ast.stmt, after: Names) -> Names:
    match statement:
        case ast.Assign():
            return (
                (after - _targets(statement.targets)) | _read(statement.value) | _reads_in(statement.targets)
            )
        case ast.AnnAssign(value=None):
            return after
        case ast.AnnAssign():
            return (after - _bound(statement.target)) | _read(statement.value)
        case ast.AugAssign():
            return after | _read(statement.value) | _names(statement.target)
        case ast.If():
            taken = live_before(statement.body, after)
            return taken | live_before(statement.orelse, after) | _read(statement.test)
        case ast.For():
            return live_at_head(statement, after) | _read(statement.iter)
        case ast.While():
            return live_at_head(statement, after)
        case ast.Return():
            return _read(statement.value)
    return after | _read(statement)


def _targets(targets: Sequence[ast.expr]) -> Names:
    return frozenset[str]().union(*map(_bound, targets))


def _bound(target: ast.expr) -> Names:
    """The names that a target rebinds; a subscript changes an array and rebinds nothing."""
    if isinstance(target, ast.Name):
        return frozenset([target.id])
    if isinstance(target, ast.Tuple | ast.List):
        return _targets(target.elts)
    return _bound(target.value) if isinstance(target, ast.Starred) else frozenset()


def _reads_in(targets: Sequence[ast.expr]) -> Names:
    return frozenset[str]().union(*map(_read, targets))


@lru_cache(maxsize=4096)  # the statements of a loop are asked again for each statement before them
def _read(node: ast.AST | None) -> Names:
    """The names that an expression reads; nodes are told apart by identity, and never change."""
    if node is None:
        return frozenset()
    return frozenset(
        part.id for part in ast.walk(node) if isinstance(part, ast.Name) and isinstance(part.ctx, ast.Load)
    )


@lru_cache(maxsize=4096)
def _names(node: ast.AST) -> Names:
    return frozenset(part.id for part in ast.walk(node) if isinstance(part, ast.Name))
