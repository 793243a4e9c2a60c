"""A short way to write a kernel of the array dialect."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from attrs import frozen
from xdsl.dialects.builtin import FileLineColLoc, FunctionType, IntAttr, ModuleOp, StringAttr
from xdsl.ir import Attribute, Block, Operation, SSAValue

from flowc.dialects.array import KernelOp, ReturnOp

Add = Callable[[Operation], SSAValue]


@frozen
class Program:
    """A kernel, alone in a module, and arguments for it."""

    module: ModuleOp
    kernel: KernelOp
    arguments: tuple[Any, ...]

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:
        printer.text(f"{self.module}\non {self.arguments}")


def adding_to(block: Block) -> Add:
    """Adds ops to a block, each with a source line of its own, and gives their first result."""

    def add(op: Operation) -> SSAValue:
        place(block, op)
        return op.results[0]

    return add


def place(block: Block, op: Operation) -> None:
    """Adds an op to a block, with a source line of its own."""
    op.location = FileLineColLoc(StringAttr("k.flow"), IntAttr(len(block.ops) + 1), IntAttr(1))
    block.add_op(op)


def make_kernel(
    parameters: Mapping[str, Attribute], body: Callable[..., Sequence[SSAValue] | SSAValue], name: str = "k"
) -> KernelOp:
    """A kernel with results `body(add, *arguments)`; each op gets a source line of its own."""
    kernel = KernelOp(name, (list(parameters.values()), []), arg_names=list(parameters))
    block = kernel.body.block
    returned = body(adding_to(block), *block.args)
    values = [returned] if isinstance(returned, SSAValue) else list(returned)
    place(block, ReturnOp(*values))
    types = [value.type for value in values]
    kernel.properties["function_type"] = FunctionType.from_lists(list(parameters.values()), types)
    return kernel


def as_module(*kernels: KernelOp) -> ModuleOp:
    """The kernels in a module that verifies."""
    module = ModuleOp(list(kernels))
    module.verify()
    return module
