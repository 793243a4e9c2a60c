"""Forms of NumPy that the language writes differently: new axes, joined arrays, Python's `sum`."""

import ast
import builtins
from collections.abc import Sequence
from typing import Any

from flowc.compiler.syntax import Argument, Call, Constant, Expression, Name, Slice, Span, Subscript

OVER_FIRST_AXIS = {getattr(builtins, name): name for name in ("sum", "min", "max", "any", "all")}
"""Python's functions that go over an array row by row; the built-ins of these names take all elements."""


def is_numpy(value: Any, *names: str) -> bool:
    """Whether `value` is the NumPy function of one of these names."""
    return getattr(value, "__name__", None) in names and (getattr(value, "__module__", "") or "").startswith(
        "numpy"
    )


def is_ufunc(value: Any) -> bool:
    """Whether `value` is a NumPy function that gives f64, no weak number, for Python's numbers."""
    return type(value).__module__.startswith("numpy") and type(value).__name__ == "ufunc"


def joined_parts(call: ast.Call) -> list[ast.expr] | None:
    """The arrays of `np.concatenate([a, b], ...)`, or None when they are not written out."""
    match call.args:
        case [ast.List(elts=parts) | ast.Tuple(elts=parts), *_]:
            return parts
    return None


def reordered(call: ast.Call, numpy: bool) -> tuple[ast.expr, list[ast.expr]] | None:
    """The array and the axes of `np.transpose(x, (0, 2, 1))` or `x.transpose(0, 2, 1)`; None for others."""
    match call:
        case ast.Call(args=[source, ast.Tuple(elts=axes) | ast.List(elts=axes)], keywords=[]) if numpy:
            return source, axes
        case ast.Call(func=ast.Attribute(value=source), args=[ast.Tuple(elts=axes) | ast.List(elts=axes)]):
            return None if numpy else (source, axes)
        case ast.Call(func=ast.Attribute(value=source), args=[_, _, *_] as axes, keywords=[]):
            return None if numpy else (source, axes)
    return None


def clipped(value: Expression, low: Expression, high: Expression, span: Span) -> Expression:
    """`np.clip(value, low, high)`: what NumPy says it does."""
    for name, bound in (("maximum", low), ("minimum", high)):
        arguments = (Argument(None, value, span=span), Argument(None, bound, span=span))
        value = Call(Name(name, span=span), arguments, span=span)
    return value


def axis_argument(axis: int, span: Span) -> Argument:
    """`axis=...` as a literal."""
    return Argument("axis", Constant("int", axis, span=span), span=span)


def new_axes(nodes: Sequence[ast.expr]) -> list[int]:
    """Where `None` in a subscript makes a new axis, counted in the result."""
    axes, axis = [], 0
    for node in nodes:
        if isinstance(node, ast.Constant) and node.value is None:
            axes.append(axis)
        if isinstance(node, ast.Slice) or (isinstance(node, ast.Constant) and node.value is None):
            axis += 1
    return axes


def expanded(
    value: Expression, indices: tuple[Expression | Slice, ...], axes: list[int], span: Span
) -> Expression:
    """`value[indices]` with new axes of extent 1; whole slices at the end say nothing and are left out."""
    kept = list(indices)
    while kept and isinstance(kept[-1], Slice) and kept[-1] == Slice(span=span):
        kept.pop()
    if kept:
        value = Subscript(value, tuple(kept), span=span)
    for axis in axes:
        arguments = (Argument(None, value, span=span), axis_argument(axis, span))
        value = Call(Name("expand", span=span), arguments, span=span)
    return value
