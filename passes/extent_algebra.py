"""Arithmetic of extents in one canonical form, and proofs that one extent is never below another.

Sums are kept as a number, then the terms that are added, then those that are taken away, so that equal
sums are
equal expressions: `x[1:-1]` and `x[2:]` are seen to have one extent.
"""

from collections.abc import Callable, Iterator, Mapping

from xdsl.ir import SSAValue

Expression = int | tuple[object, ...]
"""A number, or a tuple: see `flowc.passes.array_extents`."""

FOLDS: dict[str, Callable[[int, int], int]] = {
    "add": lambda a, b: a + b,
    "sub": lambda a, b: a - b,
    "mul": lambda a, b: a * b,
    "floordiv": lambda a, b: a // b,
    "min": min,
    "max": max,
    "wrap": lambda a, b: a + b if a < 0 else a,
}
DEPTH, STEPS, TERMS = 5, 60, 5
"""How many bounds a proof may put in place of one another, how many it may try, how long a sum it takes."""


def combine(operator: str, left: Expression, right: Expression) -> Expression:
    """`(operator, left, right)`, folded where both are numbers or one changes nothing, and sums in order.

    >>> combine("add", 2, combine("sub", ("dim", 0, 1), 0))
    ('add', 2, ('dim', 0, 1))
    >>> combine("sub", combine("add", ("dim", 0, 1), -1), 1)
    ('sub', ('dim', 0, 1), 2)
    """
    if isinstance(left, int) and isinstance(right, int):
        return FOLDS[operator](left, right)
    if operator in ("add", "sub"):
        return _sum(left, right, 1 if operator == "add" else -1)
    if operator == "mul" and (isinstance(left, int) or isinstance(right, int)):
        term, times = (right, left) if isinstance(left, int) else (left, right)
        assert isinstance(times, int)
        return _sum(0, term, times)
    if right == 1 and operator == "floordiv":
        return left
    if isinstance(left, int) and left >= 0 and operator == "wrap":
        return left
    if left == right and operator in ("min", "max"):
        return left
    if operator == "max" and right == 0 and isinstance(left, tuple) and left[0] == "dim":
        return left
    return (operator, left, right)


def expression_of(part: object) -> Expression:
    """A part of an expression that is one itself."""
    assert isinstance(part, int | tuple)
    return part


def _sum(left: Expression, right: Expression, times: int) -> Expression:
    """left + times * right."""
    terms, number = linear(left)
    more, other = linear(right)
    for term, count in more.items():
        terms[term] = terms.get(term, 0) + times * count
    return _written({term: count for term, count in terms.items() if count}, number + times * other)


def linear(expression: Expression) -> tuple[dict[Expression, int], int]:
    """An expression as terms, how often each counts, and a number."""
    match expression:
        case int(number):
            return {}, number
        case ("add" | "sub" as operator, left, right):
            terms, number = linear(expression_of(left))
            more, other = linear(expression_of(right))
            sign = 1 if operator == "add" else -1
            for term, count in more.items():
                terms[term] = terms.get(term, 0) + sign * count
            return terms, number + sign * other
        case ("mul", term, int(count)):
            return {expression_of(term): count}, 0
    return {expression: 1}, 0


def _written(terms: Mapping[Expression, int], number: int) -> Expression:
    """The canonical form of a sum."""
    added = _sorted([term for term in terms if terms[term] > 0])
    taken = _sorted([term for term in terms if terms[term] < 0])
    result: Expression | None = number if number > 0 or not added else None
    for term in added:
        scaled = term if terms[term] == 1 else ("mul", term, terms[term])
        result = scaled if result is None else ("add", result, scaled)
    assert result is not None
    for term in taken:
        scaled = term if terms[term] == -1 else ("mul", term, -terms[term])
        result = ("sub", result, scaled)
    return ("sub", result, -number) if number < 0 and added else result


def _sorted(terms: list[Expression]) -> list[Expression]:
    return sorted(terms, key=_order) if len(terms) > 1 else terms


def is_small(expression: object, limit: int = 60) -> bool:
    """Whether an expression has few parts; long chains of slices make very long ones."""
    pending = [expression]
    for _ in range(limit):
        if not pending:
            return True
        part = pending.pop()
        if isinstance(part, tuple):
            pending += part
    return False


def _order(term: object) -> str:
    if isinstance(term, tuple):
        return f"({' '.join(map(_order, term))})"
    return f"value{id(term)}" if isinstance(term, SSAValue) else str(term)


Bounds = Callable[[Expression], tuple[Expression | None, Expression | None]]
"""The least and the greatest that a term can be, as far as they are known."""


def never_negative(expression: Expression, bounds: Bounds) -> bool:
    """Whether an expression is proved to be 0 or more; a long search is given up."""
    return _proved(expression, bounds, DEPTH, [STEPS])


def _proved(expression: Expression, bounds: Bounds, depth: int, steps: list[int]) -> bool:
    terms, number = linear(expression)
    if not terms:
        return number >= 0
    steps[0] -= 1
    if depth == 0 or steps[0] <= 0 or len(terms) > TERMS:
        return False
    for term, count in terms.items():
        rest = _written({other: n for other, n in terms.items() if other != term}, number)
        for choice in _choices(term, count > 0, bounds):
            if all(_proved(_sum(rest, bound, count), bounds, depth - 1, steps) for bound in choice):
                return True
    return False


def _choices(term: Expression, below: bool, bounds: Bounds) -> Iterator[tuple[Expression, ...]]:
    """Sets of expressions: a proof with each of one set in place of the term is a proof."""
    match term:
        case ("min" | "max" as operator, left, right):
            if (operator == "min") == below:
                yield expression_of(left), expression_of(right)
            else:
                yield (expression_of(left),)
                yield (expression_of(right),)
        case _:
            bound = bounds(term)[0 if below else 1]
            if bound is not None:
                yield (bound,)
