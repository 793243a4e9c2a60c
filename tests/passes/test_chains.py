"""In a recurrence the product that waits for the round before is fused with the sum."""

from typing import Any

import numpy as np
import pytest
from xdsl.context import Context
from xdsl.dialects import arith, builtin, func, math, memref, scf
from xdsl.ir import SSAValue
from xdsl.parser import Parser

import flowc
from flowc.passes.array_to_loops.chains import fuse_chains

ROUND = """
func.func @f(%a: f32, %b: f32, %x: memref<?xf32>, %y: memref<?xf32>, %s: f32, %i: index, %n: index) {{
  %r = scf.for %k = %i to %n step %i iter_args(%c = %s) -> (f32) {{
    %e = memref.load %x[%k] : memref<?xf32>
    %j = arith.subi %k, %i : index
    %m = memref.load %y[%j] : memref<?xf32>
    %p = arith.mulf %a, %e {flag} : f32
    %q = arith.mulf %b, %{late} {flag} : f32
    %t = {sum} {flag} : f32
    memref.store %t, %y[%k] : memref<?xf32>
    scf.yield %t : f32
  }}
  func.return
}}
"""
CONTRACT = "fastmath<contract>"


def fused(late: str, total: str, flag: str = CONTRACT) -> list[math.FmaOp]:
    """The fused operations of a loop after the pass."""
    context = Context()
    for dialect in (builtin.Builtin, arith.Arith, func.Func, memref.MemRef, scf.Scf, math.Math):
        context.load_dialect(dialect)
    module = Parser(context, ROUND.format(late=late, sum=total, flag=flag)).parse_module()
    (function,) = module.ops
    assert isinstance(function, func.FuncOp)
    fuse_chains(function)
    module.verify()
    return [op for op in module.walk() if isinstance(op, math.FmaOp)]


def is_product_of_first(value: SSAValue) -> bool:
    op = value.owner.operands[0].owner if isinstance(value.owner, arith.NegfOp) else value.owner
    return isinstance(op, arith.MulfOp) and op.lhs.name_hint == "a"


@pytest.mark.parametrize("late", ["c", "m"])
@pytest.mark.parametrize(
    "total", ["arith.addf %p, %q", "arith.addf %q, %p", "arith.subf %p, %q", "arith.subf %q, %p"]
)
def test_the_later_product_is_fused_whichever_comes_first(late: str, total: str) -> None:
    (op,) = fused(late, total)
    assert op.b.name_hint == late
    assert is_product_of_first(op.c)
    negated = [isinstance(value.owner, arith.NegfOp) for value in (op.a, op.c)]
    assert negated == ["subf %p" in total, "subf %q" in total]


def test_a_sum_without_a_chain_is_left_to_the_compiler() -> None:
    assert not fused("e", "arith.addf %p, %q")


def test_what_is_not_to_be_contracted_is_not() -> None:
    assert not fused("c", "arith.addf %p, %q", "")


def smoothed(x, a, b):
    y = np.empty_like(x)
    y[0] = x[0]
    for i in range(1, x.shape[0]):
        y[i] = a * x[i] + b * y[i - 1]
    return y


def filtered(x, a, b):
    y = np.empty_like(x)
    kept = x[0] * 0
    for i in range(x.shape[0]):
        out = a * x[i] + kept
        kept = a * x[i] - b * out
        y[i] = b * out - a * kept
    return y


def taken_away(x, a, b):
    y = np.empty_like(x)
    last = x[0]
    for i in range(x.shape[0]):
        last = b * last - a * x[i]
        y[i] = last
    return y


@pytest.mark.parametrize("step", [smoothed, filtered, taken_away])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_recurrences_are_those_of_numpy(step: Any, dtype: Any) -> None:
    x = np.random.default_rng(4).standard_normal(200).astype(dtype)
    a, b = dtype(0.3), dtype(0.7)
    bound = 1e-5 if dtype is np.float32 else 1e-13
    np.testing.assert_allclose(flowc.jit(step)(x, a, b), step(x, a, b), rtol=bound, atol=bound)
    np.testing.assert_array_equal(flowc.jit(step, precise=True)(x, a, b), step(x, a, b))
    special = np.array([1, np.inf, 2, np.nan, 3], dtype)
    with np.errstate(invalid="ignore"):
        np.testing.assert_allclose(flowc.jit(step)(special, a, b), step(special, a, b), rtol=bound)
