"""Kernels compiled for GPUs, as `--target` asks for it: all of them, or for `auto` those that have such
code."""

from collections.abc import Mapping, Sequence

from attrs import field, frozen
from xdsl.dialects.builtin import FileLineColLoc, ModuleOp
from xdsl.ir import Attribute, Operation

from flowc.compiler.backends import cuda
from flowc.compiler.backends.cuda import nvrtc
from flowc.compiler.backends.llvm import kernels_of
from flowc.compiler.backends.llvm.signature import line_of
from flowc.compiler.diagnostics.model import CompileError, Diagnostic, Label, Source
from flowc.compiler.syntax import Span
from flowc.dialects.array.kernel import KernelOp
from flowc.passes.array_to_gpu import Unsupported
from flowc.runtime.device.code import DeviceCode
from flowc.runtime.device.presence import absence, current_site
from flowc.runtime.errors import FlowError

_LEFT = ("E0677", "E0678")
"""Failures of NVRTC that leave all kernels to the processor, where it may run them."""


@frozen
class DeviceBuild:
    """Code for GPUs, None where no kernel has any; `refused` says by kernel why it has none."""

    code: DeviceCode | None
    refused: Mapping[str, str] = field(factory=dict)


def build_for_device(
    kernels: ModuleOp, source: Source, target: str, level: int, architectures: tuple[str, ...] | None
) -> DeviceBuild:
    """The kernels of a module for GPUs; `architectures` are this machine's, or the usual ones, where None.

    For the target `cuda` raises CompileError (E0787) for a kernel that no such code can be made of, and
    FlowError where NVRTC is missing (E0677) or refuses the code (E0678); for `auto` what there is no code for
    is left to the processor.
    """
    try:
        return _built(kernels, source, target, level, architectures)
    except FlowError as error:
        if target == "cuda" or error.problem.code not in _LEFT:
            raise
        why = f"there is no code for a GPU: {error.problem.message}"
        return DeviceBuild(None, {kernel.sym_name.data: why for kernel in kernels_of(kernels)})


def _built(
    kernels: ModuleOp, source: Source, target: str, level: int, architectures: tuple[str, ...] | None
) -> DeviceBuild:
    options = cuda.Options(level=level, architectures=wanted(architectures))
    left = kernels_of(kernels)
    refused: dict[str, str] = {}
    while left:
        try:
            module = ModuleOp([kernel.clone() for kernel in left])
            return DeviceBuild(cuda.compile_kernels(module, options).code, refused)
        except Unsupported as error:
            kernel = _kernel_around(error.op, left)
            if target == "cuda" or kernel is None:
                raise CompileError(source, (unsupported(error, kernel),)) from None
            refused[kernel.sym_name.data] = f"a GPU has no code for it: {error.reason}"
            left.remove(kernel)
    return DeviceBuild(None, refused)


def device_text(kernels: ModuleOp, source: Source, level: int) -> str:
    """The CUDA C++ of the kernels of a module; raises CompileError (E0787) where there is none."""
    found = build_for_device(kernels, source, "cuda", level, ())
    return "" if found.code is None else found.code.text


def wanted(architectures: tuple[str, ...] | None) -> tuple[str, ...]:
    """The architectures to make code for: those asked for, else the card's here, else the usual ones, as far
    as NVRTC knows them."""
    if architectures is not None:
        return architectures
    known = nvrtc.architectures()
    here = () if absence() is not None else (current_site().device.architecture,)
    return tuple(each for each in here if each in known) or tuple(
        each for each in cuda.ARCHITECTURES if each in known
    )


def unsupported(error: Unsupported, kernel: KernelOp | None) -> Diagnostic:
    """What is told of a kernel that has no code for GPUs."""
    name = "a kernel" if kernel is None else f"kernel `{kernel.sym_name.data}`"
    span = _span(error.op.location)
    return Diagnostic(
        "E0787",
        f"{name} has no form for target cuda",
        (Label(span),) if span is not None else (),
        error.reason,
        "compile it for the processor, `--target cpu`, or let flowc choose for each kernel: `--target auto`",
    )


def _kernel_around(op: Operation, known: Sequence[KernelOp]) -> KernelOp | None:
    """Which of some kernels an operator stands in, or in a copy of."""
    above: Operation | None = op
    while above is not None and not isinstance(above, KernelOp):
        above = above.parent_op()
    if above is None:
        return known[0] if len(known) == 1 else None
    return next((each for each in known if each.sym_name == above.sym_name), None)


def _span(location: Attribute) -> Span | None:
    """The place of an operator in its source, None where it is not known."""
    line = line_of(location)
    if not line:
        return None
    column = location.column.data if isinstance(location, FileLineColLoc) else 1
    return Span(line, max(column, 1), line, max(column, 1) + 1)
