"""The program of a run as it was kept, whatever has become of its files: for what looks back."""

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from attrs import evolve

from flowc.cli.keeping import ARTIFACT, SOURCE
from flowc.cli.loaded import Loaded
from flowc.compiler.diagnostics.model import Source
from flowc.runtime.durable.runs import part_of, plan_of

if TYPE_CHECKING:
    from flowc.runtime.durable.runs import Journal


def as_kept(journal: "Journal", head: Mapping[str, Any]) -> Loaded:
    """The plan that is kept, with kernels that are compiled from the kept text where it has any. Its tools
    stand where they stood.
    """
    from flowc.cli.program_again import kernels_of

    kept = head["settings"]
    plan = plan_of(journal.store, head)
    text = (part_of(journal.store, head, SOURCE) or b"").decode()
    content = part_of(journal.store, head, ARTIFACT)
    folder = Path(kept.get("folder", "."))
    loaded = Loaded(plan, {}, Source(plan.source, text), folder)
    if not kernels_of(plan):
        return loaded
    if content is not None:
        return evolve(loaded, kernels=_artifact(content, kept).kernels)
    from flowc.cli.loading import load_text

    compiled = load_text(
        text,
        kept.get("path") or plan.source,
        kept.get("level", 2),
        target=kept.get("target", "cpu"),
        pipeline=kept.get("pipeline"),
    )
    return evolve(loaded, kernels=compiled.kernels)


def _artifact(content: bytes, kept: Mapping[str, Any]) -> Loaded:
    from flowc.cli.artifacts import read_artifact_file

    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "kept.flowc"
        copy.write_bytes(content)
        return read_artifact_file(str(copy), kept.get("target", "cpu"))
