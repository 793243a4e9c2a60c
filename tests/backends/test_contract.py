"""Products, compiled, against NumPy: every role at the edges of every tile, every dtype and layout."""

import itertools
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import pytest
from xdsl.ir import SSAValue

from flowc.compiler.backends.llvm import Options, compile_kernels
from flowc.dialects.array import build
from flowc.dialects.array.reference import evaluate_kernel
from flowc.dialects.array.types import array_type
from flowc.runtime.kernels import Kernel, load
from flowc.testing.oracles.tolerance import assert_close
from flowc.testing.strategies.kernels import DTYPES, Add, array_of, as_module, make_kernel, strided

pytestmark = pytest.mark.usefixtures("unoptimised")

EDGES = (0, 1, 2, 5, 6, 7, 48, 63, 64, 65, 97, 130)
DEPTHS = (0, 1, 4, 97, 257)
FORMS: dict[str, Callable[[Add, SSAValue, SSAValue], SSAValue]] = {
    "a @ b": lambda add, a, b: add(build.contract(a, b)),
    "a @ b.T": lambda add, a, b: add(build.contract(a, add(build.transpose(b)))),
    "a.T @ b": lambda add, a, b: add(build.contract(add(build.transpose(a)), b)),
}
SHAPES = {
    "a @ b": (("m", "k"), ("k", "n")),
    "a @ b.T": (("m", "k"), ("n", "k")),
    "a.T @ b": (("k", "m"), ("k", "n")),
}


@cache
def product(form: str, dtype: str, layouts: tuple[str, ...] | None = ("contiguous", "contiguous")) -> Kernel:
    types = {name: array_type(dtype, dims) for name, dims in zip("ab", SHAPES[form], strict=True)}
    kernel = make_kernel(types, FORMS[form])
    code = compile_kernels(as_module(kernel), Options(layouts=layouts, cached=False))
    return load(code.object_code, code.signatures)["k"]


def operands(form: str, dtype: str, m: int, k: int, n: int) -> tuple[Any, Any, Any]:
    """Both operands, and their product in exact arithmetic."""
    a, b = array_of(dtype, (m, k), m + 7 * k), array_of(dtype, (k, n), n + 3 * k)
    wide = np.float64 if dtype in ("f64", "f32", "f16", "bf16") else a.dtype
    wanted = (a.astype(wide) @ b.astype(wide)).astype(a.dtype)
    a = np.ascontiguousarray(a.T) if form.startswith("a.T") else a
    b = np.ascontiguousarray(b.T) if form.endswith("b.T") else b
    return a, b, wanted


@pytest.mark.parametrize("form", FORMS)
def test_a_product_is_exact_at_the_edges_of_every_tile(form: str) -> None:
    native = product(form, "f32")
    for position, (m, n) in enumerate(itertools.product(EDGES, EDGES)):
        k = DEPTHS[position % len(DEPTHS)]
        a, b, wanted = operands(form, "f32", m, k, n)
        np.testing.assert_array_equal(native(a, b), wanted, err_msg=f"{m} x {k} x {n}")


@pytest.mark.alike(3)
@pytest.mark.parametrize("dtype", [dtype for dtype in DTYPES if dtype != "f32"])
def test_a_product_has_every_dtype(dtype: str) -> None:
    native = product("a @ b", dtype)
    for m, k, n in [(1, 9, 1), (7, 0, 9), (3, 40, 70), (65, 257, 33), (50, 3, 130), (13, 30, 5)]:
        a, b, wanted = operands("a @ b", dtype, m, k, n)
        assert_close(native(a, b), wanted, dtype)


@pytest.mark.parametrize("layout", [0, 1, 2, 3])
def test_operands_may_lie_in_any_way(layout: int) -> None:
    native = product("a @ b", "f64", None)
    for m, k, n in [(1, 5, 1), (2, 30, 70), (65, 97, 33), (7, 300, 9)]:
        a, b, wanted = operands("a @ b", "f64", m, k, n)
        np.testing.assert_array_equal(native(strided(a, layout), strided(b, 3 - layout)), wanted)


@pytest.mark.alike(3)
@pytest.mark.parametrize(
    ("left", "right"),
    [
        ((9,), (9,)),
        ((37, 91), (91,)),
        ((91,), (91, 600)),
        ((3, 5, 17, 40), (40, 9)),
        ((3, 1, 17, 40), (5, 40, 70)),
        ((6, 4, 4), (6, 4, 4)),
        ((0, 4, 4), (0, 4, 4)),
        ((2, 3, 300), (2, 300, 2)),
    ],
)
@pytest.mark.parametrize("known", [True, False])
def test_vectors_and_stacks_multiply_as_numpy_does(
    left: tuple[int, ...], right: tuple[int, ...], known: bool
) -> None:
    a, b = array_of("f32", left, 1), array_of("f32", right, 2)
    names = [f"d{axis}" if extent != 1 else 1 for axis, extent in enumerate(reversed(left))]
    others = [f"e{axis}" if extent != 1 else 1 for axis, extent in enumerate(reversed(right))]
    others[min(1, len(right) - 1)] = names[0]
    for axis in range(2, min(len(left), len(right))):
        others[axis] = names[axis] if names[axis] != 1 else others[axis]
    dims = (left, right) if known else (tuple(reversed(names)), tuple(reversed(others)))
    types = {name: array_type("f32", each) for name, each in zip("ab", dims, strict=True)}
    kernel = make_kernel(types, FORMS["a @ b"])
    code = compile_kernels(as_module(kernel), Options(level=0, cached=False))
    got = load(code.object_code, code.signatures)["k"](a, b)
    assert_close(got, a @ b, "f32")


