"""An array under two names: a change shows in both as in NumPy, or the function is refused."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import flowc
from flowc.compiler.diagnostics.model import CompileError


def bound_in_a_loop(a, b, n):
    c = np.zeros(a.shape)
    for _ in range(n):
        c = a
    c[0] = 7.0
    return c


def swapped_in_a_loop(a, b, n):
    for _ in range(n):
        a, b = b, a
    a[0] = 9.0


def remade_in_a_loop(a, b, n):
    i = 0
    while i < n:
        c = a + 1.0
        a = c
        i += 1
    a[0] = 4.0
    return a


def changed_before_it_is_seen_again(a, b, n):
    s = 0.0
    c = np.zeros(a.shape)
    for i in range(n):
        a[0] = i
        s += c[0, 0]
        c = a
    return s


def chosen(a, b, n):
    if n > 2:
        a = b
    a[0] = 3.0


def chosen_and_the_source_changed(a, b, n):
    c = b
    if n > 2:
        c = a
    a[1] = 3.0
    return c


def chosen_in_a_tuple(a, b, n):
    t = (a, b)
    if n > 2:
        t = (b, a)
    t[0][0] = 1.5


def remade_in_one_branch(a, b, n):
    if n > 2:
        a = a * 2.0
    a[0] = 5.0
    return a


def stretched(a, b, n):
    d = np.broadcast_to(a[0], (3, 3))
    a[0] = 8.0
    return d


def diagonal(a, b, n):
    d = np.diag(a)
    a[0] = 8.0
    return d


HIDDEN = [
    bound_in_a_loop, swapped_in_a_loop, remade_in_a_loop, changed_before_it_is_seen_again, chosen,
    chosen_and_the_source_changed, chosen_in_a_tuple, remade_in_one_branch, stretched, diagonal,
]  # fmt: skip


def tiled_once(a, b, n):
    d = np.tile(a, 1)
    d[0] = 5.0
    return d


def with_a_plus(a, b, n):
    d = +a
    d[0] = 5.0
    return d


def own_arrays_in_branches(a, b, n):
    c = a * b
    if n > 2:
        c = a + b
    c[0] = 1.0
    return c


def own_arrays_in_loops(a, b, n):
    h = np.zeros(3)
    for _ in range(n):
        h = h + a[0]
        h += b[1]
    h[0] = 5.0
    return h


def only_read_after_a_choice(a, b, n):
    b[0] = 2.0
    if n > 2:
        b = a
    return b * 2.0


RIGHT = [
    tiled_once, with_a_plus, own_arrays_in_branches, own_arrays_in_loops, only_read_after_a_choice,
]  # fmt: skip


def arrays() -> tuple[Any, Any]:
    a = np.arange(9.0).reshape(3, 3) * 7 % 11
    return a, a * 3 % 7 - 2


@pytest.mark.parametrize("function", HIDDEN, ids=lambda f: f.__name__)
def test_a_change_that_another_name_may_show_is_refused(function: Callable[..., Any]) -> None:
    with pytest.raises(CompileError, match="E0094"):
        flowc.jit(function)(*arrays(), 3)


@pytest.mark.parametrize("function", RIGHT, ids=lambda f: f.__name__)
def test_arrays_that_only_look_shared_are_changed_as_in_numpy(function: Callable[..., Any]) -> None:
    compiled = flowc.jit(function)
    for n in (0, 1, 4):
        mine, theirs = arrays(), arrays()
        np.testing.assert_allclose(compiled(*mine, n), function(*theirs, n), rtol=1e-14)
        np.testing.assert_array_equal(mine, theirs)
