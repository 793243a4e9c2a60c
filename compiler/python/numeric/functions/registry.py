"""The table of functions that have a native form: a Python callable to the code that builds it."""

from collections.abc import Callable
from typing import Any, TypeVar

Implementation = Callable[..., Any]
"""Takes the context, then what the function takes, by the same names."""
F = TypeVar("F", bound=Implementation)

_table: dict[Any, Implementation] = {}


def implements(*functions: object) -> Callable[[F], F]:
    """Says that a builder is the native form of these callables."""

    def register(implementation: F) -> F:
        for function in functions:
            _table[function] = implementation
        return implementation

    return register


def add(function: object, implementation: Implementation) -> None:
    """Puts one builder in the table."""
    _table[function] = implementation


def lookup(function: object) -> Implementation | None:
    """The builder of a callable."""
    try:
        return _table.get(function)
    except TypeError:
        return None


def entries() -> dict[Any, Implementation]:
    """The whole table."""
    return dict(_table)
