"""Writes: what reads the same memory beside them is computed first, and those that do not disturb one another
share a loop."""

import copy
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
from xdsl.dialects import arith, memref, scf
from xdsl.dialects.builtin import IntegerAttr, MemRefType, ModuleOp
from xdsl.ir import Operation, SSAValue

import flowc
from flowc.compiler.python.native import kernel_of
from flowc.dialects.loops import ParallelOp
from flowc.passes.array_memory import settle_reads
from flowc.passes.array_to_loops import array_to_loops
from flowc.passes.array_to_loops.folds import ROWS_AT_ONCE
from flowc.passes.fuse_array import fuse_array
from tests.python.numeric.agreement import agrees

pytestmark = pytest.mark.usefixtures("unoptimised")

X, PLACES = np.linspace(0.5, 9, 40), np.random.default_rng(0).permutation(40)
A = np.random.default_rng(1).random((40, 7))


def lowered(function: Callable[..., Any], arguments: Sequence[Any]) -> ModuleOp:
    """The loops that a function under `@jit` becomes."""
    native = flowc.jit(function)
    native(*copy.deepcopy(arguments))
    (types,) = native.specialisations
    module = kernel_of(native, native.names, types, native.options)
    settle_reads(module)
    fuse_array(module)
    array_to_loops(module, layout="contiguous")
    module.verify()
    return module


def matrices(module: ModuleOp, kind: type[memref.LoadOp | memref.AllocOp]) -> list[Operation]:
    """The operations of a kind on memory of two axes."""
    return [
        op
        for op in module.walk()
        if isinstance(op, kind)
        and isinstance(op.memref.type, MemRefType)
        and len(op.memref.type.get_shape()) == 2
    ]


def products(x: Any, y: Any, a: Any, p: Any, q: Any) -> Any:
    x += a @ p
    y += q @ a
    return x, y


def test_products_from_both_sides_that_are_written_share_a_loop() -> None:
    module = lowered(products, (X, A[0].copy(), A, A[1].copy(), X + 1))
    loops = [op for op in module.walk() if isinstance(op, ParallelOp)]
    reading = {loop for load in matrices(module, memref.LoadOp) for loop in loops if loop.is_ancestor(load)}
    assert len(reading) == 1


def test_rows_that_are_reduced_and_added_are_taken_a_few_at_a_time() -> None:
    module = lowered(products, (X, A[0].copy(), A, A[1].copy(), X + 1))
    sweeps = [
        [each for each in loop.body.block.ops if isinstance(each, scf.ForOp) and _reads_rows(module, each)]
        for loop in module.walk()
        if isinstance(loop, scf.ForOp) and constant_of(loop.step) == ROWS_AT_ONCE
    ]
    assert any(len(each) >= 2 for each in sweeps)


def _reads_rows(module: ModuleOp, loop: scf.ForOp) -> bool:
    return any(loop.is_ancestor(load) for load in matrices(module, memref.LoadOp))


def constant_of(value: SSAValue) -> int | None:
    """The number that an index is known to be."""
    owner = value.owner
    if not isinstance(owner, arith.ConstantOp) or not isinstance(owner.value, IntegerAttr):
        return None
    return owner.value.value.data


def shortest(a: Any) -> Any:
    for k in range(min(a.shape)):
        a[:] = np.minimum(a[:], np.add.outer(a[:, k], a[k, :]))
    return a


def test_of_a_matrix_only_the_lines_that_are_read_are_copied_before_it_changes() -> None:
    assert matrices(lowered(shortest, (A,)), memref.AllocOp) == []


def gathered(x: Any, places: Any) -> Any:
    before = x[places]
    x[:] = x * places
    return before


def turned(x: Any, a: Any) -> Any:
    totals = np.sum(a, axis=1)
    before = x[::-1] * 2.0
    x[:] = np.sum(a * a, axis=1)
    return totals, before


def running(x: Any, a: Any) -> Any:
    totals = np.sum(a, axis=1)
    before = np.cumsum(x)
    x[:] = np.sum(a * a, axis=1)
    return totals, before


def mirrored(x: Any) -> Any:
    doubled = x * 2.0
    x[:] = doubled + doubled[::-1]
    return x


def ends(x: Any, a: Any) -> Any:
    first, last = x[0], x[-1]
    x[1:] = np.sum(a, axis=1)[1:]
    x[0] = last
    x[-1] = first
    return x


def swapped(x: Any, a: Any) -> Any:
    old = x.copy()
    x[:] = a[:, 0]
    a[:, 0] = old
    a[:, 1] = x
    return old


def eliminated(a: Any) -> Any:
    for k in range(min(a.shape)):
        a[k + 1 :] -= np.outer(a[k + 1 :, k] / (3 + a[k, k]), a[k])
    return a


def written_twice(x: Any, a: Any) -> Any:
    x += a @ a[0]
    a[:] = a * 0.5
    x += a @ a[0]
    return x


def mirrored_elsewhere(x: Any, z: Any) -> Any:
    y = np.zeros(x.shape)
    y[:] = x[::-1] * z
    x[:] = z + 1
    return y


def rows_mirrored_elsewhere(a: Any, z: Any) -> Any:
    y = np.zeros(a.shape)
    y[:] = a[:, ::-1] * z
    a[:] = a * z
    return y


def first_everywhere(a: Any) -> Any:
    a[:] = a[0]
    return a


def first_below(a: Any) -> Any:
    a[1:] = a[0]
    return a


def each_everywhere(a: Any) -> Any:
    for i in range(3):
        a[:] = a[i]
    return a


def moved(x: Any, i: Any, j: Any) -> Any:
    x[i : i + 9] = x[j : j + 9] * 2
    return x


def total_of_a_write(x: Any, z: Any, a: Any) -> Any:
    y = np.zeros(x.shape)
    totals = np.sum(a, axis=1)
    y[:] = totals * 2
    before = x[::-1] * totals
    x[:] = z + totals
    return before, y


@pytest.mark.parametrize(
    ("function", "arguments"),
    [
        (gathered, (X, PLACES)),
        (turned, (X, A)),
        (running, (X, A)),
        (mirrored, (X,)),
        (ends, (X, A)),
        (swapped, (X, A)),
        (eliminated, (A,)),
        (shortest, (A @ A.T,)),
        (shortest, (A,)),
        (written_twice, (X, A)),
        (mirrored_elsewhere, (A, 2 - A)),
        (rows_mirrored_elsewhere, (A, 2 - A)),
        (first_everywhere, (A,)),
        (first_everywhere, (A.astype(np.float16),)),
        (first_below, (A,)),
        (each_everywhere, (A,)),
        (moved, (X, 1, 0)),
        (total_of_a_write, (X, X - 3, A)),
    ],
)
def test_what_is_read_before_a_write_is_what_was_there(
    function: Callable[..., Any], arguments: Sequence[Any]
) -> None:
    agrees(function, arguments)


@pytest.mark.parametrize("extents", [(0, 3), (3, 0), (1, 1), (7, 65), (8, 5), (9, 1500), (17, 64), (300, 70)])
def test_products_from_both_sides_are_those_of_numpy(extents: tuple[int, int]) -> None:
    n, m = extents
    draw = np.random.default_rng(n).random
    agrees(products, (draw(n), draw(m), draw((n, m)), draw(m), draw(n)))
