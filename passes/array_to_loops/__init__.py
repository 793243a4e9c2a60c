"""array-to-loops: each array.kernel becomes a func.func of structured loops over memrefs that returns a
status.

The function takes the kernel's arguments, arrays as memrefs and numbers as they are, then a memref per
result. It returns 0, or the code of what went wrong with the number of the source line it concerns (see
`checks`).
"""

from dataclasses import dataclass

from xdsl.context import Context
from xdsl.dialects.builtin import ModuleOp
from xdsl.passes import ModulePass
from xdsl.rewriter import Rewriter

from flowc.dialects.array.kernel import KernelOp
from flowc.passes.array_to_loops.kernel import lower_kernel


def array_to_loops(module: ModuleOp, vector_bits: int = 256, layout: str = "rows") -> int:
    """Replaces every kernel of the module by its loops, for arguments of one layout; gives how many there
    were."""
    kernels = [op for op in module.ops if isinstance(op, KernelOp)]
    for kernel in kernels:
        layouts = [layout] * len(kernel.body.block.args)
        function, _ = lower_kernel(kernel, kernel.sym_name.data, vector_bits, layouts)
        module.body.block.insert_op_before(function, kernel)
        Rewriter.erase_op(kernel)
    return len(kernels)


@dataclass(frozen=True)
class ArrayToLoopsPass(ModulePass):
    """Lowers kernels to structured loops; `vector_bits` is the width of the target's vectors, `layout` that
    of the arguments: contiguous, rows or any."""

    name = "array-to-loops"

    vector_bits: int = 256
    layout: str = "rows"

    def apply(self, ctx: Context, op: ModuleOp) -> None:
        """Runs `array_to_loops`."""
        array_to_loops(op, self.vector_bits, self.layout)
