"""The CPU back end: kernels of the array dialect to object code, by way of structured loops and LLVM."""

import hashlib
import json
from importlib.metadata import version

from attrs import field, frozen
from xdsl.dialects.builtin import ModuleOp

from flowc.compiler.backends.llvm import cache
from flowc.compiler.backends.llvm import target as targets
from flowc.compiler.backends.llvm.module import emit_module, kernels_of
from flowc.compiler.backends.llvm.target import Assembled, Target, assemble
from flowc.passes.fuse_array import fuse_array
from flowc.runtime.kernels import KernelSignature, sealed


@frozen
class Options:
    """How to compile. `level` is that of the compiler: 0 fuses nothing and leaves LLVM's optimiser off.

    `assembly` asks for the text of the machine code too, which takes longer; `target` is this machine by
    default.
    """

    level: int = 2
    assembly: bool = False
    cached: bool = True
    target: Target | None = None


@frozen
class KernelObject:
    """Compiled kernels: sealed object code to load, the LLVM IR it comes from, and what callers must know."""

    object_code: bytes
    llvm_ir: str
    assembly: str
    signatures: tuple[KernelSignature, ...]
    target: Target
    from_cache: bool = field(default=False)


def compile_kernels(module: ModuleOp, options: Options | None = None) -> KernelObject:
    """Compiles every `array.kernel` of a module; the module itself is left as it is.

    Raises ShapeError where the extents of a result depend on values that only the kernel computes.
    """
    options = options or Options()
    chosen = options.target or targets.host()
    kernels = ModuleOp([kernel.clone() for kernel in kernels_of(module)])
    if options.level > 0:
        fuse_array(kernels)
    emitted = emit_module(kernels, chosen)
    key = _key(emitted.text, chosen, options)
    found = cache.read(key) if options.cached else None
    if found is None:
        result = assemble(emitted.text, chosen, 3 if options.level > 0 else 0, options.assembly)
        if options.cached:
            cache.write(key, _packed(result))
        return _object(result, emitted.signatures, chosen, False)
    return _object(_unpacked(found), emitted.signatures, chosen, True)


def _object(
    result: Assembled, signatures: tuple[KernelSignature, ...], target: Target, hit: bool
) -> KernelObject:
    return KernelObject(sealed(result.object_code), result.llvm_ir, result.assembly, signatures, target, hit)


def _key(text: str, target: Target, options: Options) -> str:
    parts = [text, target.triple, target.cpu, target.features, options.level > 0, options.assembly]
    parts += [version("llvmlite"), version("flowc")]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


def _packed(result: Assembled) -> bytes:
    head = json.dumps([result.llvm_ir, result.assembly]).encode()
    return len(head).to_bytes(8, "little") + head + result.object_code


def _unpacked(data: bytes) -> Assembled:
    end = 8 + int.from_bytes(data[:8], "little")
    llvm_ir, assembly = json.loads(data[8:end])
    return Assembled(llvm_ir, data[end:], assembly)
