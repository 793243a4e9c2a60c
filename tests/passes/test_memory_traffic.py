"""Rows are asked for in time, and large results leave the caches by whole lines."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
from xdsl.dialects import arith, memref, scf, vector
from xdsl.dialects.builtin import DYNAMIC_INDEX, IntegerAttr, i64
from xdsl.ir import SSAValue

from flowc.compiler.backends.llvm import Options, compile_kernels
from flowc.dialects.array import build
from flowc.dialects.array.reference import evaluate_kernel
from flowc.dialects.array.types import array_type
from flowc.dialects.loops import LANES, MASKED, PrefetchOp, StreamOp
from flowc.passes import kernel_choices
from flowc.passes.array_to_loops import array_to_loops, streams
from flowc.passes.array_to_loops.contract.microkernel import ROWS
from flowc.testing.oracles.tolerance import assert_close
from flowc.testing.strategies.kernels import Add, array_of, as_module, make_kernel
from tests.passes.test_array_groups import MATRIX, QUERIES, count, lowered, native, nearest_rows

pytestmark = pytest.mark.usefixtures("unoptimised")


def similar(add: Add, r: SSAValue, q: SSAValue) -> SSAValue:
    scores = add(build.contract(r, add(build.transpose(q))))
    norms = add(build.elementwise("sqrt", [add(build.reduce("sum", product(add, r, r), [1], True))]))
    return add(build.elementwise("div", [scores, norms]))


def product(add: Add, a: SSAValue, b: SSAValue) -> SSAValue:
    return add(build.elementwise("mul", [a, b]))


def turned(add: Add, x: SSAValue, y: SSAValue) -> SSAValue:
    return add(build.elementwise("sub", [add(build.transpose(x)), y]))


def both_turned(add: Add, x: SSAValue, y: SSAValue) -> Sequence[SSAValue]:
    difference = turned(add, x, y)
    return [difference, product(add, difference, y)]


def test_rows_of_a_product_are_asked_for_between_the_steps_of_earlier_ones() -> None:
    module = lowered({"r": MATRIX, "q": QUERIES}, nearest_rows)
    multiplied = {op.parent_op() for op in module.walk() if isinstance(op, vector.FMAOp)}
    assert multiplied
    for steps in multiplied:
        assert isinstance(steps, scf.ForOp)
        block = steps.parent_block()
        assert block is not None
        assert sum(isinstance(op, PrefetchOp) for op in block.ops) == ROWS


@pytest.mark.parametrize(("columns", "between"), [(64, 32), (100, 20), (1024, 2), (100_000, 2)])
def test_the_shorter_rows_are_the_more_of_them_lie_between_one_and_what_is_asked_for(
    columns: int, between: int
) -> None:
    rows = array_type("f32", (100_000, columns))
    module = lowered({"x": rows}, lambda add, x: add(build.reduce("sum", product(add, x, x), [1])))
    asked = next(op for op in module.walk() if isinstance(op, PrefetchOp))
    ahead = asked.indices[0].owner
    assert isinstance(ahead, arith.AddiOp)
    distance = ahead.rhs.owner
    assert isinstance(distance, arith.ConstantOp)
    assert isinstance(distance.value, IntegerAttr)
    assert distance.value.value.data >= between
    assert distance.value.value.data * columns <= max(2048, 8 * columns)


@pytest.mark.parametrize(("dtype", "lanes"), [("f32", 16), ("bf16", 16), ("f64", None), ("i32", None)])
def test_columns_are_read_by_whole_vectors_where_their_sums_are_wider(dtype: str, lanes: int | None) -> None:
    types = {"x": array_type(dtype, ("n", "m"))}
    module = as_module(make_kernel(types, lambda add, x: add(build.reduce("sum", x, [0]))))
    array_to_loops(module, layout="contiguous", vector_bits=512)
    loops = [op for op in module.walk() if isinstance(op, scf.ForOp) and LANES in op.attributes]
    found = {op.attributes[LANES] for op in loops if MASKED not in op.attributes}  # masks: few columns
    assert found == (set() if lanes is None else {IntegerAttr(lanes, i64)})


def test_lanes_are_more_than_llvm_would_take() -> None:
    kernel = make_kernel({"x": MATRIX}, lambda add, x: add(build.reduce("sum", x, [0])))
    code = compile_kernels(as_module(kernel), Options(cached=False, listing=True, layouts=("contiguous",)))
    lanes = code.target.vector_bits // 32
    assert f"load <{lanes} x float>" in code.llvm_ir
    assert f"store <{lanes} x double>" in code.llvm_ir


CASES: list[tuple[Callable[..., Any], tuple[str, str]]] = [
    (similar, ("nm", "qm")),
    (turned, ("mn", "nm")),
    (both_turned, ("mn", "nm")),
]


@pytest.mark.alike(2)
@pytest.mark.parametrize(("body", "axes"), CASES, ids=lambda case: getattr(case, "__name__", ""))
@pytest.mark.parametrize("offset", [0, 3, 16])
def test_several_rows_at_a_time_go_out_in_lines(
    monkeypatch: pytest.MonkeyPatch, body: Callable[..., Any], axes: tuple[str, str], offset: int
) -> None:
    monkeypatch.setattr(streams, "LARGE_BYTES", 1000)
    monkeypatch.setattr(
        kernel_choices, "DEFAULT", kernel_choices.Choices(near=0)
    )  # so that norms go along with the smallest product
    types = {name: array_type("f32", tuple(own)) for name, own in zip("ab", axes, strict=True)}
    assert count(lowered(types, body), StreamOp) > 0
    kernel = make_kernel(types, body)
    run = native(kernel, 2)
    for extents in ({"n": 50, "m": 33, "q": 70}, {"n": 7, "m": 130, "q": 5}, {"n": 300, "m": 1, "q": 16}):
        arguments = [
            1 + np.abs(array_of("f32", [extents[name] for name in own], seed))
            for seed, own in enumerate(axes)
        ]
        wanted = evaluate_kernel(kernel, arguments)
        memory = [np.full(64 + value.size + 64, 7, np.float32) for value in wanted]
        out = tuple(
            whole[offset : offset + value.size].reshape(value.shape)
            for whole, value in zip(memory, wanted, strict=True)
        )
        run(*arguments, out=out if len(out) > 1 else out[0])
        for whole, got, value in zip(memory, out, wanted, strict=True):
            assert_close(got, value, "f32", 4)
            assert (whole[:offset] == 7).all()
            assert (whole[offset + value.size :] == 7).all()


def spread(add: Add, x: SSAValue) -> SSAValue:
    roots = add(build.elementwise("tanh", [x]))
    mean = add(build.reduce("sum", roots, [0], True))
    return add(build.reduce("max", add(build.elementwise("sub", [roots, mean])), [0]))


@pytest.mark.parametrize(("columns", "between"), [(3, 3), (8, 8), (128, 128), (1000, 128)])
def test_few_columns_lie_as_close_in_a_tile_as_in_the_matrix(columns: int, between: int) -> None:
    """Else each row of a tile would begin in a line of the cache of its own, with nothing behind it."""
    module = lowered({"x": array_type("f64", ("n", columns))}, spread)
    tiles = {op.memref.type.get_shape() for op in module.walk() if isinstance(op, memref.AllocOp)}
    assert (DYNAMIC_INDEX, between) in tiles


def test_any_number_of_columns_has_room_in_a_tile() -> None:
    kernel = make_kernel({"x": array_type("f64", ("n", "m"))}, spread)
    compiled = native(kernel, 2)
    for columns in (0, 1, 3, 200):
        x = array_of("f64", (50, columns), columns)
        assert_close(compiled(x), evaluate_kernel(kernel, (x,))[0], "f64")
