"""Whole numbers in the environment's variables: one of the wrong form is an error, never passed over."""

import os
from collections.abc import Callable

from flowc.runtime.errors import FlowError


def number(variable: str, least: int, most: int, wrong: Callable[[str], FlowError]) -> int | None:
    """What a variable says, None where it is not set; raises the error of `wrong` for what is no such
    number."""
    text = os.environ.get(variable, "").strip()
    if not text:
        return None
    if not (text.isascii() and text.isdecimal() and least <= int(text) <= most):
        raise wrong(f"{variable}={text}")
    return int(text)
