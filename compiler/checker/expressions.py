"""The type of any expression: one table from the kinds of nodes to their rules."""

from flowc.compiler.checker import access, calls, displays, operators
from flowc.compiler.checker.context import Context
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


def expression_type(context: Context, node: Expression, expected: Type | None) -> Type:
    """Infers the type of an expression; `expected` is a hint for displays that say too little alone."""
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
            return access.subscript_type(context, node)
        case Compare():
            return operators.compare_type(context, node)
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
