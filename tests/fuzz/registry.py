"""All targets by their names, their corpora, and what they once failed on."""

from collections.abc import Mapping
from functools import cache
from pathlib import Path

from tests.fuzz.contract import Target
from tests.fuzz.targets import answers, artifacts, endpoints, imports, journals, language, settings

FOLDER = Path(__file__).parent
TARGETS: Mapping[str, Target] = {
    target.name: target
    for module in (language, artifacts, journals, answers, endpoints, imports, settings)
    for target in module.TARGETS
}


def kept(name: str) -> list[Path]:
    """Inputs that are files: what a target once failed on, and a few that guided runs have found."""
    return [
        path for folder in ("regressions", "corpus") for path in sorted((FOLDER / folder / name).glob("*"))
    ]


@cache
def corpus(name: str) -> tuple[bytes, ...]:
    """What inputs of a target are made of: its seeds, and those that are kept as files."""
    return (*TARGETS[name].seeds(), *(path.read_bytes() for path in kept(name)))
