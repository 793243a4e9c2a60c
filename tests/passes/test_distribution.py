"""Loops that carry numbers are parted where functions need not wait for the round before."""

from typing import Any

import numpy as np
import pytest
from xdsl.context import Context
from xdsl.dialects import arith, builtin, func, math, memref, scf
from xdsl.dialects.builtin import ModuleOp
from xdsl.parser import Parser

import flowc
from flowc.passes.array_to_loops.distribution import part_loops

SIZES = (1, 2, 255, 256, 257, 700)


def parted(round_: str, step: int = 1) -> tuple[ModuleOp, list[list[str]]]:
    """A loop after the pass, and the functions in each of its innermost loops."""
    text = f"""
    func.func @f(%x: memref<?xf32>, %y: memref<?xf32>, %a: f32, %b: f32, %n: index) {{
      %zero = arith.constant 0 : index
      %one = arith.constant {step} : index
      %r, %t = scf.for %k = %zero to %n step %one iter_args(%c = %a, %d = %b) -> (f32, f32) {{
        %e = memref.load %x[%k] : memref<?xf32>
        {round_}
      }}
      func.return
    }}"""
    context = Context()
    for dialect in (builtin.Builtin, arith.Arith, func.Func, memref.MemRef, scf.Scf, math.Math):
        context.load_dialect(dialect)
    module = Parser(context, text).parse_module()
    part_loops([op for op in module.walk() if isinstance(op, scf.ForOp)])
    module.verify()
    loops = [op for op in module.walk() if isinstance(op, scf.ForOp)]
    inner = [op for op in loops if not any(isinstance(each, scf.ForOp) for each in op.body.walk())]
    return module, [[op.name for op in loop.body.walk() if op.dialect_name() == "math"] for loop in inner]


def test_what_is_carried_functions_of_it_and_what_needs_these_take_turns() -> None:
    _, found = parted(
        """%k2 = arith.maximumf %c, %e : f32
        %g = arith.subf %c, %k2 : f32
        %h = math.exp %g : f32
        %s = arith.mulf %d, %h : f32
        %s2 = arith.addf %s, %e : f32
        %l = math.log %s2 : f32
        memref.store %l, %y[%k] : memref<?xf32>
        scf.yield %k2, %s2 : f32, f32"""
    )
    assert found == [[], ["math.exp"], [], ["math.log"]]


@pytest.mark.parametrize(
    "round_",
    [
        "%g = math.exp %c : f32\n scf.yield %g, %d : f32, f32",
        "%g = arith.addf %c, %e : f32\n scf.yield %g, %d : f32, f32",
        "%g = math.sqrt %e : f32\n %h = arith.addf %c, %g : f32\n scf.yield %h, %d : f32, f32",
    ],
)
def test_a_loop_that_only_waits_is_left_alone(round_: str) -> None:
    _, found = parted(round_)
    assert len(found) == 1


def test_memory_that_is_read_and_written_keeps_its_order() -> None:
    round_ = """%p = memref.load %y[%k] : memref<?xf32>
        %g = math.exp %p : f32
        memref.store %g, %y[%zero] : memref<?xf32>
        %h = arith.addf %c, %g : f32
        scf.yield %h, %d : f32, f32"""
    _, found = parted(round_)
    assert len(found) == 1


def test_only_loops_that_count_by_one_are_parted() -> None:
    round_ = "%g = math.exp %e : f32\n %h = arith.addf %c, %g : f32\n scf.yield %h, %d : f32, f32"
    assert parted(round_)[1] == [[], ["math.exp"], []]
    assert parted(round_, 2)[1] == [["math.exp"]]


def log_sums(x):
    y = np.empty_like(x)
    top, total = x[0], x[0] * 0
    for i in range(len(x)):
        most = max(top, x[i])
        total = total * np.exp(top - most) + np.exp(x[i] - most)
        top = most
        y[i] = top + np.log(total)
    return y


def exchanged(x):
    y = np.empty_like(x)
    a, b, last = x[0], x[0] * 0, x[0]
    for i in range(len(x)):
        a, b = b, np.tanh(x[i]) - a
        y[i] = np.exp(-a * a) + last
        last = x[i]
    return y, a, b


def in_place(x):
    s, n = x[0] * 0, 0
    for i in range(1, len(x)):
        s = s * 0.5 + np.sin(x[i])
        n += i
        x[i] = np.cos(s) * n
    return s, n


def recalled(x):
    y = np.zeros_like(x)
    s = x[0]
    for i in range(len(x) - 2, -1, -1):
        s = 0.5 * s + np.exp(-x[i + 1])
        y[i] = np.tanh(y[i + 1]) * 0.5 + np.log1p(s)
    return y


def listed(results: Any) -> tuple[Any, ...]:
    return results if isinstance(results, tuple) else (results,)


@pytest.mark.alike(3)
@pytest.mark.parametrize("step", [log_sums, exchanged, in_place, recalled])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_parted_loops_give_what_numpy_gives(step: Any, dtype: Any) -> None:
    rng = np.random.default_rng(7)
    compiled = flowc.jit(step)
    bound = 2e-5 if dtype is np.float32 else 1e-12
    for size in SIZES:
        x = rng.standard_normal(size).astype(dtype)
        ours, theirs = x.copy(), x.copy()
        for have, want in zip(listed(compiled(ours)), listed(step(theirs)), strict=True):
            np.testing.assert_allclose(have, want, rtol=bound, atol=bound)
        np.testing.assert_allclose(ours, theirs, rtol=bound, atol=bound)


def test_an_infinite_number_is_carried_on() -> None:
    x = np.array([0, -np.inf, 2, np.inf, 1, np.nan, 0.0])
    with np.errstate(invalid="ignore"):
        np.testing.assert_allclose(flowc.jit(log_sums)(x), log_sums(x))
