"""A module of LLVM IR from a module of kernels: forms of each kernel for how its arrays may lie, and the C
function that chooses one.
"""

from collections.abc import Iterable

from attrs import evolve, frozen
from xdsl.dialects.builtin import LocationAttr

from flowc.compiler.backends.llvm import sort_networks
from flowc.compiler.backends.llvm.emit import emit_function
from flowc.compiler.backends.llvm.entry import Form, emit_entry
from flowc.compiler.backends.llvm.mathematics import definitions
from flowc.compiler.backends.llvm.signature import signature_of
from flowc.compiler.backends.llvm.target import Target
from flowc.dialects.array.kernel import KernelOp
from flowc.dialects.array.types import shape_of
from flowc.passes.array_to_loops.kernel import lower_kernel
from flowc.passes.array_to_loops.width import AS_IT_IS, scale_work
from flowc.runtime.kernel_signature import LAYOUTS, KernelSignature
from flowc.runtime.kernels import symbol
from flowc.runtime.processor import BF16_DOTS


@frozen
class LlvmModule:
    """LLVM IR text and what a caller must know of the kernels in it; `finished` is text of functions that it
    calls, and that an optimiser would leave as they are."""

    text: str
    finished: str
    signatures: tuple[KernelSignature, ...]


def emit_module(
    kernels: Iterable[KernelOp],
    target: Target,
    layouts: tuple[str, ...] | str | None = None,
    decides: bool = False,
) -> LlvmModule:
    """The LLVM IR of kernels, for one layout of each argument, for one of all, or for all that there are;
    `decides` says whether the cost model decides how many threads they ask for."""
    parts: list[str] = []
    called: set[str] = set()
    signatures = []
    for kernel in kernels:
        given = (layouts,) * len(kernel.function_type.inputs) if isinstance(layouts, str) else layouts
        texts, calls, signature = _emit_kernel(kernel, target, given, decides)
        parts += texts
        called |= calls
        signatures.append(signature)
    finished = sort_networks.definitions(called, target.attributes)
    bodies, declared = definitions(called, target)
    lines = [f'target triple = "{target.triple}"', *sorted(declared), *bodies, *parts]
    return LlvmModule("\n".join(lines) + "\n", finished, tuple(signatures))


def _emit_kernel(
    kernel: KernelOp, target: Target, layouts: tuple[str, ...] | None, decides: bool
) -> tuple[list[str], set[str], KernelSignature]:
    name = kernel.sym_name.data
    texts: list[str] = []
    called: set[str] = set()
    sites: list[LocationAttr] = []
    forms: list[Form] = []
    work = AS_IT_IS
    for wanted in [layouts] if layouts is not None else _all_forms(kernel):
        inner = f'"{symbol(name)}.{len(forms)}"'
        function, checks = lower_kernel(kernel, name, target.vector_bits, wanted, target.has(BF16_DOTS))
        if decides and not forms:
            from flowc.passes.decide_width import decided_work

            work = decided_work(kernel, function, checks.groups)
        scale_work(function, work)
        emitted = emit_function(function, inner, f"noinline {target.attributes}")
        texts.append("\n".join(emitted.lines))
        called |= emitted.called
        sites = checks.sites
        forms.append(Form(inner, wanted))
    entry, needed = emit_entry(kernel, forms, target)
    texts.append(entry)
    return texts, called | needed, evolve(signature_of(kernel, sites), layouts=layouts or ())


def _all_forms(kernel: KernelOp) -> list[tuple[str, ...]]:
    """The layouts to make forms for, fastest first; where all arrays have one axis, dense ones are whole."""
    ranks = [len(shape_of(type_)) for type_ in kernel.function_type.inputs]
    words = LAYOUTS if max(ranks, default=0) > 1 else ("contiguous", "any") if any(ranks) else ("any",)
    return [(word,) * len(ranks) for word in words]
