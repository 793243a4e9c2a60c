"""Functions within functions, lambdas, comprehensions and loops that make a number an array."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import flowc
from flowc.compiler.diagnostics.model import CompileError
from tests.python.numeric.agreement import agrees

rng = np.random.default_rng(3)
X, Y, M = rng.normal(size=9), rng.normal(size=7), rng.normal(size=(6, 4))


def closures(x, p):
    scale = p[0]

    def poly(v, k=2, *, shift=0.0):
        value = np.zeros_like(v)
        for c in p:
            if c > 10:
                return value
            value = value * v + c
        return value**k * scale + shift

    twice = (lambda s: lambda q: q * s)(2.0)
    return poly(x) + poly(x, k=1, shift=1.0) + twice(x)


def functions_as_values(x):
    apply = lambda f, *a: f(*a)  # noqa: E731
    return apply(np.maximum, x, 0.0), apply(lambda v: v / (1 + np.abs(v)), x)


def in_a_loop(x):
    y = np.zeros_like(x)
    for i in range(len(x)):
        shifted = lambda v: v + i  # noqa: B023, E731
        y[i] = shifted(x[i])
    return y


def changing_what_it_sees(x):
    total = np.zeros(2)

    def add(k, v):
        total[k] += v

    for v in x:
        add(0 if v > 0 else 1, v)
    return total


def comprehensions(x, m):
    return (
        np.array([abs(v) for v in x]),
        np.array([row @ row for row in m]),
        np.stack([row[::-1] for row in m]),
        np.vstack([row * 2 for row in m]),
        np.concatenate([row + 1 for row in m]),
        np.array([i * v for i, v in enumerate(x, 2)]),
        np.array([a * b for a, b in zip(x, range(1, 20), strict=False)]),
        sum(v * 2 for v in x),
        max(v * v for v in x),
        np.array([i * j for i in range(3) for j in range(i) if i + j != 2]),
    )


def pairs(x, y):
    s = 0.0
    for i, v in zip(range(1, len(x)), y[1:], strict=False):
        s += i * v
    for i, j in enumerate(range(2, len(x), 3)):
        s += i * x[j]
    for v, i in zip(x, range(len(y) - 1, -1, -1), strict=False):
        s += v * y[i]
    return s


def sums_of_rows(m, w):
    total, product, mean = 0, 1, 0.0
    for i in range(len(w)):
        total = total + m[i] * w[i]
    for row in m:
        product *= row
        mean += row / len(m)
    return total, product, mean


def steps_of_the_run(x, n):
    out = np.zeros(24)
    for s in range(1, 5):
        for d in (s, -s):
            out[s] += x[::d].sum() + x[-2:2:d].sum() + x[1:-3:d].sum() + x[30:-30:d].sum()
    for i in range(2, n // 2):
        for j in range(i * i, n, i):
            out[j] += 1
        for j in range(n, i, -i):
            out[j] += 2
        out[i::i] += 1
        out[n::-i] *= 2
    return out


def test_functions_within_functions_see_what_is_around_them() -> None:
    agrees(closures, (X, Y[:3]))
    agrees(functions_as_values, (X,))
    agrees(in_a_loop, (X,))
    agrees(changing_what_it_sees, (X,))


def test_comprehensions_are_lists_or_loops() -> None:
    agrees(comprehensions, (X, M))


def test_sequences_beside_each_other_begin_where_each_begins() -> None:
    agrees(pairs, (X, Y))


def test_a_number_that_a_loop_makes_an_array_is_one_from_the_start() -> None:
    agrees(sums_of_rows, (M, X[:6]))


def stepping(x, k):
    total, step = 0.0, k + 1
    for i in range(0, len(x), step):
        total += x[i]
    return total


def slicing(x, k):
    return x[:: k + 1].sum()


@pytest.mark.parametrize("function", [stepping, slicing])
def test_a_step_of_0_is_an_error(function: Callable[..., Any]) -> None:
    native, x = flowc.jit(function), np.arange(5.0)
    for k in (0, 1, -3):
        assert native(x, k) == function(x, k)
    with pytest.raises(ValueError, match="zero"):
        function(x, -1)
    with pytest.raises(flowc.FlowError, match="E0764"):
        native(x, -1)


def test_the_step_of_a_slice_and_of_a_range_may_be_of_the_run() -> None:
    agrees(steps_of_the_run, (rng.normal(size=23), 23))
    assert flowc.jit(lambda_of_slices)(np.arange(12.0), 5) == 15.0


def lambda_of_slices(x, n):
    return (lambda k: x[:: k * 1])(n).sum()


def rebound(x):
    a = x * 2
    f = lambda v: v + a  # noqa: E731
    a = x * 3
    return f(a)


def late(x):
    fs = [lambda v: v * k for k in (1, 2)]  # noqa: B023
    return fs[0](x)


def itself(x):
    def again(v):
        return again(v - 1)

    return again(x)


def given_back(x):
    return lambda v: v + x


def lists_of_the_run(x):
    return [v + 1 for v in x] + [v - 1 for v in x]


def filtered(x):
    return np.array([v for v in x if v > 0])


def raising(x):
    if x.ndim == 1:
        raise ValueError("a vector")
    return x


def asserting(x):
    assert x.ndim == 2
    return x


def appended(x):
    found = []
    for v in x:
        found.append(v)  # noqa: PERF402
    return np.array(found)


def checked(x, k):
    assert (x < 50).all(), "too large"
    if k < 0 or k >= len(x):
        raise ValueError(f"no position {k}")
    total = 0.0
    for v in x:
        if v < 0:
            raise ValueError("negative")
        total += v
    if total > 1:
        return total / x[k]
    else:
        raise ZeroDivisionError


@pytest.mark.parametrize(("x", "k"), [([60.0], 0), ([2.0], 1), ([2.0], -1), ([9.0, -1.0], 0), ([0.5], 0)])
def test_a_condition_that_does_not_hold_is_an_error_of_the_call(x: list[float], k: int) -> None:
    native = flowc.jit(checked)
    assert native(np.array([2.0, 4.0]), 1) == 1.5
    with pytest.raises(flowc.FlowError, match="E0764"):
        native(np.array(x), k)


@pytest.mark.parametrize(
    ("function", "code", "words"),
    [
        (rebound, "E0095", "`a` is bound again"),
        (late, "E0095", "`k` is bound again"),
        (itself, "E0095", "`again`"),
        (given_back, "E0094", "a function cannot be returned"),
        (lists_of_the_run, "E0094", "no operators"),
        (filtered, "E0094", "one `for` and no `if`"),
        (raising, "E0094", "`raise`"),
        (asserting, "E0094", "does not hold"),
        (appended, "E0094", "`.append`"),
    ],
)
def test_what_would_mean_another_thing_is_refused(
    function: Callable[..., Any], code: str, words: str
) -> None:
    with pytest.raises(CompileError) as caught:
        flowc.jit(function)(X)
    (diagnostic,) = caught.value.diagnostics
    assert diagnostic.code == code
    assert words in diagnostic.title
