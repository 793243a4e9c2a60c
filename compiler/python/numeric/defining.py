"""Functions that numeric code defines: what they see is taken where they are defined.

Python looks the names around a function up when it is called. That is the same as long as none of them is
bound again after the definition, which is refused.
"""

import ast
import inspect
from collections.abc import Callable, Iterator

from flowc.compiler.python.numeric.errors import UNSETTLED, Refused
from flowc.compiler.python.numeric.frame import Frame
from flowc.compiler.python.numeric.nested import Closure, NestedFunction, names_in


def closure_of(frame: Frame, node: NestedFunction, evaluate: Callable[[Frame, ast.expr], object]) -> Closure:
    """The function with what its names stand for now; `evaluate` gives the values of its defaults."""
    seen = {}
    for read in node.reads:
        if read.id in frame.local or read.id in frame.names:
            _require_settled(frame, read.id, node)
            seen[read.id] = frame.lookup(read.id)
    signature = inspect.Signature(list(_parameters(frame, node.definition.args, evaluate)))
    return Closure(node.definition, frame.file, frame.world, seen, signature)


def _require_settled(frame: Frame, name: str, node: NestedFunction) -> None:
    """Raises Refused where a name is bound after the function that reads it."""
    for part in names_in(frame.node.body):
        later = (part.lineno, part.col_offset) > (node.lineno, node.col_offset)
        if part.id == name and later and isinstance(part.ctx, ast.Store):
            raise Refused(
                f"`{name}` is bound again after a function that reads it",
                help=f"give it to the function as an argument, or as a default: `{name}={name}`",
                code=UNSETTLED,
            )


def _parameters(
    frame: Frame, given: ast.arguments, evaluate: Callable[[Frame, ast.expr], object]
) -> Iterator[inspect.Parameter]:
    if given.kwarg is not None:
        raise Refused("`**` parameters have no native form", help="write the names out")
    positional = [*given.posonlyargs, *given.args]
    required = len(positional) - len(given.defaults)
    for number, argument in enumerate(positional):
        only = number < len(given.posonlyargs)
        kind = inspect.Parameter.POSITIONAL_ONLY if only else inspect.Parameter.POSITIONAL_OR_KEYWORD
        default: object = inspect.Parameter.empty
        if number >= required:
            default = evaluate(frame, given.defaults[number - required])
        yield inspect.Parameter(argument.arg, kind, default=default)
    if given.vararg is not None:
        yield inspect.Parameter(given.vararg.arg, inspect.Parameter.VAR_POSITIONAL)
    for argument, value in zip(given.kwonlyargs, given.kw_defaults, strict=True):
        default = inspect.Parameter.empty if value is None else evaluate(frame, value)
        yield inspect.Parameter(argument.arg, inspect.Parameter.KEYWORD_ONLY, default=default)
