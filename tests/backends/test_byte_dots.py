"""Dot products of signed bytes, compiled for every kind of machine, against NumPy."""

from typing import Any

import numpy as np
import pytest
from attrs import evolve
from xdsl.ir import SSAValue

from flowc.compiler.backends.llvm import Options, compile_kernels
from flowc.dialects.array import build
from flowc.dialects.array.types import array_type
from flowc.runtime import processor
from flowc.runtime.kernels import load
from flowc.testing.strategies.kernels import Add, as_module, make_kernel
from tests.kernels.guarded import contiguous, guarded

pytestmark = pytest.mark.usefixtures("unoptimised")

LENGTHS = (0, 1, 15, 16, 17, 63, 64, 65, 127, 128, 129, 200, 384, 401)


def _product(dtype: str) -> Any:
    types = {"rows": array_type("i8", ("n", "k")), "one": array_type("i8", ("k",))}

    def body(add: Add, rows: SSAValue, one: SSAValue) -> SSAValue:
        return add(build.contract(add(build.cast(rows, dtype)), add(build.cast(one, dtype))))

    return make_kernel(types, body)


def _sum(dtype: str) -> Any:
    types = {"rows": array_type("i8", ("n", "k")), "one": array_type("i8", ("k",))}

    def body(add: Add, rows: SSAValue, one: SSAValue) -> SSAValue:
        wide = [add(build.cast(rows, "i32")), add(build.cast(one, "i32"))]
        total = add(build.reduce("sum", add(build.elementwise("mul", wide)), [1]))
        return total if dtype == "i64" else add(build.cast(total, dtype))

    return make_kernel(types, body)


def _numbers(n: int, k: int) -> tuple[Any, Any]:
    rng = np.random.default_rng(k)
    rows, one = rng.integers(-128, 128, (n, k), np.int8), rng.integers(-128, 128, k, np.int8)
    rows[: n // 2], one[: k // 2] = -128, -128
    return rows, one


def levels() -> list[processor.Processor]:
    """This machine with all it can do, without byte products, and the portable levels that it can run."""
    host = processor.host()
    plain = host.features.replace("+avx512vnni", "-avx512vnni").replace("+avxvnni", "-avxvnni")
    portable = [target for name, target in processor.portable().items() if processor.runs(name)]
    narrow = evolve(host, vector_bits=min(host.vector_bits, 256))
    return [host, narrow, evolve(host, cpu="x86-64-v2", features=plain), *portable]


@pytest.mark.parametrize("kernel", [_product, _sum])
@pytest.mark.parametrize("dtype", ["i32", "i64"])
def test_products_of_bytes_are_exact_at_every_length(kernel: Any, dtype: str) -> None:
    code = compile_kernels(as_module(kernel(dtype)), Options(cached=False))
    native = load(code.object_code, code.signatures)["k"]
    for k in LENGTHS:
        rows, one = _numbers(5, k)
        wanted = rows.astype(dtype.replace("i", "int")) @ one.astype(dtype.replace("i", "int"))
        np.testing.assert_array_equal(native(rows, one), wanted)
        reversed_ = np.ascontiguousarray(rows[:, ::-1])[:, ::-1]
        np.testing.assert_array_equal(native(reversed_, one), wanted)


def test_few_and_many_rows_of_bytes_meet_exactly() -> None:
    types = {"rows": array_type("i8", ("n", "k")), "others": array_type("i8", ("m", "k"))}

    def body(add: Add, rows: SSAValue, others: SSAValue) -> SSAValue:
        wide = add(build.cast(rows, "i32"))
        return add(build.contract(wide, add(build.transpose(add(build.cast(others, "i32"))))))

    code = compile_kernels(as_module(make_kernel(types, body)), Options(cached=False))
    native = load(code.object_code, code.signatures)["k"]
    for m in (1, 3, 4, 55, 56, 70):
        for k in (1, 130):
            rows, others = _numbers(90, k)[0], _numbers(m, k)[0]
            wanted = rows.astype(np.int32) @ others.astype(np.int32).T
            np.testing.assert_array_equal(native(rows, others), wanted)
            np.testing.assert_array_equal(native(others, rows), wanted.T)


@pytest.mark.parametrize("target", levels(), ids=lambda target: f"{target.cpu}-{target.vector_bits}")
def test_every_kind_of_machine_gives_the_same_products(target: processor.Processor) -> None:
    layouts = ("contiguous", "contiguous")
    code = compile_kernels(as_module(_product("i32")), Options(cached=False, target=target, layouts=layouts))
    native = load(code.object_code, code.signatures)["k"]
    for k in (1, 40, 200, 401):
        rows, one = _numbers(4, k)
        np.testing.assert_array_equal(native(rows, one), rows.astype(np.int32) @ one.astype(np.int32))


def test_a_sum_of_64_bits_outgrows_32() -> None:
    code = compile_kernels(as_module(_sum("i64")), Options(cached=False))
    native = load(code.object_code, code.signatures)["k"]
    rows, one = np.full((2, 200_000), -128, np.int8), np.full(200_000, -128, np.int8)
    assert native(rows, one).tolist() == [128 * 128 * 200_000] * 2


def test_a_machine_with_byte_products_uses_them() -> None:
    host = processor.host()
    options = Options(cached=False, listing=True, layouts=("contiguous", "contiguous"))
    code = compile_kernels(as_module(_sum("i32")), options)
    assert ("vpdpbusd" in code.assembly) == ("+avx512vnni" in host.features or "+avxvnni" in host.features)


def _matrices(form: str) -> Any:
    turned = form.endswith(".T")
    types = {"a": array_type("i8", ("m", "k")), "b": array_type("i8", ("n", "k") if turned else ("k", "n"))}

    def body(add: Add, a: SSAValue, b: SSAValue) -> SSAValue:
        a, b = add(build.cast(a, "i32")), add(build.cast(b, "i32"))
        return add(build.contract(a, add(build.transpose(b, [1, 0])) if turned else b))

    return make_kernel(types, body)


@pytest.mark.alike(2)
@pytest.mark.parametrize(
    ("form", "target"), [("a @ b", processor.host()), *(("a @ b.T", target) for target in levels())]
)
def test_products_of_matrices_of_bytes_are_exact(form: str, target: processor.Processor) -> None:
    options = Options(cached=False, target=target, layouts=("contiguous",) * 2)
    code = compile_kernels(as_module(_matrices(form)), options)
    native = load(code.object_code, code.signatures)["k"]
    for m, k, n in [(16, 0, 16), (17, 1, 70), (70, 3, 17), (50, 66, 64), (100, 401, 130), (20, 8209, 20)]:
        rng = np.random.default_rng(k)
        a, b = (rng.integers(-128, 128, shape, np.int8) for shape in ((m, k), (k, n)))
        a[: m // 2], b[:, : n // 2] = -128, -128
        turned = np.ascontiguousarray(b.T) if form.endswith(".T") else b
        ends = [guarded(each, contiguous(2), at_end).array for each, at_end in ((a, True), (turned, True))]
        np.testing.assert_array_equal(native(*ends), a.astype(np.int32) @ b.astype(np.int32))


def test_matrices_of_bytes_are_multiplied_by_the_instruction_for_them() -> None:
    host = processor.host()
    options = Options(cached=False, listing=True, layouts=("contiguous",) * 2)
    code = compile_kernels(as_module(_matrices("a @ b")), options)
    assert ("vpdpbusd" in code.assembly) == ("+avx512vnni" in host.features or "+avxvnni" in host.features)
