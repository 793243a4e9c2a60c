"""What a Python function computes, as a text that is equal only for functions that compute the same.

It is taken from the function's bytecode and from the values that its global and enclosing names have, so it
needs neither the source nor a parser. Arrays count by dtype and shape alone, since code takes them as
arguments. What cannot be written down makes a function unknown: it has no fingerprint, and its code is found
by the compiler's own key instead.
"""

import __future__

import builtins
import hashlib
import inspect
import linecache
import sys
from collections.abc import Callable, Iterator, Sequence
from types import CodeType, FunctionType, ModuleType
from typing import Any

from attrs import define, field

from flowc.compiler.python.closures import closure
from flowc.compiler.python.definitions import Definition

KNOWN = ("numpy", "math", "builtins", "flowc", "ml_dtypes", "scipy", "operator")
"""Modules whose functions mean the same wherever their version is the same."""


_FUTURE = sum(getattr(__future__, name).compiler_flag for name in __future__.all_feature_names)


class _Unknown(Exception):
    """A value that no text stands for."""


@define
class _Seen:
    """The functions met, by identity, and the arrays, in the order in which they are met."""

    functions: dict[int, int] = field(factory=dict)
    arrays: list[Any] = field(factory=list)


def fingerprint(function: Callable[..., Any]) -> str | None:
    """The hash of a function and all that it refers to; None where that cannot be told."""
    found = fingerprint_with_arrays(function)
    return found[0] if found is not None else None


def fingerprint_with_arrays(function: Callable[..., Any]) -> tuple[str, Sequence[Any]] | None:
    """The hash of a function, with the NumPy arrays that it refers to: in one order for equal hashes."""
    seen = _Seen()
    try:
        text = "\n".join([sys.version, *_function(function, seen)])
    except _Unknown:
        return None
    return hashlib.sha256(text.encode()).hexdigest(), seen.arrays


def is_current(function: Callable[..., Any]) -> bool:
    """Whether the source of a function, as it can be read now, is still what it was made from."""
    code: CodeType = inspect.unwrap(function).__code__
    text = "".join(linecache.getlines(inspect.getsourcefile(function) or code.co_filename))
    try:
        module = compile(text, code.co_filename, "exec", flags=code.co_flags & _FUTURE, dont_inherit=True)
    except (SyntaxError, ValueError):
        return False
    return any(each == code for each in _codes(module))


def _function(function: Any, seen: _Seen) -> Iterator[str]:
    if id(function) in seen.functions:
        yield f"function {seen.functions[id(function)]}"
        return
    seen.functions[id(function)] = len(seen.functions)
    if not isinstance(function, FunctionType):
        raise _Unknown
    yield repr((function.__name__, function.__defaults__ and len(function.__defaults__)))
    code = function.__code__
    yield from _code(code)
    defaults = (*(function.__defaults__ or ()), *(function.__kwdefaults__ or {}).items())
    for value in defaults:
        yield from _value(value, (), seen)
    names = tuple(sorted({name for each in _codes(code) for name in each.co_names}))
    enclosing = closure(function)
    for name in sorted({*names, *code.co_freevars}):
        if name in enclosing:
            value = enclosing[name]
        elif name in function.__globals__:
            value = function.__globals__[name]
        elif hasattr(builtins, name):
            value = getattr(builtins, name)
        else:
            continue  # an attribute, or a name that is not bound
        yield f"{name} ="
        yield from _value(value, names, seen)


def _codes(code: CodeType) -> Iterator[CodeType]:
    yield code
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _codes(constant)


def _code(code: CodeType) -> Iterator[str]:
    """The bytecode; its table of lines counts from the first, and errors at run time name lines."""
    yield code.co_code.hex()
    yield code.co_linetable.hex()
    yield repr((code.co_names, code.co_varnames, code.co_freevars, code.co_argcount, code.co_flags))
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _code(constant)
        else:
            yield f"{type(constant).__name__} {constant!r}"


def _value(value: Any, names: tuple[str, ...], seen: _Seen) -> Iterator[str]:
    """A value that a function refers to; `names` are the attributes that it may take of a module."""
    if isinstance(value, Definition):
        yield f"{value.kind} {getattr(value, 'options', '')}"
        yield from _function(value.function, seen)
    elif isinstance(value, FunctionType) and _module(value) not in KNOWN:
        yield from _function(value, seen)
    elif value is None or isinstance(value, bool | int | float | complex | str | bytes):
        yield f"{type(value).__name__} {value!r}"
    elif isinstance(value, tuple | list):
        yield f"{type(value).__name__} {len(value)}"
        for item in value:
            yield from _value(item, names, seen)
    elif isinstance(value, ModuleType):
        yield from _attributes(value, names, seen)
    elif callable(value) and hasattr(value, "__name__") and _module(value) in KNOWN:
        yield f"{value.__module__}.{value.__name__}"
    else:
        yield _numpy(value, seen)


def _attributes(module: ModuleType, names: tuple[str, ...], seen: _Seen) -> Iterator[str]:
    yield f"module {module.__name__}"
    if module.__name__.partition(".")[0] in KNOWN:
        return
    for name in names:
        if hasattr(module, name):
            yield f"{module.__name__}.{name} ="
            yield from _value(getattr(module, name), names, seen)


def _numpy(value: Any, seen: _Seen) -> str:
    import numpy as np

    if isinstance(value, np.ufunc):
        return f"ufunc {value.__name__}"
    if isinstance(value, np.dtype):
        return f"dtype {value!r}"
    if isinstance(value, np.generic) and value.dtype.kind not in "OV":
        return f"{type(value).__name__} {value.dtype.str} {value.tobytes().hex()}"
    if isinstance(value, np.ndarray) and value.dtype.kind not in "OV":
        return f"{type(value).__name__} {value.dtype.str} {value.shape} {_place(value, seen.arrays)}"
    raise _Unknown


def _place(array: Any, arrays: list[Any]) -> int:
    """Which of the arrays met it is: code takes them as arguments, one that has two names once."""
    for place, each in enumerate(arrays):
        if each is array:
            return place
    arrays.append(array)
    return len(arrays) - 1


def _module(value: Any) -> str:
    return (getattr(value, "__module__", None) or "").partition(".")[0]
