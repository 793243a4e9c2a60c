"""From a file to something that runs: a program is compiled, an artifact is read and verified."""

from collections.abc import Callable, Mapping
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

from attrs import evolve

from flowc.cli import files, remembering, searching, streams
from flowc.cli.loaded import Loaded

if TYPE_CHECKING:
    from flowc.passes.search.search import SearchRequest
    from flowc.runtime.device.placing import Place


def load(
    path: str,
    level: int,
    search: "SearchRequest | None" = None,
    provider: str | None = None,
    target: str = "cpu",
) -> Loaded:
    """Compiles a .flow file, or reads a .flowc artifact without touching the compiler; kernels are for a
    target.

    What `provider` took in earlier runs counts before what others did.
    """
    if path.endswith(files.ARTIFACT):
        from flowc.cli.artifacts import read_artifact_file

        return read_artifact_file(path, target)
    from flowc.compiler.parser import decode

    text = decode(files.read_bytes(path), path)
    return load_text(text, path, level, search=search, provider=provider, target=target)


def load_text(
    text: str,
    path: str,
    level: int,
    *,
    search: "SearchRequest | None" = None,
    provider: str | None = None,
    target: str = "cpu",
    pipeline: str | None = None,
) -> Loaded:
    """Compiles the text of a program that stands at `path`, with other passes where a `pipeline` is given."""
    from flowc.compiler.driver import Options, compile_text

    chosen = Options(level=level, pipeline=pipeline, search=search, history=remembering.history(provider))
    if target != "cpu":
        from flowc.runtime.device.choosing import compiled_for

        chosen = evolve(chosen, target=compiled_for(target))
    with searching.waiting(search):
        compiled = compile_text(text, path, folder=Path(path).parent, options=chosen)
    for warning in compiled.checked.warnings:
        streams.show_diagnostic(warning, compiled.source)
    for notice in compiled.notices:
        streams.show_diagnostic(notice, None)
    kernels = native(compiled.kernels)
    code = "" if compiled.kernels is None else sha256(compiled.kernels.object_code).hexdigest()
    if target != "cpu":
        from flowc.runtime.device.choosing import kernels_for

        def placing() -> "Place":
            from flowc.compiler.device_placing import placer

            return placer(compiled.checked, level)

        kernels = kernels_for(target, kernels, compiled.device, refused=compiled.refused, placing=placing)
    return Loaded(compiled.plan, kernels, compiled.source, Path(path).parent, compiled.found, code)


def native(kernels: Any) -> Mapping[str, Callable[..., Any]]:
    """Compiled kernels as callables; none where a program has none."""
    if kernels is None:
        return {}
    from flowc.runtime.kernels import load as load_kernels

    return load_kernels(kernels.object_code, kernels.signatures)
