"""How the value of a run is printed, and how its arrays become files."""

import contextlib
import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from flowc.cli.arguments import split_words
from flowc.cli.failure import UsageProblem
from flowc.runtime.plan import Function, Plan
from flowc.runtime.types import Array, Record

LINE = 100
"""A value that fits into this many columns stays on one line."""


@contextlib.contextmanager
def any_digits() -> Iterator[None]:
    """Lets whole numbers of any length be read and printed, which Python stops at 4,300 digits."""
    before = sys.get_int_max_str_digits()
    sys.set_int_max_str_digits(0)
    try:
        yield
    finally:
        sys.set_int_max_str_digits(before)


def value_text(value: object) -> str:
    """A value as a person reads it: a text as it is, a record by fields, arrays in rows, the rest as JSON."""
    from flowc.runtime.values import RecordValue, record_fields

    if isinstance(value, str):
        return value
    if isinstance(value, RecordValue):
        return "\n".join(_field_text(name, item) for name, item in record_fields(value).items())
    return _plain_text(value)


def _field_text(name: str, value: object) -> str:
    shown = value_text(value)
    if "\n" not in shown and len(shown) + len(name) + 2 <= LINE:
        return f"{name}: {shown}"
    if isinstance(value, str) and "\n" not in shown:
        return f"{name}: {shown}"
    return f"{name}:\n" + "\n".join(f"  {line}" for line in shown.split("\n"))


def _plain_text(value: object) -> str:
    from flowc.runtime.values import is_array, to_json

    if is_array(value):
        return _array_text(value)
    if (
        isinstance(value, list | tuple)
        and value
        and len(json.dumps(to_json(value), ensure_ascii=False)) > LINE
    ):
        return "\n".join(_item_text(item) for item in value)
    plain = to_json(value)
    line = json.dumps(plain, ensure_ascii=False)
    return line if len(line) <= LINE else json.dumps(plain, ensure_ascii=False, indent=2)


def _item_text(value: object) -> str:
    return "- " + value_text(value).replace("\n", "\n  ")


def _array_text(value: Any) -> str:
    """Shape and dtype, then the numbers; of a large array only the corners."""
    import numpy as np

    from flowc.runtime.values import PRINTED_ELEMENTS

    extents = ", ".join(map(str, value.shape))
    numbers = value if value.dtype.kind in "biuf" else value.astype(np.float32)
    drawn = np.array2string(numbers, max_line_width=LINE, threshold=PRINTED_ELEMENTS, precision=5)
    return f"{value.dtype.name}[{extents}]\n{drawn}"


def read_outputs(words: Sequence[str]) -> dict[str, str]:
    """The `--out NAME=FILE.npy` options."""
    found = split_words(words, "an output")
    for name, path in found.items():
        if not path.endswith(".npy"):
            raise UsageProblem(
                "E0683", f"`--out {name}={path}` names no .npy file", help=f"write --out {name}={name}.npy"
            )
    return found


def check_outputs(outputs: Mapping[str, str], function: Function, plan: Plan) -> None:
    """Refuses an output that the flow's result cannot have, before anything runs."""
    members = plan.records[function.result.name] if isinstance(function.result, Record) else ()
    types = dict(members) if members else {"result": function.result}
    arrays = [name for name, type_ in types.items() if isinstance(type_, Array)]
    for name, path in outputs.items():
        if name not in arrays:
            raise UsageProblem(
                "E0683",
                f"the result has no array `{name}`",
                why=f"its arrays are {', '.join(arrays)}" if arrays else "nothing in it is an array",
                help=f"write --out {arrays[0]}={path}" if arrays else "print it as text or JSON instead",
            )


def write_outputs(outputs: Mapping[str, str], value: Any) -> None:
    """Writes arrays of a result: a field of a record by its name, or the whole as `result`."""
    from flowc.runtime.arrays import write_npy
    from flowc.runtime.values import RecordValue, record_fields

    arrays = record_fields(value) if isinstance(value, RecordValue) else {"result": value}
    for name, path in outputs.items():
        write_npy(Path(path), arrays[name])
