"""What the builder of loops makes without asking its definition fits its definition; numbers are shared."""

from collections.abc import Callable

import pytest
from xdsl.dialects import func, memref, scf
from xdsl.dialects.builtin import MemRefType, f32, i1, i8, i64
from xdsl.ir import Block, Region, SSAValue

from flowc.dialects.loops import ParallelOp
from flowc.passes.array_to_loops.builder import LoopBuilder, index_type
from flowc.passes.array_to_loops.nests import nested
from flowc.passes.captures import captured

MEMORY = MemRefType(f32, [-1, 4])
Build = Callable[[LoopBuilder, SSAValue, SSAValue, SSAValue, SSAValue], object]

BUILT: dict[str, Build] = {
    "sums": lambda b, i, j, truth, rows: b.max(b.min(b.add(i, 3), b.sub(7, j)), b.mul(i, j)),
    "quotients": lambda b, i, j, truth, rows: b.product(
        [b.ceiling(i, 4), b.floordiv(i, 3), b.remainder(i, j)]
    ),
    "positions": lambda b, i, j, truth, rows: b.wrap(b.to_index(b.to_integer(i)), j),
    "choices": lambda b, i, j, truth, rows: b.select(truth, i, j, unpredictable=True),
    "numbers": lambda b, i, j, truth, rows: [b.constant(1, each) for each in (i1, i8, i64, f32, index_type)],
    "memory": lambda b, i, j, truth, rows: b.store(b.load(rows, [i, 2]), b.allocate(f32, [j, 4]), [0, j]),
    "loops": lambda b, i, j, truth, rows: b.loop(
        0, i, (j,), lambda k, was: (b.add(k, was[0]),), step=2, plain=True, lanes=4
    ),
    "branches": lambda b, i, j, truth, rows: b.branch(truth, lambda: (i,), lambda: (b.index(0),)),
    "whiles": lambda b, i, j, truth, rows: b.repeat(
        (i,), lambda at: (b.compare("slt", at[0], j), at), lambda at: (b.index(b.add(at[0], 1)),)
    ),
    "chunks": lambda b, i, j, truth, rows: b.parallel(i, 8, j, lambda low, high: None),
}  # fmt: skip


def function(build: Build) -> func.FuncOp:
    """A function of two indices, a truth value and an array, of what `build` makes."""
    types = [index_type, index_type, i1, MEMORY]
    block = Block(arg_types=types)
    made = func.FuncOp("f", (types, []), Region(block))
    build(LoopBuilder(block, made.location), *block.args)
    block.add_op(func.ReturnOp())
    return made


@pytest.mark.parametrize("name", BUILT)
def test_what_is_built_is_valid(name: str) -> None:
    made = function(BUILT[name])
    made.verify()
    assert len(list(made.walk())) > 2


def test_a_number_is_written_once_a_block_and_anew_inside_loops() -> None:
    inside: list[SSAValue] = []

    def build(b: LoopBuilder, i: SSAValue, *_: SSAValue) -> None:
        assert b.index(5) is b.index(5) is not b.index(6)
        b.loop(0, i, (), lambda k, _: inside.append(b.index(5)) or ())
        assert inside[0] is not b.index(5)
        assert b.constant(5, i64).type == i64

    made = function(build)
    made.verify()
    assert [op.name for op in made.body.block.ops].count("arith.constant") == 5  # 5, 6, bounds, i64


def test_operations_with_regions_come_before_those_inside() -> None:
    def build(b: LoopBuilder, i: SSAValue, j: SSAValue, truth: SSAValue, rows: SSAValue) -> None:
        b.loop(0, i, (), lambda *_: b.branch(truth, lambda: b.loop(0, j, (), lambda *_: ()), tuple))
        b.parallel(i, 1, 1, lambda low, high: None)

    found = nested(function(build))
    assert [type(op) for op in found] == [scf.ForOp, scf.IfOp, scf.ForOp, ParallelOp]


def test_a_region_takes_what_is_defined_around_it_in_the_order_of_use() -> None:
    def build(b: LoopBuilder, i: SSAValue, j: SSAValue, truth: SSAValue, rows: SSAValue) -> None:
        def chunk(low: SSAValue, high: SSAValue) -> None:
            b.store(b.load(rows, [low, j]), rows, [low, high])
            b.branch(truth, lambda: (b.add(i, j),), lambda: (low,))

        b.parallel(i, 1, 1, chunk)

    made = function(build)
    parallel = next(op for op in made.body.block.ops if isinstance(op, ParallelOp))
    i, j, truth, rows = made.body.block.args
    assert captured(parallel.body) == [rows, j, truth, i]
    assert any(isinstance(op, memref.StoreOp) for op in parallel.walk())
