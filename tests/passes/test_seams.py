"""Sweeps over what is put together from parts go through it piece by piece."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
import pytest
from xdsl.dialects import scf
from xdsl.ir import Operation, SSAValue

import flowc
from flowc.dialects.array import build
from flowc.dialects.array.ops import ConcatOp
from flowc.dialects.array.slices import AxisSlice
from flowc.dialects.array.types import array_type
from flowc.passes.array_extents import ExtentAnalysis
from flowc.passes.fuse_array import fuse_array
from flowc.passes.long_extents import is_long
from flowc.testing.strategies.kernels import Add, as_module, make_kernel
from tests.kernels.sketch import sliced
from tests.passes.test_array_groups import MATRIX, VECTOR, elementwise, lowered, whole_temporaries

pytestmark = pytest.mark.usefixtures("unoptimised")

Body = Callable[..., SSAValue | Sequence[SSAValue]]


def rolled(add: Add, x: SSAValue, axis: int) -> SSAValue:
    parts = [sliced(add, x, axis, AxisSlice(-1, None)), sliced(add, x, axis, AxisSlice(None, -1))]
    return add(build.concat(parts, axis))


def neighbours(add: Add, x: SSAValue) -> SSAValue:
    """What stands before each element along all axes, added up."""
    total = x
    for axis in range(len(x.type.shape)):  # type: ignore[attr-defined]
        total = elementwise(add, "add", total, rolled(add, x, axis))
    return total


def innermost(module: Operation) -> list[scf.ForOp]:
    loops = [op for op in module.walk() if isinstance(op, scf.ForOp)]
    return [op for op in loops if not any(isinstance(each, scf.ForOp) for each in op.body.walk())]


@pytest.mark.parametrize("type_", [VECTOR, MATRIX, array_type("f32", (300, 500))])
def test_in_the_middle_no_position_is_asked_for_its_part(type_: Any) -> None:
    module = lowered({"x": type_}, neighbours)
    asking = [any(isinstance(op, scf.IfOp) for op in loop.body.walk()) for loop in innermost(module)]
    assert asking == sorted(asking, reverse=True), "the middle comes last"
    assert 1 <= asking.count(False) <= 2, "in lines of the cache, and what is left beside them"
    assert not whole_temporaries(module)


def test_an_array_within_a_border_is_not_stored_for_those_that_read_it_often() -> None:
    def body(add: Add, x: SSAValue) -> SSAValue:
        border = rolled(add, rolled(add, x, 0), 1)
        parts = [sliced(add, border, 1, AxisSlice(k, k - 6 or None)) for k in range(6)]
        total = parts[0]
        for part in parts[1:]:
            total = elementwise(add, "add", total, part)
        return total

    assert not whole_temporaries(lowered({"x": MATRIX}, body))


def test_what_is_reduced_is_stored_within_its_border() -> None:
    def body(add: Add, x: SSAValue) -> SSAValue:
        border = rolled(add, elementwise(add, "exp", x), 1)
        products = elementwise(add, "mul", border, sliced(add, border, 1, AxisSlice(None, None, -1)))
        return add(build.reduce("sum", products, [1]))

    kernel = make_kernel({"x": MATRIX}, body)
    fuse_array(as_module(kernel))
    (concat,) = [op for op in kernel.walk() if isinstance(op, ConcatOp)]
    assert "inline" not in concat.properties


def test_a_border_is_short_and_what_is_in_it_long() -> None:
    def body(add: Add, x: SSAValue) -> SSAValue:
        return rolled(add, x, 0)

    kernel = make_kernel({"x": VECTOR}, body)
    extents = ExtentAnalysis(kernel)
    (concat,) = [op for op in kernel.walk() if isinstance(op, ConcatOp)]
    assert [is_long(extents, extents.extent(part, 0)) for part in concat.inputs] == [False, True]


def blurred(image):
    p = np.pad(image, 1, mode="edge")
    h, w = image.shape
    total = np.zeros_like(image)
    for dy in range(3):
        for dx in range(3):
            total += p[dy : dy + h, dx : dx + w]
    return total / 9


def life(g):
    n = sum(np.roll(np.roll(g, i, 0), j, 1) for i in (-1, 0, 1) for j in (-1, 0, 1) if (i, j) != (0, 0))
    return ((n == 3) | ((g == 1) & (n == 2))).astype(np.uint8)


def far(g):
    return np.roll(g, 3, 0) + np.roll(g, -2, 1) + np.roll(np.pad(g, 2)[2:-2, 2:-2], 2, 1)


def reflected(g):
    p = np.pad(g, ((1, 2), (2, 1)), mode="symmetric")
    return p[2:-1, :-3] - p[:-3, 3:] + p[1:-2, 2:-1] * g


@pytest.mark.alike(5)
@pytest.mark.parametrize("step", [blurred, life, far, reflected])
@pytest.mark.parametrize("shape", [(1, 1), (1, 5), (2, 2), (3, 70), (65, 3), (130, 129)])
def test_images_within_borders_are_those_of_numpy(step: Any, shape: tuple[int, int]) -> None:
    image = np.random.default_rng(1).integers(0, 2, shape).astype(np.uint8 if step is life else np.float32)
    np.testing.assert_allclose(compiled[step](image), step(image), rtol=1e-6)
    np.testing.assert_allclose(compiled[step](image[::-1].T), step(image[::-1].T), rtol=1e-6)


compiled = {step: flowc.jit(step) for step in (blurred, life, far, reflected)}


def test_small_loops_in_one_another_are_written_out() -> None:
    told = compiled[blurred].explain(np.ones((20, 30), np.float32))
    assert "as the control flow has it" not in told
    assert "add x9, div" in told


def many_rolls(x):
    for _ in range(7):
        x = np.roll(np.roll(x, 1, 0), 1, 1)
    return x * 2


def test_rolls_inside_rolls_are_stored_before_their_ends_double_the_code_once_more() -> None:
    x = np.arange(63, dtype=np.float32).reshape(7, 9)
    rolls = flowc.jit(many_rolls)
    np.testing.assert_array_equal(rolls(x), many_rolls(x))
    often, once = (lowered({"x": MATRIX}, partial(_rolled_often, times=times)) for times in (6, 1))
    assert len(list(often.walk())) < 12 * len(list(once.walk()))


def _rolled_often(add: Add, x: SSAValue, times: int) -> SSAValue:
    for _ in range(times):
        x = rolled(add, rolled(add, x, 0), 1)
    return elementwise(add, "add", x, x)
