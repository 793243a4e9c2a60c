"""Products with a few columns, or rows, that the code knows, in every way that their operands may lie."""

import itertools
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import pytest
from xdsl.ir import SSAValue

import flowc
from flowc.compiler.backends.llvm import Options, compile_kernels
from flowc.dialects.array import build
from flowc.dialects.array.types import array_type
from flowc.runtime import processor
from flowc.runtime.kernels import Kernel, load
from flowc.testing.strategies.kernels import Add, array_of, as_module, make_kernel
from tests.backends.test_byte_dots import levels
from tests.kernels.guarded import contiguous, guarded

pytestmark = pytest.mark.usefixtures("unoptimised")

LEVELS = {f"{number}-{level.cpu}-{level.vector_bits}": level for number, level in enumerate(levels())}
HOST = next(iter(LEVELS))
FORMS = ("a @ b", "a @ b.T", "a.T @ b", "b @ a", "b @ a.T", "b.T @ a")
MANY, DEPTHS = (0, 1, 3, 5, 8, 13, 26), (0, 1, 15, 16, 17, 33, 130)


@cache
def product(form: str, narrow: int, dtype: str, level: str) -> Kernel:
    """A product of `a`, with extents that only the run knows, and of `b`, which is so narrow."""
    first, second = form.split(" @ ")
    wide = ("m", "k") if form in ("a @ b", "a @ b.T", "b @ a.T") else ("k", "m")
    thin = (narrow, "k") if form in ("a @ b.T", "b @ a", "b @ a.T") else ("k", narrow)

    def body(add: Add, a: SSAValue, b: SSAValue) -> SSAValue:
        operands = {"a": a, "b": b}

        def side(name: str) -> SSAValue:
            value = operands[name[0]]
            return add(build.transpose(value, [1, 0])) if name.endswith(".T") else value

        return add(build.contract(side(first), side(second)))

    types = {"a": array_type(dtype, wide), "b": array_type(dtype, thin)}
    options = Options(layouts=("contiguous",) * 2, cached=False, target=LEVELS[level])
    code = compile_kernels(as_module(make_kernel(types, body)), options)
    return load(code.object_code, code.signatures)["k"]


def check(form: str, narrow: int, dtype: str, level: str, extents: tuple[int, int], at_end: bool) -> None:
    """Compares with f64, in which these sums are exact, between pages that must not be read."""
    many, depth = extents
    wide = (many, depth) if form in ("a @ b", "a @ b.T", "b @ a.T") else (depth, many)
    thin = (narrow, depth) if form in ("a @ b.T", "b @ a", "b @ a.T") else (depth, narrow)
    arrays: dict[str, Any] = {"a": array_of(dtype, wide, many), "b": array_of(dtype, thin, depth)}
    exact = {name: value.astype(np.float64) for name, value in arrays.items()}
    exact |= {f"{name}.T": value.T for name, value in exact.items()}
    first, second = form.split(" @ ")
    given = [guarded(arrays[name], contiguous(2), at_end).array for name in "ab"]
    got = product(form, narrow, dtype, level)(*given)
    np.testing.assert_array_equal(got, exact[first] @ exact[second], err_msg=f"{form} {narrow} {extents}")


@pytest.mark.alike(3)
@pytest.mark.parametrize(
    ("form", "narrow"), [*itertools.product(FORMS, [3]), ("a @ b", 2), ("a @ b", 4), ("a.T @ b", 7)]
)
def test_a_narrow_product_is_exact_and_reads_nothing_beyond_its_operands(form: str, narrow: int) -> None:
    for number, (many, depth) in enumerate(itertools.product(MANY, DEPTHS)):
        check(form, narrow, "f32", HOST, (many, depth), number % 2 == 0)
    check(form, narrow, "f32", HOST, (9, 4500), True)


@pytest.mark.parametrize("level", list(LEVELS)[1:])
def test_a_narrow_product_is_exact_on_every_machine(level: str) -> None:
    for many, depth in itertools.product((1, 5, 13), (3, 17, 130)):
        check("a @ b", 3, "f64", level, (many, depth), True)


def test_what_is_not_a_number_stays_in_its_row_and_its_column() -> None:
    a, b = array_of("f32", (9, 40), 1), array_of("f32", (40, 3), 2)
    a[2, 3], b[5, 1] = np.nan, np.inf
    got = product("a @ b", 3, "f32", HOST)(a, b)
    with np.errstate(invalid="ignore"):
        wanted = a.astype(np.float64) @ b.astype(np.float64)
    np.testing.assert_array_equal(got, wanted.astype(np.float32))


@pytest.mark.skipif(not processor.host().has("avx512f"), reason="tells its vectors by their names")
def test_rows_that_meet_a_few_columns_are_multiplied_in_whole_vectors() -> None:
    types = {"a": array_type("f32", ("m", "k")), "b": array_type("f32", ("k", 2))}
    kernel = make_kernel(types, lambda add, a, b: add(build.contract(a, b)))
    options = Options(layouts=("contiguous",) * 2, cached=False, listing=True)
    code = compile_kernels(as_module(kernel), options)
    lines = [line for line in code.assembly.splitlines() if "vfmadd" in line]
    assert any("zmm" in line and "1to16" not in line for line in lines)
    assert not any("1to16" in line for line in lines)


def without_columns(x, w):
    return x @ np.swapaxes(w[..., :0, :], -1, -2)


def without_rows(x, w):
    return x[..., :0, :] @ np.swapaxes(w, -1, -2)


def without_depth(x, w):
    return x[..., :0] @ np.swapaxes(w[..., :0], -1, -2)


@pytest.mark.alike(2)
@pytest.mark.parametrize("function", [without_columns, without_rows, without_depth])
@pytest.mark.parametrize("stack", [(), (3,)])
def test_a_product_with_an_axis_that_is_known_to_be_empty_is_empty_or_zero(
    function: Callable[..., Any], stack: tuple[int, ...]
) -> None:
    arrays = array_of("f32", (*stack, 20, 9), 1), array_of("f32", (*stack, 4, 9), 2)
    np.testing.assert_array_equal(flowc.jit(function)(*arrays), function(*arrays))
