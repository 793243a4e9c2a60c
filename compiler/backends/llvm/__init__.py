"""The CPU back end: kernels of the array dialect to object code, by way of structured loops and LLVM."""

import json

from attrs import evolve, field, frozen
from xdsl.dialects.builtin import ModuleOp

from flowc.compiler.backends.llvm.key import first_line, kernel_code, kernel_text, kernels_key, relative
from flowc.compiler.backends.llvm.module import emit_module
from flowc.compiler.backends.llvm.target import Assembled, Target, assemble
from flowc.dialects.array.kernel import KernelOp
from flowc.dialects.array.types import dtype_of, is_array_type
from flowc.passes.array_memory import settle_reads
from flowc.passes.cost.fingerprint import fingerprint
from flowc.passes.fuse_array import fuse_kernels, prepare_to_fuse
from flowc.passes.round_halves import round_halves
from flowc.runtime import object_cache, processor
from flowc.runtime.kernels import KernelSignature, sealed, signature_from_json, signature_to_json


@frozen
class Options:
    """How to compile. `level` is that of the compiler: 0 fuses nothing and leaves LLVM's optimiser off.

    `listing` asks for the LLVM IR and the assembly too, which takes longer; `target` is this machine by
    default. `layouts` has a word of `runtime.kernel_signature.LAYOUTS` for each argument of the module's one
    kernel, or one word for all arguments of all kernels, to make code for these alone. From level 2 on the
    cost model decides what is open, unless `decided` is false.
    """

    level: int = 2
    listing: bool = False
    cached: bool = True
    target: Target | None = None
    layouts: tuple[str, ...] | str | None = None
    decided: bool = True

    @property
    def decides(self) -> bool:
        """Whether the cost model decides."""
        return self.decided and self.level > 1


@frozen
class KernelObject:
    """Compiled kernels: sealed object code to load, and what callers must know.

    `llvm_ir` after LLVM's optimiser and `assembly` are empty unless a listing was asked for.
    """

    object_code: bytes
    llvm_ir: str
    assembly: str
    signatures: tuple[KernelSignature, ...]
    target: Target
    from_cache: bool = field(default=False)


def kernels_of(module: ModuleOp) -> list[KernelOp]:
    """The kernels of a module in order."""
    return [op for op in module.ops if isinstance(op, KernelOp)]


def reads_narrow(module: ModuleOp) -> bool:
    """Whether a kernel reads bf16 or signed bytes, for whose products some processors have instructions."""
    types = [type_ for kernel in kernels_of(module) for type_ in kernel.function_type.inputs]
    return any(is_array_type(type_) and dtype_of(type_) in ("bf16", "i8") for type_ in types)


def compile_kernels(module: ModuleOp, options: Options | None = None) -> KernelObject:
    """Compiles every `array.kernel` of a module; the module itself is left as it is.

    Raises ShapeError where the extents of a result depend on values that only the kernel computes.
    """
    options = options or Options()
    target = options.target or processor.host()
    kernels = kernels_of(module)
    base, texts = first_line(kernels), [*map(kernel_text, kernels)]
    key = ""
    if options.cached:
        model = fingerprint() if options.decides else ""
        key = kernels_key(kernels, texts, target, options.level, options.layouts, options.listing, model)
    found = object_cache.read(key) if key else None
    if found is not None:
        return _unpacked(found, base, target)
    copies = ModuleOp([kernel.clone() for kernel in kernels])
    settle_reads(copies)
    round_halves(copies)
    if options.level > 0:
        prepare_to_fuse(copies)
        if options.decides:
            from flowc.passes.decide_kernels import decide_ready

            decide_ready(copies)
        fuse_kernels(copies)
    emitted = emit_module(kernels_of(copies), target, options.layouts, options.decides)
    level = 2 if options.level > 0 else 0
    result = assemble(emitted.text, target, level, options.listing, emitted.finished)
    signatures = tuple(
        evolve(each, code=kernel_code(text, options.level))
        for each, text in zip(emitted.signatures, texts, strict=True)
    )
    if key:
        object_cache.write(key, _packed(result, signatures, base))
    return _object(result, signatures, target, False)


def _object(
    result: Assembled, signatures: tuple[KernelSignature, ...], target: Target, hit: bool
) -> KernelObject:
    return KernelObject(sealed(result.object_code), result.llvm_ir, result.assembly, signatures, target, hit)


def _packed(result: Assembled, signatures: tuple[KernelSignature, ...], base: int) -> bytes:
    kept = [
        signature_to_json(each) | {"sites": [relative(line, base) for line in each.sites]}
        for each in signatures
    ]
    head = json.dumps([result.llvm_ir, result.assembly, kept]).encode()
    return len(head).to_bytes(8, "little") + head + result.object_code


def _unpacked(data: bytes, base: int, target: Target) -> KernelObject:
    end = 8 + int.from_bytes(data[:8], "little")
    llvm_ir, assembly, kept = json.loads(data[8:end])
    signatures = []
    for each in kept:
        sites = [0 if line is None else line + base for line in each["sites"]]
        signatures.append(signature_from_json(each | {"sites": sites}))
    return _object(Assembled(data[end:], llvm_ir, assembly), tuple(signatures), target, True)
