"""Kernels inside an artifact: object code for several processors, of which a machine takes the best it can
run."""

import json
from collections.abc import Mapping
from typing import Any

from flowc.runtime import processor
from flowc.runtime.artifact import Artifact
from flowc.runtime.device.code import DeviceCode, device_code_in
from flowc.runtime.errors import fail
from flowc.runtime.json_members import MISREAD
from flowc.runtime.kernel_signature import KernelSignature, signature_from_json, signature_to_json
from flowc.runtime.kernels import Kernel, load

SIGNATURES = "signatures.json"
"""The member that says what callers must know; the others are `LEVEL.o`, and in a folder those for GPUs."""

NATIVE = "native"
"""The level of code that is made for one machine; the artifact's properties name its processor."""


def members(variants: Mapping[str, bytes], signatures: tuple[KernelSignature, ...]) -> dict[str, bytes]:
    """The members of an artifact for object code by level."""
    found = {f"{level}.o": code for level, code in variants.items()}
    return found | {SIGNATURES: json.dumps([signature_to_json(each) for each in signatures]).encode()}


def kernels_in(artifact: Artifact, path: str) -> dict[str, Kernel]:
    """The kernels of an artifact by name; raises FlowError (E0643) where this machine can run none."""
    if SIGNATURES not in artifact.kernels:
        return {}
    levels = [name.removesuffix(".o") for name in artifact.kernels if name.endswith(".o") and "/" not in name]
    level = _choose(levels, artifact.properties, path)
    return load(artifact.kernels[f"{level}.o"], signatures_in(artifact))


def signatures_in(artifact: Artifact) -> list[KernelSignature]:
    """What callers must know of the kernels of an artifact; raises FlowError (E0644) where that is broken."""
    try:
        return [signature_from_json(each) for each in json.loads(artifact.kernels[SIGNATURES])]
    except MISREAD as error:
        raise fail(
            "E0644",
            "the kernels in this artifact cannot be read",
            why=f"{type(error).__name__}: {error}"[:300],
            help="compile the program again",
        ) from None


def device_kernels_in(artifact: Artifact) -> DeviceCode | None:
    """The kernels of an artifact for GPUs, None where it has none; raises E0644 for broken ones."""
    return device_code_in(artifact.kernels)


def _choose(levels: list[str], properties: Mapping[str, Any], path: str) -> str:
    """The best level that this machine can run."""
    if NATIVE in levels:
        missing = processor.lacking(str(properties.get("features", "")))
        if not missing:
            return NATIVE
        raise _refused(path, f"a processor with {', '.join(missing[:3])}")
    for level in processor.portable():
        if level in levels and processor.runs(level):
            return level
    raise _refused(path, f"processors of level {' or '.join(levels)}")


def _refused(path: str, what: str) -> Exception:
    return fail(
        "E0643",
        f"{path} was compiled for {what}",
        why="this machine's processor lacks it",
        help="compile the program again: by default its code runs on every processor of this kind",
    )
