"""hoist-transposes: operators on transposed arrays are computed as these lie, and their values stay."""

from collections.abc import Callable, Sequence

import numpy as np
import pytest
from xdsl.dialects.builtin import UnitAttr
from xdsl.ir import SSAValue

from flowc.dialects.array import build, ops
from flowc.dialects.array.irregular_build import scan
from flowc.dialects.array.kernel import PRECISE, REPRODUCIBLE, KernelOp
from flowc.dialects.array.reference import evaluate_kernel
from flowc.dialects.array.slices import AxisSlice, SliceSpec
from flowc.dialects.array.types import array_type
from flowc.passes.hoist_transposes import hoist_transposes
from flowc.testing.strategies.kernels import Add, array_of, as_module, make_kernel

Body = Callable[[Add, SSAValue, SSAValue, SSAValue], SSAValue]


def turned(add: Add, x: SSAValue, axes: Sequence[int] = (2, 0, 1)) -> SSAValue:
    return add(build.transpose(x, axes))


def scaled(add: Add, x: SSAValue, y: SSAValue, v: SSAValue) -> SSAValue:
    return add(build.elementwise("mul", [turned(add, x), add(build.constant(2.0, "f64"))]))


def both(add: Add, x: SSAValue, y: SSAValue, v: SSAValue) -> SSAValue:
    return add(build.elementwise("sub", [turned(add, x), turned(add, y)]))


def beside_a_vector(add: Add, x: SSAValue, y: SSAValue, v: SSAValue) -> SSAValue:
    return add(build.elementwise("sub", [v, turned(add, x, (1, 2, 0))]))


def beside_a_column(add: Add, x: SSAValue, y: SSAValue, v: SSAValue) -> SSAValue:
    return add(build.elementwise("sub", [turned(add, x, (2, 0, 1)), add(build.expand(v, 1))]))


def converted(add: Add, x: SSAValue, y: SSAValue, v: SSAValue) -> SSAValue:
    return add(build.cast(turned(add, x), "i64"))


def summed(add: Add, x: SSAValue, y: SSAValue, v: SSAValue) -> SSAValue:
    return add(build.reduce("sum", turned(add, both(add, x, y, v)), [1]))


def centred(add: Add, x: SSAValue, y: SSAValue, v: SSAValue) -> SSAValue:
    view = turned(add, x, (2, 1, 0))
    return add(build.elementwise("sub", [view, add(build.reduce("mean", view, [1], True))]))


def back(add: Add, x: SSAValue, y: SSAValue, v: SSAValue) -> SSAValue:
    return turned(add, add(build.elementwise("abs", [turned(add, x, (2, 0, 1))])), (1, 2, 0))


def sliced(add: Add, x: SSAValue, y: SSAValue, v: SSAValue) -> SSAValue:
    low = add(build.constant(1, "i64"))
    spec = SliceSpec((AxisSlice("$0"), AxisSlice(None, -1, 2)))
    return add(build.slices(turned(add, x), spec, [low]))


def first_of_all(add: Add, x: SSAValue, y: SSAValue, v: SSAValue) -> SSAValue:
    return add(build.argreduce("argmax", turned(add, x), 1))


def running(add: Add, x: SSAValue, y: SSAValue, v: SSAValue) -> SSAValue:
    return add(scan("sum", turned(add, x), 0))


BODIES = (
    sliced,
    first_of_all,
    running,
    scaled,
    both,
    beside_a_vector,
    beside_a_column,
    converted,
    summed,
    centred,
    back,
)


def kernel(body: Body) -> KernelOp:
    cube = array_type("f64", ("m", "k", "n"))
    return make_kernel({"x": cube, "y": cube, "v": array_type("f64", ("m",))}, body)


@pytest.mark.parametrize("body", BODIES)
def test_operators_read_arrays_as_they_lie_and_the_value_stays(body: Body) -> None:
    arguments = [array_of("f64", (4, 3, 5), 1), array_of("f64", (4, 3, 5), 2), array_of("f64", (4,), 3)]
    made = kernel(body)
    wanted = evaluate_kernel(made, arguments)
    module = as_module(made)
    assert hoist_transposes(module) > 0
    module.verify()
    transposes = [op for op in made.walk() if isinstance(op, ops.TransposeOp)]
    assert not any(op.source.owner == other for op in transposes for other in transposes)
    assert not any(op.source == made.body.block.args[0] for op in transposes)
    np.testing.assert_allclose(evaluate_kernel(made, arguments)[0], wanted[0], rtol=1e-12, strict=True)


def test_transposes_that_cancel_are_gone() -> None:
    made = kernel(back)
    hoist_transposes(as_module(made))
    assert not any(isinstance(op, ops.TransposeOp) for op in made.walk())


def test_operators_on_arrays_that_lie_otherwise_stay() -> None:
    made = kernel(
        lambda add, x, y, v: add(
            build.elementwise(
                "sub",
                [
                    add(build.transpose(add(build.contract(x, turned(add, y, (0, 2, 1)))), (0, 2, 1))),
                    add(build.contract(x, turned(add, y, (0, 2, 1)))),
                ],
            )
        )
    )
    before = str(made)
    assert hoist_transposes(as_module(made)) == 0
    assert str(made) == before


def test_nothing_is_left_of_what_was_not_done() -> None:
    made = make_kernel(
        {"x": array_type("f64", ("", "")), "y": array_type("f64", ("m", "n"))},
        lambda add, x, y: add(build.elementwise("add", [add(build.transpose(x)), y])),
    )
    hoist_transposes(as_module(made))
    arguments = [array_of("f64", (1, 4), 1), array_of("f64", (4, 5), 2)]
    np.testing.assert_array_equal(
        evaluate_kernel(made, arguments)[0], arguments[0].T + arguments[1], strict=True
    )


@pytest.mark.parametrize("bound", [PRECISE, REPRODUCIBLE])
def test_kernels_whose_order_of_arithmetic_is_bound_stay(bound: str) -> None:
    made = kernel(back)
    made.attributes[bound] = UnitAttr()
    assert hoist_transposes(as_module(made)) == 0


def test_what_a_reduction_leaves_of_four_axes_stands_in_its_order() -> None:
    axes = (3, 1, 0, 2)
    made = make_kernel(
        {"x": array_type("f64", ("a", "b", "c", "d"))},
        lambda add, x: add(build.reduce("sum", turned(add, x, axes), [1])),
    )
    array = array_of("f64", (2, 3, 4, 5), 1)
    assert hoist_transposes(as_module(made)) > 0
    made.verify()
    wanted = array.transpose(axes).sum(axis=1)
    np.testing.assert_allclose(evaluate_kernel(made, [array])[0], wanted, rtol=1e-12, strict=True)
