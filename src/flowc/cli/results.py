"""How the value of a run is printed, and how its arrays become files."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from flowc.cli.arguments import split_words
from flowc.cli.failure import UsageProblem

LINE = 100
"""A list or a small record that fits into this many columns stays on one line."""


def value_text(value: object) -> str:
    """A value as a person reads it: a text as it is, the rest as JSON."""
    from flowc.runtime.values import to_json

    if isinstance(value, str):
        return value
    plain = to_json(value)
    line = json.dumps(plain, ensure_ascii=False)
    nested = isinstance(plain, dict) and any(isinstance(item, dict | list) for item in plain.values())
    if len(line) <= LINE and not nested:
        return line
    return json.dumps(plain, ensure_ascii=False, indent=2)


def read_outputs(words: Sequence[str]) -> dict[str, str]:
    """The `--out NAME=FILE.npy` options."""
    found = split_words(words, "an output")
    for name, path in found.items():
        if not path.endswith(".npy"):
            raise UsageProblem(
                "E0683", f"`--out {name}={path}` names no .npy file", help=f"write --out {name}={name}.npy"
            )
    return found


def write_outputs(outputs: dict[str, str], value: Any) -> None:
    """Writes arrays of a result: a field of a record by its name, or the whole as `result`."""
    from flowc.runtime.arrays import write_npy
    from flowc.runtime.values import RecordValue, is_array, record_fields

    fields = record_fields(value) if isinstance(value, RecordValue) else {"result": value}
    arrays = {name: item for name, item in fields.items() if is_array(item)}
    for name, path in outputs.items():
        if name not in arrays:
            known = ", ".join(arrays)
            raise UsageProblem(
                "E0683",
                f"the result has no array `{name}`",
                why=f"its arrays are {known}" if known else "nothing in it is an array",
                help=f"write --out {next(iter(arrays))}={path}" if known else "print it as text or JSON instead",
            )
        write_npy(Path(path), arrays[name])
