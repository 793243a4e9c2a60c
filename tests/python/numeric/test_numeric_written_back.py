"""What is computed from an array as a whole and stored back into it: one copy stands in between, made by all
threads."""

from typing import Any

import numpy as np
from xdsl.dialects import func, memref, scf
from xdsl.dialects.builtin import ModuleOp

import flowc
from flowc.compiler.python.jit import Jit
from flowc.compiler.python.native import kernel_of
from flowc.dialects.array import memory, ops
from flowc.dialects.loops import ParallelOp
from flowc.passes.array_to_loops import array_to_loops
from flowc.passes.fuse_array import fuse_array
from tests.python.numeric.agreement import agrees


def multiplied(a, c):
    a[:] = np.reshape(np.reshape(a, (a.shape[0], a.shape[1], 1, a.shape[2])) @ c, a.shape)
    return a


def turned(a):
    a[:] = a.T @ a
    return a


def reversed_sum(a):
    a[1:] = a[:0:-1] + a[:1]
    return a


def numbers(*shape: int) -> Any:
    return np.arange(1.0, 1.0 + np.prod(shape)).reshape(shape) * 7 % 11 + 0.25


def kernel_of_call(function: Any, *arguments: Any) -> ModuleOp:
    compiled: Jit[..., Any] = flowc.jit(function)
    found = compiled.specialisation(arguments)
    module = kernel_of(compiled, compiled.names, found.types, compiled.options)
    return ModuleOp([op.detach() or op for op in module.ops])


def test_what_is_stored_back_is_that_of_numpy() -> None:
    for shape in [(3, 4, 5), (1, 1, 1), (0, 4, 5), (3, 0, 5), (70, 70, 20)]:
        agrees(multiplied, (numbers(*shape), numbers(shape[2], shape[2])))
    for size in (0, 1, 5, 300):
        agrees(turned, (numbers(size, size),))
    for size in (1, 2, 7, 200_000):
        agrees(reversed_sum, (numbers(size),))


def test_an_axis_that_is_added_and_taken_away_again_hides_no_memory() -> None:
    module = kernel_of_call(multiplied, numbers(3, 4, 5), numbers(5, 5))
    (product,) = (op for op in module.walk() if isinstance(op, ops.ContractOp))
    assert isinstance(product.left.owner, memory.ReadOp)


def test_a_product_that_goes_where_its_operand_stood_is_kept_once() -> None:
    module = kernel_of_call(multiplied, numbers(3, 4, 5), numbers(5, 5))
    fuse_array(module)
    array_to_loops(module, layout="contiguous")
    (function,) = (op for op in module.ops if isinstance(op, func.FuncOp))
    assert sum(isinstance(op, memref.AllocOp) for op in function.body.block.ops) == 1
    copies = [op for op in function.body.block.ops if isinstance(op, ParallelOp)]
    assert any(isinstance(op, memref.StoreOp) for op in copies[-1].walk())
    assert not any(isinstance(op, scf.ForOp) for op in function.body.block.ops)


def test_columns_of_one_element_are_read_before_they_change() -> None:
    def doubled_before(x):
        z = x * 2 + 1
        x[0] = 0
        return z, x

    for shape in [(5, 1), (1, 1), (5, 2), (1, 5)]:
        agrees(doubled_before, (numbers(*shape),))
