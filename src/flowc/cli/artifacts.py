"""Artifacts as files: what `flowc compile` puts into one, and what `flowc run` takes out.

Reading one imports nothing of the compiler.
"""

import hashlib
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flowc.cli import files
from flowc.cli.loaded import Loaded
from flowc.compiler.diagnostics.model import Source
from flowc.runtime.artifact import Artifact, host_target, read, write
from flowc.runtime.kernel_artifact import device_kernels_in, kernels_in, members
from flowc.runtime.plan import Plan
from flowc.runtime.whole_files import write_whole

if TYPE_CHECKING:
    from flowc.compiler.driver import Compiled
    from flowc.runtime.device.placing import Place


def write_artifact_file(compiled: "Compiled", path: str, output: str) -> None:
    """Writes a compiled program with its kernels, its text and the Python files that it imports."""
    from flowc import __version__

    kernels = compiled.kernels
    found: dict[str, bytes] = {}
    properties: dict[str, Any] = {"policy": _policy(compiled), "tools": _tools(compiled.plan)}
    if compiled.found is not None:
        properties["search"] = compiled.found.to_json()
    if kernels is not None:
        found = members({n: v.object_code for n, v in compiled.variants.items()}, kernels.signatures)
        properties |= {"cpu": kernels.target.cpu, "features": kernels.target.features}
    if compiled.device is not None:
        from flowc.runtime.device.code import device_members

        found |= device_members(compiled.device)
        properties |= {"gpus": sorted(compiled.device.cubins)}
    if compiled.device is not None or compiled.refused:
        properties |= {"without_gpu": dict(compiled.refused)}
    artifact = Artifact(
        plan=compiled.plan,
        kernels=found,
        sources=_sources(compiled, path),
        target=host_target() if kernels is not None else "any",
        compiler=f"flowc {__version__}",
        properties=properties,
    )
    files.write_file(output, write(artifact))


def _sources(compiled: "Compiled", path: str) -> dict[str, bytes]:
    found = {Path(path).name: compiled.source.text.encode()}
    for module in _modules(compiled.plan):
        file = Path(path).parent / module
        if file.is_file():
            found[module] = file.read_bytes()
    return found


def _modules(plan: Plan) -> list[str]:
    """The Python files behind the tools, each once, as the program names them."""
    modules = [operation.module for operation in plan.operations.values()]
    return list(dict.fromkeys(module for module in modules if module is not None))


def _policy(compiled: "Compiled") -> str:
    """A hash of what the program may do, so that a change of it shows in the manifest."""
    from flowc.cli.manifest import manifest_json

    found = manifest_json(compiled.checked) | {"path": ""}
    return hashlib.sha256(json.dumps(found, sort_keys=True).encode()).hexdigest()


def _tools(plan: Plan) -> str:
    """A hash of the signatures of all tools."""
    from flowc.runtime.types import text

    signatures = [
        [name, [[p.name, text(p.type)] for p in tool.parameters], text(tool.result)]
        for name, tool in sorted(plan.operations.items())
        if tool.kind == "tool"
    ]
    return hashlib.sha256(json.dumps(signatures).encode()).hexdigest()


def read_artifact_file(path: str, target: str = "cpu") -> Loaded:
    """Reads and verifies an artifact, with its kernels for a target; tools come from beside it where
    unchanged, else from inside."""
    files.check_exists(path)
    artifact = read(Path(path))
    name = Path(artifact.plan.source).name
    text = artifact.sources.get(name, b"").decode("utf-8", "replace")
    folder = _folder(artifact, Path(path).parent)
    kernels: Mapping[str, Callable[..., Any]] = kernels_in(artifact, path)
    if target != "cpu":
        from flowc.cli.recompiling import recompiled
        from flowc.runtime.device.choosing import kernels_for

        def placing() -> "Place":
            from flowc.compiler.device_placing import placer_of_text

            return placer_of_text(text, artifact.plan.source, folder, artifact.plan.optimisation)

        refused = artifact.properties.get("without_gpu")
        kernels = kernels_for(
            target,
            kernels,
            device_kernels_in(artifact),
            refused={str(k): str(v) for k, v in refused.items()} if isinstance(refused, dict) else {},
            recompile=recompiled,
            placing=placing,
        )
    return Loaded(artifact.plan, kernels, Source(artifact.plan.source, text), folder)


def _folder(artifact: Artifact, beside: Path) -> Path:
    """The folder that tools are loaded from: data files beside them matter, so the original is preferred."""
    modules = [name for name in _modules(artifact.plan) if name in artifact.sources]
    if all(_unchanged(beside / name, artifact.sources[name]) for name in modules):
        return beside
    return _unpacked({name: artifact.sources[name] for name in modules})


def _unchanged(path: Path, content: bytes) -> bool:
    return path.is_file() and path.read_bytes() == content


def _unpacked(sources: Mapping[str, bytes]) -> Path:
    """A folder with these files, made once and named after what is in it."""
    from platformdirs import user_cache_path

    digest = hashlib.sha256(
        json.dumps([[n, s.hex()] for n, s in sorted(sources.items())]).encode()
    ).hexdigest()
    root = user_cache_path("flowc") / "tools" / digest[:32]
    if not all(_unchanged(root / name, content) for name, content in sources.items()):
        for name, content in sources.items():
            write_whole(root / name, content)
    return root
