"""What a caller must know of a native kernel: its parameters, its results and the extents to allocate."""

from collections.abc import Mapping
from typing import Any

from attrs import asdict, frozen

from flowc.runtime.dtypes import itemsizes

Extent = int | str | tuple[object, ...]
"""A number; a dimension's name; or an expression over the arguments:
("dim", argument, axis), ("scalar", argument), or (operator, left, right)."""

OPERATORS = ("add", "sub", "mul", "floordiv", "min", "max", "wrap")
"""Operators of extents; `wrap` is left, plus right if it is negative."""


LAYOUTS = ("contiguous", "rows", "any")
"""How an array may lie: in row-major order without gaps, with a dense last axis, anyhow."""


@frozen
class Parameter:
    """An argument of a kernel; `dims` is empty for a number, and an extent in it "" where anything goes.

    `written` is an array that the kernel changes in place.
    """

    name: str
    dtype: str
    dims: tuple[int | str, ...]
    written: bool = False


@frozen
class Result:
    """A result of a kernel, with the extents to allocate."""

    dtype: str
    dims: tuple[Extent, ...]


@frozen
class KernelSignature:
    """What a caller of a kernel must know. `sites` are the lines that a status refers to, 0 where unknown.

    `layouts` has a word of LAYOUTS for each argument where the code is made for one layout; it is empty for
    code that takes any. `chunked` has, for each parameter and then each result, the axis along which a call
    may be cut into calls of its parts, None for what every part gets whole; it is empty where that is not
    proven. `code` names what the kernel computes, whatever it is called: what its calls took is found again
    by it.
    """

    name: str
    params: tuple[Parameter, ...]
    results: tuple[Result, ...]
    sites: tuple[int, ...] = ()
    layouts: tuple[str, ...] = ()
    chunked: tuple[int | None, ...] = ()
    code: str = ""


def signature_to_json(signature: KernelSignature) -> dict[str, Any]:
    """A plain JSON value that `signature_from_json` reads back."""
    return asdict(signature)


def signature_from_json(value: Mapping[str, Any]) -> KernelSignature:
    """Reads what `signature_to_json` gives; raises ValueError on anything else."""
    try:
        return KernelSignature(
            name=str(value["name"]),
            params=tuple(
                Parameter(
                    str(p["name"]),
                    _known(p["dtype"]),
                    tuple(_dimension(d) for d in p["dims"]),
                    bool(p["written"]),
                )
                for p in value["params"]
            ),
            results=tuple(
                Result(_known(r["dtype"]), tuple(_extent(d) for d in r["dims"])) for r in value["results"]
            ),
            sites=tuple(int(line) for line in value["sites"]),
            layouts=tuple(_layout(word) for word in value["layouts"]),
            chunked=tuple(None if axis is None else int(axis) for axis in value.get("chunked", ())),
            code=str(value.get("code", "")),
        )
    except (AttributeError, KeyError, OverflowError, TypeError) as error:
        raise ValueError(f"not the signature of a kernel: {error}") from error


def _known(dtype: object) -> str:
    if dtype not in itemsizes:
        raise ValueError(f"not an element type: {dtype!r}")
    return str(dtype)


def _layout(word: object) -> str:
    if word not in LAYOUTS:
        raise ValueError(f"not a layout: {word!r}")
    return str(word)


def _dimension(value: object) -> int | str:
    if isinstance(value, int | str):
        return value
    raise ValueError(f"not a dimension: {value!r}")


def _extent(value: object) -> Extent:
    if isinstance(value, int | str):
        return value
    if isinstance(value, list | tuple) and value and value[0] in ("dim", "scalar", *OPERATORS):
        head, *rest = value
        return (head, *(item if isinstance(item, int) else _extent(item) for item in rest))
    raise ValueError(f"not an extent: {value!r}")


def parameter_text(parameter: Parameter) -> str:
    """A parameter as a program writes it."""
    if not parameter.dims:
        return f"{parameter.name}: {parameter.dtype}"
    dims = ", ".join(str(d) if d != "" else "?" for d in parameter.dims)
    return f"{parameter.name}: {parameter.dtype}[{dims}]"
