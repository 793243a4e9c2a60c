"""Every function of `mathematics` against the C library in wider arithmetic, within its stated bound."""

import math
import os
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
from xdsl.ir import SSAValue

from flowc.compiler.backends.llvm import Options, compile_kernels, mathematics
from flowc.compiler.backends.llvm.mathematics import BOUNDS
from flowc.compiler.backends.llvm.mathematics.far import LIMITS
from flowc.dialects.array import build, kinds
from flowc.dialects.array.reference import numpy_dtypes
from flowc.dialects.array.types import array_type
from flowc.runtime import processor
from flowc.runtime.kernels import Kernel, load
from flowc.testing.strategies.kernels import as_module, make_kernel

Array = np.ndarray[Any, np.dtype[Any]]
LONG = np.longdouble
LONG_IS_LONGER = np.finfo(LONG).nmant > 60
PAIRED = ("pow", "atan2")
EVERY_FLOAT = os.environ.get("FLOWC_HYPOTHESIS") == "long"


def _erf(x: Array) -> Array:
    return np.vectorize(math.erf, otypes=[np.float64])(x.astype(np.float64)).astype(x.dtype)


EXACT: dict[str, Callable[..., Any]] = {
    "asin": np.arcsin, "acos": np.arccos, "atan": np.arctan, "atan2": np.arctan2, "asinh": np.arcsinh,
    "acosh": np.arccosh, "atanh": np.arctanh, "pow": np.power, "erf": _erf,
}  # fmt: skip


def wide_of(dtype: str) -> Any:
    return LONG if dtype == "f64" else np.float64


def exact(name: str, dtype: str, *arguments: Array) -> Array:
    function = EXACT.get(name) or getattr(np, name)
    with np.errstate(all="ignore"):
        wide = [argument.astype(wide_of(dtype)) for argument in arguments]
        result: Array = function(*wide)
    return result


def compiled(dtype: str, names: Sequence[str]) -> Kernel:
    def body(add: Any, x: SSAValue, y: SSAValue) -> Sequence[SSAValue]:
        return [add(build.elementwise(name, [x, y][: kinds.arity[name]])) for name in names]

    type_ = array_type(dtype, ("n",))
    kernel = make_kernel({"x": type_, "y": type_}, body)
    options = Options(cached=False, decided=False, layouts=("contiguous", "contiguous"))
    code = compile_kernels(as_module(kernel), options)
    return load(code.object_code, code.signatures)["k"]


def sample(dtype: str, seed: int) -> Array:
    """Both edges and the inside of every binade of both signs, and more where the functions bend."""
    kind = numpy_dtypes[dtype]
    info, bits = np.finfo(kind), np.uint32 if dtype == "f32" else np.uint64
    rng = np.random.default_rng(seed)
    each = 64 if dtype == "f32" else 8
    exponents = np.repeat(np.arange(2 ** (info.bits - 1 - info.nmant), dtype=bits), each)
    mantissas = rng.integers(0, 2**info.nmant, exponents.size, dtype=bits)
    mantissas[::each], mantissas[1::each] = 0, 2**info.nmant - 1
    everywhere = ((exponents << bits(info.nmant)) | mantissas).view(kind)
    near = [rng.uniform(-reach, reach, 8000) for reach in (1, 10, 110, 760)]
    near += [1 + rng.uniform(-0.1, 0.1, 8000), np.arange(-500, 500) * (np.pi / 2)]
    values = np.concatenate([everywhere, -everywhere, np.concatenate(near).astype(kind)])
    return rng.permutation(values).astype(kind)


def powers(dtype: str, x: Array, seed: int) -> Array:
    """Exponents that leave most powers finite, whole ones among them."""
    rng = np.random.default_rng(seed)
    reach = 88 if dtype == "f32" else 709
    with np.errstate(all="ignore"):
        fitting = rng.uniform(-1.06, 1.06, x.size) * reach / np.log(np.abs(x.astype(np.float64)))
    whole = rng.integers(-6, 7, x.size).astype(np.float64)
    choice = rng.random(x.size)
    chosen = np.where(choice < 0.6, fitting, np.where(choice < 0.8, whole, rng.permutation(x)))
    return np.asarray(chosen.astype(x.dtype))


def units_off(got: Array, wanted: Array) -> Array:
    """The distance in units in the last place of the wanted value; infinite where a special value differs."""
    info = np.finfo(got.dtype)
    with np.errstate(all="ignore"):
        rounded = wanted.astype(got.dtype)
        exponent = np.maximum(np.frexp(np.abs(wanted))[1] - info.nmant - 1, info.minexp - info.nmant)
        distance = np.abs(got.astype(wanted.dtype) - wanted) / np.ldexp(np.ones_like(wanted), exponent)
        special = ~np.isfinite(rounded) | ~np.isfinite(got)
        same = (got == rounded) | (np.isnan(got) & np.isnan(rounded))
        edge = np.abs(wanted) >= np.asarray(info.max, wanted.dtype) * (1 - 4 * info.eps)
        distance = np.where(special & (same | (edge & ~np.isnan(got))), 0, distance)
        zeros = (got == 0) & (rounded == 0) & (np.signbit(got) != np.signbit(rounded))
    return np.asarray(np.where(zeros | (special & ~same & ~edge) | np.isnan(distance), np.inf, distance))


