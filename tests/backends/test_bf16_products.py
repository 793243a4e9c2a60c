"""Products of bf16: those of a processor with VDPBF16PS have the bits of fused operations of f32."""

from collections.abc import Callable
from functools import cache
from typing import Any

import ml_dtypes
import numpy as np
import pytest
from attrs import evolve
from xdsl.dialects.builtin import UnitAttr
from xdsl.ir import SSAValue

from flowc.compiler.backends.llvm import KernelObject, Options, compile_kernels
from flowc.dialects.array import build
from flowc.dialects.array.kernel import PRECISE, REPRODUCIBLE
from flowc.dialects.array.types import array_type
from flowc.runtime import processor
from flowc.runtime.kernels import Kernel, load
from flowc.runtime.processor import BF16_DOTS, Processor
from flowc.testing.strategies.kernels import Add, as_module, make_kernel
from tests.kernels.children import in_child
from tests.kernels.guarded import contiguous, guarded

pytestmark = pytest.mark.usefixtures("unoptimised")

HOST = processor.host()
PLAIN = evolve(HOST, features=HOST.features.replace(f"+{BF16_DOTS}", f"-{BF16_DOTS}"))
FORMS: dict[str, tuple[bool, bool]] = {
    "a @ b": (False, False),
    "a @ b.T": (False, True),
    "a.T @ b": (True, False),
}
SHAPES = ((7, 1, 9), (12, 2, 64), (13, 3, 65), (49, 257, 70), (50, 511, 129), (60, 4099, 40), (10, 0, 10))
needs_dots = pytest.mark.skipif(not HOST.has(BF16_DOTS), reason="this processor has no VDPBF16PS")


@cache
def compiled(
    form: str, dtype: str, target: Processor = HOST, flag: str = "", last: str = "", listing: bool = False
) -> tuple[Kernel, KernelObject]:
    """A product whose sums are of a dtype, and what gives it."""
    swaps = FORMS[form]
    dims = [axes[::-1] if swap else axes for axes, swap in zip((("m", "k"), ("k", "n")), swaps, strict=True)]
    types = {name: array_type("bf16", axes) for name, axes in zip("ab", dims, strict=True)}

    def body(add: Add, *values: SSAValue) -> SSAValue:
        wide = [value if dtype == "bf16" else add(build.cast(value, dtype)) for value in values]
        turned = [add(build.transpose(one)) if swap else one for one, swap in zip(wide, swaps, strict=True)]
        product = add(build.contract(*turned))
        return add(build.reduce(last, product, [1])) if last else product

    kernel = make_kernel(types, body)
    if flag:
        kernel.attributes[flag] = UnitAttr()
    layouts = ("contiguous", "contiguous")
    options = Options(cached=False, listing=listing, target=target, layouts=layouts, decided=False)
    code = compile_kernels(as_module(kernel), options)
    return load(code.object_code, code.signatures)["k"], code


def product(form: str, a: Any, b: Any, dtype: str = "f32", **how: Any) -> Any:
    """The product of a and b, which lie as the form wants them."""
    swaps = FORMS[form]
    laid = [np.ascontiguousarray(one.T) if swap else one for one, swap in zip((a, b), swaps, strict=True)]
    return compiled(form, dtype, **how)[0](*laid)


def bf16(bits: Any) -> Any:
    return np.asarray(bits, np.uint16).view(ml_dtypes.bfloat16)


def with_exponents(shape: tuple[int, int], low: int, high: int, seed: int) -> Any:
    """Numbers of any sign and mantissa, of magnitudes from 2**low to below 2**high, some of them zero."""
    rng = np.random.default_rng(seed)
    bits = rng.integers((low + 127) << 7, (high + 127) << 7, shape) | rng.integers(0, 2, shape) << 15
    return bf16(np.where(rng.random(shape) < 0.1, bits & 0x8000, bits))


def anything(shape: tuple[int, int], seed: int) -> Any:
    """Every pattern of bits alike: subnormal numbers, infinities and NaN among them."""
    return bf16(np.random.default_rng(seed).integers(0, 1 << 16, shape))


def in_order(a: Any, b: Any) -> Any:
    """Sums in the order of the contraction: of f32, each step one fused operation."""
    wide = np.zeros((a.shape[0], b.shape[1]), np.float32)
    with np.errstate(all="ignore"):
        for k in range(a.shape[1]):
            step = a[:, k, None].astype(np.longdouble) * b[k].astype(np.longdouble)
            wide = (step + wide).astype(np.float32)
    return wide


def same(one: Any, other: Any) -> None:
    """Equal bits; which NaN and which zero it is does not count."""
    np.testing.assert_array_equal(np.asarray(one, np.float32), np.asarray(other, np.float32))


NUMBERS: dict[str, Callable[[tuple[int, int], int], Any]] = {
    "ordinary": lambda shape, seed: with_exponents(shape, -6, 6, seed),
    "the smallest that fit": lambda shape, seed: with_exponents(shape, -56, -54, seed),
    "too small": lambda shape, seed: with_exponents(shape, -72, -56, seed),
    "large": lambda shape, seed: with_exponents(shape, 58, 66, seed),
    "subnormal": lambda shape, seed: with_exponents(shape, -127, -120, seed),
    "anything": anything,
}


