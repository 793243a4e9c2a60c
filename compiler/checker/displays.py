"""Expressions that make values: constants, templates, lists, dicts, choices and comprehensions."""

from flowc.compiler.builtins.arguments import is_text
from flowc.compiler.builtins.dtypes import array
from flowc.compiler.checker.context import ERROR, Context, a_type, infer, new_hole, resolve, shown_type
from flowc.compiler.checker.convert import coerce, common_type, fits, is_literal, join, require
from flowc.compiler.checker.narrowing import facts_of, with_facts
from flowc.compiler.checker.operators import require_condition
from flowc.compiler.checker.scope import Variable, child, define_variable, narrow
from flowc.compiler.syntax import (
    Comprehension,
    Conditional,
    Constant,
    DictDisplay,
    Expression,
    Generator,
    Hole,
    ListDisplay,
    Span,
    Template,
    TryElse,
)
from flowc.runtime.types import (
    BOOL,
    FLOAT,
    INT,
    NONE,
    STR,
    Array,
    Dict,
    List,
    Optional,
    Scalar,
    Tuple,
    Type,
)

_CONSTANTS = {"int": INT, "float": FLOAT, "str": STR, "bool": BOOL, "none": NONE}
_LIMITS = {"duration": "a duration", "money": "an amount of money", "size": "a size in bytes"}


def constant_type(context: Context, node: Constant) -> Type:
    """The type of a constant that is a value."""
    if node.kind in _CONSTANTS:
        return _CONSTANTS[node.kind]
    context.report.error(
        "E0144",
        f"{_LIMITS[node.kind]} is no value",
        node.span,
        why="they stand in limits alone: `timeout(30s)`, `budget($1)`, `memory(2GB)`; and in `sleep(30s)`",
        help="write a plain number",
    )
    return ERROR


def template_type(context: Context, node: Template) -> Type:
    """The type of a prompt or an f-string; every hole must have a text form."""
    for part in node.parts:
        if isinstance(part, Hole):
            check_hole(context, part)
    return STR


def check_hole(context: Context, hole: Hole) -> None:
    """Checks that the value in a hole can be put into a text."""
    found = resolve(context, infer(context, hole.expression))
    if found != ERROR and not is_text(found):
        context.report.error(
            "E0137",
            f"a value of `{shown_type(context, found)}` has no text form",
            hole.expression.span,
            why="only texts, numbers, lists, dicts, records and json can be put into a text",
            help="say what of it is meant: a number of it, its shape" if isinstance(found, Array) else "",
        )


def list_type(context: Context, node: ListDisplay, expected: Type | None) -> Type:
    """The type of `[a, b]`: the elements' common type, or what is expected of them."""
    wanted = _present(expected)
    if isinstance(wanted, Array) and node.items:
        return _array_rows(context, node, wanted)
    if isinstance(wanted, List):
        for item in node.items:
            require(context, item, wanted.element, "this list holds `{want}`, not `{have}`")
        return List(resolve(context, wanted.element))
    if not node.items:
        return List(new_hole(context, node.span))
    return List(_common(context, node.items, "a list holds values of one type"))


def _present(expected: Type | None) -> Type | None:
    return expected.inner if isinstance(expected, Optional) else expected


def _array_rows(context: Context, node: ListDisplay, wanted: Array) -> Type:
    row = array(wanted.dtype, wanted.dims[1:])
    lengths = {len(item.items) for item in node.items if isinstance(item, ListDisplay)}
    if len(lengths) > 1:
        shown = " and ".join(map(str, sorted(lengths)))
        context.report.error("E0213", f"the rows of this array have {shown} elements", node.span)
    extent = wanted.dims[0] if wanted.dims else ""
    if isinstance(extent, int) and extent != len(node.items):
        context.report.error(
            "E0210", f"this array has {extent} rows, and {len(node.items)} are written", node.span
        )
    for item in node.items:
        require(context, item, row, "a row of this array is `{want}`, not `{have}`")
    return List(row)


def _common(context: Context, items: tuple[Expression, ...], rule: str) -> Type:
    types = [resolve(context, infer(context, item)) for item in items]
    return common_type(context, items, types, "`{have}` and `{first}` have no common type", rule)


def dict_type(context: Context, node: DictDisplay, expected: Type | None) -> Type:
    """The type of `{"a": 1}`; keys are texts."""
    wanted = _present(expected)
    for key, _ in node.items:
        require(context, key, STR, "the keys of a dict are `{want}`, not `{have}`")
    _refuse_twice(context, node)
    if isinstance(wanted, Dict):
        for _, value in node.items:
            require(context, value, wanted.value, "this dict holds `{want}`, not `{have}`")
        return Dict(resolve(context, wanted.value))
    if not node.items:
        return Dict(new_hole(context, node.span))
    return Dict(_common(context, tuple(value for _, value in node.items), "a dict holds values of one type"))


def _refuse_twice(context: Context, node: DictDisplay) -> None:
    seen: dict[object, Span] = {}
    for key, _ in node.items:
        if not isinstance(key, Constant):
            continue
        if key.value in seen:
            context.report.error(
                "E0118",
                f'the key "{key.value}" stands twice',
                key.span,
                causes=((seen[key.value], "first here"),),
            )
        seen[key.value] = key.span


