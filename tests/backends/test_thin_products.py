"""Products that are not packed, for every kind of machine: few rows or columns, short and deep ones."""

import itertools
from functools import cache
from typing import Any

import numpy as np
import pytest
from xdsl.dialects.builtin import UnitAttr
from xdsl.ir import SSAValue

from flowc.compiler.backends.llvm import Options, compile_kernels
from flowc.dialects.array import build
from flowc.dialects.array.kernel import REPRODUCIBLE
from flowc.dialects.array.types import array_type
from flowc.passes.array_to_loops.contract import lower
from flowc.passes.array_to_loops.contract.direct import direct
from flowc.passes.array_to_loops.contract.product import Product
from flowc.passes.array_to_loops.contract.stacks import Finish
from flowc.passes.array_to_loops.elements import Lowering
from flowc.runtime.kernels import Kernel, load
from flowc.runtime.native import set_threads, threads
from flowc.testing.strategies.kernels import Add, array_of, as_module, make_kernel
from tests.backends.test_byte_dots import levels
from tests.kernels.guarded import contiguous, guarded

pytestmark = pytest.mark.usefixtures("unoptimised")

LEVELS = {f"{number}-{level.cpu}-{level.vector_bits}": level for number, level in enumerate(levels())}
FORMS = ("a @ b", "a @ b.T", "a.T @ b", "a @ x", "row @ b", "a.T @ row.T")
ROWS, COLUMNS, DEPTHS = (1, 5, 6, 13), (1, 3, 16, 17, 65, 130), (0, 1, 7, 8, 17, 130, 400)
DEEP = (4097, 9001)


@cache
def product(form: str, dtype: str, level: str, stacked: bool = False, flag: str = "") -> Kernel:
    """A product of `a` and `b`, which lie as the form says they do, in a kernel with a flag if any."""
    left, right = {
        "a @ b": (("m", "k"), ("k", "n")),
        "a @ b.T": (("m", "k"), ("n", "k")),
        "a.T @ b": (("k", "m"), ("k", "n")),
        "a @ x": (("m", "k"), ("k",)),
        "row @ b": ((1, "k"), ("k", "n")),
        "a.T @ row.T": (("k", "m"), (1, "k")),
    }[form]
    outer = ("s",) if stacked else ()
    order = [0, 2, 1] if stacked else [1, 0]

    def body(add: Add, a: SSAValue, b: SSAValue) -> SSAValue:
        a = add(build.transpose(a, order)) if form.startswith("a.T") else a
        b = add(build.transpose(b, order)) if form.endswith(".T") else b
        return add(build.contract(a, b))

    types = {"a": array_type(dtype, (*outer, *left)), "b": array_type(dtype, (*outer, *right))}
    options = Options(layouts=("contiguous",) * 2, cached=False, target=LEVELS[level])
    kernel = make_kernel(types, body)
    if flag:
        kernel.attributes[flag] = UnitAttr()
    code = compile_kernels(as_module(kernel), options)
    return load(code.object_code, code.signatures)["k"]


def operands(form: str, dtype: str, extents: tuple[int, int, int], stack: tuple[int, ...] = ()) -> Any:
    """The operands as they lie, next to the ends of pages that may be read, and their product."""
    m, k, n = extents
    m = 1 if form.startswith("row") else m
    n = 1 if form in ("a @ x", "a.T @ row.T") else n
    a, b = array_of(dtype, (*stack, m, k), m + 7 * k), array_of(dtype, (*stack, k, n), n + 3 * k)
    wanted = (a.astype(np.float64) @ b.astype(np.float64)).astype(a.dtype)
    a = a.swapaxes(-1, -2) if form.startswith("a.T") else a
    b = b.swapaxes(-1, -2) if form.endswith(".T") else b
    if form == "a @ x":
        b, wanted = b[..., 0], wanted[..., 0]
    ends = [guarded(each, contiguous(each.ndim), at_end).array for each in (a, b) for at_end in (True, False)]
    return list(itertools.product(ends[:2], ends[2:])), wanted


@pytest.mark.alike(9)
@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("form", FORMS)
def test_a_thin_product_is_exact_and_reads_nothing_beyond_its_operands(form: str, level: str) -> None:
    native = product(form, "f32", level)
    for number, (m, n) in enumerate(itertools.product(ROWS, COLUMNS)):
        extents = (m, DEPTHS[number % len(DEPTHS)], n)
        lying, wanted = operands(form, "f32", extents)
        for a, b in lying[:: 3 if number % 2 else 1]:
            np.testing.assert_array_equal(native(a, b), wanted, err_msg=f"{form} {extents}")


