"""`break`, `continue`, `return` inside a loop and `else` of a loop, rewritten to flags and plain `if`s.

A loop that is left early has a flag, a name that no program can write: 0 while it runs, `SKIPS` when the
rest of this round is skipped, `BREAKS` once it is left, a larger number when a `return` has been reached.
What is returned is evaluated after the loop, where all names stand for what they stood for at the `return`.
Where one branch of an `if` jumps whatever happens, the statements after it move into the other: no flag is
read then.
"""

import ast
from collections.abc import Sequence

from attrs import define, field

from flowc.compiler.python.source import FunctionNode

SKIPS, BREAKS, RETURNS = -1, 1, 2


class EscapingFor(ast.For):
    """A `for` that goes on only while its flag is not above 0; `kept` as in a `while` that may be left."""

    flag: str = ""
    kept: frozenset[str] = frozenset()


class EscapingWhile(ast.While):
    """A `while` that may be left from within. `kept` are the names that its `return`s read after it: they
    have a value there, were they bound in the loop only; `endless` says that nothing else ends it."""

    kept: frozenset[str] = frozenset()
    endless: bool = False


@define
class _Loop:
    """A loop while its body is rewritten: whether it is left early, has rounds cut short, and has its flag
    read in the body; `returns` are the `return`s in it, by number."""

    flag: str
    left: bool = False
    breaks: bool = False
    skips: bool = False
    read: bool = False
    returns: dict[int, ast.Return] = field(factory=dict)


def structured(node: FunctionNode) -> FunctionNode:
    """A function without jumps out of its loops; the same one where there are none."""
    if not _jumps(node):
        return node
    body = _Rewriter().block(node.body, None)
    made = type(node)(**{**{name: getattr(node, name) for name in node._fields}, "body": body})
    return ast.fix_missing_locations(ast.copy_location(made, node))


def _jumps(node: FunctionNode) -> bool:
    loops = [part for part in ast.walk(node) if isinstance(part, ast.For | ast.While)]
    return any(
        isinstance(part, ast.Break | ast.Continue | ast.Return) or bool(loop.orelse)
        for loop in loops
        for part in ast.walk(loop)
    )


@define
class _Rewriter:
    """Rewrites blocks; counts loops and `return`s."""

    loops: int = 0
    found: int = 0

    def block(self, statements: Sequence[ast.stmt], loop: _Loop | None) -> list[ast.stmt]:
        """The statements of a block, all that follows a jump left out."""
        made: list[ast.stmt] = []
        for number, statement in enumerate(statements):
            rest = statements[number + 1 :]
            match statement:
                case ast.Break() | ast.Continue() if loop is not None:
                    return [*made, self._jump(statement, loop)]
                case ast.Return() if loop is not None:
                    return [*made, self._return(statement, loop)]
                case ast.If() if loop is not None and _leaves(statement):
                    return [*made, *self._if(statement, rest, loop)]
                case ast.For() | ast.While():
                    replaced, after = self._loop(statement)
                    made += replaced
                    if after:
                        return [*made, *self.block([*after, *rest], loop)]
                case ast.If():
                    body, orelse = self.block(statement.body, loop), self.block(statement.orelse, loop)
                    made.append(ast.copy_location(ast.If(statement.test, body, orelse), statement))
                case _:
                    made.append(statement)
        return made

    def _jump(self, statement: ast.Break | ast.Continue, loop: _Loop) -> ast.stmt:
        if isinstance(statement, ast.Continue):
            loop.skips = True
            return _set(loop.flag, SKIPS, statement)
        loop.left = loop.breaks = True
        return _set(loop.flag, BREAKS, statement)

    def _return(self, statement: ast.Return, loop: _Loop) -> ast.stmt:
        loop.left = True
        number = RETURNS + self.found
        self.found += 1
        loop.returns[number] = statement
        return _set(loop.flag, number, statement)

    def _if(self, node: ast.If, rest: Sequence[ast.stmt], loop: _Loop) -> list[ast.stmt]:
        """An `if` that may leave the round, with what follows it."""
        then, otherwise = _ends(node.body), _ends(node.orelse)
        if then or otherwise:
            body = node.body if then else [*node.body, *rest]
            orelse = node.orelse if otherwise else [*node.orelse, *rest]
            made = ast.If(node.test, self._filled(body, loop, node), self.block(orelse, loop))
            return [ast.copy_location(made, node)]
        made = ast.If(node.test, self._filled(node.body, loop, node), self.block(node.orelse, loop))
        loop.read = True
        goes_on = _compare(loop.flag, ast.Eq(), 0, node)
        following = ast.If(goes_on, self._filled(rest, loop, node), [])
        return [ast.copy_location(part, node) for part in (made, following)]

    def _filled(self, statements: Sequence[ast.stmt], loop: _Loop, node: ast.stmt) -> list[ast.stmt]:
        return self.block(statements, loop) or [ast.copy_location(ast.Pass(), node)]

    def _loop(self, node: ast.For | ast.While) -> tuple[list[ast.stmt], list[ast.stmt]]:
        """A loop with its flag set before it, and what follows it: `else`, and the `return`s reached in
        it, which themselves may stand in a loop."""
        loop = _Loop(f".exit{self.loops}")
        self.loops += 1
        body = self.block(node.body, loop) or [ast.copy_location(ast.Pass(), node)]
        if loop.skips and (loop.left or loop.read):
            body.insert(0, _set(loop.flag, 0, node))
        made = _remade(node, body, loop)
        after: list[ast.stmt] = [
            ast.copy_location(ast.If(_compare(loop.flag, ast.Eq(), number, node), [statement], []), statement)
            for number, statement in loop.returns.items()
        ]
        if not loop.left:
            return [made], list(node.orelse)
        if node.orelse:
            ended = running(loop.flag, node)
            after.append(ast.copy_location(ast.If(ended, list(node.orelse), []), node))
        elif _is_endless(node) and not loop.breaks:
            after[-1] = list(loop.returns.values())[-1]
        return [_set(loop.flag, 0, node), made], after


