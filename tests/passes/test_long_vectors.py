"""A vector that is reduced as a whole goes two streams at a time, unless its order is asked for."""

import pytest
from xdsl.dialects import memref, scf
from xdsl.dialects.builtin import ModuleOp, UnitAttr
from xdsl.ir import Block, Operation, SSAValue

from flowc.dialects.array import build
from flowc.dialects.array.kernel import PRECISE, REPRODUCIBLE
from flowc.dialects.array.types import array_type
from flowc.passes.array_to_loops import array_to_loops
from flowc.passes.fuse_array import fuse_array
from flowc.testing.strategies.kernels import Add, as_module, make_kernel


def lowered(kind: str, shape: tuple[int | str, ...], axes: list[int], flag: str = "") -> ModuleOp:
    kernel = make_kernel({"x": array_type("f32", shape)}, lambda add, x: add(build.reduce(kind, x, axes)))
    if flag:
        kernel.attributes[flag] = UnitAttr()
    module = as_module(kernel)
    array_to_loops(module, layout="contiguous")
    return module


def most_loads(module: ModuleOp) -> int:
    """How many elements of the argument the innermost loop takes that takes most."""
    loops = [op for op in module.walk() if isinstance(op, scf.ForOp)]
    inner = [loop for loop in loops if not any(isinstance(op, scf.ForOp) for op in loop.body.walk())]
    return max(sum(map(_takes_an_element, loop.body.walk())) for loop in inner)


def _takes_an_element(op: Operation) -> bool:
    return isinstance(op, memref.LoadOp) and isinstance(op.memref.owner, Block)


@pytest.mark.parametrize("kind", ["sum", "mean", "max", "min"])
def test_both_halves_of_a_vector_are_read_side_by_side(kind: str) -> None:
    assert most_loads(lowered(kind, ("n",), [0])) == 2
    assert most_loads(lowered(kind, ("n", "m"), [0, 1])) == 2


def test_two_vectors_are_two_streams_already() -> None:
    def product(add: Add, x: SSAValue, y: SSAValue) -> SSAValue:
        return add(build.reduce("sum", add(build.elementwise("mul", [x, y])), [0]))

    vector = array_type("f32", ("n",))
    module = as_module(make_kernel({"x": vector, "y": vector}, product))
    fuse_array(module)
    array_to_loops(module, layout="contiguous")
    assert most_loads(module) == 2


@pytest.mark.parametrize("flag", [PRECISE, REPRODUCIBLE])
def test_a_stated_order_keeps_to_one_stream(flag: str) -> None:
    assert most_loads(lowered("max", ("n",), [0], flag)) == 1


def test_rows_and_vectors_of_a_known_length_are_one_stream() -> None:
    assert most_loads(lowered("sum", ("n", "m"), [1])) == 1
    assert most_loads(lowered("sum", (5000,), [0])) == 1
