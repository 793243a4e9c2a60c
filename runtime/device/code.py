"""Kernels as they are compiled for GPUs: what the compiler makes, an artifact keeps and a device loads."""

import hashlib
import json
from collections.abc import Mapping

from attrs import field, frozen

from flowc.runtime.device.architectures import parse_architecture
from flowc.runtime.errors import fail
from flowc.runtime.kernel_signature import KernelSignature, signature_from_json, signature_to_json

FOLDER = "cuda/"
"""Where the members of an artifact stand that belong to GPUs."""
_HEAD, _HOST, _TEXT, _PTX = "kernels.json", "host.o", "kernels.cu", ".ptx"
_CUBIN = ".cubin"


@frozen
class DeviceCode:
    """Kernels compiled for GPUs of some architectures.

    `host` is the sealed object code of their host functions, as `runtime.kernels` describes kernels, with the
    address of the device's table as one more word at the end. `functions` are the names of the functions of
    the device, in the order in which host code numbers them. `cubins` has machine code by architecture, as
    `sm_90`; `ptx` is what a driver compiles for a card younger than `ptx_architecture`, empty where there is
    none. `text` is the CUDA C++ that all of it was made of.
    """

    host: bytes
    signatures: tuple[KernelSignature, ...]
    functions: tuple[str, ...]
    cubins: Mapping[str, bytes] = field(factory=dict)
    ptx: bytes = b""
    ptx_architecture: str = ""
    text: str = ""


def device_members(code: DeviceCode) -> dict[str, bytes]:
    """The members of an artifact for kernels of GPUs.

    One checksum is over all: host code numbers functions as the head lists them, and the device has them by
    these names.
    """
    head = {
        "signatures": [signature_to_json(each) for each in code.signatures],
        "functions": list(code.functions),
    }
    found = {_HOST: code.host, _TEXT: code.text.encode()}
    found |= {f"{architecture}{_CUBIN}": content for architecture, content in code.cubins.items()}
    if code.ptx:
        found[f"{code.ptx_architecture}{_PTX}"] = code.ptx
    found[_HEAD] = json.dumps({**head, "checksum": _checksum(head, found)}).encode()
    return {FOLDER + name: content for name, content in found.items()}


def _checksum(head: Mapping[str, object], members: Mapping[str, bytes]) -> str:
    """That of what a head says and of all members beside it."""
    digest = hashlib.sha256(json.dumps([head[name] for name in ("signatures", "functions")]).encode())
    for name in sorted(members.keys() - {_HEAD}):
        digest.update(json.dumps([name, len(members[name])]).encode())
        digest.update(members[name])
    return digest.hexdigest()


def device_code_in(members: Mapping[str, bytes]) -> DeviceCode | None:
    """The kernels for GPUs among an artifact's members, None where it has none; raises E0644 for broken
    ones."""
    found = {name.removeprefix(FOLDER): each for name, each in members.items() if name.startswith(FOLDER)}
    if not found:
        return None
    try:
        return _read(found)
    except (KeyError, TypeError, ValueError, RecursionError) as error:
        raise fail(
            "E0644",
            "the kernels for GPUs in this artifact cannot be read",
            why=f"{type(error).__name__}: {error}",
            help="compile the program again",
        ) from None


def _read(found: Mapping[str, bytes]) -> DeviceCode:
    head = json.loads(found[_HEAD])
    if head["checksum"] != _checksum(head, found):
        raise ValueError("their checksum does not fit their content")
    ptx = next((name for name in found if name.endswith(_PTX)), "")
    cubins = {name.removesuffix(_CUBIN): each for name, each in found.items() if name.endswith(_CUBIN)}
    for architecture in (*cubins, *([ptx.removesuffix(_PTX)] if ptx else [])):
        parse_architecture(architecture)
    return DeviceCode(
        host=found[_HOST],
        signatures=tuple(_checked(signature_from_json(each)) for each in head["signatures"]),
        functions=tuple(str(name) for name in head["functions"]),
        cubins=cubins,
        ptx=found.get(ptx, b""),
        ptx_architecture=ptx.removesuffix(_PTX),
        text=found[_TEXT].decode(),
    )


def _checked(signature: KernelSignature) -> KernelSignature:
    """The signature; raises ValueError where calls are cut along axes that arrays do not have."""
    ranks = [len(each.dims) for each in signature.params] + [len(each.dims) for each in signature.results]
    if signature.chunked:
        for axis, rank in zip(signature.chunked, ranks, strict=True):
            if axis is not None and not 0 <= axis < rank:
                raise ValueError(f"kernel {signature.name!r} goes along axis {axis} of {rank}")
    if signature.layouts and len(signature.layouts) != len(signature.params):
        raise ValueError(f"kernel {signature.name!r} has {len(signature.layouts)} layouts")
    return signature
