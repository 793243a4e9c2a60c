"""The artifact: a zip of JSON, kernel code and sources, each member with its hash in the manifest.

    manifest.json   format version, compiler, target, and the SHA-256 of every other member
    plan.json       the plan
    kernels/        object code, with the IR beside it, and what the loader must know of it
    source/         the program and the Python files that it imports

The archive's comment is the seal: the SHA-256 of every byte before it, so that no changed byte passes.
Nothing in it is run before all hashes agree. No member is a pickle, none leaves the archive by its name.
"""

import hashlib
import io
import json
import platform
import zipfile
from collections.abc import Mapping
from pathlib import Path

from attrs import field, frozen

from flowc.runtime.errors import FlowError, fail
from flowc.runtime.plan import Json, Plan
from flowc.runtime.plan_json import dumps, loads

FORMAT = 1
MANIFEST = "manifest.json"
PLAN = "plan.json"
LARGEST_MEMBER = 256 * 1024 * 1024
MOST_MEMBERS = 10_000
SEAL = 64
"""Bytes of the seal: a SHA-256 in hexadecimal."""

_END = b"PK\x05\x06"
_END_SIZE = 22
_EPOCH = (1980, 1, 1, 0, 0, 0)


@frozen
class Artifact:
    """A compiled program as it travels. `target` is "any" where it holds no machine code."""

    plan: Plan
    kernels: Mapping[str, bytes] = field(factory=dict)
    sources: Mapping[str, bytes] = field(factory=dict)
    target: str = "any"
    compiler: str = ""
    properties: Mapping[str, Json] = field(factory=dict)


def host_target() -> str:
    """The target that this machine runs."""
    return f"{platform.machine().lower()}-{platform.system().lower()}"


def write(artifact: Artifact) -> bytes:
    """The bytes of the .flowc file; equal artifacts give equal bytes."""
    members: dict[str, bytes] = {PLAN: dumps(artifact.plan).encode()}
    members |= {f"kernels/{name}": content for name, content in artifact.kernels.items()}
    members |= {f"source/{name}": content for name, content in artifact.sources.items()}
    manifest = {
        "format": FORMAT,
        "compiler": artifact.compiler,
        "target": artifact.target,
        "properties": dict(artifact.properties),
        "members": {name: _hash(content) for name, content in sorted(members.items())},
    }
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in ((MANIFEST, json.dumps(manifest, indent=1).encode()), *sorted(members.items())):
            archive.writestr(zipfile.ZipInfo(name, _EPOCH), content, zipfile.ZIP_DEFLATED)
        archive.comment = bytes(SEAL)
    content = buffer.getvalue()[:-SEAL]
    return content + _hash(content).encode()


def read(path: Path) -> Artifact:
    """Reads and verifies a .flowc file; raises as `unpack` does, and E0640 where there is no file."""
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        raise fail("E0640", f"there is no file {path}", help="check the path of the artifact") from None
    except OSError as error:
        raise _no_artifact(path, str(error)) from None
    return unpack(content, path)


def unpack(content: bytes, path: Path) -> Artifact:
    """Verifies and reads the bytes of an artifact; `path` is for messages.

    Raises E0640 (no artifact), E0641 (damaged), E0642 (newer format), E0643 (foreign target), and for its
    plan E0644 or E0645.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            _check_seal(content, archive.comment, path)
            manifest = _manifest(archive, path)
            members = _members(archive, manifest, path)
    except (zipfile.BadZipFile, OSError, EOFError, NotImplementedError, RuntimeError, ValueError) as error:
        raise _no_artifact(path, str(error)) from None
    target = str(manifest.get("target"))
    if target not in ("any", host_target()):
        raise fail(
            "E0643",
            f"{path} was compiled for {target}",
            why=f"this machine is {host_target()}, and the kernels inside are machine code",
            help="compile the program again on this machine",
        )
    properties = manifest.get("properties")
    return Artifact(
        plan=loads(members.pop(PLAN).decode("utf-8", "replace")),
        kernels=_under("kernels/", members),
        sources=_under("source/", members),
        target=target,
        compiler=str(manifest.get("compiler", "")),
        properties=properties if isinstance(properties, dict) else {},
    )


def _check_seal(content: bytes, comment: bytes, path: Path) -> None:
    """A sealed archive is whole; one that somebody packed anew has no seal: its members' hashes must do."""
    sealed = content[-SEAL - _END_SIZE :].startswith(_END)
    if (comment or sealed) and content[-SEAL:] != _hash(content[:-SEAL]).encode():
        raise _damaged(path, "its bytes were changed after it was written")


def _hash(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _no_artifact(path: Path, why: str) -> FlowError:
    return fail(
        "E0640", f"{path} is not an artifact", why=why, help="`flowc compile` makes one from a program"
    )


def _damaged(path: Path, why: str) -> FlowError:
    return fail(
        "E0641", f"{path} is damaged", why=why, help="compile the program again, or copy the file again"
    )


def _manifest(archive: zipfile.ZipFile, path: Path) -> dict[str, object]:
    if MANIFEST not in archive.namelist():
        raise _no_artifact(path, f"it has no {MANIFEST}")
    try:
        manifest = json.loads(_content(archive, MANIFEST, path))
    except (ValueError, RecursionError):
        raise _damaged(path, f"its {MANIFEST} is not JSON") from None
    version = manifest.get("format") if isinstance(manifest, dict) else None
    if not isinstance(version, int) or not isinstance(manifest.get("members"), dict):
        raise _damaged(path, f"its {MANIFEST} has not the form of one")
    if version > FORMAT:
        raise fail(
            "E0642",
            f"{path} has format {version}, and this flowc reads formats up to {FORMAT}",
            help="update flowc, or compile the program again with this one",
        )
    return dict(manifest)


def _members(archive: zipfile.ZipFile, manifest: dict[str, object], path: Path) -> dict[str, bytes]:
    hashes = manifest["members"]
    assert isinstance(hashes, dict)
    names = [name for name in archive.namelist() if name != MANIFEST]
    if len(names) > MOST_MEMBERS or sorted(names) != sorted(hashes) or PLAN not in hashes:
        raise _damaged(path, "its members are not those of its manifest")
    members: dict[str, bytes] = {}
    for name in names:
        if name.startswith("/") or ".." in Path(name).parts or "\\" in name:
            raise _damaged(path, f"the name of its member {name!r} leads out of it")
        members[name] = _content(archive, name, path)
        if _hash(members[name]) != hashes[name]:
            raise _damaged(path, f"its member {name} was changed after it was written")
    return members


def _content(archive: zipfile.ZipFile, name: str, path: Path) -> bytes:
    if archive.getinfo(name).file_size > LARGEST_MEMBER:
        raise _damaged(path, f"its member {name} is larger than {LARGEST_MEMBER:,} bytes")
    try:
        return archive.read(name)
    except Exception as error:
        raise _damaged(path, f"its member {name} cannot be unpacked: {error}") from None


def _under(folder: str, members: Mapping[str, bytes]) -> dict[str, bytes]:
    return {name[len(folder) :]: content for name, content in members.items() if name.startswith(folder)}
