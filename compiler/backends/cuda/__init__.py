"""The CUDA back end: kernels of the array dialect to host code, and to code of GPUs by way of CUDA C++."""

import json
from collections.abc import Callable, Sequence

from attrs import asdict, evolve, field, frozen
from xdsl.dialects.builtin import ModuleOp

from flowc.compiler.backends.cuda import nvrtc
from flowc.compiler.backends.cuda.module import Lower, emit_module
from flowc.compiler.backends.cuda.text import print_module
from flowc.compiler.backends.llvm import kernels_of
from flowc.compiler.backends.llvm.key import first_line, kernel_text, kernels_key
from flowc.compiler.backends.llvm.target import assemble
from flowc.passes.array_memory import settle_reads
from flowc.passes.array_to_gpu import lower_kernel
from flowc.passes.array_to_gpu.prepare import prepare_for_device
from flowc.passes.fuse_array import fuse_kernels, prepare_to_fuse
from flowc.passes.round_halves import round_halves
from flowc.runtime import object_cache, processor
from flowc.runtime.device.architectures import parse_architecture
from flowc.runtime.device.code import DeviceCode, device_code_in, device_members
from flowc.runtime.kernel_signature import KernelSignature
from flowc.runtime.kernels import sealed

ARCHITECTURES = ("sm_80", "sm_90", "sm_100", "sm_120")
"""The cards that code is made for where none is named: one of each generation that has all it can use."""
_LEAST_WHOLE = "sm_80"
"""The first architecture with everything that device code uses where it may."""


@frozen
class Options:
    """How to compile. `level` is that of the compiler: 0 fuses nothing.

    `architectures` are those to make machine code for; without any there is the text alone, and NVRTC is not
    needed. `layouts` has a word of `runtime.kernel_signature.LAYOUTS` for each argument of the module's one
    kernel, to make code for these alone.
    """

    level: int = 2
    architectures: tuple[str, ...] = ARCHITECTURES
    layouts: tuple[str, ...] | None = None
    cached: bool = True


@frozen
class DeviceObject:
    """Compiled kernels, and what the compiler says of each of their functions on each architecture."""

    code: DeviceCode
    figures: tuple[nvrtc.Figures, ...]
    from_cache: bool = field(default=False)


def compile_kernels(module: ModuleOp, options: Options | None = None) -> DeviceObject:
    """Compiles every `array.kernel` of a module for GPUs; the module itself is left as it is.

    Raises ShapeError where the extents of a result depend on values that only the kernel computes,
    Unsupported for what no device code can be made of, and FlowError where NVRTC is missing.
    """
    return compile_lowered(module, options or Options(), lower_kernel)


def compile_lowered(module: ModuleOp, options: Options, lower: Lower) -> DeviceObject:
    """As `compile_kernels`, by any lowering of fused kernels to launches; only the usual one is cached."""
    kernels = kernels_of(module)
    base = first_line(kernels)
    key = _key(module, options) if options.cached and lower is lower_kernel else ""
    found = object_cache.read(key) if key else None
    if found is not None:
        return _unpacked(found, base)
    copies = ModuleOp([kernel.clone() for kernel in kernels])
    settle_reads(copies)
    round_halves(copies)
    if options.level > 0:
        prepare_to_fuse(copies)
    prepare_for_device(copies)
    if options.level > 0:
        fuse_kernels(copies)
    result = _compiled(copies, options, lower)
    if key:
        object_cache.write(key, _packed(result, base))
    return result


def _key(module: ModuleOp, options: Options) -> str:
    """The key of compiled kernels: their text, what they are compiled for, and by which compilers."""
    asked = list(options.architectures)
    maker = json.dumps(["cuda", asked, nvrtc.version() if asked else ""])
    kernels = kernels_of(module)
    texts = [*map(kernel_text, kernels)]
    return kernels_key(kernels, texts, _host(), options.level, options.layouts, False, maker)


def _host() -> processor.Processor:
    """What host code is made for: any processor of this kind, as it does little but launch."""
    return processor.portable()["baseline"]


def _compiled(module: ModuleOp, options: Options, lower: Lower) -> DeviceObject:
    host = _host()
    emitted = emit_module(kernels_of(module), host, options.layouts, lower)
    text = print_module(emitted.launches)
    made = {name: nvrtc.compile_text(text, name) for name in options.architectures}
    portable = portable_architecture(options.architectures)
    code = DeviceCode(
        host=sealed(assemble(emitted.host, host).object_code),
        signatures=emitted.signatures,
        functions=emitted.functions,
        cubins={name: each.cubin for name, each in made.items()},
        ptx=made[portable].ptx if portable else b"",
        ptx_architecture=portable,
        text=text,
    )
    return DeviceObject(code, tuple(figures for each in made.values() for figures in each.figures))


def portable_architecture(architectures: Sequence[str]) -> str:
    """The architecture whose PTX suits most cards that have no machine code: the least that has everything,
    else the greatest; empty where there is none.

    >>> portable_architecture(["sm_120", "sm_75", "sm_90"])
    'sm_90'
    """
    ordered = sorted(architectures, key=parse_architecture)
    whole = [each for each in ordered if parse_architecture(each) >= parse_architecture(_LEAST_WHOLE)]
    return (whole or ordered[-1:] or [""])[0]


def _packed(result: DeviceObject, base: int) -> bytes:
    """Lines count from that of the first kernel, beginning with 1, as the key does; 0 stays unknown."""
    code = _moved(result.code, lambda line: line and line - base + 1)
    members = device_members(code)
    head = {
        "members": {name: len(content) for name, content in members.items()},
        "figures": [asdict(each) for each in result.figures],
    }
    text = json.dumps(head).encode()
    return b"".join([len(text).to_bytes(8, "little"), text, *members.values()])


def _unpacked(data: bytes, base: int) -> DeviceObject:
    place = 8 + int.from_bytes(data[:8], "little")
    head = json.loads(data[8:place])
    members: dict[str, bytes] = {}
    for name, size in head["members"].items():
        members[name] = data[place : place + size]
        place += size
    code = device_code_in(members)
    assert code is not None
    figures = tuple(nvrtc.Figures(**each) for each in head["figures"])
    return DeviceObject(_moved(code, lambda line: line and line + base - 1), figures, True)


def _moved(code: DeviceCode, move: Callable[[int], int]) -> DeviceCode:
    """The same code, with the lines that its signatures name moved."""

    def moved(signature: KernelSignature) -> KernelSignature:
        return evolve(signature, sites=tuple(map(move, signature.sites)))

    return evolve(code, signatures=tuple(map(moved, code.signatures)))
