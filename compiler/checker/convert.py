"""Which values may stand where: the common type of two, and the conversion from one to another.

Conversions lose nothing: `int` to `float`, `T` to `T?`, a narrow dtype to a wide one, a list of numbers to
an array and back. Literals take any dtype that holds them. Everything else is written by hand.
"""

from collections.abc import Sequence

from attrs import frozen

from flowc.compiler.builtins.dtypes import FLOATS, INTEGERS, array, is_number, promote, shape_text
from flowc.compiler.checker.context import ERROR, Context, infer, is_hole, resolve, shown_type
from flowc.compiler.syntax import Binary, Constant, Expression, Span, Unary
from flowc.runtime.dtypes import greatest_float, integer_range, overflows
from flowc.runtime.types import (
    FLOAT,
    INT,
    JSON,
    NONE,
    NUMERIC,
    Array,
    Dict,
    Enum,
    List,
    Optional,
    PlanOf,
    Record,
    Scalar,
    Tuple,
    Type,
)

_WIDENS = {
    "i8": ("i16", "i32", "i64", "f16", "bf16", "f32", "f64"), "i16": ("i32", "i64", "f32", "f64"),
    "u8": ("i16", "i32", "i64", "f16", "bf16", "f32", "f64"), "i32": ("i64", "f64"), "i64": ("f64",),
    "f16": ("f32", "f64"), "bf16": ("f32", "f64"), "f32": ("f64",), "f64": (),
}  # fmt: skip


@frozen
class Misfit:
    """Why a value does not fit: a code, and the help that belongs to it."""

    code: str = "E0105"
    why: str = ""
    help: str = ""


def join(context: Context, first: Type, second: Type) -> Type | None:
    """The type that values of both types have in common, or None."""
    first, second = resolve(context, first), resolve(context, second)
    if first == second or second == ERROR:
        return first
    if first == ERROR:
        return second
    if is_hole(first) or is_hole(second):
        return _fill(context, first, second)
    if NONE in (first, second):
        other = second if first == NONE else first
        return other if isinstance(other, Optional) or other == JSON else Optional(other)
    if isinstance(first, Optional) or isinstance(second, Optional):
        inner = join(context, _present(first), _present(second))
        return None if inner is None else Optional(_present(inner))
    return _join_parts(context, first, second)


def _present(type_: Type) -> Type:
    return type_.inner if isinstance(type_, Optional) else type_


def _fill(context: Context, first: Type, second: Type) -> Type:
    hole, other = (first, second) if is_hole(first) else (second, first)
    assert isinstance(hole, Scalar)
    context.holes[hole.name] = other
    return other


def _join_parts(context: Context, first: Type, second: Type) -> Type | None:
    match first, second:
        case List(a), List(b):
            inner = join(context, a, b)
            return None if inner is None else List(inner)
        case Dict(a), Dict(b):
            inner = join(context, a, b)
            return None if inner is None else Dict(inner)
        case Tuple(a, names), Tuple(b, _) if len(a) == len(b):
            items = [join(context, x, y) for x, y in zip(a, b, strict=True)]
            present = tuple(item for item in items if item is not None)
            return Tuple(present, names) if len(present) == len(items) else None
        case Array(a, dims), Array(b, others) if a == b and len(dims) == len(others):
            return Array(a, tuple(x if x == y else "" for x, y in zip(dims, others, strict=True)))
        case Scalar(a), Scalar(b) if is_number(first) and is_number(second):
            return _join_numbers(a, b)
    return None


def _join_numbers(first: str, second: str) -> Type:
    abstract = {"int", "float"} & {first, second}
    if not abstract:
        return Scalar(promote(first, second))
    strong = [name for name in (first, second) if name not in ("int", "float")]
    return FLOAT if "float" in abstract or any(name in FLOATS for name in strong) else INT


