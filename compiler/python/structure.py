"""How what a numeric function returns is put together from the results of its kernel."""

from collections.abc import Mapping, Sequence
from typing import Any

from attrs import frozen

from flowc.compiler.python.functions import TopK

PYTHON: Mapping[str, type] = {"bool": bool, "i64": int, "f64": float}
"""The types of Python's own numbers by the dtype in which they travel."""
MAKERS: Mapping[str, Any] = {"tuple": tuple, "list": list, "TopK": TopK._make}
"""What several values are put into, by name."""


@frozen
class Known:
    """A value that is known when the code is made."""

    value: Any


@frozen
class Result:
    """A result of the kernel, by position; with `weak`, a number of Python's of that dtype; with `axes`, its
    axes in that order, so that it lies as NumPy has it."""

    position: int
    weak: str = ""
    axes: tuple[int, ...] = ()


@frozen
class Cut:
    """The first part of a result of the kernel: along each such axis as much as another result says."""

    position: int
    counts: tuple[tuple[int, int], ...]


@frozen
class Argument:
    """An argument of the function itself, which was changed in place."""

    name: str


@frozen
class Several:
    """A tuple or a list of such."""

    parts: tuple["Structure", ...]
    maker: str = "tuple"


Structure = Known | Result | Cut | Argument | Several


def is_plain(structure: Structure) -> bool:
    """Whether the kernel's own results are what the function returns."""
    if structure == Result(0):
        return True
    if not isinstance(structure, Several) or structure.maker != "tuple" or len(structure.parts) < 2:
        return False
    return structure.parts == tuple(map(Result, range(len(structure.parts))))


def takes_out(structure: Structure) -> bool:
    """Whether what the function returns is the kernel's own results, each once and in order: then buffers can
    be given for them."""
    if not isinstance(structure, Several):
        return structure == Result(0)
    return structure.parts == tuple(map(Result, range(len(structure.parts))))


def in_rows(structure: Structure) -> bool:
    """Whether the arrays that the function returns lie as the kernel writes them."""
    if isinstance(structure, Several):
        return all(map(in_rows, structure.parts))
    return not isinstance(structure, Result) or not structure.axes


def given_back(structure: Structure, out: Any) -> Any:
    """Buffers that have been filled, as the function returns its results."""
    if not isinstance(structure, Several):
        return out
    return MAKERS[structure.maker]((out,) if len(structure.parts) == 1 else out)


def assemble(structure: Structure, results: Sequence[Any], arguments: Mapping[str, Any]) -> Any:
    """What the function returns, from the results of the kernel and the arguments by name."""
    match structure:
        case Known(value=value):
            return value
        case Result(position=position, weak=weak, axes=axes):
            if axes:
                return results[position].transpose(axes)
            return PYTHON[weak](results[position]) if weak else results[position]
        case Cut():
            return cut(structure, results)
        case Argument(name=name):
            return arguments[name]
        case Several(parts=parts, maker=maker):
            return MAKERS[maker]([assemble(part, results, arguments) for part in parts])


def cut(structure: Cut, results: Sequence[Any]) -> Any:
    """As much of a result as others say; where that is little, it has memory of its own."""
    whole = part = results[structure.position]
    for axis, count in structure.counts:
        part = part[(slice(None),) * axis + (slice(int(results[count])),)]
    return part if 2 * part.size >= whole.size else part.copy()


def structure_to_json(structure: Structure) -> Any:
    """A plain JSON value that `structure_from_json` reads back; raises TypeError for a value that has
    none."""
    match structure:
        case Known(value=value):
            if value is not None and not isinstance(value, bool | int | float | str):
                raise TypeError(f"{type(value).__name__} has no JSON form")
            return {"known": value}
        case Result(position=position, weak=weak, axes=axes):
            return {"result": position, "weak": weak, "axes": list(axes)}
        case Cut(position=position, counts=counts):
            return {"cut": position, "counts": [list(pair) for pair in counts]}
        case Argument(name=name):
            return {"argument": name}
        case Several(parts=parts, maker=maker):
            return {"several": [structure_to_json(part) for part in parts], "maker": maker}


def structure_from_json(value: Mapping[str, Any]) -> Structure:
    """Reads what `structure_to_json` gives."""
    if "known" in value:
        return Known(value["known"])
    if "result" in value:
        return Result(int(value["result"]), str(value["weak"]), tuple(map(int, value["axes"])))
    if "cut" in value:
        return Cut(int(value["cut"]), tuple((int(axis), int(count)) for axis, count in value["counts"]))
    if "argument" in value:
        return Argument(str(value["argument"]))
    return Several(tuple(map(structure_from_json, value["several"])), str(value["maker"]))
