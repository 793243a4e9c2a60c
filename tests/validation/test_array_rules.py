"""Rewrites of kernels, run on kernels whose elements are symbols: they give the same whatever these are."""

from collections.abc import Callable, Sequence
from itertools import permutations, product
from typing import Any

import pytest
import z3
from xdsl.dialects.builtin import ModuleOp, UnitAttr
from xdsl.ir import SSAValue

from flowc.dialects.array import KernelOp, build
from flowc.dialects.array.irregular_build import scan
from flowc.dialects.array.slices import AxisSlice, SliceSpec
from flowc.dialects.array.types import array_type
from flowc.passes.array_to_gpu.prepare import prepare_for_device
from flowc.passes.decompose_array import decompose_array
from flowc.passes.hoist_scales import hoist_scales
from flowc.passes.hoist_transposes import hoist_transposes
from flowc.passes.recognise_byte_dots import recognise_byte_dots
from flowc.passes.unroll_rows import unroll_rows
from flowc.testing.strategies.kernels import Add, as_module, make_kernel
from tests.validation.arrays import Symbolic, prove_kernels
from tests.validation.machine import Term

Body = Callable[..., SSAValue]


def fires(
    kernel: KernelOp, rule: Callable[[ModuleOp], int], extents: Sequence[dict[str, int]], **how: Any
) -> None:
    """The rule rewrites the kernel, which goes on to give what it gave."""
    before = kernel.clone()
    module = as_module(kernel)
    assert rule(module) > 0
    module.verify()
    for each in extents:
        prove_kernels(before, kernel, each, **how)


CUBE = {"x": array_type("f32", ("n", "m", "k"))}
CUBES = [{"n": 2, "m": 3, "k": 1}, {"n": 0, "m": 1, "k": 2}]
ORDERS = [order for order in permutations(range(3)) if order != (0, 1, 2)]


@pytest.mark.parametrize("order", ORDERS)
def test_operators_on_transposes_are_transposes_of_operators(order: tuple[int, ...]) -> None:
    def beside(add: Add, x: SSAValue) -> SSAValue:
        row = add(build.reduce("max", x, [0, 1]))
        column = add(build.expand(add(build.index(row, add(build.constant(0, "i64")))), 0))
        return add(build.elementwise("atan2", [add(build.transpose(x, order)), column]))

    def twice(add: Add, x: SSAValue) -> SSAValue:
        turned = add(build.cast(add(build.transpose(x, order)), "i64"))
        return add(build.transpose(turned, (1, 2, 0)))

    def sliced(add: Add, x: SSAValue) -> SSAValue:
        spec = SliceSpec((AxisSlice(1), AxisSlice(None, None, -1), AxisSlice(None, "$0")))
        return add(build.slices(add(build.transpose(x, order)), spec, [add(build.constant(1, "i64"))]))

    def ran(add: Add, x: SSAValue) -> SSAValue:
        return add(scan("sum", add(build.transpose(x, order)), 1))

    for body in (twice, sliced, ran):
        fires(make_kernel(CUBE, body), hoist_transposes, CUBES)
    fires(make_kernel(CUBE, beside), hoist_transposes, CUBES[:1])


@pytest.mark.parametrize("order", ORDERS)
def test_reductions_of_transposes_reduce_the_same_elements(order: tuple[int, ...]) -> None:
    for axes, keeps in product(([0], [1], [0, 2], [1, 2]), (False, True)):

        def total(add: Add, x: SSAValue, axes: list[int] = axes, keeps: bool = keeps) -> SSAValue:
            return add(build.reduce("sum", add(build.transpose(x, order)), axes, keeps))

        def first(add: Add, x: SSAValue, axes: list[int] = axes, keeps: bool = keeps) -> SSAValue:
            return add(build.argreduce("argmax", add(build.transpose(x, order)), axes[0], keeps))

        fires(make_kernel(CUBE, total), hoist_transposes, CUBES)
        fires(make_kernel(CUBE, first), hoist_transposes, CUBES[:1])


def rows(dtype: str, count: int, body: Body) -> KernelOp:
    return make_kernel({"x": array_type(dtype, ("n", count))}, body)


@pytest.mark.parametrize("count", [2, 3, 5, 8])
def test_short_rows_are_reduced_column_by_column(count: int) -> None:
    for kind, dtype in (
        ("sum", "f32"),
        ("mean", "f32"),
        ("prod", "i16"),
        ("sum", "i8"),
        ("any", "bool"),
        ("all", "bool"),
    ):

        def body(add: Add, x: SSAValue, kind: str = kind) -> SSAValue:
            return add(build.reduce(kind, x, [1], kind == "sum"))

        if kind != "prod" or count < 3:  # of more factors of 64 bits z3 finds no proof in time
            fires(rows(dtype, count, body), unroll_rows, [{"n": 1}])


