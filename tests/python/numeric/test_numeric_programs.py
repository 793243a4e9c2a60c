"""Programs in NumPy's terms do under `@jit` what they do without it: loops, branches, stores, aliases."""

import copy
import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest

import flowc

WEIGHT = 0.25
TABLE = np.array([2.0, 3.0, 5.0, 7.0])


def heat(steps, a, b):
    for _ in range(1, steps):
        b[1:-1, 1:-1] = 0.25 * (a[:-2, 1:-1] + a[2:, 1:-1] + a[1:-1, :-2] + a[1:-1, 2:])
        a[1:-1, 1:-1] = 0.25 * (b[:-2, 1:-1] + b[2:, 1:-1] + b[1:-1, :-2] + b[1:-1, 2:])


def sweep(a):
    for i in range(1, a.shape[0] - 1):
        for j in range(1, a.shape[1] - 1):
            a[i, j] = (a[i - 1, j] + a[i, j - 1] + a[i, j] + a[i, j + 1] + a[i + 1, j]) / 5.0
    return a


def eliminate(a):
    n = a.shape[0]
    for i in range(n):
        for j in range(i):
            a[i, j] = (a[i, j] - a[i, :j] @ a[:j, j]) / a[j, j]
        for j in range(i, n):
            a[i, j] -= a[i, :i] @ a[:i, j]


def back_substitution(u, b):
    x = np.zeros_like(b)
    for i in range(b.shape[0] - 1, -1, -1):
        x[i] = (b[i] - u[i, i + 1 :] @ x[i + 1 :]) / u[i, i]
    return x


def bonus(first, second):
    if first + second == 3:
        return 1
    else:
        return 0


def pairing(n, codes):
    best = np.zeros((n, n), np.int32)
    for i in range(n - 1, -1, -1):
        for j in range(i + 1, n):
            if i + 1 < n and j - 1 >= 0:
                best[i, j] = max(best[i, j], best[i + 1, j - 1] + bonus(codes[i], codes[j]))
            for k in range(i, j):
                best[i, j] = max(best[i, j], best[i, k] + best[k + 1, j])
    return best


def newton(x, tolerance):
    guess = x / 2.0
    rounds = 0
    while abs(guess * guess - x) > tolerance and rounds < 100:
        guess = 0.5 * (guess + x / guess)
        rounds += 1
    return guess, rounds


def shifted_in_place(x):
    x[1:] = x[:-1]
    x[:-2] += x[2:]
    return x


def seen_through_a_view(x):
    row = x[1]
    row[0] = 9.0
    column = x.T[2]
    column += row[0]
    return x, row.sum()


def kept_by_copy(x):
    before = x.copy()
    x[:] = 0.0
    return before + x


def swapped(x, rounds):
    a = x * 1.0
    b = x * 2.0
    for _ in range(rounds):
        a, b = b, a + b
    return a - b


def masked(x):
    positive = x > 0
    x[positive] = x[positive] ** 0.5
    x[x < -1] = -1.0
    return x[positive].mean(), x[positive].sum(), np.where(positive, x, 0).max()


def by_rows(x):
    total = 0.0
    for row in x:
        total += row.max()
    for i, value in enumerate(x[0]):
        total += i * value
    for a, b in zip(x[0], x[1], strict=False):
        total -= a * b
    return total


def branches(x, n):
    sign = 1 if n > 3 else -1
    if n % 2 == 0 and n > 0:
        scale = n / 2
    elif n < 0:
        scale = 0.5
    else:
        scale = n
    return x * scale * sign


def captured(x):
    return x[:4] * TABLE + WEIGHT * math.sqrt(2)


def helper(x, *, power=2, offset=None):
    if offset is None:
        return x**power
    return x**power + offset


def defaults(x):
    return helper(x) + helper(x, power=3, offset=1.0)


def written_to_out(x):
    result = np.empty_like(x)
    np.multiply(x, 2.0, out=result)
    np.add(result, x, result)
    return result


def unrolled(x):
    parts = [x * k for k in range(1, 4)]
    total = parts[0]
    for part in parts[1:]:
        total = total + part
    return total, len(parts)


def checksum(data):
    code = 0xFFFF
    for byte in data:
        code ^= byte & 0xFF
        for _ in range(8):
            if code & 1:
                code = (code >> 1) ^ 0x8408
            else:
                code >>= 1
    return ~code & 0xFFFF


def reshaped(x, rows):
    y = x.reshape(rows, -1)
    return y.sum(axis=0), np.ravel(y.T)[:3], y[:, None, :].shape


