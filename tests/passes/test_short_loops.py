"""Loops over short rows are marked where LLVM would make other vectors of them."""

import pytest
from xdsl.dialects import scf
from xdsl.dialects.builtin import IntegerAttr, ModuleOp, i64

from flowc.dialects.array import build
from flowc.dialects.array.types import array_type
from flowc.dialects.loops import LANES, MASKED
from flowc.passes.array_to_loops import array_to_loops
from flowc.passes.unroll_rows import unroll_rows
from flowc.testing.strategies.kernels import as_module, make_kernel


def lowered(dtype: str, columns: int | str, vector_bits: int = 512) -> ModuleOp:
    types = {"x": array_type(dtype, ("n", columns))}
    module = as_module(make_kernel(types, lambda add, x: add(build.reduce("max", x, [1]))))
    unroll_rows(module)
    array_to_loops(module, layout="contiguous", vector_bits=vector_bits)
    return module


def marks(module: ModuleOp, name: str) -> list[object]:
    return [
        op.attributes[name] for op in module.walk() if isinstance(op, scf.ForOp) and name in op.attributes
    ]


@pytest.mark.parametrize(
    ("columns", "masked"),
    [(8, 0), (9, 1), (15, 1), (16, 0), (17, 1), (24, 1), (32, 0), (63, 1), (64, 0), (65, 0), ("m", 0)],
)
def test_rows_that_are_no_whole_vectors_end_with_a_masked_one(columns: int | str, masked: int) -> None:
    for dtype in ("f32", "f64", "i8"):
        assert len(marks(lowered(dtype, columns), MASKED)) == masked


def test_machines_without_masks_get_none() -> None:
    assert not marks(lowered("f32", 20, 256), MASKED)
    assert not marks(lowered("f64", 8, 256), LANES)


@pytest.mark.parametrize(
    ("dtype", "columns", "lanes"), [("f64", 8, [4]), ("i64", 8, [4]), ("f32", 8, []), ("f64", 7, [])]
)
def test_four_rows_of_eight_wide_numbers_are_taken_together(
    dtype: str, columns: int, lanes: list[int]
) -> None:
    assert marks(lowered(dtype, columns), LANES) == [IntegerAttr(number, i64) for number in lanes]
