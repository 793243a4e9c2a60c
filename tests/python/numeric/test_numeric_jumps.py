"""`break`, `continue`, `return` in a loop and `else` of a loop do under `@jit` what they do without it."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest

from tests.python.numeric.agreement import agrees

rng = np.random.default_rng(0)
x, y = rng.normal(size=9), rng.normal(size=9)
a, b = rng.normal(size=(5, 4)), rng.normal(size=(5, 4, 6))
i, j = np.array([0, 3, 1, -1]), np.array([1, 1, -2, 0])


def first_over(x, t):
    for i in range(x.shape[0]):
        if x[i] > t:
            break
    else:
        i = -1
    return i


def find(x, t):
    for i in range(x.shape[0]):
        if x[i] == t:
            return i
    return -1


def find2(a, t):
    for i in range(a.shape[0]):
        for j in range(a.shape[1]):
            if a[i, j] > t:
                return i, j
    return -1, -1


def odd_sum(x):
    s = 0.0
    for i in range(x.shape[0]):
        if i % 2 == 0:
            continue
        if x[i] < 0:
            continue
        s += x[i]
    return s


def partial(x):
    s = 0.0
    for i in range(x.shape[0]):
        if x[i] < 0:
            if i > 3:
                continue
            s -= 1
        if x[i] > 2:
            if i > 5:
                break
            s += 0.5
        s += x[i]
    return s


def forever(x):
    n = 0
    while True:
        x = x / 2
        n += 1
        if x.max() < 0.1:
            break
    return n, x


def anyw(x):
    n = 0
    x = x.copy()
    while (x > 0.1).any():
        x[x > 0.1] *= 0.5
        n += 1
    return n, x


def rows(a):
    for row in a:
        if row.sum() > 1:
            return row * 2
    return a[0]


def enum(a, t):
    for i, v in enumerate(a):
        if v > t:
            return i
        elif v < -t:
            return -i
    return None if False else -100


def short(x):
    s = 0.0
    for k in range(4):
        if x[k] > 1.0:
            break
        s += x[k]
    return s, k


def down(x):
    for i in range(x.shape[0] - 1, -1, -1):
        if x[i] > 1:
            break
    return i


def whileelse(x, n):
    i = 0
    while i < n:
        if x[i] > 1:
            break
        i += 1
    else:
        return -5
    return i


def tuples(x):
    s = 0.0
    for k in (1, 3, 5):
        for j in range(x.shape[0]):
            if j == k:
                break
            s += x[j]
        if s > 2:
            break
    return s


def primes(n):
    count = 0
    for i in range(2, n):
        for d in range(2, i):
            if d * d > i:
                count += 1
                break
            if i % d == 0:
                break
        else:
            count += 1
    return count


def inwhile(x, n):
    while n > 0:
        for v in x:
            if v > n:
                return v * 10
        n -= 1
    return x.sum()


def both(x, t):
    out = np.zeros_like(x)
    for i in range(x.shape[0]):
        if x[i] > t:
            out[i] = 1
            return out
        out[i] = -1
    return x


def iterate(A, b):
    x = np.zeros_like(b)
    while True:
        new = A @ x + b
        if np.abs(new - x).max() < 1e-9:
            break
        x = new
    return new


def collatz(n):
    steps = 0
    while True:
        if n == 1:
            return steps
        if n % 2 == 0:
            n //= 2
            steps += 1
            continue
        n = 3 * n + 1
        steps += 1


def chosen(x, y, n):
    z = x * 2 if n > 3 else y
    return z + (x if n < 5 else y + 1)


CASES: list[tuple[Callable[..., Any], tuple[Any, ...]]] = [
    (first_over, (x, 0.5)),
    (first_over, (x, 50.0)),
    (find, (x, x[4])),
    (find, (x, 9.0)),
    (find2, (a, 1.0)),
    (find2, (a, 9.0)),
    (odd_sum, (x,)),
    (partial, (x,)),
    (partial, (x * 4,)),
    (forever, (abs(x),)),
    (anyw, (abs(x),)),
    (rows, (a,)),
    (rows, (a - 9,)),
    (enum, (x, 0.9)),
    (enum, (x, 9.0)),
    (short, (x,)),
    (short, (x + 1,)),
    (down, (x,)),
    (whileelse, (x, 9)),
    (whileelse, (x + 1, 9)),
    (tuples, (abs(x),)),
    (primes, (60,)),
    (inwhile, (x, 3)),
    (inwhile, (x - 5, 3)),
    (both, (x, 0.5)),
    (both, (x, 9.0)),
    (iterate, (a[:4, :4] / 9, x[:4])),
    (collatz, (27,)),
    (chosen, (x, y, 2)),
    (chosen, (x, y, 4)),
    (chosen, (x, y, 6)),
]


@pytest.mark.parametrize(("function", "arguments"), CASES)
def test_loops_are_left_as_in_python(function: Callable[..., Any], arguments: Sequence[Any]) -> None:
    agrees(function, arguments)