def test_a_product_whose_operands_are_computed_is_that_of_the_values() -> None:
    types = {"a": array_type("i8", ("m", "k")), "b": array_type("i8", ("n", "k"))}

    def body(add: Add, a: SSAValue, b: SSAValue) -> list[SSAValue]:
        left = add(build.cast(a, "i32"))
        right = add(build.transpose(add(build.cast(b, "i32"))))
        row = add(build.index(b, add(build.constant(0, "i64"))))
        return [
            add(build.contract(left, right)),
            add(build.contract(left, add(build.cast(row, "i32")))),
        ]

    kernel = make_kernel(types, body)
    code = compile_kernels(as_module(kernel), Options(cached=False))
    native = load(code.object_code, code.signatures)["k"]
    rng = np.random.default_rng(0)
    for m, k, n in [(1, 1, 1), (70, 385, 9), (5, 64, 130)]:
        a, b = (rng.integers(-128, 128, shape, np.int8) for shape in ((m, k), (n, k)))
        matrix, vector = native(a, b)
        np.testing.assert_array_equal(matrix, a.astype(np.int32) @ b.T.astype(np.int32))
        np.testing.assert_array_equal(vector, a.astype(np.int32) @ b[0].astype(np.int32))


@pytest.mark.parametrize("known", [True, False])
def test_what_follows_a_product_element_by_element_is_applied_to_its_tiles(known: bool) -> None:
    m, k, n = 50, 70, 33
    dims: Any = (m, k, n) if known else ("m", "k", "n")
    types = {
        "a": array_type("f32", dims[:2]),
        "b": array_type("f32", dims[1:]),
        "bias": array_type("f32", dims[2:]),
        "residual": array_type("f32", (dims[0], dims[2])),
    }

    def body(add: Add, a: SSAValue, b: SSAValue, bias: SSAValue, residual: SSAValue) -> SSAValue:
        moved = add(build.elementwise("add", [add(build.contract(a, b)), bias]))
        positive = add(build.elementwise("maximum", [moved, add(build.constant(0.0, "f32"))]))
        return add(build.elementwise("add", [positive, residual]))

    kernel = make_kernel(types, body)
    arguments = [array_of("f32", shape, 3) for shape in ((m, k), (k, n), (n,), (m, n))]
    wanted = evaluate_kernel(kernel, arguments)[0]
    code = compile_kernels(as_module(kernel), Options(cached=False))
    np.testing.assert_array_equal(load(code.object_code, code.signatures)["k"](*arguments), wanted)


def test_infinities_and_nan_pass_through_a_product() -> None:
    a = np.ones((9, 70), np.float32)
    a[1, 3], a[2, 4], a[3, 5] = np.nan, np.inf, -np.inf
    b = np.ones((70, 10), np.float32)
    got = product("a @ b", "f32")(a, b)
    np.testing.assert_array_equal(got, a @ b)


@pytest.mark.parametrize("form", FORMS)
def test_a_deep_product_is_exact_part_after_part(form: str) -> None:
    native = product(form, "f32")
    for m, k, n in [
        (5, 2048, 9),
        (5, 2049, 9),
        (60, 4100, 70),
        (775, 2100, 33),
        (7, 6200, 600),
        (0, 3000, 9),
    ]:
        a, b, wanted = operands(form, "f32", m, k, n)
        np.testing.assert_array_equal(native(a, b), wanted, err_msg=f"{m} x {k} x {n}")


@pytest.mark.parametrize("form", FORMS)
def test_a_product_of_one_panel_or_two_is_exact_where_a_block_of_steps_ends(form: str) -> None:
    native = product(form, "f32")
    for k, n in itertools.product((127, 128, 129, 1023, 1024, 1025, 1170), (33, 64, 65)):
        a, b, wanted = operands(form, "f32", 50, k, n)
        np.testing.assert_array_equal(native(a, b), wanted, err_msg=f"{k} x {n}")


@pytest.mark.alike(2)
@pytest.mark.parametrize(
    ("rank", "shapes"),
    [(3, [(3, 5, 7), (1, 1, 5), (0, 3, 5), (4, 0, 3), (2, 50, 64)]), (4, [(2, 3, 4, 9)])],
)
@pytest.mark.parametrize("dtype", ["f32", "i32", "bf16"])
def test_a_dense_stack_times_a_matrix_is_that_of_its_rows(
    rank: int, shapes: list[tuple[int, ...]], dtype: str
) -> None:
    dims = tuple(f"d{axis}" for axis in range(rank - 1))
    types = {"a": array_type(dtype, (*dims, "k")), "b": array_type(dtype, ("k", "n"))}

    def body(add: Add, a: SSAValue, b: SSAValue) -> SSAValue:
        return add(build.elementwise("maximum", [add(build.contract(a, b)), add(build.constant(0, dtype))]))

    kernel = make_kernel(types, body)
    code = compile_kernels(as_module(kernel), Options(cached=False))
    native = load(code.object_code, code.signatures)["k"]
    for shape in shapes:
        a, b = array_of(dtype, shape, 1), array_of(dtype, (shape[-1], 33), 2)
        assert_close(native(a, b), evaluate_kernel(kernel, [a, b])[0], dtype)
