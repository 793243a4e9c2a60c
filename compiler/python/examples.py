"""Example arguments from their types as text, for compiling a function under `@jit` before it is called."""

import re
from collections.abc import Mapping
from typing import Any

from flowc.runtime.dtypes import INTEGERS, itemsizes, numpy_dtype

_TYPE = re.compile(r"(\w+)(?:\[([^\]]*)\])?")
_WORD = re.compile(r"[A-Za-z_]\w*")


class NoExample(ValueError):
    """A text that is no type or value of an argument; the message says what would be."""


def example(text: str, extents: dict[str, int]) -> Any:
    """An argument of the type `f32[n, 384]`, `f64`, `int`, or the value `3`; `extents` collects the names.

    Different names get different extents, as specialisation tells only equal extents and 1 from others.
    """
    import numpy as np

    found = _TYPE.fullmatch(text.strip())
    plain: Mapping[str, Any] = {"int": 2, "float": 1.5, "bool": True, "True": True, "False": False}
    if text.strip() in plain:
        return plain[text.strip()]
    for convert in (int, float):
        try:
            return convert(text)
        except ValueError:
            continue
    if found is None or found[1] not in itemsizes:
        raise NoExample("write a type such as `f32[n, 384]`, `f64`, `int` or `float`, or a number")
    dtype = numpy_dtype(found[1])
    if found[2] is None:
        return dtype.type(2 if found[1] in INTEGERS else 1)
    return np.ones([_extent(part.strip(), extents) for part in found[2].split(",")], dtype)


def _extent(text: str, extents: dict[str, int]) -> int:
    if text.isdigit():
        return int(text)
    if not _WORD.fullmatch(text):
        raise NoExample(f"`{text}` is no extent: write a number or a name")
    return extents.setdefault(text, 2 + len(extents))
