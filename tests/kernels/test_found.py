"""Kernels that campaigns found the compiler to be wrong about, each as simple as it came out."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import pytest
from xdsl.dialects.builtin import UnitAttr
from xdsl.ir import Attribute, SSAValue

from flowc.dialects.array import build, irregular_build, products_build
from flowc.dialects.array.faults import KernelFault, UnsaidExtent
from flowc.dialects.array.kernel import PRECISE
from flowc.dialects.array.reference import evaluate_kernel, numpy_dtypes
from flowc.dialects.array.reshape import reshape
from flowc.dialects.array.slices import parse_slice
from flowc.dialects.array.types import array_type
from flowc.runtime.errors import FlowError
from flowc.testing.oracles.roundings import assert_agrees
from flowc.testing.strategies.kernels import Add, array_of, make_kernel
from tests.passes.test_array_groups import native

pytestmark = pytest.mark.usefixtures("unoptimised")

Body = Callable[..., Sequence[SSAValue] | SSAValue]


def agrees(parameters: Mapping[str, Attribute], body: Body, *arguments: Any) -> None:
    """Compiled and called, the kernel gives what the reference says."""
    kernel = make_kernel(parameters, body)
    found = native(kernel, 1)(*arguments)
    assert_agrees(kernel, arguments, found if isinstance(found, tuple) else (found,))


@pytest.mark.parametrize("dtype", ["bool", "i8", "u8", "i16", "f16", "bf16"])
def test_elements_narrower_than_those_that_vectors_pack_are_picked(dtype: str) -> None:
    def body(add: Add, x: SSAValue) -> SSAValue:
        mask = add(build.elementwise("gt", [x, add(build.constant(0, dtype))])) if dtype != "bool" else x
        return add(build.reduce("sum", add(irregular_build.pick(x, mask))))

    ones = np.ones_like(array_of(dtype, (100,), 1))
    agrees({"x": array_type(dtype, ("n",))}, body, ones)


def test_positions_of_bytes_may_lie_in_an_axis_longer_than_bytes_count() -> None:
    def body(add: Add, x: SSAValue, places: SSAValue) -> SSAValue:
        return add(build.gather(x, places))

    parameters = {"x": array_type("f32", ("n",)), "p": array_type("i8", ("m",))}
    agrees(parameters, body, array_of("f32", (300,), 1), np.array([-100, -1, 0, 99], np.int8))


def test_attention_takes_values_that_are_a_number_seen_as_a_matrix() -> None:
    def body(add: Add, x: SSAValue) -> SSAValue:
        matrix = add(build.expand(add(build.expand(x, 0)), 0))
        turned = add(build.transpose(matrix))
        return add(products_build.attention(matrix, matrix, turned, add(build.constant(0.5, "f32"))))

    agrees({"x": array_type("f32", ())}, body, 1.25)


@pytest.mark.parametrize("count", [0, 1, 3])
def test_an_axis_that_turns_out_to_be_1_long_is_stretched_to_the_extent_that_is_said(count: int) -> None:
    def body(add: Add, x: SSAValue, count: SSAValue, y: SSAValue) -> Sequence[SSAValue]:
        extents = [add(build.dim(y, axis)) for axis in range(2)]
        part = add(build.slices(x, parse_slice(":$0"), [count]))
        whole = add(build.broadcast(part, ("m", "n"), extents))
        stretched = add(build.elementwise("mul", [whole, y]))
        return stretched, add(build.reduce("sum", whole, (1,)))

    parameters = {
        "x": array_type("f64", ("a",)), "count": array_type("i64", ()), "y": array_type("f64", ("m", "n"))
    }  # fmt: skip
    columns = 5 if count == 1 else count
    agrees(parameters, body, np.arange(1.0, 4), count, np.full((2, columns), 2.0))


@pytest.mark.parametrize("rows", [1, 2])
def test_a_named_extent_that_happens_to_be_1_is_not_stretched(rows: int) -> None:
    def body(add: Add, x: SSAValue, count: SSAValue) -> SSAValue:
        return add(build.broadcast(x, ("",), [count]))

    made = make_kernel({"x": array_type("f64", ("m",)), "count": array_type("i64", ())}, body)
    kernel = native(made, 1)
    for run in (kernel, lambda *given: evaluate_kernel(made, given)):
        assert np.shape(run(np.ones(rows), np.int64(rows))) in ((rows,), (1, rows))
        with pytest.raises((FlowError, KernelFault)):
            run(np.ones(rows), np.int64(3))


@pytest.mark.parametrize("precise", [False, True])
def test_only_in_a_precise_kernel_is_a_half_rounded_where_it_is_computed(precise: bool) -> None:
    def body(add: Add, x: SSAValue) -> SSAValue:
        return add(build.reduce("all", add(build.reduce("prod", x)), ()))

    kernel = make_kernel({"x": array_type("f16", ("n",))}, body)
    if precise:
        kernel.attributes[PRECISE] = UnitAttr()
    x = np.full(3, 0.001, np.float16)
    found = native(kernel, 1)(x)
    assert found == evaluate_kernel(kernel, [x])[0] == (not precise)


@pytest.mark.parametrize("rows", [1, "n"])
def test_a_row_times_itself_is_cast_where_it_is_multiplied(rows: int | str) -> None:
    def body(add: Add, x: SSAValue) -> SSAValue:
        return add(build.cast(add(build.contract(x, add(build.transpose(x)))), "f64"))

    agrees({"x": array_type("i16", (rows, "m"))}, body, np.array([[1, -3, -4, 1, 4]], np.int16))


@pytest.mark.parametrize("count", [0, 1, 3, 4, 17])
def test_a_slice_backwards_from_before_the_first_element_is_empty(count: int) -> None:
    def body(add: Add, x: SSAValue) -> SSAValue:
        few = add(build.slices(x, parse_slice("-1:-4:-1")))
        return add(build.elementwise("neg", [add(build.slices(few, parse_slice("-4:-1:-2")))]))

    agrees({"x": array_type("f64", ("n",))}, body, np.arange(float(count)))


@pytest.mark.parametrize("stacks", [("", ""), ("", 3), (2, "")])
def test_stacks_that_differ_are_an_error(stacks: tuple[int | str, int | str]) -> None:
    types = {
        name: array_type("f64", (2, stack, *axes))
        for name, stack, axes in zip("xy", stacks, (("n", "k"), ("k", "m")), strict=True)
    }
    made = make_kernel(types, lambda add, x, y: add(build.contract(x, y)))
    kernel = native(made, 1)
    with pytest.raises(FlowError, match="E0753"):
        kernel(np.ones((2, 2, 5, 4)), np.ones((2, 3, 4, 6)))


def test_what_is_one_element_along_a_track_is_kept_for_the_next_loop() -> None:
    def body(add: Add, x: SSAValue) -> SSAValue:
        ends = [add(build.constant(end, "f64")) for end in (-1.0, 1.0)]
        one = add(build.cast(add(irregular_build.linspace(*ends, add(build.constant(1, "i64")))), "f32"))
        row = add(build.expand(one, 0))
        seen = add(build.expand(add(build.reduce("all", row, (0,))), 0))
        scale = add(build.constant(0.5, "f32"))
        return add(products_build.attention(row, row, add(build.cast(seen, "f32")), scale, causal=True))

    agrees({"x": array_type("f32", ("n",))}, body, np.ones(3, np.float32))


def test_a_row_seen_as_a_column_is_read_at_every_position() -> None:
    """Only what its extents are made of says that a column is one."""

    def body(add: Add, x: SSAValue) -> SSAValue:
        extents = [add(build.dim(x, axis)) for axis in (1, 0)]
        return add(build.elementwise("tanh", [add(reshape(x, extents, ("", "")))]))

    agrees({"x": array_type("f32", (1, "n"))}, body, np.arange(5, dtype=np.float32)[None])


@pytest.mark.parametrize("kind", ["sum", "prod"])
def test_many_rows_are_scattered_to_one_place_of_memory_that_rounds_each_time(kind: str) -> None:
    def body(add: Add, x: SSAValue, places: SSAValue, rows: SSAValue) -> SSAValue:
        return add(irregular_build.scatter(kind, x, places, rows))

    parameters = {
        "x": array_type("bf16", (1, "n")), "places": array_type("i64", ("k",)),
        "rows": array_type("bf16", ("n",)),
    }  # fmt: skip
    rows = np.array([1.75, -1.75, 0.75, 1.0078125]).astype(numpy_dtypes["bf16"])
    agrees(parameters, body, rows[None], np.zeros(97, np.int64), rows)


def test_what_is_proved_to_be_1_may_stretch_beside_an_extent_that_nothing_says() -> None:
    """NumPy stretches it, the reference does not: the meaning is open, and told to be."""

    def body(add: Add, row: SSAValue, x: SSAValue) -> SSAValue:
        extents = [add(build.dim(row, axis)) for axis in (1, 0)]
        return add(build.elementwise("add", [add(reshape(row, extents, ("", ""))), x]))

    kernel = make_kernel({"row": array_type("f64", (1, "n")), "x": array_type("f64", ("n", ""))}, body)
    row, x = np.arange(3.0)[None], np.arange(6.0).reshape(3, 2)
    with pytest.raises(UnsaidExtent, match="extents"):
        evaluate_kernel(kernel, (row, x))
    assert np.array_equal(native(kernel, 1)(row, x), row.T + x)


@pytest.mark.parametrize("shape", [(3, 3, "n"), ("n", "n", "m")])
def test_a_square_goes_by_its_rows_and_by_its_columns_in_one_loop(shape: tuple[int | str, ...]) -> None:
    """Both sweeps have the same shape, but what a turn of the loop takes of them is not the same part."""

    def body(add: Add, x: SSAValue) -> Sequence[SSAValue]:
        turned = add(build.transpose(x, (1, 0, 2)))
        return turned, add(build.softmax(add(build.elementwise("exp", [x])), 0))

    agrees({"x": array_type("f64", shape)}, body, array_of("f64", (3, 3, 5), 1))


def test_a_square_is_summed_by_columns_beside_its_transpose() -> None:
    def body(add: Add, x: SSAValue) -> Sequence[SSAValue]:
        turned = add(build.transpose(x, (1, 0, 2)))
        return turned, add(build.reduce("sum", add(build.elementwise("neg", [x])), (0,)))

    agrees({"x": array_type("f64", (3, 3, "n"))}, body, array_of("f64", (3, 3, 5), 1))


def test_what_is_computed_of_a_transpose_is_read_at_other_positions_too() -> None:
    """A matrix that is turned block by block has no elements outside of the block."""

    def body(add: Add, x: SSAValue, z: SSAValue) -> SSAValue:
        product = add(build.elementwise("mul", [add(build.transpose(x)), z]))
        first = add(build.index(product, add(build.constant(0, "i64"))))
        return add(build.elementwise("sub", [product, first]))

    square = array_type("f32", ("n", "n"))
    agrees({"x": square, "z": square}, body, array_of("f32", (90, 90), 1), array_of("f32", (90, 90), 2))