@pytest.mark.parametrize("kind", ["min", "max"])
def test_extremes_of_short_rows_and_their_positions_are_those_of_numpy_for_nan_too(kind: str) -> None:
    def extreme(add: Add, x: SSAValue) -> SSAValue:
        return add(build.reduce(kind, x, [1]))

    def position(add: Add, x: SSAValue) -> SSAValue:
        return add(build.argreduce(f"arg{kind}", x, 1))

    for dtype, body in product(("f32", "i32"), (extreme, position)):
        for count in (2, 3):
            fires(rows(dtype, count, body), unroll_rows, [{"n": 1}], exact=True)


def test_products_with_a_vector_are_sums_of_products() -> None:
    def right(add: Add, x: SSAValue, v: SSAValue) -> list[SSAValue]:
        return [add(build.contract(x, v)), add(build.reduce("max", x, [1]))]

    def turned(add: Add, x: SSAValue, v: SSAValue) -> list[SSAValue]:
        view = add(build.transpose(x))
        return [add(build.contract(v, view)), add(build.reduce("max", x, [1]))]

    def stacked(add: Add, x: SSAValue, v: SSAValue) -> SSAValue:
        return add(build.contract(v, add(build.transpose(x, (0, 2, 1)))))

    for shape, bodies in ((("m", "k"), (right, turned)), (("n", "m", "k"), (stacked,))):
        types = {"x": array_type("f64", shape), "v": array_type("f64", ("k",))}
        for body in bodies:
            fires(
                make_kernel(types, body),
                decompose_array,
                [{"n": 2, "m": 2, "k": 3}, {"n": 1, "m": 1, "k": 1}],
            )


def _no_zeros(symbolic: Symbolic) -> Sequence[Term]:
    """In real numbers nothing is divided by zero."""
    return [
        x != 0
        for array in symbolic.values.values()
        for x in array.flat
        if z3.is_const(x) and str(x)[0] == "s"
    ]


@pytest.mark.parametrize("kind", ["mul", "div"])
@pytest.mark.parametrize("side", ["left", "right", "turned"])
def test_scales_that_stay_along_a_contraction_may_be_applied_to_the_product(kind: str, side: str) -> None:
    def body(add: Add, q: SSAValue, r: SSAValue, s: SSAValue) -> SSAValue:
        if side == "left":
            return add(build.contract(add(build.elementwise(kind, [q, s])), r))
        if side == "right":
            scaled = add(build.elementwise(kind, [r, add(build.transpose(s))]))
            return add(build.contract(q, scaled))
        scaled = add(build.elementwise(kind, [add(build.transpose(r)), s]))
        return add(build.contract(q, add(build.transpose(scaled))))

    one = "n" if side != "left" else "m"
    types = {"q": ("m", "k"), "r": ("k", "n"), "s": (one, 1)}
    kernel = make_kernel({name: array_type("f64", shape) for name, shape in types.items()}, body)
    fires(kernel, hoist_scales, [{"m": 1, "k": 2, "n": 2}], given=_no_zeros)


@pytest.mark.parametrize("dtype", ["i32", "i64"])
def test_sums_of_products_of_bytes_are_products_of_a_matrix_and_a_vector(dtype: str) -> None:
    def body(add: Add, rows: SSAValue, one: SSAValue) -> SSAValue:
        wide = [add(build.cast(rows, "i16")), add(build.cast(one, "i16"))]
        total = add(build.reduce("sum", add(build.elementwise("mul", wide)), [1]))
        return total if dtype == "i64" else add(build.cast(total, dtype))

    types = {"rows": array_type("i8", ("n", "k")), "one": array_type("i8", ("k",))}
    fires(make_kernel(types, body), recognise_byte_dots, [{"n": 1, "k": 2}])


@pytest.mark.parametrize("axis", [0, 1])
def test_a_softmax_is_its_parts(axis: int) -> None:
    def body(add: Add, x: SSAValue) -> SSAValue:
        return add(build.softmax(x, axis))

    def rule(module: ModuleOp) -> int:
        prepare_for_device(module)
        return 1

    fires(make_kernel({"x": array_type("f32", ("n", "m"))}, body), rule, [{"n": 2, "m": 3}])


def test_kernels_that_ask_for_the_written_order_are_left() -> None:
    def body(add: Add, x: SSAValue) -> SSAValue:
        return add(build.reduce("sum", add(build.transpose(x, (2, 0, 1))), [1]))

    kernel = make_kernel(CUBE, body)
    kernel.attributes["array.precise"] = UnitAttr()
    assert hoist_transposes(as_module(kernel)) == 0
