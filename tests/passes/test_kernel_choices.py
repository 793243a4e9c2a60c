"""Choices change how a kernel is computed, and nothing of what it computes."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st
from xdsl.dialects.builtin import DictionaryAttr, IntegerAttr, StringAttr, i64
from xdsl.ir import SSAValue

from flowc.compiler.backends.llvm import Options, compile_kernels
from flowc.dialects.array import build
from flowc.dialects.array.reference import evaluate_kernel
from flowc.dialects.array.types import array_type, dtype_of
from flowc.dialects.loops import ParallelOp
from flowc.passes.array_to_loops.kernel import lower_kernel
from flowc.passes.fuse_array import fuse_array
from flowc.passes.kernel_alternatives import NEAR, RECOMPUTE, STRIPS
from flowc.passes.kernel_choices import BOUNDS, CHOICES, DEFAULT, Choices, choices_of, choose
from flowc.passes.launches import launches
from flowc.passes.usual_sizes import sizes_of
from flowc.runtime.kernels import load
from flowc.testing.oracles.tolerance import assert_close
from flowc.testing.strategies.kernels import Add, array_of, as_module, make_kernel, programs
from tests.kernels.differential import QUICK, drawn, examples

MATRIX = array_type("f32", ("n", "m"))

choices = st.builds(
    Choices,
    recompute=st.sampled_from((*RECOMPUTE, DEFAULT.recompute)),
    strip=st.sampled_from((16, *STRIPS)),
    near=st.sampled_from((*NEAR, DEFAULT.near)),
    work=st.sampled_from((0, 100, 10_000)),
)


@examples(0.3)
@given(st.data())
def test_results_are_the_same_whatever_is_chosen(data: st.DataObject) -> None:
    program = data.draw(programs(special=data.draw(st.booleans())))
    choose(program.kernel, data.draw(choices))
    drawn(data, program, QUICK)


def centred(add: Add, x: SSAValue) -> Sequence[SSAValue]:
    """tanh(x) less the means of its columns, over their greatest distances from it."""
    t = add(build.elementwise("tanh", [x]))
    away = add(build.elementwise("sub", [t, add(build.reduce("mean", t, [0], True))]))
    far = add(build.reduce("max", add(build.elementwise("abs", [away])), [0], True))
    return [add(build.elementwise("div", [away, far]))]


def product(add: Add, a: SSAValue, b: SSAValue) -> Sequence[SSAValue]:
    """tanh(a @ b)."""
    return [add(build.elementwise("tanh", [add(build.contract(a, b))]))]


@pytest.mark.alike(2)
@pytest.mark.parametrize("chosen", [Choices(-1), Choices(64), Choices(strip=16), Choices(work=0)])
def test_columns_of_any_size_come_out_the_same(chosen: Choices) -> None:
    kernel = make_kernel({"x": MATRIX}, centred)
    choose(kernel, chosen)
    _agrees(kernel, *(([array_of("f32", shape, 3)]) for shape in ((3, 5), (70, 130), (300, 700))))


@pytest.mark.parametrize("near", [0, 1 << 24])
def test_products_come_out_the_same_packed_or_not(near: int) -> None:
    kernel = make_kernel({"a": array_type("f32", ("n", "k")), "b": array_type("f32", ("k", "m"))}, product)
    choose(kernel, Choices(near=near))
    shapes = ((5, 7, 3), (40, 90, 130), (130, 300, 70))
    _agrees(kernel, *([array_of("f32", (n, k), 1), array_of("f32", (k, m), 2)] for n, k, m in shapes))


def _agrees(kernel: Any, *calls: Sequence[Any]) -> None:
    code = compile_kernels(as_module(kernel), Options(level=1, cached=False))
    run = load(code.object_code, code.signatures)["k"]
    for arguments in calls:
        (wanted,) = evaluate_kernel(kernel, arguments)
        assert_close(run(*arguments), wanted, dtype_of(kernel.returned[0].type), 8)


@given(choices)
def test_choices_stand_on_the_kernel_and_are_read_again(chosen: Choices) -> None:
    kernel = make_kernel({"x": MATRIX}, centred)
    choose(kernel, chosen)
    assert choices_of(kernel) == chosen
    assert (CHOICES in kernel.attributes) == (chosen != DEFAULT)


@given(st.dictionaries(st.sampled_from([*BOUNDS, "colour"]), st.integers(-(2**62), 2**62)))
def test_numbers_that_no_kernel_can_have_are_brought_to_the_nearest(given_: dict[str, int]) -> None:
    kernel = make_kernel({"x": MATRIX}, centred)
    kernel.attributes[CHOICES] = DictionaryAttr({name: IntegerAttr(n, i64) for name, n in given_.items()})
    found = choices_of(kernel)
    for name, (least, most) in BOUNDS.items():
        assert getattr(found, name) == min(max(given_.get(name, getattr(DEFAULT, name)), least), most)


@pytest.mark.parametrize("said", [StringAttr("fast"), DictionaryAttr({"strip": StringAttr("wide")})])
def test_what_is_no_choice_says_nothing(said: Any) -> None:
    kernel = make_kernel({"x": MATRIX}, centred)
    kernel.attributes[CHOICES] = said
    assert choices_of(kernel) == DEFAULT


@pytest.mark.parametrize("percent", [50, 100, 300])
def test_the_work_that_loops_say_is_scaled_and_their_chunks_stay(percent: int) -> None:
    kernel = make_kernel({"x": MATRIX}, centred)
    fuse_array(as_module(kernel))
    sizes = sizes_of([(400, 3000)])
    usual, scaled = (
        launches(lower_kernel(_with(kernel, work), "k", 512, ("contiguous",))[0], sizes)
        for work in (100, percent)
    )
    assert usual
    assert [each.work for each in scaled] == [each.work * percent // 100 for each in usual]
    assert [each.chunks for each in scaled] == [each.chunks for each in usual]


def _with(kernel: Any, work: int) -> Any:
    copy = kernel.clone()
    choose(copy, evolve(DEFAULT, work=work))
    return copy


def test_launches_are_those_of_the_pool() -> None:
    """A vector is cut into as many chunks as its loop says, of which each is begun once."""
    kernel = make_kernel(
        {"x": array_type("f32", ("n",))}, lambda add, x: [add(build.elementwise("exp", [x]))]
    )
    function, _ = lower_kernel(kernel, "k", 512, ("contiguous",))
    assert any(isinstance(op, ParallelOp) for op in function.walk())
    few, many = (launches(function, sizes_of([(n,)])) for n in (1000, 10_000_000))
    assert [each.chunks for each in few] == [1]
    assert [each.times for each in many] == [1]
    assert 8 <= many[0].chunks <= 64
    assert many[0].work > 1000 * few[0].work
    assert np.isclose(many[0].work / few[0].work, 10_000, rtol=0.1)
