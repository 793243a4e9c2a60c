"""What has no native form is refused where it stands, with what to write instead; never by a traceback."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import flowc
from flowc.compiler.diagnostics.model import CompileError

X = np.ones((3, 4))


def calls_itself(x):
    return calls_itself(x)


def grouped(x):
    return np.bincount(x.astype(np.int64)[0])


def unknown_name(x):
    return x + np.missing


def one_branch(x):
    if x[0, 0] > 0:
        y = 1
    return y


def misfit(x):
    return x + x[:, 0]


def misfit_product(x):
    return x @ x


def too_many_subscripts(x):
    return x[0, 0, 0]


def no_such_axis(x):
    return x.sum(axis=2)


def changing_rank(x):
    y = x
    for _ in range(x.shape[0]):
        y = y.sum(axis=0)
    return y


def array_as_condition(x):
    if x > 0:
        return 1
    return 0


def text(x):
    return f"{x}"


def wrong_argument(x):
    return np.sum(x, where=x > 0)


def truncating(x):
    k = np.zeros(3, np.int64)
    k += 0.5
    return k


def random_numbers(x):
    return x + np.random.rand(3)


def giving(x):
    yield x


def naming(x):
    if (n := len(x)) > 2:
        return n
    return 0


def forgetting(x):
    del x


def repeated_by_a_float(x):
    return np.repeat(x, [1.0, 2.0, 3.0], axis=0)


def repeated_by_an_array(x):
    return np.repeat(x, np.arange(3), axis=0)


REFUSED: list[tuple[Callable[..., Any], str, str]] = [
    (calls_itself, "E0094", "calls itself"),
    (grouped, "E0094", "extent"),
    (unknown_name, "E0101", "`missing`"),
    (one_branch, "E0095", "`y`"),
    (misfit, "E0201", "do not broadcast"),
    (misfit_product, "E0201", "inner extents"),
    (too_many_subscripts, "E0201", "3 subscripts"),
    (no_such_axis, "E0201", "axis 2"),
    (changing_rank, "E0095", "`y`"),
    (array_as_condition, "E0101", "ambiguous"),
    (text, "E0094", "formatted text"),
    (wrong_argument, "E0094", "np.sum"),
    (truncating, "E0094", "in place"),
    (random_numbers, "E0094", "has no native form"),
    (giving, "E0094", "`yield` has"),
    (naming, "E0094", "`:=` has"),
    (repeated_by_a_float, "E0201", "`repeats` are whole numbers"),
    (repeated_by_an_array, "E0094", "extent"),
    (forgetting, "E0094", "`del` has"),
]


@pytest.mark.parametrize(
    ("function", "code", "words"), REFUSED, ids=lambda item: getattr(item, "__name__", "")
)
def test_what_has_no_native_form_is_refused_where_it_stands(
    function: Callable[..., Any], code: str, words: str
) -> None:
    with pytest.raises(CompileError) as caught:
        flowc.jit(function)(X)
    (diagnostic,) = caught.value.diagnostics
    assert diagnostic.code == code
    assert words in diagnostic.title
    (label,) = [label for label in diagnostic.labels if label.primary]
    first = function.__code__.co_firstlineno
    assert first <= label.span.line <= first + 6


def test_a_problem_in_a_helper_is_shown_in_the_helper() -> None:
    def helper(x):  # type: ignore[no-untyped-def]
        return np.linalg.svd(x)

    @flowc.jit
    def outer(x):  # type: ignore[no-untyped-def]
        return helper(x) + 1

    shown = outer.check(X)
    assert "return np.linalg.svd(x)" in shown


def test_arguments_that_are_changed_must_not_overlap_others() -> None:
    @flowc.jit
    def add(x, y):  # type: ignore[no-untyped-def]
        x += y

    whole = np.ones(8)
    with pytest.raises(flowc.FlowError):
        add(whole[1:], whole[:-1])


def test_a_read_only_argument_is_not_changed() -> None:
    @flowc.jit
    def clear(x):  # type: ignore[no-untyped-def]
        x[:] = 0.0

    x = np.ones(4)
    x.flags.writeable = False
    with pytest.raises(flowc.FlowError):
        clear(x)
    np.testing.assert_array_equal(x, 1.0)
