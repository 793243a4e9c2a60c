"""What is said of values that an operator cannot take together: the type of each, its origin, a way out."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import flowc
from flowc.compiler.diagnostics.model import CompileError

X = np.ones((3, 4))
OTHER = np.ones((5, 4), np.float32)
TRUTH = X > 0


def add(x, y):
    return x + y


def function_of(x, y):
    return np.add(x, y)


def less(x, y):
    return x < y


def in_place(x, y):
    x += y
    return x


def product(x, y):
    return x @ y


def difference(x, y):
    return x - y


def opposite(x):
    return -x


def bits(x):
    return x & 3


def shifted(x, y):
    return x << y.sum()


def beside_a_text(x):
    return x + "a"


def beside_nothing(x):
    return x + None


def tuple_and_number(x):
    return (1, 2) + x.shape[0]


def list_and_tuple(x):
    return [x, 2] - (3, 4)


def shifted_tuple(x):
    return (1, 2) << x.shape[0]


def of_a_view(x, y):
    z = x * 2
    return z + x.T[:, None] + y


BOTH = ("this is `f64[n0, n1]`, an argument", "this is `f32[n2, n1]`, an argument")
WHENCE = "why: n0 is `x.shape[0]`, n2 is `y.shape[0]`"


@pytest.mark.parametrize(
    ("function", "arguments", "says"),
    [
        (add, (X, OTHER), (*BOTH, WHENCE, "help: slice one, or keep an axis of extent 1")),
        (function_of, (X, OTHER), (*BOTH, WHENCE)),
        (less, (X, OTHER), (*BOTH, WHENCE)),
        (in_place, (X, OTHER), (*BOTH, WHENCE)),
        (add, (X, np.ones(3)), ("`f64[n0]`", "help: `y[:, None]` has an element for each row of `x`")),
        (add, (np.ones(3), X), ("help: `x[:, None]` has an element for each row of `y`",)),
        (add, (X, np.ones((4, 3))), ("`f64[n1, n0]`", "help: `y.T` has the shape of `x`")),
        (product, (X, OTHER), (*BOTH, "help: `x @ y.T`")),
        (difference, (TRUTH, TRUTH), ("this is `bool[n0, n1]`", "help: write `x ^ y`")),
        (opposite, (TRUTH,), ("this is `bool[n0, n1]`", "help: write `~x`")),
        (bits, (X,), ("this is `f64[n0, n1]`", "help: make whole numbers of it: `x.astype(np.int64)`")),
        (shifted, (X, X), ("this is `f64[n0, n1]`", "this is `f64`")),
        (beside_a_text, (X,), ("this is `f64[n0, n1]`, an argument", "this is a text")),
        (beside_nothing, (X,), ("this is `f64[n0, n1]`, an argument", "this is `None`")),
        (tuple_and_number, (X,), ("`+` is not defined between a tuple and a number of Python's, `int`",)),
        (list_and_tuple, (X,), ("`-` is not defined between a list and a tuple", "np.array(...)")),
        (shifted_tuple, (X,), ("`<<` is not defined between a tuple",)),
        (of_a_view, (X, X), ("made in line", "of the argument `x`")),
    ],
)
def test_a_message_names_the_types_their_origin_and_the_way_out(
    function: Callable[..., Any], arguments: tuple[Any, ...], says: tuple[str, ...]
) -> None:
    message = flowc.jit(function).check(*arguments)
    assert message
    for text in says:
        assert text in message


def test_a_problem_within_an_operand_keeps_its_own_place() -> None:
    def inner(x, y):
        return x + (x + y)

    with pytest.raises(CompileError) as error:
        flowc.jit(inner)(X, OTHER)
    (diagnostic,) = error.value.diagnostics
    first, second = (label.span.column for label in diagnostic.labels)
    assert second - first == len("x + ")
