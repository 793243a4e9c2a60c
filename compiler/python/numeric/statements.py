"""Python statements: what they do to names, to memory and to the flow of control."""

import ast
from collections.abc import Sequence
from typing import Any

from flowc.compiler.python.numeric.arithmetic import to_dtype, value_of
from flowc.compiler.python.numeric.binding import bind, parts
from flowc.compiler.python.numeric.branches import branch
from flowc.compiler.python.numeric.context import INTEGERS
from flowc.compiler.python.numeric.errors import Refused, located
from flowc.compiler.python.numeric.expressions import binary, evaluate, negated, subscripts, truth
from flowc.compiler.python.numeric.frame import Frame
from flowc.compiler.python.numeric.liveness import Names, live_behind
from flowc.compiler.python.numeric.loops import run_for, run_while
from flowc.compiler.python.numeric.misfits import beside_operands
from flowc.compiler.python.numeric.nested import Closure
from flowc.compiler.python.numeric.outcome import Returned
from flowc.compiler.python.numeric.subscripts import fitted, store, subscript
from flowc.compiler.python.numeric.values import Array, Number, is_run_time
from flowc.dialects.array.require import require
from flowc.dialects.array.types import is_float, shape_of

_KEYWORDS = {
    "asyncfor": "async for",
    "asyncfunctiondef": "async def",
    "asyncwith": "async with",
    "classdef": "class",
    "delete": "del",
    "trystar": "try",
    "typealias": "type",
}
"""How statements are written whose nodes in the syntax tree have another name."""


def run_body(frame: Frame) -> object:
    """What the body of a function returns."""
    scopes = frame.c.scopes
    scopes.append(lambda: frame.names)
    try:
        outcome = run(frame, frame.node.body, frozenset())
    finally:
        scopes.pop()
    return outcome.value if outcome is not None else None


def run(frame: Frame, statements: Sequence[ast.stmt], after: Names) -> Returned | None:
    """Runs statements in order; gives what is returned, None where they end. `after` are the names that are
    read later."""
    for number, (statement, live) in enumerate(
        zip(statements, live_behind(statements, after), strict=True), start=1
    ):
        with located(frame.file, statement):
            span = frame.file.span(statement)
            frame.c.at(frame.file.path, span.line, span.column)
            if isinstance(statement, ast.If):
                outcome, done = _run_if(frame, statement, statements[number:], after, live)
                if done:
                    return outcome
                continue
            if isinstance(statement, ast.Return):
                return Returned(evaluate(frame, statement.value) if statement.value else None)
            _run_one(frame, statement, live)
    return None


def _run_one(frame: Frame, statement: ast.stmt, live: Names) -> None:
    match statement:
        case ast.Assign(targets=targets, value=value):
            result = evaluate(frame, value)
            for target in targets:
                assign(frame, target, result)
        case ast.AnnAssign(target=target, value=given):
            if given is not None:
                assign(frame, target, evaluate(frame, given))
        case ast.AugAssign():
            _augment(frame, statement)
        case ast.Expr(value=value):
            if not isinstance(value, ast.Constant):
                evaluate(frame, value)
        case ast.For():
            run_for(frame, statement, live, run)
        case ast.While():
            run_while(frame, statement, live, run)
        case ast.Pass() | ast.Import() | ast.ImportFrom():
            pass
        case ast.Assert(test=test):
            _assert(frame, test)
        case ast.Raise():
            raise Refused(
                "this `raise` is reached with these arguments, or it does not stand alone in its branch",
                help="let an `if` have it as its only statement",
            )
        case ast.FunctionDef():
            raise Refused("a decorated function within a function has no native form")
        case _:
            name = type(statement).__name__.lower()
            raise Refused(f"`{_KEYWORDS.get(name, name)}` has no native form")


def _assert(frame: Frame, test: ast.expr) -> None:
    """A condition must hold: now, if it is known when the code is made, else when it runs."""
    holds = evaluate(frame, test)
    if is_run_time(holds):
        frame.c.append(require(truth(frame, holds), "assertion"))
    elif not holds:
        raise Refused("this `assert` does not hold for these arguments")


