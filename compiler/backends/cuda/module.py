"""A module of kernels as code for a device, before it is compiled: host code as LLVM text, and the functions
of their launches."""

from collections.abc import Iterable, Sequence
from typing import Protocol

from attrs import evolve, frozen
from xdsl.dialects import gpu
from xdsl.dialects.builtin import LocationAttr
from xdsl.dialects.func import FuncOp

from flowc.compiler.backends.cuda.entry import DeviceForm, emit_device_entry
from flowc.compiler.backends.cuda.host import emit_host
from flowc.compiler.backends.llvm.mathematics import definitions
from flowc.compiler.backends.llvm.signature import signature_of
from flowc.compiler.backends.llvm.target import Target
from flowc.dialects.array.kernel import KernelOp
from flowc.dialects.array.types import RefType, shape_of
from flowc.dialects.loops import RequireOp
from flowc.passes.array_to_gpu.limits import TOO_WIDE
from flowc.passes.array_to_gpu.lowering import TooWide
from flowc.passes.outline_launches import empty_module, functions_of, outline_launches
from flowc.passes.row_independence import row_axes
from flowc.runtime.kernel_signature import KernelSignature
from flowc.runtime.kernels import symbol


class Sited(Protocol):
    """What a lowering knows beside the code: the places in the program that a status refers to, in order."""

    @property
    def sites(self) -> Sequence[LocationAttr]:
        """The places."""


class Lower(Protocol):
    """Makes host code with launches of a kernel, called by a name, for arrays of certain layouts; if it is
    `narrow`, none of them has more elements than positions of 32 bits reach."""

    def __call__(
        self, kernel: KernelOp, name: str, layouts: Sequence[str], narrow: bool
    ) -> tuple[FuncOp, Sited]:
        """The function, and the places that its statuses refer to."""


@frozen
class DeviceModule:
    """The LLVM text of host code, the functions that it launches, and what callers must know."""

    host: str
    launches: gpu.ModuleOp
    signatures: tuple[KernelSignature, ...]

    @property
    def functions(self) -> tuple[str, ...]:
        """The names of the functions of the device, as host code numbers them."""
        return tuple(each.sym_name.data for each in functions_of(self.launches))


def emit_module(
    kernels: Iterable[KernelOp], target: Target, layouts: tuple[str, ...] | None, lower: Lower
) -> DeviceModule:
    """Kernels for a device, for one layout of each argument or for all that there are."""
    launches = empty_module()
    parts: list[str] = []
    called: set[str] = set()
    signatures = []
    for kernel in kernels:
        texts, calls, signature = _emit_kernel(kernel, target, layouts, lower, launches)
        parts += texts
        called |= calls
        signatures.append(signature)
    bodies, declared = definitions(called, target)
    lines = [f'target triple = "{target.triple}"', *sorted(declared), *bodies, *parts]
    return DeviceModule("\n".join(lines) + "\n", launches, tuple(signatures))


def _emit_kernel(
    kernel: KernelOp, target: Target, layouts: tuple[str, ...] | None, lower: Lower, launches: gpu.ModuleOp
) -> tuple[list[str], set[str], KernelSignature]:
    name = kernel.sym_name.data
    texts: list[str] = []
    called: set[str] = set()
    sites: Sequence[LocationAttr] = ()
    forms: list[DeviceForm] = []
    for wanted, narrow in _all_forms(kernel, layouts):
        try:
            function, checks = lower(kernel, name, wanted, narrow)
        except TooWide:
            continue
        may_stop = narrow and _may_stop(function)
        if may_stop and _changes_arguments(kernel):
            continue  # what has been changed when it stops cannot be done again
        inner = f'"{symbol(name)}.{len(forms)}"'
        outline_launches(function, launches)
        places = {each.sym_name.data: place for place, each in enumerate(functions_of(launches))}
        emitted = emit_host(function, inner, f"noinline {target.attributes}", places)
        texts.append("\n".join(emitted.lines))
        called |= emitted.called
        sites = checks.sites
        forms.append(DeviceForm(inner, wanted, narrow, may_stop))
    entry, needed = emit_device_entry(kernel, forms, target)
    texts.append(entry)
    return (
        texts,
        called | needed,
        evolve(signature_of(kernel, sites), layouts=layouts or (), chunked=row_axes(kernel)),
    )


def _may_stop(function: FuncOp) -> bool:
    """Whether narrow code asks how large memory of its own is."""
    return any(isinstance(op, RequireOp) and op.status.value.data == TOO_WIDE for op in function.walk())


def _changes_arguments(kernel: KernelOp) -> bool:
    return any(isinstance(type_, RefType) for type_ in kernel.function_type.inputs)


def _all_forms(kernel: KernelOp, layouts: tuple[str, ...] | None) -> list[tuple[tuple[str, ...], bool]]:
    """The layouts to make forms for and whether they are narrow, fastest first.

    Where none are given, for dense arrays and for any: threads reach elements by their strides, so that dense
    rows gain a device nothing. Only the last form is wide, since few arrays have more than 2^30 elements.
    """
    ranks = [len(shape_of(type_)) for type_ in kernel.function_type.inputs]
    words = ("contiguous", "any") if any(ranks) else ("any",)
    wanted = [layouts] if layouts is not None else [(word,) * len(ranks) for word in words]
    return [*((each, True) for each in wanted), (wanted[-1], False)]
