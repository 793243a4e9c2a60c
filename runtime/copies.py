"""Copies of values for those outside who might change them: values of a program never change.

Tools and the callers of a run are Python, where a list handed out can be appended to, while the same list is
the argument of another tool, a constant of the plan or the result of another run. The type tells once what
need not be looked at; what cannot be changed costs nothing.
"""

from collections.abc import Callable, Sequence
from typing import Any

from flowc.runtime.coerce import Tables
from flowc.runtime.types import JSON, Array, Dict, Enum, List, Optional, Record, Scalar, Tuple, Type
from flowc.runtime.values import RecordValue, is_array

Copy = Callable[[Any], Any]
"""Gives an equal value; what is done to it does not show in the first one."""


def copying(type_: Type, tables: Tables, *, arrays: bool = True) -> Copy | None:
    """How to copy values of a type; None where nothing in them can be changed.

    Lists, dicts and json are new. An array is a view that cannot be written, since to copy it may cost more
    than the call; without `arrays` it is left as it is.
    """
    match type_:
        case List(inner) | Dict(inner) if not _can_change(inner, tables, set(), arrays=arrays):
            return _shallow
    if not _can_change(type_, tables, set(), arrays=arrays):
        return None
    return _deep if arrays else _deep_but_arrays


def guarded(
    function: Callable[..., Any], types: Sequence[Type], tables: Tables, *, waits: bool
) -> Callable[..., Any]:
    """The function of a tool, called with copies of its arguments; itself where they cannot be changed.

    `waits` says that it is a coroutine function; what is returned then is one too.
    """
    copies = [copying(type_, tables) for type_ in types]
    if not any(copies):
        return function

    def copied(arguments: tuple[Any, ...]) -> list[Any]:
        pairs = zip(copies, arguments, strict=True)
        return [value if copy is None else copy(value) for copy, value in pairs]

    def call(*arguments: Any) -> Any:
        return function(*copied(arguments))

    async def wait(*arguments: Any) -> Any:
        return await function(*copied(arguments))

    return wait if waits else call


def _can_change(type_: Type, tables: Tables, seen: set[str], *, arrays: bool) -> bool:
    """Whether values of a type have a part that can be changed; `seen` are records that were looked into."""
    match type_:
        case Scalar() | Enum():
            return type_ == JSON
        case Array():
            return arrays
        case Optional(inner):
            return _can_change(inner, tables, seen, arrays=arrays)
        case Tuple(items):
            return any(_can_change(item, tables, seen, arrays=arrays) for item in items)
        case Record(name):
            if name in seen:
                return False
            seen.add(name)
            return any(_can_change(of, tables, seen, arrays=arrays) for _, of in tables.records[name])
    return True


def _shallow(value: Any) -> Any:
    return value.copy() if isinstance(value, list | dict) else value


PLAIN = frozenset({str, int, float, bool, bytes, type(None)})


def _deep(value: Any) -> Any:
    if not is_array(value):
        return _inside(value, _deep)
    view = value.view()
    view.flags.writeable = False
    return view


def _deep_but_arrays(value: Any) -> Any:
    return _inside(value, _deep_but_arrays)


def _inside(value: Any, copy: Copy) -> Any:
    if isinstance(value, list):
        return [item if type(item) in PLAIN else copy(item) for item in value]
    if isinstance(value, dict):
        return {name: item if type(item) in PLAIN else copy(item) for name, item in value.items()}
    if isinstance(value, tuple):
        return tuple([copy(item) for item in value])
    if isinstance(value, RecordValue):
        return type(value)(*[copy(getattr(value, name)) for name in value.__record_fields__])
    return value