def conditional_type(context: Context, node: Conditional, expected: Type | None) -> Type:
    """The type of `then if test else otherwise`."""
    require_condition(context, node.test, "the test of `... if ... else ...`")
    with with_facts(context, facts_of(context, node.test, True)):
        then = infer(context, node.then, expected)
    with with_facts(context, facts_of(context, node.test, False)):
        otherwise = infer(context, node.otherwise, expected)
    return _either(context, (node.then, then), (node.otherwise, otherwise), expected)


def try_type(context: Context, node: TryElse, expected: Type | None) -> Type:
    """The type of `try attempt else otherwise`."""
    attempt = infer(context, node.attempt, expected)
    otherwise = infer(context, node.otherwise, expected)
    return _either(context, (node.attempt, attempt), (node.otherwise, otherwise), expected)


def _either(
    context: Context, first: tuple[Expression, Type], second: tuple[Expression, Type], expected: Type | None
) -> Type:
    """The common type of two ways; literals adapt to the other side, both to what is expected if they can."""
    if expected is not None and all(
        fits(context, t, expected, is_literal(e)) is None for e, t in (first, second)
    ):
        common: Type | None = resolve(context, expected)
    elif is_literal(first[0]) and fits(context, first[1], second[1], True) is None:
        common = second[1]
    elif is_literal(second[0]) and fits(context, second[1], first[1], True) is None:
        common = first[1]
    else:
        common = join(context, first[1], second[1])
    if common is None:
        sides = [(e.span, f"this is `{shown_type(context, t)}`") for e, t in (first, second)]
        context.report.error(
            "E0121",
            f"`{shown_type(context, first[1])}` and `{shown_type(context, second[1])}` have no common type",
            second[0].span,
            sides[1][1],
            why="both ways must give the same type",
            causes=(sides[0],),
        )
        return ERROR
    if context.kind == "kernel" and not _same_extents(context, first, second):
        return ERROR
    for expression, type_ in (first, second):
        coerce(context, expression, type_, common)
    return common


def _same_extents(context: Context, first: tuple[Expression, Type], second: tuple[Expression, Type]) -> bool:
    """Whether arrays of two ways may have the same extents: a kernel computes both, element by element."""
    misfit = fits(context, second[1], first[1])
    if misfit is None or misfit.code != "E0210":
        return True
    shown = [shown_type(context, type_) for _, type_ in (first, second)]
    context.report.error(
        "E0210",
        f"one way gives `{shown[0]}`, the other `{shown[1]}`",
        second[0].span,
        f"this is `{shown[1]}`",
        why=misfit.why,
        help="both ways of a choice in a kernel have one shape: slice or reshape one of them",
        causes=((first[0].span, f"this is `{shown[0]}`"),),
    )
    return False


def comprehension_type(context: Context, node: Comprehension, expected: Type | None) -> Type:
    """The type of `[element for x in xs if test]`."""
    outer = context.scope
    context.scope = child(outer)
    try:
        for generator in node.generators:
            _generator(context, generator)
        wanted = _present(expected)
        if isinstance(wanted, List):
            require(context, node.element, wanted.element, "this list holds `{want}`, not `{have}`")
            return List(resolve(context, wanted.element))
        return List(resolve(context, infer(context, node.element)))
    finally:
        context.scope = outer


def _generator(context: Context, generator: Generator) -> None:
    for name, type_ in bind_targets(context, generator.targets, generator.iterable, generator.span):
        define_variable(context.scope, Variable(name, type_, generator.span))
    for condition in generator.conditions:
        require_condition(context, condition, "the test of a comprehension")
        narrow(context.scope, facts_of(context, condition, True))


def bind_targets(
    context: Context, targets: tuple[str, ...], iterable: Expression, span: Span
) -> list[tuple[str, Type]]:
    """The names that an iteration gives values to, with their types."""
    return list(unpack(context, targets, element_type(context, iterable), span))


def element_type(context: Context, iterable: Expression) -> Type:
    """The type of what an iteration yields."""
    found = resolve(context, infer(context, iterable))
    match found:
        case List(element):
            return element
        case Array(name, dims):
            row = array(name, dims[1:])
            context.facts.coercions[id(iterable)] = List(row)
            return row
    if found == ERROR:
        return ERROR
    context.report.error(
        "E0129",
        f"{a_type(context, found)} cannot be iterated",
        iterable.span,
        f"this is `{shown_type(context, found)}`",
        why="a `for` takes a list or an array, which are finite",
        help=_iteration_help(found),
    )
    return ERROR


def _iteration_help(found: Type) -> str:
    match found:
        case Dict():
            return "take its `keys()`, `values()` or `items()`"
        case Scalar("int"):
            return "count with `range(n)`"
        case Scalar("str"):
            return "take its `lines()` or `split()`"
        case Scalar("json"):
            return "take its `elements()`"
        case Optional():
            return "test it first: `if xs is none: ...`"
    return ""


def unpack(context: Context, targets: tuple[str, ...], found: Type, span: Span) -> list[tuple[str, Type]]:
    """Gives each target its part of a value; one target takes the whole."""
    found = resolve(context, found)
    if len(targets) == 1:
        return [(targets[0], found)]
    match found:
        case Tuple(items) if len(items) == len(targets):
            return list(zip(targets, items, strict=True))
    if found != ERROR:
        parts = len(found.items) if isinstance(found, Tuple) else 1
        context.report.error(
            "E0130",
            f"{len(targets)} names for a value of {parts} {'part' if parts == 1 else 'parts'}",
            span,
            f"the value is `{shown_type(context, found)}`",
            help="only tuples come apart, as `enumerate`, `zip` and `items` give them" if parts == 1 else "",
        )
    return [(name, ERROR) for name in targets]