@pytest.mark.alike(2)
@pytest.mark.parametrize("dtype", ["f32", "f64", "i32"])
@pytest.mark.parametrize("form", ["a @ b", "a @ b.T", "a.T @ b"])
def test_a_deep_product_is_the_sum_of_its_parts(form: str, dtype: str) -> None:
    native = product(form, dtype, next(iter(LEVELS)))
    for number, (m, n) in enumerate([(1, 1), (5, 3), (16, 16), (7, 200), (70, 9)]):
        k = DEEP[number % len(DEEP)]
        lying, wanted = operands(form, dtype, (m, k, n))
        np.testing.assert_array_equal(native(*lying[0]), wanted, err_msg=f"{m} x {k} x {n}")


@pytest.mark.parametrize("form", ["a @ b", "a @ b.T", "a.T @ b"])
def test_a_stack_of_small_products_is_exact(form: str) -> None:
    native = product(form, "f64", next(iter(LEVELS)), stacked=True)
    for extents in [(4, 4, 4), (8, 8, 8), (3, 0, 5), (16, 16, 33), (5, 200, 3), (70, 130, 66)]:
        lying, wanted = operands(form, "f64", extents, (3,))
        np.testing.assert_array_equal(native(*lying[0]), wanted, err_msg=f"{extents}")


def test_many_rows_that_meet_their_columns_in_groups_are_exact() -> None:
    native = product("a @ b.T", "f32", next(iter(LEVELS)))
    for m, k, n in [(1003, 300, 9), (9, 300, 1003), (217, 301, 5)]:
        lying, wanted = operands("a @ b.T", "f32", (m, k, n))
        np.testing.assert_array_equal(native(*lying[0]), wanted, err_msg=f"{m} x {k} x {n}")


def test_short_rows_of_a_large_matrix_times_a_vector_are_exact() -> None:
    native = product("a @ x", "f32", next(iter(LEVELS)))
    for k in (3, 9, 12):
        lying, wanted = operands("a @ x", "f32", (100_001, k, 1))
        np.testing.assert_array_equal(native(*lying[0]), wanted)


@pytest.mark.parametrize("form", ["a @ b", "a @ b.T", "a @ x"])
def test_what_is_not_a_number_stays_in_its_row(form: str) -> None:
    native = product(form, "f32", next(iter(LEVELS)))
    for k in (7, 200):
        ((a, b), *_), _ = operands(form, "f32", (9, k, 5))
        a[2, 3], a[4, 1] = np.nan, np.inf
        got = native(a, b)
        with np.errstate(invalid="ignore"):
            wanted = a.astype(np.float64) @ (b.T if form.endswith(".T") else b).astype(np.float64)
        np.testing.assert_array_equal(got, wanted.astype(np.float32))


def everything_is_far(monkeypatch: pytest.MonkeyPatch) -> None:
    """Has matrices of any size count as those that no cache of a core holds."""
    monkeypatch.setattr(lower, "FAR", 0)
    monkeypatch.setattr(lower, "SHALLOW", -1)


def all_ones(s: Lowering, p: Product, finish: Finish) -> None:
    """In the place of a way to compute a product that is not the one to be chosen."""
    direct(s, p, lambda value, at: finish(s.b.constant(1, value.type), at))


@pytest.mark.alike(5)
@pytest.mark.parametrize("dtype", ["f32", "f64", "i32"])
@pytest.mark.parametrize("level", LEVELS)
def test_a_large_matrix_that_few_rows_meet_is_read_as_it_lies(
    dtype: str, level: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    everything_is_far(monkeypatch)
    for other in ("direct", "blocked"):
        monkeypatch.setattr(lower, other, all_ones)
    native = product.__wrapped__("a @ b", dtype, level)
    for m, k, n in itertools.product((1, 5, 6, 11), (1, 7, 33, 300), (64, 65, 200)):
        lying, wanted = operands("a @ b", dtype, (m, k, n))
        for a, b in lying[::3]:
            np.testing.assert_array_equal(native(a, b), wanted, err_msg=f"{m} x {k} x {n}")
    lying, wanted = operands("a @ b", dtype, (3, 8200, 70))
    np.testing.assert_array_equal(native(*lying[0]), wanted)


def test_reproducible_sums_of_a_large_matrix_have_the_same_bits_on_any_machine_and_threads(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    everything_is_far(monkeypatch)
    for other in ("direct", "blocked"):
        monkeypatch.setattr(lower, other, all_ones)
    rng = np.random.default_rng(0)
    cases = [
        (rng.standard_normal((m, k), np.float32), rng.standard_normal((k, n), np.float32))
        for m, k, n in [(5, 33, 65), (3, 2100, 200), (7, 8200, 130)]
    ]
    before, found = threads(), []
    try:
        for level in LEVELS:
            native = product.__wrapped__("a @ b", "f32", level, flag=REPRODUCIBLE)
            for number in (1, 2):
                set_threads(number)
                found.append([native(a, b).tobytes() for a, b in cases])
    finally:
        set_threads(before)
    assert all(each == found[0] for each in found)
    for (a, b), made in zip(cases, found[0], strict=True):
        wanted = a.astype(np.float64) @ b.astype(np.float64)
        np.testing.assert_allclose(np.frombuffer(made, np.float32).reshape(wanted.shape), wanted, atol=2e-3)
