"""The program of a run as it was kept, whatever has become of its files."""

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from attrs import evolve

from flowc.cli.keeping import ARTIFACT, SOURCE
from flowc.cli.loaded import Loaded
from flowc.compiler.diagnostics.model import Source
from flowc.runtime.durable.runs import part_of, plan_of
from flowc.runtime.plan import Plan, Region

if TYPE_CHECKING:
    from flowc.runtime.durable.runs import Journal


def as_kept(journal: "Journal", head: Mapping[str, Any]) -> Loaded:
    """The plan that is kept, with kernels that are compiled from the kept text where it has any. Its tools
    stand where they stood.
    """
    kept = head["settings"]
    plan, text = plan_of(journal.store, head), kept_text(journal, head)
    loaded = Loaded(plan, {}, Source(plan.source, text), Path(kept.get("folder", ".")))
    if not kernels_of(plan):
        return loaded
    if (content := part_of(journal.store, head, ARTIFACT)) is not None:
        return evolve(loaded, kernels=loaded_artifact(content, "kept.flowc", kept).kernels)
    return evolve(loaded, kernels=compiled(text, kept.get("path") or plan.source, kept).kernels)


def kept_text(journal: "Journal", head: Mapping[str, Any]) -> str:
    """The text of a run's program."""
    return (part_of(journal.store, head, SOURCE) or b"").decode()


def compiled(text: str, path: str, kept: Mapping[str, Any], provider: str | None = None) -> Loaded:
    """A text, compiled by the kept settings of a run."""
    from flowc.cli.loading import load_text

    target = kept.get("target", "cpu")
    return load_text(
        text, path, kept.get("level", 2), provider=provider, target=target, pipeline=kept.get("pipeline")
    )


def loaded_artifact(content: bytes, name: str, kept: Mapping[str, Any]) -> Loaded:
    """An artifact of which only the content is there."""
    from flowc.cli.artifacts import read_artifact_file

    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / name
        copy.write_bytes(content)
        return read_artifact_file(str(copy), kept.get("target", "cpu"))


def kernels_of(plan: Plan) -> list[tuple[str, int, int]]:
    """The calls of kernels in a plan: of which kernel, with how many inputs and outputs."""
    found: list[tuple[str, int, int]] = []

    def look(region: Region) -> None:
        for node in region.nodes:
            if node.op == "kernel":
                found.append((str(node.settings.get("kernel")), len(node.inputs), len(node.outputs)))
            for inner in node.regions:
                look(inner)

    for function in plan.functions.values():
        look(function.body)
    return sorted(found)
