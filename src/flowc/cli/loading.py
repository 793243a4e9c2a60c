"""From a file to something that runs: a program is compiled, an artifact is read and verified."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from flowc.cli import files, streams
from flowc.cli.loaded import Loaded


def load(path: str, level: int) -> Loaded:
    """Compiles a .flow file, or reads a .flowc artifact without touching the compiler."""
    if path.endswith(files.ARTIFACT):
        from flowc.cli.artifacts import read_artifact_file

        return read_artifact_file(path)
    from flowc.compiler.driver import compile_text
    from flowc.compiler.parser import decode

    text = decode(files.read_bytes(path), path)
    compiled = compile_text(text, path, folder=Path(path).parent, level=level)
    for warning in compiled.warnings:
        streams.show_diagnostic(warning, compiled.source)
    return Loaded(compiled.plan, native(compiled.kernels), compiled.source, Path(path).parent)


def native(kernels: Any) -> Mapping[str, Callable[..., Any]]:
    """Compiled kernels as callables; none where a program has none."""
    if kernels is None:
        return {}
    from flowc.runtime.kernels import load as load_kernels

    return load_kernels(kernels.object_code, kernels.signatures)
