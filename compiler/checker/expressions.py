"""The type of any expression: one table from the kinds of nodes to their rules."""

from flowc.compiler.checker import access, calls, comparisons, displays, operators, subscripts
from flowc.compiler.checker.context import ERROR, Context
from flowc.compiler.syntax import (
    Attribute,
    Binary,
    Call,
    Compare,
    Comprehension,
    Conditional,
    Constant,
    DictDisplay,
    Expression,
    ListDisplay,
    Name,
    Subscript,
    Template,
    TryElse,
    Unary,
)
from flowc.runtime.types import Type

_NOT_IN_KERNELS = (Template, DictDisplay, Comprehension, TryElse)


def expression_type(context: Context, node: Expression, expected: Type | None) -> Type:
    """Infers the type of an expression; `expected` is a hint for displays that say too little alone."""
    if context.kind == "kernel" and isinstance(node, _NOT_IN_KERNELS):
        context.report.error(
            "E0138",
            "this cannot be computed in a kernel",
            node.span,
            why="a kernel holds numbers and arrays alone",
            help="do it in the flow that calls the kernel",
        )
        return ERROR
    match node:
        case Name():
            return access.name_type(context, node)
        case Constant():
            return displays.constant_type(context, node)
        case Call():
            return calls.call_type(context, node, expected)
        case Attribute():
            return access.attribute_type(context, node)
        case Binary():
            return operators.binary_type(context, node)
        case Subscript():
            return subscripts.subscript_type(context, node)
        case Compare():
            return comparisons.compare_type(context, node)
        case Template():
            return displays.template_type(context, node)
        case ListDisplay():
            return displays.list_type(context, node, expected)
        case Unary():
            return operators.unary_type(context, node)
        case Conditional():
            return displays.conditional_type(context, node, expected)
        case Comprehension():
            return displays.comprehension_type(context, node, expected)
        case DictDisplay():
            return displays.dict_type(context, node, expected)
        case TryElse():
            return displays.try_type(context, node, expected)