def fits(context: Context, have: Type, want: Type, literal: bool = False) -> Misfit | None:
    """None when a value of `have` may stand for one of `want`, converted where they differ."""
    have, want = resolve(context, have), resolve(context, want)
    if have == want or ERROR in (have, want):
        return None
    if is_hole(have) or is_hole(want):
        _fill(context, have, want)
        return None
    if isinstance(want, Optional):
        return None if have == NONE else fits(context, _present(have), want.inner, literal)
    if isinstance(have, Optional) and want != JSON:
        return _misfit_optional(context, have, want)
    match have, want:
        case Scalar(), Scalar():
            return _fit_scalar(have.name, want.name, literal)
        case List(a), List(b):
            return fits(context, a, b)
        case Dict(a), Dict(b):
            return fits(context, a, b)
        case Tuple(a, _), Tuple(b, _) if len(a) == len(b):
            return next((m for x, y in zip(a, b, strict=True) if (m := fits(context, x, y))), None)
        case Array(), Array():
            return _fit_array(have, want)
        case List(), Array(dtype, dims):
            return fits(context, have.element, array(dtype, dims[1:]), True)
        case Array(dtype, dims), List(element):
            return fits(context, array(dtype, dims[1:]), element)
        case PlanOf(a), PlanOf(b) if set(a) <= set(b):
            return None
        case _, _:
            return _misfit(context, have, want)


def _misfit_optional(context: Context, have: Optional, want: Type) -> Misfit:
    inner = fits(context, have.inner, want)
    if inner is not None:
        return Misfit()
    return Misfit(
        "E0120", "the value may be `none` here", "test it (`if x is none: ...`) or say `x.or_else(...)`"
    )


def _misfit(context: Context, have: Type, want: Type) -> Misfit:
    match have, want:
        case Scalar("str"), Enum(name):
            members = context.world.enums.get(name, ("member",))
            return Misfit(
                help=f"write a member, as `{name}.{members[0]}`, or convert a text with `{name}(...)`"
            )
        case Enum(), Scalar("str"):
            return Misfit(help="convert it with `str(...)`")
        case Record(), Scalar("json"):
            return Misfit(help="convert it with `to_json(...)`")
    return Misfit()


def _fit_scalar(have: str, want: str, literal: bool) -> Misfit | None:
    if have in ("int", "float") or have in NUMERIC:
        if want in ("int", "float") or want in NUMERIC:
            return _fit_number(have, want, literal)
        if want == "str":
            return Misfit(help="convert it with `str(...)`")
        return Misfit(help="say what counts as true: `x != 0`") if want == "bool" else _json(want)
    if have == "str" and (want in ("int", "float") or want in NUMERIC):
        return Misfit(help=f"convert it with `{want}({'...' if want in ('int', 'float') else 'float(...)'})`")
    if have == "json" and want in ("str", "int", "float", "bool"):
        return Misfit(
            why="json may hold anything", help=f"convert it with `{want}(...)`, which fails on anything else"
        )
    if have == "bool" and want in ("int", "float"):
        return Misfit(help=f"convert it with `{want}(...)`")
    return _json(want)


def _json(want: str) -> Misfit:
    return Misfit(help="convert it with `to_json(...)`") if want == "json" else Misfit()


def _fit_number(have: str, want: str, literal: bool) -> Misfit | None:
    if literal and (have == "int" or want in FLOATS or want == "float"):
        return None
    source, target = _concrete(have), _concrete(want)
    if source == target or target in _WIDENS[source]:
        return None
    what = "would lose digits" if target in FLOATS else "may not fit"
    return Misfit(
        "E0209",
        f"{'an' if have[0] == 'i' else 'a'} `{have}` {what} as `{want}`",
        f"if that is meant, say so: `{want}(...)`",
    )


def _concrete(name: str) -> str:
    return {"int": "i64", "float": "f64"}.get(name, name)


def _fit_array(have: Array, want: Array) -> Misfit | None:
    if len(have.dims) != len(want.dims):
        return Misfit("E0203", f"one has {axes(len(have.dims))}, the other {axes(len(want.dims))}")
    if have.dtype != want.dtype:
        return Misfit(
            "E0209", f"an array of `{have.dtype}` is not converted silently", f"say so: `{want.dtype}(...)`"
        )
    for a, b in zip(have.dims, want.dims, strict=True):
        if a != b and "" not in (a, b):
            return Misfit(
                "E0210", f"`{shape_text(have.dims)}` is not `{shape_text(want.dims)}`: `{a}` is not `{b}`"
            )
    return None


