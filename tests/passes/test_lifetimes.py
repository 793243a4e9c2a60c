"""Temporaries live from what makes them to what reads them last: every path frees each once, none is used
when freed, and results lend their memory."""

from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from xdsl.dialects import memref, scf
from xdsl.dialects.builtin import MemRefType
from xdsl.ir import Block, SSAValue

from flowc.dialects.array import build
from flowc.dialects.array.types import array_type
from flowc.passes.array_to_loops import array_to_loops
from flowc.passes.fuse_array import fuse_array
from flowc.testing.strategies.kernels import Program, as_module, make_kernel, programs
from tests.passes.test_array_groups import Add

pytestmark = pytest.mark.usefixtures("unoptimised")

SQUARE = array_type("f32", ("n", "n"))


def origin(buffer: SSAValue) -> Iterator[SSAValue]:
    """The memory that a memref may be a part of."""
    owner = buffer.owner
    if isinstance(owner, Block | memref.AllocOp | memref.AllocaOp):
        yield buffer
        return
    for operand in owner.operands:
        if isinstance(operand.type, MemRefType):
            yield from origin(operand)


def walk(block: Block, live: set[SSAValue]) -> set[SSAValue]:
    """Goes through a block with memory that lives; gives what lives at its end."""
    for op in block.ops:
        if isinstance(op, memref.AllocOp):
            live = live | {op.memref}
            continue
        for operand in op.operands:
            if isinstance(operand.type, MemRefType):
                for memory in origin(operand):
                    freed = isinstance(memory.owner, memref.AllocOp) and memory not in live
                    assert not freed, f"{op.name} uses memory that is freed"
        if isinstance(op, memref.DeallocOp):
            live = live - {op.memref}
        ends = [walk(inner, live) for region in op.regions for inner in region.blocks]
        if isinstance(op, scf.IfOp) and ends:
            assert all(end == ends[0] for end in ends)
            live = ends[0]
        else:
            assert all(end == live for end in ends)
    return live


@settings(deadline=None)
@given(programs())
def test_every_path_frees_what_it_allocates_and_uses_nothing_that_is_freed(program: Program) -> None:
    fuse_array(program.module)
    array_to_loops(program.module)
    for function in program.module.ops:
        assert walk(function.regions[0].block, set()) == set()


def squares(block: Block, live: int = 0) -> Iterator[int]:
    """How many temporaries as large as the arguments live at once, place by place."""
    for op in block.ops:
        if isinstance(op, memref.AllocOp | memref.DeallocOp) and len(op.memref.type.get_shape()) == 2:
            live += 1 if isinstance(op, memref.AllocOp) else -1
            yield live


@pytest.mark.parametrize(("factors", "most"), [(2, 0), (3, 1), (4, 1), (5, 1), (9, 1)])
def test_a_chain_of_products_needs_one_temporary_beside_its_result(factors: int, most: int) -> None:
    def body(add: Add, *matrices: SSAValue) -> SSAValue:
        value = matrices[0]
        for matrix in matrices[1:]:
            value = add(build.contract(value, matrix))
        return value

    module = as_module(make_kernel({f"a{number}": SQUARE for number in range(factors)}, body))
    fuse_array(module)
    array_to_loops(module)
    (function,) = module.ops
    assert max(squares(function.regions[0].block), default=0) == most


def test_a_result_of_another_dtype_lends_nothing() -> None:
    def body(add: Add, a: SSAValue, b: SSAValue) -> SSAValue:
        product = add(build.contract(add(build.contract(a, b)), b))
        return add(build.cast(add(build.contract(product, b)), "f64"))

    module = as_module(make_kernel({"a": SQUARE, "b": SQUARE}, body))
    fuse_array(module)
    array_to_loops(module)
    (function,) = module.ops
    assert max(squares(function.regions[0].block), default=0) == 2
