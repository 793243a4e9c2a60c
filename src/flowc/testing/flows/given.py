"""What a test gives in the place of tools and people must fit the program. A mistake there is the test's own
and is raised: a flow that fails of it would hold whatever is never called.
"""

import inspect
from collections.abc import Callable
from typing import Any

from flowc.runtime.coerce import Mismatch, Tables, coercer
from flowc.runtime.people import Question
from flowc.runtime.plan import Operation
from flowc.runtime.reading import parse_text
from flowc.runtime.types import Type


def fitting(name: str, type_: Type, tables: Tables, value: object) -> None:
    """Raises TypeError for a value that is none of the type of what it stands for."""
    __tracebackhide__ = True
    try:
        coercer(type_, tables)(value)
    except Mismatch as mismatch:
        raise TypeError(f"what the test gives for `{name}` does not fit: {mismatch}") from None


def callable_as(operation: Operation, function: Callable[..., Any]) -> None:
    """Raises TypeError for a function that takes other arguments than the tool that it stands for."""
    __tracebackhide__ = True
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):  # some built-in functions have none
        return
    try:
        signature.bind(*operation.parameters)
    except TypeError as error:
        names = ", ".join(each.name for each in operation.parameters)
        raise TypeError(
            f"the function that the test gives for `{operation.name}` is called with ({names}): {error}"
        ) from None


def answer(question: Question, said: object) -> object:
    """What the given answer says. Raises LookupError where it says that nobody answers, TypeError where it
    does not fit.
    """
    if callable(said) and not _nobody(said):
        said = said(question.prompt)
    if _nobody(said):
        raise LookupError(question.operation)
    if isinstance(said, str):
        try:
            return parse_text(question.result, said, question.tables)
        except Mismatch as mismatch:
            raise TypeError(f"the answer of `{question.operation}` does not fit: {mismatch}") from None
    fitting(question.operation, question.result, question.tables, said)
    return said


def _nobody(said: object) -> bool:
    return isinstance(said, LookupError) or (isinstance(said, type) and issubclass(said, LookupError))
