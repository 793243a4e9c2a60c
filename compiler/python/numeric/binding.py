"""Giving names to values: `a = v`, `a, b = v`."""

import ast

from flowc.compiler.python.numeric.errors import SHAPES, Refused
from flowc.compiler.python.numeric.frame import Frame
from flowc.compiler.python.numeric.subscripts import subscript
from flowc.compiler.python.numeric.values import Array


def bind(frame: Frame, target: ast.expr, value: object) -> None:
    """Binds a name, or the names of a tuple; subscripts are the statements' concern."""
    if isinstance(target, ast.Name):
        frame.names[target.id] = value
        return
    if not isinstance(target, ast.Tuple | ast.List):
        raise Refused("only names and tuples of names can be bound here")
    for name, item in zip(target.elts, parts(frame, value, len(target.elts)), strict=True):
        bind(frame, name, item)


def parts(frame: Frame, value: object, count: int) -> list[object]:
    """A value as `count` values: a tuple's, or those along the first axis of an array."""
    if isinstance(value, tuple | list | range):
        items = list(value)
    elif isinstance(value, Array) and isinstance(value.shape[0], int):
        items = [subscript(frame.c, value, [position]) for position in range(value.shape[0])]
    elif isinstance(value, Array):
        frame.c.need_extents("an array of unknown extent cannot be unpacked")
    else:
        raise Refused("only tuples, lists and arrays can be unpacked")
    if len(items) != count:
        raise Refused(f"{len(items)} values for {count} names", code=SHAPES)
    return items