def _is_endless(node: ast.For | ast.While) -> bool:
    return isinstance(node, ast.While) and isinstance(node.test, ast.Constant) and bool(node.test.value)


def _remade(node: ast.For | ast.While, body: list[ast.stmt], loop: _Loop) -> ast.stmt:
    if not loop.left:
        plain = (
            ast.For(node.target, node.iter, body, [])
            if isinstance(node, ast.For)
            else ast.While(node.test, body, [])
        )
        return ast.copy_location(plain, node)
    goes_on = running(loop.flag, node)
    made: EscapingFor | EscapingWhile
    if isinstance(node, ast.For):
        made = EscapingFor(node.target, node.iter, body, [])
        made.flag = loop.flag
    elif _is_endless(node):
        made = EscapingWhile(goes_on, body, [])
        made.endless = True
    else:
        test = ast.copy_location(ast.BoolOp(ast.And(), [goes_on, node.test]), node)
        made = EscapingWhile(test, body, [])
    made.kept = frozenset(
        part.id
        for statement in loop.returns.values()
        for part in ast.walk(statement)
        if isinstance(part, ast.Name)
    )
    return ast.copy_location(made, node)


def _leaves(node: ast.stmt) -> bool:
    """Whether a statement may jump in the loop around it, or return from within another."""
    if isinstance(node, ast.Break | ast.Continue | ast.Return):
        return True
    if isinstance(node, ast.For | ast.While):
        return any(isinstance(part, ast.Return) for part in ast.walk(node)) or any(map(_leaves, node.orelse))
    if isinstance(node, ast.If):
        return any(map(_leaves, [*node.body, *node.orelse]))
    return False


def _ends(statements: Sequence[ast.stmt]) -> bool:
    """Whether no control comes out at the end of the statements."""
    return any(
        isinstance(statement, ast.Break | ast.Continue | ast.Return)
        or (isinstance(statement, ast.If) and _ends(statement.body) and _ends(statement.orelse))
        for statement in statements
    )


def _set(flag: str, value: int, at: ast.stmt) -> ast.stmt:
    made = ast.Assign([ast.Name(flag, ast.Store())], ast.Constant(value))
    return ast.fix_missing_locations(ast.copy_location(made, at))


def running(flag: str, at: ast.stmt) -> ast.expr:
    """The expression that says whether a loop goes on."""
    return _compare(flag, ast.LtE(), 0, at)


def _compare(flag: str, operator: ast.cmpop, value: int, at: ast.stmt) -> ast.expr:
    made = ast.Compare(ast.Name(flag, ast.Load()), [operator], [ast.Constant(value)])
    return ast.fix_missing_locations(ast.copy_location(made, at))