def axes(count: int) -> str:
    """A number of axes in words."""
    return "1 axis" if count == 1 else f"{count} axes"


def literal_value(expression: Expression) -> int | float | None:
    """The value of a number written out, with or without signs; None for anything else."""
    match expression:
        case Constant(kind="int" | "float", value=int() | float() as value):
            return value
        case Unary("-" | "+" as sign, operand):
            inner = literal_value(operand)
            return -inner if inner is not None and sign == "-" else inner
    return None


def is_literal(expression: Expression) -> bool:
    """Whether an expression is computed from written numbers alone, as `1 / 3` is."""
    match expression:
        case Constant(kind="int" | "float"):
            return True
        case Unary(operand=operand):
            return is_literal(operand)
        case Binary(left=left, right=right):
            return is_literal(left) and is_literal(right)
    return False


def require(
    context: Context,
    expression: Expression,
    want: Type,
    headline: str = "expected `{want}`, found `{have}`",
    causes: tuple[tuple[Span, str], ...] = (),
    code: str = "E0105",
) -> Type:
    """Checks an expression against a type, notes the conversion it needs, reports what does not fit."""
    have = infer(context, expression, want)
    coerce(context, expression, have, want, headline, causes, code)
    return have


def coerce(
    context: Context,
    expression: Expression,
    have: Type,
    want: Type,
    headline: str = "expected `{want}`, found `{have}`",
    causes: tuple[tuple[Span, str], ...] = (),
    code: str = "E0105",
) -> bool:
    """Notes the conversion of a value whose type is known; reports and gives False where there is none.

    `code` is that of a plain mismatch; where more is known (a value that may be `none`, a shape) that code
    is taken.
    """
    misfit = fits(context, have, want, is_literal(expression))
    have, want = resolve(context, have), resolve(context, want)
    if misfit is None:
        if have != want and ERROR not in (have, want):
            context.facts.coercions[id(expression)] = want
            check_range(context, expression, want)
        return True
    shown = {"have": shown_type(context, have), "want": shown_type(context, want)}
    context.report.error(
        code if misfit.code == "E0105" else misfit.code,
        headline.format(**shown),
        expression.span,
        f"this is `{shown['have']}`",
        why=misfit.why,
        help=misfit.help,
        causes=causes,
    )
    return False


def common_type(
    context: Context, items: Sequence[Expression], types: Sequence[Type], headline: str, why: str
) -> Type:
    """The type that expressions have in common, to which each is converted; reports the first that has none
    with those before it."""
    common = types[0]
    for item, type_ in zip(items, types, strict=True):
        met = join(context, common, type_)
        if met is None:
            have, first = shown_type(context, type_), shown_type(context, common)
            context.report.error(
                "E0121",
                headline.format(have=have, first=first),
                item.span,
                f"this is `{have}`",
                why=why,
                causes=((items[0].span, f"this is `{first}`"),),
            )
            return ERROR
        common = met
    for item, type_ in zip(items, types, strict=True):
        coerce(context, item, type_, common)
    return resolve(context, common)


def check_range(context: Context, expression: Expression, want: Type) -> None:
    """Reports a number written out that the dtype it takes cannot hold."""
    value = literal_value(expression)
    if not isinstance(want, Scalar) or value is None:
        return
    if want.name in FLOATS:
        holds = not overflows(value, want.name)
        why = f"the greatest `{want.name}` is {greatest_float(want.name)!r}"
    elif want.name in INTEGERS and isinstance(value, int):
        low, high = integer_range(want.name)
        holds, why = low <= value <= high, f"an `{want.name}` goes from {low} to {high}"
    else:
        return
    if not holds:
        message = f"{value} does not fit in `{want.name}`"
        context.report.error("E0141", message, expression.span, why=why, help="take a wider type")
