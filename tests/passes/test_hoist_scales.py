"""hoist-scales: what is moved behind a product, what stays, and that the value stays."""

from collections.abc import Callable

import numpy as np
import pytest
from xdsl.dialects.builtin import UnitAttr
from xdsl.ir import SSAValue

from flowc.dialects.array import KernelOp, build, ops
from flowc.dialects.array.reference import evaluate_kernel
from flowc.dialects.array.types import array_type
from flowc.passes.hoist_scales import hoist_scales
from flowc.testing.strategies.kernels import Add, array_of, as_module, make_kernel

Body = Callable[[Add, SSAValue, SSAValue], SSAValue]


def _norms(add: Add, x: SSAValue) -> SSAValue:
    return add(build.reduce("sum", add(build.elementwise("abs", [x])), [1], True))


def _unit(add: Add, x: SSAValue) -> SSAValue:
    return add(build.elementwise("div", [x, _norms(add, x)]))


def _cosine(add: Add, q: SSAValue, r: SSAValue) -> SSAValue:
    return add(build.contract(_unit(add, q), add(build.transpose(_unit(add, r)))))


def _scaled_left(add: Add, q: SSAValue, r: SSAValue) -> SSAValue:
    scaled = add(build.elementwise("mul", [_norms(add, q), q]))
    return add(build.contract(scaled, add(build.transpose(r))))


def _scaled_along_the_contraction(add: Add, q: SSAValue, r: SSAValue) -> SSAValue:
    scale = add(build.reduce("sum", q, [0], True))
    return add(build.contract(add(build.elementwise("mul", [q, scale])), add(build.transpose(r))))


def _stretched_by_its_scale(add: Add, q: SSAValue, r: SSAValue) -> SSAValue:
    row = add(build.reduce("sum", q, [0], True))
    scaled = add(build.elementwise("mul", [row, _norms(add, q)]))
    return add(build.contract(scaled, add(build.transpose(r))))


def _used_twice(add: Add, q: SSAValue, r: SSAValue) -> SSAValue:
    unit = _unit(add, q)
    return add(build.contract(unit, add(build.transpose(unit))))


def kernel_of(body: Body) -> KernelOp:
    types = {"q": array_type("f64", ("m", "k")), "r": array_type("f64", ("n", "k"))}
    return make_kernel(types, body)


@pytest.mark.parametrize(
    ("body", "moved"),
    [
        (_cosine, 2),
        (_scaled_left, 1),
        (_scaled_along_the_contraction, 0),
        (_stretched_by_its_scale, 0),
        (_used_twice, 0),
    ],
)
def test_a_scale_moves_behind_the_product_where_it_is_constant_along_the_contraction(
    body: Body, moved: int
) -> None:
    kernel = kernel_of(body)
    arguments = [array_of("f64", shape, 1) + 3 for shape in ((5, 7), (4, 7))]
    before = evaluate_kernel(kernel, arguments)[0]
    module = as_module(kernel)
    assert hoist_scales(module) == moved
    module.verify()
    np.testing.assert_allclose(evaluate_kernel(kernel, arguments)[0], before, rtol=1e-13)


def test_operands_are_then_read_as_they_lie() -> None:
    kernel = kernel_of(_cosine)
    hoist_scales(as_module(kernel))
    (product,) = (op for op in kernel.body.block.ops if isinstance(op, ops.ContractOp))
    assert product.left is kernel.body.block.args[0]
    assert isinstance(product.right.owner, ops.TransposeOp)
    assert product.right.owner.source is kernel.body.block.args[1]


def test_the_written_order_is_kept_where_it_is_asked_for() -> None:
    kernel = kernel_of(_cosine)
    kernel.attributes["array.precise"] = UnitAttr()
    assert hoist_scales(as_module(kernel)) == 0