def gathered(x, where):
    return x[where], x[:, where], np.take(x, where[0], axis=1)


def scattered(x, where, values):
    x[where] = values
    x[where] += 1.0
    np.add.at(x, where, values)
    return x


def factorised(x):
    return np.linalg.cholesky(x @ x.T + np.eye(x.shape[0]))


def random(*shape: int, dtype: Any = np.float64) -> np.ndarray[Any, Any]:
    return np.random.default_rng(sum(shape)).standard_normal(shape).astype(dtype)


PROGRAMS: list[tuple[Callable[..., Any], Sequence[Any]]] = [
    (heat, (4, random(7, 9), random(7, 9))),
    (heat, (3, random(3, 3), random(3, 3))),
    (heat, (3, random(2, 2), random(2, 2))),
    (sweep, (random(6, 5),)),
    (eliminate, (random(8, 8) + 8 * np.eye(8),)),
    (back_substitution, (random(6, 6) + 6 * np.eye(6), random(6))),
    (pairing, (9, np.array([0, 1, 2, 3, 0, 1, 2, 3, 1], np.int32))),
    (newton, (2.0, 1e-12)),
    (shifted_in_place, (random(9),)),
    (shifted_in_place, (random(3, dtype=np.float32),)),
    (seen_through_a_view, (random(3, 4),)),
    (kept_by_copy, (random(5),)),
    (swapped, (random(5), 4)),
    (swapped, (random(5), 0)),
    (masked, (random(40),)),
    (by_rows, (random(3, 4),)),
    *((branches, (random(4), n)) for n in (-2, 0, 3, 8)),
    (captured, (random(6),)),
    (defaults, (random(6),)),
    (written_to_out, (random(6),)),
    (unrolled, (random(6),)),
    (checksum, (np.arange(50, dtype=np.int64) * 7 % 256,)),
    (reshaped, (random(12), 3)),
    (factorised, (random(5, 5),)),
    (scattered, (random(6), np.array([2, 0, -1]), random(3))),
    (scattered, (random(6), np.array([2, 2, 3]), random(3))),
    (scattered, (random(6), np.array([1, 4]), 2.5)),
    (gathered, (random(4, 5), np.array([2, 0, -1]))),
]


@pytest.mark.parametrize(
    ("function", "arguments"), PROGRAMS, ids=[f"{f.__name__}{i}" for i, (f, _) in enumerate(PROGRAMS)]
)
def test_a_program_does_what_it_does_without_the_compiler(
    function: Callable[..., Any], arguments: Sequence[Any]
) -> None:
    plain, native = copy.deepcopy(arguments), copy.deepcopy(arguments)
    expected = function(*plain)
    found = flowc.jit(function)(*native)
    same(found, expected)
    same(list(native), list(plain))


def same(found: Any, expected: Any) -> None:
    if isinstance(expected, tuple | list):
        assert type(found) is type(expected)
        for mine, theirs in zip(found, expected, strict=True):
            same(mine, theirs)
    elif expected is None or isinstance(expected, str):
        assert found == expected
    else:
        assert np.shape(found) == np.shape(expected)
        assert np.asarray(found).dtype == np.asarray(expected).dtype
        np.testing.assert_allclose(
            found, expected, rtol=1e-10 if np.asarray(found).dtype != np.float32 else 1e-5
        )


def test_transposed_and_sliced_arrays_are_changed_in_place() -> None:
    @flowc.jit
    def bump(x):  # type: ignore[no-untyped-def]
        x[1:, 0] += 1.0

    whole = np.zeros((4, 6))
    bump(whole.T[::2])
    expected = np.zeros((4, 6))
    expected.T[::2][1:, 0] += 1.0
    np.testing.assert_array_equal(whole, expected)


def test_numbers_from_outside_are_part_of_the_code() -> None:
    factor = 2.0

    @flowc.jit
    def scaled(x):  # type: ignore[no-untyped-def]
        return x * factor

    np.testing.assert_array_equal(scaled(np.ones(3)), 2.0)


def test_a_position_outside_an_axis_inside_a_loop_is_an_error_and_frees_what_is_held() -> None:
    @flowc.jit
    def wild(x, n):  # type: ignore[no-untyped-def]
        total = 0.0
        kept = x * 2.0
        for i in range(n):
            kept[i] += 1.0
            total += kept[i]
        return total

    assert wild(np.ones(4), 4) == 12.0
    for _ in range(3):
        with pytest.raises(flowc.FlowError) as caught:
            wild(np.ones(4), 5)
        assert caught.value.problem.code.startswith("E07")