@pytest.mark.parametrize("dtype", ["f32", "f64"])
def test_functions_keep_their_bounds_from_subnormals_to_the_largest_numbers(dtype: str) -> None:
    if dtype == "f64" and not LONG_IS_LONGER:
        pytest.skip("this machine has no longer floats to compare with")
    native = compiled(dtype, list(BOUNDS))
    x = sample(dtype, 1)
    exponents, others = powers(dtype, x, 2), sample(dtype, 3)[: x.size]
    results = dict(zip(BOUNDS, native(x, exponents), strict=True))
    results["atan2"] = compiled(dtype, ["atan2"])(x, others)
    for name, got in results.items():
        part = slice(0, 20_000) if name == "erf" else slice(None)
        second = [{"pow": exponents, "atan2": others}[name][part]] if name in PAIRED else []
        wanted = exact(name, dtype, x[part], *second)
        distance = units_off(got[part], wanted)
        worst = int(distance.argmax())
        bound = BOUNDS[name][dtype == "f64"] + (1 if name == "erf" and dtype == "f64" else 0)
        arguments = (x[part][worst], *(values[worst] for values in second))
        assert distance[worst] <= bound, (name, arguments, got[part][worst], wanted[worst])


@pytest.mark.parametrize("dtype", ["f32", "f64"])
@pytest.mark.parametrize("name", ["sin", "cos", "tan"])
def test_angles_of_any_size_are_reduced_exactly_wherever_they_lie_in_a_vector(dtype: str, name: str) -> None:
    kind = numpy_dtypes[dtype]
    native = compiled(dtype, [name])
    rng = np.random.default_rng(5)
    bound = BOUNDS[name][dtype == "f64"]
    for size in (1, 3, 16, 17, 67):
        x = rng.uniform(-10, 10, size).astype(kind)
        x[rng.integers(0, size)] = LIMITS[f"{name}_far"][dtype] * rng.uniform(1, 1e6)
        x[rng.integers(0, size)] = np.finfo(kind).max
        assert units_off(native(x, x), exact(name, dtype, x)).max() <= bound


@pytest.mark.parametrize("dtype", ["f32", "f64"])
def test_remainders_are_exact_for_quotients_of_any_size(dtype: str) -> None:
    x, y = sample(dtype, 1), sample(dtype, 2)
    some = np.array([0.0, -0.0, 1.0, -1.5, 3.0, np.inf, -np.inf, np.nan], x.dtype)
    corners = [side.ravel() for side in np.meshgrid(some, some)]
    rng = np.random.default_rng(3)
    close = rng.integers(-4000, 4000, (2, 9000)).astype(x.dtype) / 8
    x, y = (np.concatenate([*sides]) for sides in ((x, corners[0], close[0]), (y, corners[1], close[1])))
    got = compiled(dtype, ["mod"])(x, y)
    with np.errstate(all="ignore"):
        wanted = np.mod(x, y)
    assert np.array_equal(got, wanted, equal_nan=True)


def test_powers_have_the_exceptions_of_the_c_standard() -> None:
    special = np.array([0.0, -0.0, 1.0, -1.0, 2.0, -2.0, 0.5, -0.5, 3.0, np.inf, -np.inf, np.nan])
    x, y = (side.ravel() for side in np.meshgrid(special, special))
    for dtype in ("f64", "f32"):
        base, exponent = (side.astype(numpy_dtypes[dtype]) for side in (x, y))
        got = compiled(dtype, ["pow"])(base, exponent)
        assert units_off(got, exact("pow", dtype, base, exponent)).max() <= 1


def test_whole_powers_of_small_numbers_are_exact() -> None:
    x, y = (side.ravel().astype(np.float64) for side in np.meshgrid(np.arange(-30, 31), np.arange(1, 10)))
    assert np.array_equal(compiled("f64", ["pow"])(x, y), x**y)


@pytest.mark.skipif(not EVERY_FLOAT, reason="`make soak` looks at every float")
@pytest.mark.parametrize("name", [name for name in BOUNDS if name not in (*PAIRED, "erf")])
def test_every_float_of_32_bits_keeps_the_bound(name: str) -> None:
    native = compiled("f32", [name])
    for start in range(0, 1 << 32, 1 << 22):
        x = np.arange(start, start + (1 << 22), dtype=np.uint64).astype(np.uint32).view(np.float32)
        distance = units_off(native(x, x), exact(name, "f32", x))
        worst = int(distance.argmax())
        assert distance[worst] <= BOUNDS[name][0], (x[worst], distance[worst])


def test_functions_stand_in_an_order_of_their_own(monkeypatch: pytest.MonkeyPatch) -> None:
    real, texts = mathematics._definition, []
    for backwards in (False, True):

        def ordered(*given: Any, turned: bool = backwards) -> tuple[list[str], Any, list[str]]:
            lines, calls, kept = real(*given)
            return lines, dict.fromkeys(sorted(calls, reverse=turned)), kept

        monkeypatch.setattr(mathematics, "_definition", ordered)
        texts.append(mathematics.definitions({"declare double @flowc.cbrt.f64(double)"}, processor.host()))
    assert texts[0] == texts[1]
    assert len(texts[0][0]) > 2
