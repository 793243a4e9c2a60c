"""Calls: NumPy's functions by table, Python's own functions by putting their body in place."""

import ast
import inspect
import types
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from flowc.compiler.python.definitions import Definition
from flowc.compiler.python.marks import ElementMark
from flowc.compiler.python.numeric import functions
from flowc.compiler.python.numeric.arithmetic import settled
from flowc.compiler.python.numeric.errors import Refused
from flowc.compiler.python.numeric.frame import Frame, frame_of
from flowc.compiler.python.numeric.functions.creation import array
from flowc.compiler.python.numeric.functions.dtypes import dtype_object, dtype_of_object
from flowc.compiler.python.numeric.library import PROGRAMS, SHOWN
from flowc.compiler.python.numeric.methods import Method
from flowc.compiler.python.numeric.nested import Closure
from flowc.compiler.python.numeric.values import Array, Listed, Origin
from flowc.compiler.python.source import locate


def call(frame: Frame, function: object, arguments: Sequence[object], keywords: Mapping[str, object]) -> Any:
    """The value of a call."""
    if isinstance(function, Method) and function.written:
        return _written(frame, function.function, [function.owner, *arguments], keywords)
    if isinstance(function, Method):
        return _table(frame, function.function, f".{function.name}", [function.owner, *arguments], keywords)
    implementation = functions.find(function)
    if implementation is not None:
        return _table(frame, implementation, _name(function), arguments, keywords)
    if isinstance(function, ElementMark) or (isinstance(function, type) and issubclass(function, np.generic)):
        return _cast(frame, dtype_of_object(function), arguments)
    if isinstance(function, Definition) and function.kind == "kernel":
        return _inline(frame, function.function, arguments, keywords)
    written = _hashable(function) and PROGRAMS.get(function)
    if written:
        return _written(frame, written, arguments, keywords)
    if isinstance(function, types.FunctionType | Closure):
        return _inline(frame, function, arguments, keywords)
    raise Refused(f"{_name(function)} has no native form", help=functions.nearest(function))


def _written(
    frame: Frame, program: Any, arguments: Sequence[object], keywords: Mapping[str, object]
) -> object:
    """What a function of NumPy gives that is written as a program."""
    made = _inline(frame, program, arguments, keywords)
    if program in SHOWN and isinstance(made, Array) and isinstance(arguments[0], Array):
        return frame.c.copied(made, arguments[0])
    return made


def _hashable(function: object) -> bool:
    try:
        hash(function)
    except TypeError:
        return False
    return True


def _name(function: object) -> str:
    module = getattr(function, "__module__", None) or ""
    name = getattr(function, "__qualname__", getattr(function, "__name__", type(function).__name__))
    owner = getattr(function, "__self__", None)
    if isinstance(owner, np.ufunc):
        return f"`np.{owner.__name__}.{name}`"
    short = {"numpy": "np.", "numpy.linalg": "np.linalg.", "builtins": "", "math": "math."}
    prefix = short.get(module, f"{module}." if module.startswith("numpy") else "")
    return f"`{'np.' if isinstance(function, np.ufunc) else prefix}{name}`"


def _table(
    frame: Frame,
    implementation: Callable[..., Any],
    name: str,
    arguments: Sequence[object],
    keywords: Mapping[str, object],
) -> object:
    if functions.keeps_masks(implementation):
        arguments = [each.array if isinstance(each, Listed) else each for each in arguments]
    else:
        arguments = [settled(frame.c, each) for each in arguments]
        keywords = {name: settled(frame.c, each) for name, each in keywords.items()}
    try:
        inspect.signature(implementation).bind(frame.c, *arguments, **keywords)
    except TypeError as error:
        raise Refused(f"{name} has no native form with these arguments", why=str(error)) from error
    return implementation(frame.c, *arguments, **keywords)


def _cast(frame: Frame, dtype: str, arguments: Sequence[object]) -> object:
    if len(arguments) != 1:
        raise Refused("a conversion takes one value")
    return array(frame.c, arguments[0], dtype_object(dtype))


def _inline(
    frame: Frame, function: Any, arguments: Sequence[object], keywords: Mapping[str, object]
) -> object:
    """The body of a Python function, with its parameters bound to the arguments."""
    c = frame.c
    if isinstance(function, Closure):
        file, node, signature = function.file, function.definition, function.signature
    else:
        file, node = locate(function, frame.program.sources)
        signature = inspect.signature(function)
    if node in c.calls:
        raise Refused(f"`{node.name}` calls itself", help="write a loop")
    if isinstance(node, ast.AsyncFunctionDef):
        raise Refused(f"`{node.name}` is asynchronous: it has no native form")
    try:
        bound = signature.bind(*arguments, **keywords)
    except TypeError as error:
        raise Refused(f"`{node.name}` {error}") from error
    bound.apply_defaults()
    inner = frame_of(frame.program, function, file, node)
    inner.names.update(bound.arguments)
    inner.given = frozenset(_arrays(list(inner.names.values())))
    c.calls.append(node)
    c.sites.append((file.path, node.lineno, 0))
    location = c.location
    try:
        return frame.program.run(inner)
    finally:
        c.calls.pop()
        c.sites.pop()
        c.location = location


def _arrays(values: Sequence[object]) -> Iterator[Origin]:
    for value in values:
        if isinstance(value, Array):
            yield value.storage.origin
        elif isinstance(value, list | tuple):
            yield from _arrays(value)
        elif isinstance(value, Closure):
            yield from _arrays(list(value.names.values()))
