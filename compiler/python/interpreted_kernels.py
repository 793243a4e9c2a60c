"""Kernels of a program by their reference semantics, for a debugger: one operator after the other."""

from typing import TYPE_CHECKING, Any

from flowc.compiler.backends.llvm import kernels_of
from flowc.compiler.backends.llvm.signature import signature_of
from flowc.compiler.driver import Options, kernels_module
from flowc.compiler.python.interpreted import filled
from flowc.dialects.array.faults import KernelFault
from flowc.dialects.array.kernel import KernelOp
from flowc.dialects.array.reference import evaluate_kernel
from flowc.runtime.errors import fail
from flowc.runtime.kernel_arguments import fitting

if TYPE_CHECKING:
    from flowc.compiler.checker.model import Checked


class InterpretedKernel:
    """A kernel that is called like a native one."""

    def __init__(self, kernel: KernelOp) -> None:
        self.signature = signature_of(kernel)
        self._kernel = kernel

    def __call__(self, *arguments: object, out: object = None) -> Any:
        """The result, or a tuple of several; with `out`, written there. Raises FlowError where arguments do
        not fit, and where the kernel cannot go on (E0767)."""
        ready = fitting(self.signature, arguments)
        try:
            results = evaluate_kernel(self._kernel, ready)
        except (KernelFault, ArithmeticError, LookupError, ValueError) as fault:
            raise fail(
                "E0767",
                f"kernel `{self.signature.name}` cannot go on",
                why=str(fault),
                help="the traceback, and a debugger, show the operator and what it was given",
            ) from fault
        values = tuple([each[()] if each.ndim == 0 else each for each in results])
        return filled(values if len(values) != 1 else values[0], out)


def interpreted(checked: "Checked") -> dict[str, InterpretedKernel]:
    """The kernels of a checked program by name, as they are written."""
    module = kernels_module(checked, Options(level=0))
    return {kernel.sym_name.data: InterpretedKernel(kernel) for kernel in kernels_of(module)}
