"""Arithmetic, logic and comparison."""

from flowc.compiler.builtins.dtypes import (
    FLOATS,
    Shape,
    array,
    broadcast,
    common_dtype,
    dtype,
    is_number,
    is_strong,
    matmul_shape,
    promote,
    shape,
)
from flowc.compiler.builtins.model import RuleError
from flowc.compiler.checker.context import ERROR, Context, infer, is_hole, resolve, shown_type
from flowc.compiler.checker.convert import check_range, fits, join, literal_value
from flowc.compiler.checker.narrowing import facts_of, with_facts
from flowc.compiler.syntax import Binary, Expression, Unary
from flowc.runtime.types import (
    BOOL,
    FLOAT,
    INT,
    JSON,
    NONE,
    STR,
    Array,
    Dict,
    List,
    Optional,
    Scalar,
    Type,
)

_ORDER = ("<", "<=", ">", ">=")


def binary_type(context: Context, node: Binary) -> Type:
    """The type of `left operator right`."""
    if node.operator in ("and", "or"):
        return _logic(context, node)
    left, right = infer(context, node.left), infer(context, node.right)
    left, right = resolve(context, left), resolve(context, right)
    if ERROR in (left, right):
        return ERROR
    if isinstance(left, Optional) or isinstance(right, Optional) or NONE in (left, right):
        return _optional_operand(context, node, left)
    try:
        found = _binary(context, node, left, right)
    except RuleError as problem:
        _report_rule(context, node, problem)
        return ERROR
    return _refuse(context, node, left, right) if found is None else found


def _logic(context: Context, node: Binary) -> Type:
    require_condition(context, node.left, f"`{node.operator}`")
    shows = facts_of(context, node.left, truth=node.operator == "and")
    with with_facts(context, shows):
        require_condition(context, node.right, f"`{node.operator}`")
    return BOOL


def require_condition(context: Context, expression: Expression, where: str) -> None:
    """Checks that an expression is a `bool`, and says how to make it one."""
    found = resolve(context, infer(context, expression, BOOL))
    if found in (BOOL, ERROR):
        return
    if is_hole(found):
        fits(context, found, BOOL)
        return
    context.report.error(
        "E0108",
        f"{where} needs a `bool`, found `{shown_type(context, found)}`",
        expression.span,
        f"this is `{shown_type(context, found)}`",
        why="nothing but a `bool` is true or false",
        help=_truth_help(found),
    )


def _truth_help(found: Type) -> str:
    match found:
        case Optional():
            return "say what is asked: `x is not none`"
        case List() | Dict() | Scalar("str"):
            return "say what is asked: `len(x) > 0`"
        case Array("bool", _):
            return "reduce it with `any(...)` or `all(...)`, or combine arrays with `&`, `|` and `~`"
        case Scalar("json"):
            return "convert it with `bool(...)`"
    return "compare it: `x != 0`" if is_number(found) else "compare it with something"


def _optional_operand(context: Context, node: Binary, left: Type) -> Type:
    absent = node.left if isinstance(left, Optional) or left == NONE else node.right
    context.report.error(
        "E0120",
        f"`{node.operator}` needs a value, and this may be `none`",
        absent.span,
        f"this is `{shown_type(context, context.facts.types[id(absent)])}`",
        help="test it (`if x is none: ...`) or say `x.or_else(...)`",
    )
    return ERROR


def _binary(context: Context, node: Binary, left: Type, right: Type) -> Type | None:
    operator = node.operator
    if operator == "@":
        return _matmul(left, right)
    if operator in ("&", "|", "^"):
        return _bitwise(left, right)
    numeric = dtype(left) is not None and dtype(right) is not None
    if numeric and (is_strong(left) or is_strong(right)):
        return _numeric(context, node, left, right)
    if is_number(left) and is_number(right):
        return _plain(node, left, right)
    if operator == "+":
        if left == right == STR:
            return STR
        if isinstance(left, List) and isinstance(right, List):
            return _concatenated(context, node, left, right)
        if is_hole(left) or is_hole(right):
            return join(context, left, right)
    return None


def _concatenated(context: Context, node: Binary, left: Type, right: Type) -> Type | None:
    common = join(context, left, right)
    if common is None:
        return None
    for side, have in ((node.left, left), (node.right, right)):
        if resolve(context, have) != common:
            context.facts.coercions[id(side)] = common
    return common


