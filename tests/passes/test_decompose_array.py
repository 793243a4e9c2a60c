"""decompose-array: which products with a vector become sums, and that the value stays."""

from collections.abc import Callable

import numpy as np
import pytest
from xdsl.dialects.builtin import UnitAttr
from xdsl.ir import SSAValue

from flowc.dialects.array import build, ops
from flowc.dialects.array.kernel import PRECISE, REPRODUCIBLE, KernelOp
from flowc.dialects.array.reference import evaluate_kernel
from flowc.dialects.array.types import array_type
from flowc.passes.decompose_array import decompose_array
from flowc.passes.hoist_transposes import hoist_transposes
from flowc.testing.strategies.kernels import Add, array_of, as_module, make_kernel

Body = Callable[[Add, SSAValue, SSAValue], SSAValue | list[SSAValue]]


def _read_once(add: Add, matrix: SSAValue, vector: SSAValue) -> SSAValue:
    return add(build.contract(matrix, vector))


def _turned(add: Add, matrix: SSAValue, vector: SSAValue) -> SSAValue:
    return add(build.contract(vector, add(build.transpose(matrix))))


def _read_twice(add: Add, matrix: SSAValue, vector: SSAValue) -> list[SSAValue]:
    return [add(build.contract(matrix, vector)), add(build.reduce("max", matrix, [1]))]


def _computed(add: Add, matrix: SSAValue, vector: SSAValue) -> SSAValue:
    return add(build.contract(add(build.elementwise("abs", [matrix])), vector))


def _scaled_and_turned(add: Add, matrix: SSAValue, vector: SSAValue) -> SSAValue:
    half = add(build.constant(0.5, "f64"))
    scaled = add(build.elementwise("mul", [half, add(build.transpose(matrix))]))
    return add(build.contract(vector, add(build.elementwise("abs", [scaled]))))


def kernel(body: Body, *flags: str) -> KernelOp:
    made = make_kernel({"matrix": array_type("f64", ("m", "k")), "vector": array_type("f64", ("k",))}, body)
    for flag in flags:
        made.attributes[flag] = UnitAttr()
    return made


def products(made: KernelOp) -> int:
    decompose_array(as_module(made))
    return sum(isinstance(op, ops.ContractOp) for op in made.walk())


@pytest.mark.parametrize("body", [_read_once, _turned])
def test_a_matrix_that_nothing_else_reads_keeps_its_product(body: Body) -> None:
    assert products(kernel(body)) == 1


def _of_rows(add: Add, matrix: SSAValue, vector: SSAValue) -> SSAValue:
    return add(build.contract(vector, matrix))


def _of_columns(add: Add, matrix: SSAValue, vector: SSAValue) -> SSAValue:
    return add(build.contract(add(build.transpose(matrix)), vector))


def _of_rows_read_twice(add: Add, matrix: SSAValue, vector: SSAValue) -> list[SSAValue]:
    return [_of_rows(add, matrix, vector), add(build.reduce("max", matrix, [1]))]


@pytest.mark.parametrize(
    ("body", "columns", "left"),
    [
        (_of_rows, "n", 1),
        (_of_columns, "n", 1),
        (_of_rows_read_twice, "n", 0),
        (_of_rows, 3, 0),
        (_of_columns, 3, 0),
    ],
)
def test_a_vector_times_the_rows_of_a_matrix_stays_a_product_unless_rows_are_short_or_read_twice(
    body: Body, columns: int | str, left: int
) -> None:
    types = {"matrix": array_type("f64", ("k", columns)), "vector": array_type("f64", ("k",))}
    assert products(make_kernel(types, body)) == left


@pytest.mark.parametrize("body", [_read_twice, _computed, _scaled_and_turned])
def test_a_product_that_may_share_a_sweep_becomes_a_sum(body: Body) -> None:
    assert products(kernel(body)) == 0


@pytest.mark.parametrize("flag", [PRECISE, REPRODUCIBLE])
def test_a_product_in_a_stated_order_becomes_a_sum(flag: str) -> None:
    assert products(kernel(_read_once, flag)) == 0


@pytest.mark.parametrize("body", [_read_once, _turned, _read_twice, _computed, _scaled_and_turned])
def test_the_value_stays(body: Body) -> None:
    arguments = [array_of("f64", (5, 7), 1), array_of("f64", (7,), 2)]
    made = kernel(body)
    wanted = evaluate_kernel(made, arguments)
    decompose_array(as_module(made))
    for got, expected in zip(evaluate_kernel(made, arguments), wanted, strict=True):
        np.testing.assert_array_equal(got, expected)


def test_what_is_computed_from_a_transposed_matrix_is_computed_as_the_matrix_lies() -> None:
    made = kernel(_scaled_and_turned)
    module = as_module(made)
    hoist_transposes(module)
    decompose_array(module)
    assert not any(isinstance(op, ops.TransposeOp) for op in made.walk())
    (total,) = (op for op in made.walk() if isinstance(op, ops.ReduceOp))
    assert [int(axis) for axis in total.axes.get_values()] == [1]


def test_a_matrix_computed_from_a_turned_one_and_one_that_is_not_stays_as_it_is() -> None:
    made = make_kernel(
        {"matrix": array_type("f64", ("k", "k")), "vector": array_type("f64", ("k",))},
        lambda add, matrix, vector: add(
            build.contract(add(build.elementwise("add", [matrix, add(build.transpose(matrix))])), vector)
        ),
    )
    arguments = [array_of("f64", (5, 5), 1), array_of("f64", (5,), 2)]
    wanted = evaluate_kernel(made, arguments)
    decompose_array(as_module(made))
    assert any(isinstance(op, ops.TransposeOp) for op in made.walk())
    np.testing.assert_array_equal(evaluate_kernel(made, arguments)[0], wanted[0])
