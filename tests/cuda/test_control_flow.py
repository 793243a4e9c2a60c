"""Functions with loops, branches and memory of their own, as kernels on the emulated device: the host goes
through them and reads from the device what it must know."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from xdsl.dialects.builtin import ModuleOp

import flowc
from flowc.compiler.python.native import built_of
from tests.cuda.comparing import agree


def averaged(x: Any, n: Any) -> Any:
    y = x * 1.0
    for _ in range(n):
        y = y * 0.5 + x
    return y


def smoothed(a: Any, steps: Any) -> Any:
    b = a.copy()
    for _ in range(steps):
        b[1:-1] = 0.33333 * (a[:-2] + a[1:-1] + a[2:])
        a[1:-1] = 0.33333 * (b[:-2] + b[1:-1] + b[2:])
    return a.sum()


def collatz(n: Any) -> Any:
    count = 0
    while n != 1:
        n = n // 2 if n % 2 == 0 else 3 * n + 1
        count += 1
    return count


def halved(x: Any) -> Any:
    total, count = x.sum(), 0
    while total > 1.0:
        x = x * 0.5
        total = x.sum()
        count += 1
    return x, count


def recurrence(x: Any) -> Any:
    total = 0.0
    for i in range(x.shape[0]):
        total = total * 0.9 + x[i]
    return total


X = np.random.default_rng(0).standard_normal(300)
CASES: list[tuple[Callable[..., Any], tuple[Any, ...]]] = [
    (averaged, (X, 5)),
    (smoothed, (X[:100].copy(), 3)),
    (collatz, (27,)),
    (halved, (abs(X),)),
    (recurrence, (X[:20].copy(),)),
]


@pytest.mark.parametrize(("function", "arguments"), CASES, ids=[each[0].__name__ for each in CASES])
def test_control_flow_is_the_hosts(function: Callable[..., Any], arguments: tuple[Any, ...]) -> None:
    compiled: Any = flowc.jit(function)
    specialised = compiled.specialisation(compiled.bound(arguments))
    kernel = built_of(compiled, compiled.names, specialised.types, compiled.options).kernel
    agree(ModuleOp([kernel.clone()]), specialised.taken(arguments), orders=("forward",), ulps=256)
