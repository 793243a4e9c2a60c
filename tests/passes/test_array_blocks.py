"""Sweeps go block by block where they read something across its rows, unless neighbours there are close."""

from collections.abc import Callable
from typing import Any

from xdsl.dialects import arith, scf
from xdsl.dialects.builtin import IntegerAttr
from xdsl.ir import Attribute, Operation, SSAValue

from flowc.dialects.array import build
from flowc.dialects.array.types import array_type
from flowc.passes.array_to_loops import array_to_loops
from flowc.passes.array_to_loops.tiling import BLOCK_ROWS
from flowc.passes.fuse_array import fuse_array
from flowc.testing.strategies.kernels import as_module, make_kernel

Add = Callable[[Operation], SSAValue]


def goes_in_blocks(types: dict[str, Attribute], body: Callable[..., Any]) -> bool:
    module = as_module(make_kernel(types, body))
    fuse_array(module)
    array_to_loops(module, layout="contiguous")
    steps = [op.step.owner for op in module.walk() if isinstance(op, scf.ForOp)]
    known = [op.value for op in steps if isinstance(op, arith.ConstantOp)]
    return any(isinstance(each, IntegerAttr) and each.value.data == BLOCK_ROWS for each in known)


def first_and_second(add: Add, picture: SSAValue) -> SSAValue:
    one, two = (add(build.index(picture, add(build.constant(k, "i64")), 2)) for k in (0, 1))
    return add(build.elementwise("add", [one, two]))


def beside_its_transpose(add: Add, x: SSAValue) -> SSAValue:
    return add(build.elementwise("add", [x, add(build.transpose(x))]))


def test_a_matrix_beside_its_transpose_goes_block_by_block() -> None:
    assert goes_in_blocks({"x": array_type("f32", ("n", "n"))}, beside_its_transpose)


def test_the_colours_of_a_picture_go_along_its_rows() -> None:
    assert not goes_in_blocks({"picture": array_type("u8", ("n", "m", 3))}, first_and_second)
