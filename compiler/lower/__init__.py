"""Lowering: from the checked tree to the flow, agent and array dialects. Linear in the program."""

from xdsl.dialects.builtin import ModuleOp
from xdsl.ir import Operation

from flowc.compiler import syntax
from flowc.compiler.checker.model import Checked
from flowc.compiler.lower.declarations import lower_enum, lower_flow, lower_operation, lower_record
from flowc.compiler.lower.expressions import lower_expression
from flowc.compiler.lower.frame import Lowering, TooDeep
from flowc.compiler.lower.kernels import lower_kernel


def lower(checked: Checked) -> ModuleOp:
    """The module of a checked program: an operation a declaration, in source order."""
    lowering = Lowering(checked, lower_expression)
    operations = [
        op for each in checked.program.declarations if (op := _declaration(lowering, each)) is not None
    ]
    module = ModuleOp(operations)
    module.location = lowering.location(checked.program.span)
    return module


def _declaration(lowering: Lowering, declaration: syntax.Declaration) -> Operation | None:
    match declaration:
        case syntax.Record():
            return lower_record(lowering, declaration)
        case syntax.Enum():
            return lower_enum(lowering, declaration)
        case syntax.Callable(kind=kind, name=name):
            signature = lowering.checked.callables[name]
            if kind == "kernel":
                return lower_kernel(lowering, signature)
            return lower_flow(lowering, signature) if kind == "flow" else lower_operation(lowering, signature)
    return None


__all__ = ["TooDeep", "lower"]
