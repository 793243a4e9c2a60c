"""Comparisons: order, equality, membership and `is none`."""

from flowc.compiler.builtins.dtypes import (
    FLOATS,
    array,
    broadcast,
    common_dtype,
    dtype,
    is_number,
    shape,
)
from flowc.compiler.builtins.model import RuleError
from flowc.compiler.checker.context import ERROR, Context, a_type, infer, resolve, shown_type
from flowc.compiler.checker.convert import check_range, is_literal, join
from flowc.compiler.syntax import Compare, Expression
from flowc.runtime.types import (
    BOOL,
    FLOAT,
    INT,
    JSON,
    NONE,
    STR,
    Array,
    Dict,
    Enum,
    List,
    Optional,
    Record,
    Scalar,
    Tuple,
    Type,
)

_ORDER = ("<", "<=", ">", ">=")


def compare_type(context: Context, node: Compare) -> Type:
    """The type of a comparison: `bool`, or an array of them."""
    types = [resolve(context, infer(context, operand)) for operand in node.operands]
    if ERROR in types:
        return BOOL
    result: Type = BOOL
    for index, operator in enumerate(node.operators):
        found = _compare_pair(context, node, index, operator, types[index], types[index + 1])
        if isinstance(found, Array):
            result = found
    if isinstance(result, Array) and len(node.operators) > 1:
        context.report.error(
            "E0109",
            "arrays cannot be compared in a chain",
            node.span,
            why="a chain asks for one `bool` between its parts",
            help="join two comparisons with `&`: `(low <= x) & (x < high)`",
        )
    return result


def _compare_pair(
    context: Context, node: Compare, index: int, operator: str, left: Type, right: Type
) -> Type:
    first, second = node.operands[index], node.operands[index + 1]
    if operator in ("is", "is not"):
        _identity(context, second, operator, right)
        return BOOL
    if operator in ("in", "not in"):
        return _membership(context, first, second, left, right)
    if isinstance(left, Array) or isinstance(right, Array):
        return _compare_arrays(context, node, first, second, operator, left, right)
    comparable = (
        _equality(context, left, right) if operator in ("==", "!=") else _ordered(context, left, right)
    )
    if not comparable:
        _refuse_comparison(context, operator, (first, second), left, right)
    return BOOL


def _identity(context: Context, second: Expression, operator: str, right: Type) -> None:
    if right == NONE:
        return
    context.report.error(
        "E0146",
        f"`{operator}` asks only for `none`",
        second.span,
        why="values have no identity; two equal values are the same",
        help=f"compare with `{'==' if operator == 'is' else '!='}`",
    )


def _membership(context: Context, first: Expression, second: Expression, left: Type, right: Type) -> Type:
    match right:
        case List(element):
            fine = join(context, left, element) is not None
        case Dict() | Scalar("str" | "json"):
            fine = left == STR
        case _:
            fine = False
    if not fine:
        context.report.error(
            "E0110",
            f"{a_type(context, right)} never holds {a_type(context, left)}",
            second.span,
            f"this is `{shown_type(context, right)}`",
            help="the right side of `in` is a list, a dict or a text" if not isinstance(right, List) else "",
            causes=((first.span, f"this is `{shown_type(context, left)}`"),),
        )
    return BOOL


def _compare_arrays(
    context: Context,
    node: Compare,
    first: Expression,
    second: Expression,
    operator: str,
    left: Type,
    right: Type,
) -> Type:
    if dtype(left) is None or dtype(right) is None:
        _refuse_comparison(context, operator, (first, second), left, right)
        return BOOL
    try:
        dims = broadcast([shape(left), shape(right)])
    except RuleError as problem:
        context.report.error(problem.code, problem.message, node.span, why=problem.why, help=problem.help)
        return BOOL
    common = common_dtype([left, right])
    for side, type_ in ((first, left), (second, right)):
        if type_ in (INT, FLOAT) and (is_literal(side) or common in FLOATS):
            context.facts.coercions[id(side)] = Scalar(common)
            check_range(context, side, Scalar(common))
    return array("bool", dims)


def _equality(context: Context, left: Type, right: Type) -> bool:
    plain = (STR, INT, FLOAT, BOOL, NONE, JSON)
    if JSON in (left, right):
        return left in plain and right in plain
    if NONE in (left, right):
        return left == right or isinstance(left, Optional) or isinstance(right, Optional)
    return join(context, left, right) is not None


def _ordered(context: Context, left: Type, right: Type) -> bool:
    common = None if isinstance(left, Optional) or isinstance(right, Optional) else join(context, left, right)
    match common:
        case None:
            return False
        case Tuple(items):
            return all(is_number(item) or item == STR for item in items)
    return is_number(common) or common == STR


def _refuse_comparison(
    context: Context,
    operator: str,
    sides: tuple[Expression, Expression],
    left: Type,
    right: Type,
) -> None:
    why, hint = "", ""
    if isinstance(left, Optional) or isinstance(right, Optional) or NONE in (left, right):
        why = "one side may be `none`"
        hint = "test it first: `x is not none and x < ...`"
        if operator in ("==", "!=") and NONE in (left, right):
            other = right if left == NONE else left
            why, hint = f"{a_type(context, other)} is never `none`", "leave the test out"
    elif {type(left), type(right)} == {Enum, Scalar}:
        enum = left if isinstance(left, Enum) else right
        assert isinstance(enum, Enum)
        hint = f"compare with a member: `{enum.name}.{context.world.enums.get(enum.name, ('member',))[0]}`"
    elif operator in _ORDER and isinstance(left, Record | Enum | List | Dict):
        why = f"values of `{shown_type(context, left)}` have no order"
    context.report.error(
        "E0110",
        f"`{operator}` cannot compare `{shown_type(context, left)}` and `{shown_type(context, right)}`",
        sides[1].span,
        f"this is `{shown_type(context, right)}`",
        why=why,
        help=hint,
        causes=((sides[0].span, f"this is `{shown_type(context, left)}`"),),
    )
