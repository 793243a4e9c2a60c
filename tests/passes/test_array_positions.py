"""Positions that are sums of counters: which are proved to lie in an axis, how far apart neighbours are."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from xdsl.dialects.builtin import i64
from xdsl.ir import Operation, SSAValue

from flowc.dialects.array import build, ops
from flowc.dialects.array.reference import evaluate_kernel
from flowc.dialects.array.types import array_type
from flowc.passes.array_extents import ExtentAnalysis
from flowc.passes.array_positions import are_inside, range_of, stride
from flowc.passes.fuse_array import fuse_array
from flowc.runtime.kernel_calls import sizer
from flowc.testing.strategies.kernels import as_module, make_kernel

Add = Callable[[Operation], SSAValue]
VECTOR, WEIGHTS = array_type("f32", ("n",)), array_type("f32", ("k",))


def counters(add: Add, x: SSAValue, w: SSAValue, moved: int = 0) -> tuple[SSAValue, SSAValue]:
    """The beginnings of the windows of x, as a column and moved, and the places in one."""
    length, width = add(build.dim(x, 0)), add(build.dim(w, 0))
    count = add(build.elementwise("sub", [length, width]))
    count = add(build.elementwise("add", [count, add(build.constant(1, "i64"))]))
    first = add(build.elementwise("add", [add(build.iota(count)), add(build.constant(moved, "i64"))]))
    return add(build.expand(first, 1)), add(build.iota(width))


def gathered(body: Callable[..., SSAValue], **more: Any) -> tuple[ExtentAnalysis, ops.GatherOp]:
    """The gather that a body ends with, and what is known of its kernel."""
    kernel = make_kernel({"x": VECTOR, "w": WEIGHTS, **more}, body)
    (found,) = (op for op in kernel.walk() if isinstance(op, ops.GatherOp))
    return ExtentAnalysis(kernel), found


def proved(extents: ExtentAnalysis, op: ops.GatherOp) -> bool:
    return are_inside(extents, op.indices, extents.extent(op.source, 0))


@pytest.mark.parametrize(("moved", "wanted"), [(0, True), (1, False), (-1, False)])
def test_windows_lie_inside_and_those_moved_beyond_an_end_are_not_said_to(moved: int, wanted: bool) -> None:
    def body(add: Add, x: SSAValue, w: SSAValue) -> SSAValue:
        return add(build.gather(x, add(build.elementwise("add", [*counters(add, x, w, moved)]))))

    assert proved(*gathered(body)) == wanted


def test_nothing_is_said_of_positions_that_are_read() -> None:
    def body(add: Add, x: SSAValue, w: SSAValue, places: SSAValue) -> SSAValue:
        return add(build.gather(x, places))

    extents, op = gathered(body, places=array_type("i64", ("k",)))
    assert range_of(extents, op.indices) is None
    assert stride(op.indices, 0) is None
    assert not proved(extents, op)


def test_a_number_of_the_caller_is_not_taken_for_a_position() -> None:
    def body(add: Add, x: SSAValue, w: SSAValue, first: SSAValue) -> SSAValue:
        return add(build.gather(x, add(build.elementwise("add", [add(build.iota(first)), first]))))

    assert not proved(*gathered(body, first=i64))


@given(
    st.lists(st.sampled_from(["add", "sub", "back", "turn", "more"]), max_size=4),
    st.integers(2, 5),
    st.integers(1, 6),
)
def test_bounds_and_steps_of_sums_are_those_of_their_elements(steps: list[str], k: int, more: int) -> None:
    def body(add: Add, x: SSAValue, w: SSAValue) -> SSAValue:
        rows, columns = counters(add, x, w)
        value = add(build.elementwise("add", [rows, columns]))
        for step in steps:
            if step == "turn":
                value = add(build.transpose(value, [1, 0]))
            elif step == "more":
                value = add(build.elementwise("add", [value, add(build.constant(3, "i64"))]))
            elif step == "back":
                value = add(build.elementwise("sub", [add(build.constant(9, "i64")), value]))
            else:
                value = add(build.elementwise(step, [value, value]))
        return value

    kernel = make_kernel({"x": VECTOR, "w": WEIGHTS}, body)
    (value,) = kernel.returned
    arguments = [np.zeros(k + more, np.float32), np.zeros(k, np.float32)]
    (found,) = evaluate_kernel(kernel, arguments)
    for axis in range(2):
        assert set(np.diff(found, axis=axis).ravel()) == {stride(value, axis)}
    bounds = range_of(ExtentAnalysis(kernel), value)
    assert bounds is not None
    least, most = (sizer(bound)({}, arguments) for bound in bounds)
    assert least <= found.min()
    assert found.max() <= most
    if "sub" not in steps:  # of a value less itself only the operands' bounds are known
        assert (least, most) == (found.min(), found.max())


def test_windows_are_recomputed_where_they_are_used_and_others_are_stored() -> None:
    def body(add: Add, x: SSAValue, w: SSAValue, places: SSAValue) -> list[SSAValue]:
        seen = add(build.gather(x, add(build.elementwise("add", [*counters(add, x, w)]))))
        picked = add(build.gather(x, places))
        return [
            add(build.contract(seen, w)),
            add(build.contract(picked, add(build.transpose(picked, [1, 0])))),
        ]

    kernel = make_kernel({"x": VECTOR, "w": WEIGHTS, "places": array_type("i64", ("n", "k"))}, body)
    fuse_array(as_module(kernel))
    seen, picked = (op for op in kernel.walk() if isinstance(op, ops.GatherOp))
    assert "inline" in seen.properties
    assert "inline" not in picked.properties
