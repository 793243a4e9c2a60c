"""The pure functions behind `apply` nodes, by the names that the compiler's table of built-ins uses.

They take and give values of a run, never change an argument, and fail with the plain exceptions of Python,
which the scheduler turns into coded problems: ZeroDivisionError, IndexError, KeyError, ValueError,
OverflowError.
"""

from collections.abc import Callable, Mapping
from typing import Any

from flowc.runtime.functions.collections import COLLECTIONS
from flowc.runtime.functions.numbers import NUMBERS
from flowc.runtime.functions.operators import OPERATORS
from flowc.runtime.functions.texts import TEXTS

FUNCTIONS: Mapping[str, Callable[..., Any]] = {**OPERATORS, **NUMBERS, **COLLECTIONS, **TEXTS}
"""Every function of `apply`."""
