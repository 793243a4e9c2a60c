"""From a file to something that runs: a program is compiled, an artifact is read and verified."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from attrs import frozen

from flowc.cli import files
from flowc.compiler.diagnostics.model import Source
from flowc.runtime.plan import Plan


@frozen
class Loaded:
    """A plan with its kernels, the text that its lines refer to, and the folder that its tools stand in."""

    plan: Plan
    kernels: Mapping[str, Callable[..., Any]]
    source: Source
    folder: Path


def load(path: str, level: int) -> Loaded:
    """Compiles a .flow file, or reads a .flowc artifact without touching the compiler."""
    if path.endswith(files.ARTIFACT):
        return _read_artifact(path)
    from flowc.cli.compilation import compiled_file

    compiled = compiled_file(path, level)
    return Loaded(compiled.plan, compiled.kernels(), compiled.source, Path(path).parent)