def assign(frame: Frame, target: ast.expr, value: object) -> None:
    """`target = value` for names, tuples and subscripts."""
    with located(frame.file, target):
        if isinstance(target, ast.Subscript):
            store(frame.c, evaluate(frame, target.value), subscripts(frame, target.slice), value)
        elif isinstance(target, ast.Tuple | ast.List):
            for each, item in zip(target.elts, parts(frame, value, len(target.elts)), strict=True):
                assign(frame, each, item)
        elif isinstance(target, ast.Name):
            bind(frame, target, value)
        else:
            raise Refused("only names and elements of arrays can be assigned")


def _augment(frame: Frame, node: ast.AugAssign) -> None:
    """`target op= value`: in place for arrays, a new value for numbers."""
    value = evaluate(frame, node.value)
    c = frame.c
    if isinstance(node.target, ast.Subscript):
        owner = evaluate(frame, node.target.value)
        items = subscripts(frame, node.target.slice)
        store(c, owner, items, _combined(frame, node, subscript(c, owner, items), value))
        return
    if not isinstance(node.target, ast.Name):
        raise Refused("only names and elements of arrays can be assigned")
    old = frame.lookup(node.target.id)
    if not isinstance(old, Array):
        bind(frame, node.target, _combined(frame, node, old, value))
        return
    result = _combined(frame, node, old, value)
    new = value_of(c, result)
    if is_float(_dtype(result)) and (old.dtype in INTEGERS or old.dtype == "bool"):
        raise Refused(
            f"an array of {old.dtype} cannot take floats in place",
            why="NumPy refuses it too: the values would be cut off",
            help=f"write `{node.target.id} = {node.target.id} {_sign(node)} ...`",
        )
    c.require_unshared(old.storage)
    if _sole_owner(frame, node.target.id, old) and shape_of(new.type) == old.shape:
        bind(frame, node.target, c.wrap(to_dtype(c, new, old.dtype)))
        return
    c.write(old, fitted(c, result, old))


def _combined(frame: Frame, node: ast.AugAssign, old: object, value: object) -> Any:
    with beside_operands(frame.c, frame.file, node, [(node.target, old), (node.value, value)]):
        return binary(frame, node.op, old, value)


def _dtype(value: object) -> str:
    return value.dtype if isinstance(value, Array | Number) else "f64"


def _sign(node: ast.AugAssign) -> str:
    return {"Add": "+", "Sub": "-", "Mult": "*", "Div": "/"}.get(type(node.op).__name__, "op")


def _sole_owner(frame: Frame, name: str, array: Array) -> bool:
    """Whether nothing else sees the array: then a new value in its place is the same as changing it."""
    storage = array.storage
    if storage.ref is not None or storage.parameter or array.views or storage.depth != frame.c.depth:
        return False
    if storage.origin in frame.given:
        return False
    others = [value for other, value in frame.names.items() if other != name]
    return not any(_holds(value, array) for value in others)


def _holds(value: object, array: Array) -> bool:
    if isinstance(value, Array):
        return value.storage is array.storage
    if isinstance(value, Closure):
        return any(_holds(item, array) for item in value.names.values())
    return isinstance(value, tuple | list) and any(_holds(item, array) for item in value)


def _raises(statements: Sequence[ast.stmt]) -> bool:
    return len(statements) == 1 and isinstance(statements[0], ast.Raise)


def _run_if(
    frame: Frame, node: ast.If, rest: Sequence[ast.stmt], after: Names, live: Names
) -> tuple[Returned | None, bool]:
    """An `if`; with it, the statements after it where a branch returns. Whether it ran those too.

    `after` are the names that are read after the rest, `live` those after the `if`.
    """
    test = evaluate(frame, node.test)
    returns = any(isinstance(part, ast.Return) for part in ast.walk(node))
    if not is_run_time(test):
        taken = node.body if test else node.orelse
        if returns:
            return run(frame, [*taken, *rest], after), True
        return run(frame, taken, live), False
    if _raises(node.body):
        frame.c.append(require(negated(frame, test), "assertion"))
        return run(frame, [*node.orelse, *rest], after), True
    if _raises(node.orelse):
        frame.c.append(require(truth(frame, test), "assertion"))
        return run(frame, [*node.body, *rest], after), True
    if returns:
        sides = ([*node.body, *rest], [*node.orelse, *rest])
        return branch(frame, test, sides, after, run), True
    branch(frame, test, (node.body, node.orelse), live, run)
    return None, False
