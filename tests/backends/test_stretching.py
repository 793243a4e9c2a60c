"""Slices whose lengths only the run knows: what stretches, what must agree, and that loops over them read
neighbours by vectors."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
from xdsl.dialects.builtin import ModuleOp

import flowc
from flowc.compiler.backends.llvm import Options, compile_kernels
from flowc.compiler.python.jit import Jit
from flowc.compiler.python.native import kernel_of
from flowc.runtime import processor
from flowc.runtime.errors import FlowError
from tests.python.numeric.agreement import agrees


def added_below(a, w, out):
    n = a.shape[0]
    for k in range(w.shape[0]):
        out[k:n] += a[k:n] * w[k]
    return out


def halves_added(x, y, i, m):
    y[i:m] = x[: m - i] + x[i:m]
    return y


def multiplied(b, c, i):
    return b[1:i] * c[1:i]


def beside_all(b, c, i):
    return b * c[i:]


def rows_added(a, b, i):
    for k in range(a.shape[0]):
        a[k] += b[k, i:]
    return a


def window_sums(b, c, i, k):
    sums = np.zeros(k)
    for j in range(i):
        sums += b[j : j + k] * c[j]
    return sums


def chosen(a, b, i):
    return np.where(a > b[i:], a, b[i:])


def total(a, b, i):
    return np.sum(a * b[i:])


def numbers(*shape: int) -> Any:
    return np.arange(1.0, 1.0 + np.prod(shape)).reshape(shape) * 7 % 11 + 0.25


CASES: list[tuple[Callable[..., Any], Sequence[Any]]] = [
    (added_below, (numbers(40), numbers(5), numbers(40))),
    (added_below, (numbers(3), numbers(5), numbers(3))),
    (halves_added, (numbers(50), numbers(50), 7, 40)),
    (halves_added, (numbers(50), numbers(50), 0, 50)),
    (multiplied, (numbers(50), numbers(60), 45)),
    (multiplied, (numbers(50), numbers(60), 1)),
    (multiplied, (numbers(50), numbers(60), 2)),
    (window_sums, (numbers(50), numbers(50), 9, 41)),
    (window_sums, (numbers(50), numbers(50), 9, 1)),
    (beside_all, (numbers(50), numbers(50), 0)),
    (beside_all, (numbers(50), numbers(50), 49)),
    (beside_all, (numbers(1), numbers(1), 0)),
    (rows_added, (numbers(3, 37), numbers(3, 37), 0)),
    (rows_added, (numbers(3, 37), numbers(3, 37), 36)),
    (chosen, (numbers(4, 37), numbers(4, 37), 0)),
    (chosen, (numbers(4, 37), numbers(4, 37), 3)),
    (total, (numbers(50), numbers(50), 0)),
    (total, (numbers(50), numbers(50), -1)),
]


@pytest.mark.parametrize(("function", "arguments"), CASES, ids=lambda item: getattr(item, "__name__", ""))
def test_slices_that_the_run_cuts_are_added_as_in_numpy(
    function: Callable[..., Any], arguments: Sequence[Any]
) -> None:
    agrees(function, arguments)


@pytest.mark.parametrize(
    ("function", "arguments"),
    [
        (beside_all, (numbers(50), numbers(50), 20)),
        (rows_added, (numbers(3, 37), numbers(3, 37), 35)),
        (multiplied, (numbers(50), numbers(30), 45)),
        (multiplied, (numbers(50), numbers(2), 45)),
        (window_sums, (numbers(20), numbers(50), 9, 41)),
        (total, (numbers(50), numbers(50), 50)),
    ],
    ids=lambda item: getattr(item, "__name__", ""),
)
def test_lengths_that_do_not_go_together_are_refused(
    function: Callable[..., Any], arguments: Sequence[Any]
) -> None:
    with pytest.raises(FlowError) as error:
        flowc.jit(function)(*arguments)
    assert error.value.problem.code == "E0753"


@pytest.mark.parametrize(
    ("function", "arguments"),
    dict(reversed(CASES)).items(),
    ids=lambda item: getattr(item, "__name__", ""),
)
def test_loops_over_such_slices_read_vectors_of_neighbours(
    function: Callable[..., Any], arguments: Sequence[Any]
) -> None:
    compiled: Jit[..., Any] = flowc.jit(function)
    found = compiled.specialisation(arguments)
    module = kernel_of(compiled, compiled.names, found.types, compiled.options)
    layouts = tuple(type_.layout for type_ in found.types if not type_.known)
    options = Options(listing=True, cached=False, target=processor.portable()["avx512"], layouts=layouts)
    text = compile_kernels(ModuleOp([op.detach() or op for op in module.ops]), options).llvm_ir
    assert "masked.gather" not in text
    assert "load <8 x double>" in text