def _matmul(left: Type, right: Type) -> Type | None:
    if not isinstance(left, Array) or not isinstance(right, Array):
        return None
    return array(promote(left.dtype, right.dtype), matmul_shape(left.dims, right.dims))


def _bitwise(left: Type, right: Type) -> Type | None:
    if dtype(left) != "bool" or dtype(right) != "bool":
        return None
    return array("bool", broadcast([shape(left), shape(right)]))


def _numeric(context: Context, node: Binary, left: Type, right: Type) -> Type:
    found = common_dtype([left, right])
    if "bool" in (dtype(left), dtype(right)):
        raise RuleError(
            "E0212", f"`{node.operator}` has no form for `bool`", help="count with `i32(...)`, or use `where`"
        )
    if node.operator == "/" and found not in FLOATS:
        found = "f64"
    exponent = literal_value(node.right) if node.operator == "**" else None
    if exponent is not None and exponent < 0 and found not in FLOATS:
        raise RuleError(
            "E0149", "a negative power of whole numbers has no whole result", help="make it a float: `f64(x)`"
        )
    dims: Shape = broadcast([shape(left), shape(right)])
    for side, type_ in ((node.left, left), (node.right, right)):
        if type_ in (INT, FLOAT) and not (type_ == INT and found == "i64"):
            context.facts.coercions[id(side)] = Scalar(found)
            check_range(context, side, Scalar(found))
    return array(found, dims)


def _plain(node: Binary, left: Type, right: Type) -> Type:
    if node.operator == "/":
        return FLOAT
    if node.operator == "**" and left == right == INT:
        exponent = literal_value(node.right)
        return INT if isinstance(exponent, int) and exponent >= 0 else FLOAT
    if literal_value(node.right) == 0 and node.operator in ("//", "%"):
        raise RuleError("E0149", f"`{node.operator}` by 0 has no result", argument=1)
    return INT if left == right == INT else FLOAT


def _report_rule(context: Context, node: Binary, problem: RuleError) -> None:
    sides = [(side.span, f"this is `{shown_type(context, context.facts.types[id(side)])}`")
             for side in (node.left, node.right)]  # fmt: skip
    first, second = sides if problem.argument != 0 else sides[::-1]
    context.report.error(
        problem.code, problem.message, *second, why=problem.why, help=problem.help, causes=(first,)
    )


def _refuse(context: Context, node: Binary, left: Type, right: Type) -> Type:
    context.report.error(
        "E0109",
        f"`{node.operator}` has no form for `{shown_type(context, left)}` and `{shown_type(context, right)}`",
        node.right.span,
        f"this is `{shown_type(context, right)}`",
        help=_operator_help(node.operator, left, right),
        causes=((node.left.span, f"this is `{shown_type(context, left)}`"),),
    )
    return ERROR


def _operator_help(operator: str, left: Type, right: Type) -> str:
    if operator == "+" and STR in (left, right):
        return 'put values into a text with f"...{value}", or convert with `str(...)`'
    if operator == "+" and (isinstance(left, List) or isinstance(right, List)):
        return "add a list: `xs + [x]`"
    if BOOL in (left, right):
        return "count with `int(...)`, or choose with `a if test else b`"
    if isinstance(left, List) or isinstance(right, List):
        return "make it an array first: `f64(xs)`"
    if JSON in (left, right):
        return "convert json first: `float(...)`, `int(...)` or `str(...)`"
    if operator in ("&", "|", "^"):
        return "these combine `bool` values and arrays of them"
    return ""


def unary_type(context: Context, node: Unary) -> Type:
    """The type of `operator operand`."""
    if node.operator == "not":
        require_condition(context, node.operand, "`not`")
        return BOOL
    found = resolve(context, infer(context, node.operand))
    if found == ERROR:
        return ERROR
    fine = dtype(found) == "bool" if node.operator == "~" else dtype(found) not in (None, "bool")
    if not fine:
        context.report.error(
            "E0109",
            f"`{node.operator}` has no form for `{shown_type(context, found)}`",
            node.span,
            help="test it first" if isinstance(found, Optional) else "",
            causes=((node.operand.span, f"this is `{shown_type(context, found)}`"),),
        )
        return ERROR
    return found
