"""What was compiled, read back: the artifact, its plan, its kernels' signatures, entries of the cache."""

import hashlib
import io
import json
import os
import tempfile
import zipfile
from collections.abc import Sequence
from contextlib import suppress
from functools import cache
from pathlib import Path
from random import Random
from unittest import mock

from flowc.compiler.driver import compile_text
from flowc.runtime import object_cache
from flowc.runtime.artifact import MANIFEST, PLAN, Artifact, host_target, unpack, write
from flowc.runtime.device.code import DeviceCode, device_members
from flowc.runtime.durable.runs import program_hash
from flowc.runtime.errors import FlowError
from flowc.runtime.kernel_artifact import device_kernels_in, members, signatures_in
from flowc.runtime.kernel_signature import KernelSignature, Parameter, Result
from flowc.runtime.kernels import sealed, unsealed
from flowc.runtime.plan import Plan
from flowc.runtime.plan_json import dumps, loads
from flowc.runtime.reading import bind_arguments
from tests.fuzz.contract import Target
from tests.fuzz.mutation import by_bytes, by_json
from tests.fuzz.targets.language import MEMORY, PLAIN

KEY = "0" * 64
PLAN_WORDS = by_json(
    "apply", "record", "field", "list", "dict", "tuple", "item", "cast", "kernel", "call", "tool",
    "generate",
    "human", "sleep", "embed", "execute", "speculate", "map", "generate_batch", "if", "for", "while",
    "race",
    "vote", "attempt", "limit", "transaction", "op", "in", "out", "regions", "settings", "captures", "size",
    "after", "early", "ahead", "share", "stream", "operation", "function", "results", "constants",
    "optional",
    "main", "array", "dims", "f32", "int", "str", "reads", "writes", "filtered", "latency", "expectations",
)  # fmt: skip


@cache
def plan() -> Plan:
    """The plan of a program with most of the language in it."""
    return compile_text(PLAIN, "plain.flow", level=2).plan


@cache
def plans() -> list[bytes]:
    """Plans as artifacts hold them."""
    small = "flow main(x: int) -> int:\n    return x * 2 + 1\n"
    return [dumps(each).encode() for each in (plan(), compile_text(small, "small.flow").plan)]


@cache
def _artifacts() -> list[bytes]:
    signature = KernelSignature(
        "k", (Parameter("x", "f32", ("n", 3), False),), (Result("f32", (("dim", 0, 0), 3)),), (2,), ("any",),
        (0, 0)
    )  # fmt: skip
    code = members({"native": sealed(b"\x7fELF")}, (signature,))
    device = device_members(
        DeviceCode(sealed(b"x"), (), ("f",), {"sm_90": b"cubin"}, b"ptx", "sm_90", "text")
    )
    bare = Artifact(plan(), sources={"plain.flow": PLAIN.encode()}, compiler="flowc 0")
    whole = Artifact(plan(), code | device, bare.sources, host_target(), "flowc 0", {"features": ""})
    return [write(bare), write(whole)]


def _artifact(data: bytes) -> None:
    """A .flowc file, all of it but the code itself, which belongs to the machine."""
    with suppress(FlowError):
        artifact = unpack(data, Path("fuzz.flowc"))
        if artifact.kernels:
            with suppress(FlowError):
                device_kernels_in(artifact)
            for name, code in artifact.kernels.items():
                if name.endswith(".o"):
                    with suppress(FlowError):
                        unsealed(code)
            signatures_in(artifact)


def _repacked(chance: Random, corpus: Sequence[bytes]) -> bytes:
    """A changed file, or one of which a member was changed before it was packed and sealed anew."""
    whole = chance.choice(corpus)
    if chance.random() < 0.2:
        return by_bytes(chance, [whole])
    try:
        with zipfile.ZipFile(io.BytesIO(whole)) as archive:
            found = {name: archive.read(name) for name in archive.namelist()}
    except Exception:  # a changed archive: whatever its reader meets
        return by_bytes(chance, [whole])
    name = chance.choice(list(found))
    change = PLAN_WORDS if name.endswith(".json") else by_bytes
    found[name] = change(chance, [found[name]])
    if chance.random() < 0.1:
        other = chance.choice(("../out", "/abs", "a\\b", PLAN, "kernels/", "source/x", "\u00e9", "x" * 300))
        found[other] = found[name]
    return resealed(found)


def resealed(found: dict[str, bytes]) -> bytes:
    """An artifact of these members, with a right manifest and a right seal."""
    manifest = _manifest(found)
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in found.items():
            archive.writestr(zipfile.ZipInfo(name), manifest if name == MANIFEST else content)
        archive.comment = bytes(64)
    made = buffer.getvalue()[:-64]
    return made + hashlib.sha256(made).hexdigest().encode()


def _manifest(found: dict[str, bytes]) -> bytes:
    """The manifest with right hashes, where it can have some."""
    try:
        manifest = json.loads(found[MANIFEST])
        hashes = {n: hashlib.sha256(each).hexdigest() for n, each in found.items() if n != MANIFEST}
        return json.dumps({**manifest, "members": hashes}).encode("utf-8", "surrogatepass")
    except (ValueError, TypeError, KeyError, RecursionError):
        return found.get(MANIFEST, b"")


def _plan(data: bytes) -> None:
    """A plan: what is read can be written, hashed, and read again to the same."""
    with suppress(FlowError):
        text = data.decode("utf-8", "replace")
        found = loads(text)
        program_hash(found)
        for function in found.functions.values():
            with suppress(FlowError):
                bind_arguments(found, function, {})
        again = dumps(found)
        assert dumps(loads(again)) == again, "what is written reads back as something else"


def _cached(data: bytes) -> None:
    """An entry of the cache of object code: what was not written so is not there."""
    with (
        tempfile.TemporaryDirectory(dir=MEMORY) as folder,
        mock.patch.dict(os.environ, {"FLOWC_CACHE_DIR": folder}),
    ):
        object_cache.folder().mkdir()
        (object_cache.folder() / KEY).write_bytes(data)
        found = object_cache.read(KEY)
    sound = data[:32] == hashlib.sha256(KEY.encode() + data[32:]).digest()
    assert found == (data[32:] if sound else None)


def _entries() -> list[bytes]:
    return [hashlib.sha256(KEY.encode() + each).digest() + each for each in (b"", b"code" * 20)]


TARGETS = (
    Target("artifact", _artifact, _artifacts, _repacked, share=0.7),
    Target("plan", _plan, plans, PLAN_WORDS, share=2.4),
    Target("object-cache", _cached, _entries, by_bytes, share=2.5),
)
