"""What is kept with a run so that another process can go on with it: its program, and how it was run."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from flowc.cli import files

if TYPE_CHECKING:
    from flowc.cli.journals import Keep
    from flowc.cli.loaded import Loaded
    from flowc.cli.once import Settings
    from flowc.runtime.durable.keeper import Keeping
    from flowc.runtime.durable.runs import Journal
    from flowc.runtime.plan import Json, Plan

SOURCE, ARTIFACT = "source", "artifact"
"""The parts that are kept with a run: the text of its program, or the artifact that it came from."""


def begins(
    journal: "Journal", loaded: "Loaded", path: str, level: int, target: str, settings: "Settings"
) -> "Keep":
    """Makes the keeper of a new run of what was loaded from `path`."""
    from flowc.runtime.durable.runs import begin

    def keep(plan: "Plan", flow: str, values: list[Any]) -> "Keeping":
        kept = _settings(loaded, path, level, target, settings)
        return begin(journal, plan, flow, values, kept, parts=parts_of(loaded, path))

    return keep


def _settings(
    loaded: "Loaded", path: str, level: int, target: str, settings: "Settings"
) -> "dict[str, Json]":
    """How to find the program again, how it was compiled, and who answered."""
    pipeline = None
    if loaded.found is not None:
        from flowc.passes.search.space import text_of

        pipeline = text_of(loaded.found.chosen)
    return {
        "path": "" if path == files.STDIN else str(Path(path).absolute()),
        "folder": str(loaded.folder.absolute()),
        "level": level,
        "pipeline": pipeline,
        "target": target,
        "code": loaded.code,
        "provider": settings.provider,
        "seed": settings.seed,
        "answers": dict(settings.answers),
        "tools": tool_files(loaded),
        "recording": str(Path(settings.recording).absolute()) if settings.recording else None,
    }


def tool_files(loaded: "Loaded") -> "dict[str, Json]":
    """The Python files of a program's tools, with the hashes of what is in them."""
    import hashlib

    named = {
        operation.module for operation in loaded.plan.operations.values() if operation.module is not None
    }
    files = {module: loaded.folder / module for module in sorted(named)}
    return {
        module: hashlib.sha256(path.read_bytes()).hexdigest()
        for module, path in files.items()
        if path.is_file()
    }


def parts_of(loaded: "Loaded", path: str) -> dict[str, bytes]:
    """The texts that are kept with a run."""
    parts = {SOURCE: loaded.source.text.encode()}
    if path.endswith(files.ARTIFACT):
        parts[ARTIFACT] = files.read_bytes(path)
    return parts
