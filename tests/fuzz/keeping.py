"""Failing inputs: made small, kept as files, and said in words."""

from pathlib import Path

from tests.fuzz.contract import Failure, Target, attempt
from tests.fuzz.registry import FOLDER
from tests.fuzz.shrinking import smaller

BUILD = FOLDER.parents[1] / "build"
CRASHES = BUILD / "assurance" / "crashes"
"""Where inputs lie until somebody has mended what they broke, and made regressions of them."""


def minimised(target: Target, failure: Failure) -> Failure:
    """A smaller input that fails in the same way; one that takes long to fail is left as it is."""
    if failure.place in ("Hung", "memory", "MemoryError"):
        return failure

    def fails(data: bytes) -> bool:
        found = attempt(target, data)
        return found is not None and found.place == failure.place

    return attempt(target, smaller(failure.data, fails)) or failure


def kept(failure: Failure, folder: Path | None = None) -> str:
    """Writes the input into a file of the build folder; says what went wrong, and how to see it again."""
    folder = folder or CRASHES
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / failure.name
    path.write_bytes(failure.data)
    shown = repr(failure.data) if len(failure.data) <= 2000 else f"{failure.data[:1000]!r} ..."
    return (
        f"target {failure.target}: {failure.place}\n{failure.said}\n"
        f"the input, {len(failure.data)} bytes: {shown}\n"
        f"again: python -m tests.fuzz {failure.target} {path}\n"
        f"once it is mended: mv {path} tests/fuzz/regressions/{failure.target}/"
    )