@pytest.mark.alike(1)
@pytest.mark.parametrize("kind", NUMBERS)
def test_sums_are_those_of_fused_operations_step_after_step(kind: str) -> None:
    for m, k, n in SHAPES:
        a, b = NUMBERS[kind]((m, k), m + k), NUMBERS[kind]((k, n), n + k + 1)
        if "small" not in kind:
            b = np.where(np.arange(n) % 3 == 0, with_exponents((k, n), -4, 4, 3), b)
        wanted = in_order(a, b)
        for form in FORMS:
            same(product(form, a, b), wanted)


@pytest.mark.alike(1)
@needs_dots
@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("flag", ["", REPRODUCIBLE])
def test_the_instruction_changes_no_bit(form: str, flag: str) -> None:
    for numbers in NUMBERS.values():
        for m, k, n in SHAPES:
            a, b = numbers((m, k), m), with_exponents((k, n), -30, 30, n)
            one, other = (product(form, a, b, "bf16", target=target, flag=flag) for target in (HOST, PLAIN))
            same(one, other)


@pytest.mark.alike(2)
@pytest.mark.parametrize("target", [HOST, PLAIN], ids=["host", "plain"])
@pytest.mark.parametrize("form", FORMS)
def test_an_odd_step_keeps_a_sum_of_minus_zero(form: str, target: Processor) -> None:
    for k in (15, 16, 129):
        a, b = (np.full(shape, 2.0**-130, ml_dtypes.bfloat16) for shape in ((60, k), (k, 33)))
        assert np.signbit(product(form, -a, b, target=target, flag=REPRODUCIBLE)).all()


def test_what_one_part_of_a_deep_contraction_leaves_is_not_lost_in_another() -> None:
    a, b = np.zeros((12, 9000), ml_dtypes.bfloat16), np.ones((9000, 12), ml_dtypes.bfloat16)
    a[3, 5], a[4, 8990], a[5, 17], b[17, 7] = 2.0**-130, 2.0**-133, 2.0**-70, 2.0**-70
    got = product("a @ b", a, b)
    assert got[3, 0] == np.float32(2.0**-130)
    assert got[4, 0] == np.float32(2.0**-133)
    assert got[5, 7] == np.float32(2.0**-140)
    same(got, in_order(a, b))


@pytest.mark.parametrize("least", [2.0**-56, 2.0**-57])
def test_a_small_difference_of_two_products_is_kept(least: float) -> None:
    """Of the least numbers that fit, the smallest normal number; of the next ones, a subnormal one."""
    a, b = np.zeros((60, 2), ml_dtypes.bfloat16), np.zeros((2, 100), ml_dtypes.bfloat16)
    a[:] = [least * (1 + 2.0**-7), -least]
    b[:] = [[least * (1 + 2.0**-7)], [least * (1 + 2.0**-6)]]
    assert (product("a @ b", a, b) == np.float32(least * least * 2.0**-14)).all()


@pytest.mark.alike(1)
@needs_dots
@pytest.mark.parametrize("form", FORMS)
def test_a_processor_with_the_instruction_uses_it_unless_products_are_rounded(form: str) -> None:
    for how in ({"dtype": "f32"}, {"dtype": "bf16", "flag": REPRODUCIBLE}, {"dtype": "f32", "last": "max"}):
        assert "vdpbf16ps" in compiled(form, **how, listing=True)[1].assembly
    for how in ({"dtype": "bf16", "flag": PRECISE}, {"dtype": "bf16", "target": PLAIN}):
        assert "vdpbf16ps" not in compiled(form, **how, listing=True)[1].assembly


@pytest.mark.alike(2)
@pytest.mark.parametrize("form", FORMS)
def test_a_product_of_which_only_maxima_are_wanted_has_the_same_sums(form: str) -> None:
    for m, k, n in ((49, 257, 70), (130, 64, 12)):
        for kind in ("ordinary", "too small"):
            a, b = NUMBERS[kind]((m, k), m), NUMBERS[kind]((k, n), n)
            same(product(form, a, b, last="max"), in_order(a, b).max(axis=1))


@pytest.mark.alike(2)
@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("at_end", [False, True])
def test_nothing_beyond_an_operand_is_read(form: str, at_end: bool) -> None:
    compiled(form, "f32")

    def work() -> None:
        for m, k, n in SHAPES:
            a, b = with_exponents((m, k), -6, 6, m), with_exponents((k, n), -6, 6, n)
            swaps = FORMS[form]
            laid = [one.T if swap else one for one, swap in zip((a, b), swaps, strict=True)]
            arrays = [guarded(np.ascontiguousarray(one), contiguous(2), at_end).array for one in laid]
            same(compiled(form, "f32")[0](*arrays), in_order(a, b))

    in_child(work)
