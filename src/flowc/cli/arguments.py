"""The arguments of a run: NAME=VALUE words, a JSON file, or a file of JSON lines, one run each."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from flowc.cli import files
from flowc.cli.failure import UsageProblem
from flowc.runtime.plan import Function, Plan
from flowc.runtime.types import Array, Optional, Type

Read = Callable[[str], dict[str, Any]]
"""Gives the members of a JSON file that holds one object."""


def split_words(words: Sequence[str], what: str = "an argument") -> dict[str, str]:
    """NAME=VALUE words as a mapping; the value is everything after the first `=`."""
    found: dict[str, str] = {}
    for word in words:
        name, equals, value = word.partition("=")
        if not equals or not name.isidentifier():
            raise UsageProblem(
                "E0684",
                f"`{word}` is not {what}",
                why="arguments are written NAME=VALUE, without spaces around the `=`",
                help=f'quote values with spaces: name="{word}"'
                if not equals
                else "a name has letters, digits and _",
            )
        if name in found:
            raise UsageProblem("E0676", f"`{name}` is given twice", help=f"keep one of {name}=...")
        found[name] = value
    return found


def read_object(path: str) -> dict[str, Any]:
    """The members of a JSON file that holds one object."""
    return _object(_parse(_decode(path), path), path)


def of_run(
    plan: Plan, function: Function, words: Sequence[str], args_file: str | None, read: Read = read_object
) -> dict[str, Any]:
    """All arguments of a run: those of the JSON file, as `read` reads it, over them the NAME=VALUE words."""
    from flowc.runtime.reading import read_text_arguments

    given: dict[str, Any] = {}
    if args_file is not None:
        given = with_arrays(function, read(args_file), Path(args_file).parent)
    return given | read_text_arguments(plan, function, split_words(words), folder=Path())


def read_lines(path: str) -> Iterator[dict[str, Any]]:
    """The objects of a JSON-lines file, one a line; blank lines are skipped.

    All are read before the first runs.
    """
    lines = _decode(path).split("\n")
    numbered = [(number, line) for number, line in enumerate(lines, start=1) if line.strip()]
    return iter([_object(_parse(line, path, number), f"{path}, line {number}") for number, line in numbered])


def _decode(path: str) -> str:
    try:
        return files.read_bytes(path).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UsageProblem(
            "E0679",
            f"{path} is not JSON",
            why=f"byte {error.start} is not UTF-8",
            help="save the file as UTF-8",
        ) from None


def _parse(text: str, path: str, line: int = 0) -> Any:
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        place = f"line {line or error.lineno}, column {error.colno}"
        raise UsageProblem(
            "E0679",
            f"{path} is not JSON",
            why=f"{error.msg.lower()} at {place}",
            help="write names and texts in double quotes, and no comma after the last member",
        ) from None
    except (RecursionError, ValueError) as error:
        raise UsageProblem("E0679", f"{path} is not JSON that flowc reads", why=str(error)) from None


def _object(value: Any, place: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise UsageProblem(
            "E0680",
            f"{place} holds no JSON object",
            why=f"it holds {type(value).__name__}; arguments are an object of names and values",
            help='write {"name": value}',
        )
    return value


def with_arrays(function: Function, given: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    """Arguments from JSON where an array may be the path of a .npy file, taken from `folder`."""
    types = {parameter.name: parameter.type for parameter in function.parameters}
    return {name: _array(types.get(name), value, folder) for name, value in given.items()}


def _array(type_: Type | None, value: Any, folder: Path) -> Any:
    if isinstance(type_, Optional):
        type_ = type_.inner
    if isinstance(type_, Array) and isinstance(value, str) and value.endswith(".npy"):
        from flowc.runtime.arrays import read_npy

        return read_npy(folder / value)
    return value
