"""Each operator, compiled, against the reference: all kinds, all dtypes, the corners of each."""

from collections.abc import Callable, Sequence
from itertools import permutations
from typing import Any

import numpy as np
import pytest
from xdsl.dialects.builtin import FunctionType, i64
from xdsl.ir import Attribute, SSAValue

from flowc.compiler.backends.llvm import Options, compile_kernels
from flowc.dialects.array import KernelOp, ShapeError, build, irregular_build
from flowc.dialects.array.kinds import COMPARISON, REDUCTIONS, arity
from flowc.dialects.array.reference import evaluate_kernel, numpy_dtypes
from flowc.dialects.array.slices import parse_slice
from flowc.dialects.array.types import array_type, dtype_of
from flowc.runtime.errors import FlowError
from flowc.runtime.kernels import Kernel, load
from flowc.testing.oracles.tolerance import assert_close
from flowc.testing.strategies.kernels import DTYPES, array_of, as_module, make_kernel

Types = dict[str, Attribute]


def compiled(kernel: KernelOp, level: int = 2) -> Kernel:
    """For dense arrays: generated programs (`test_llvm_programs.py`) are compiled for all that there are."""
    dense = ("contiguous",) * len(kernel.function_type.inputs)
    options = Options(level=level, cached=False, decided=False, layouts=dense)
    code = compile_kernels(as_module(kernel), options)
    return load(code.object_code, code.signatures)[kernel.sym_name.data]


def kernel_of(types: Types, body: Callable[..., Any], level: int = 2) -> tuple[KernelOp, Kernel]:
    kernel = make_kernel(types, body)
    return kernel, compiled(kernel, level)


def level_for(dtype: str) -> int:
    """One dtype of each sort goes through LLVM's optimiser too, which takes most of the time."""
    return 2 if dtype in ("f32", "bf16", "i8") else 0


def check(kernel: KernelOp, native: Kernel, *arguments: Any, factor: float = 1.0) -> None:
    """The native kernel gives what the reference gives."""
    got = native(*arguments)
    wanted = evaluate_kernel(kernel, arguments)
    for value, array, reference in zip(
        kernel.returned, got if isinstance(got, tuple) else (got,), wanted, strict=True
    ):
        assert_close(array, reference, dtype_of(value.type), factor)


@pytest.mark.alike(3)
@pytest.mark.parametrize("dtype", DTYPES)
def test_every_elementwise_operator_follows_the_reference(dtype: str) -> None:
    def body(add: Any, x: SSAValue, y: SSAValue, c: SSAValue) -> Sequence[SSAValue]:
        results = []
        for kind, count in arity.items():
            try:
                results.append(add(build.elementwise(kind, [c, x, y] if kind == "where" else [x, y][:count])))
            except ShapeError:
                continue
        return results

    types = {"x": array_type(dtype, ("n",)), "y": array_type(dtype, ("n",)), "c": array_type("bool", ("n",))}
    kernel, native = kernel_of(types, body, level_for(dtype))
    special = dtype in ("f64", "f32")
    for seed in range(3):
        x, y = (array_of(dtype, (37,), seed + shift, special) for shift in (0, 100))
        check(kernel, native, x, y, array_of("bool", (37,), seed), factor=4)
    check(kernel, native, *(array_of(d, (0,), 1) for d in (dtype, dtype, "bool")))


@pytest.mark.parametrize("dtype", ["i64", "i32", "i8"])
def test_integer_division_is_pythons_and_never_traps(dtype: str) -> None:
    def body(add: Any, x: SSAValue, y: SSAValue) -> Sequence[SSAValue]:
        return [add(build.elementwise(kind, [x, y])) for kind in ("floordiv", "mod")]

    kernel, native = kernel_of({"x": array_type(dtype, ("n",)), "y": array_type(dtype, ("n",))}, body)
    low = np.iinfo(numpy_dtypes[dtype]).min
    x, y = np.meshgrid([low, low + 1, -7, -1, 0, 1, 7, -low - 1], [low, -3, -1, 0, 1, 3])
    check(kernel, native, x.ravel().astype(numpy_dtypes[dtype]), y.ravel().astype(numpy_dtypes[dtype]))


def test_bytes_are_divided_without_a_sign() -> None:
    def body(add: Any, x: SSAValue, y: SSAValue) -> Sequence[SSAValue]:
        return [add(build.elementwise(kind, [x, y])) for kind in ("floordiv", "mod")]

    kernel, native = kernel_of({"x": array_type("u8", ("n",)), "y": array_type("u8", ("n",))}, body)
    x, y = np.meshgrid([0, 1, 127, 128, 200, 255], [0, 1, 3, 128, 255])
    check(kernel, native, x.ravel().astype(np.uint8), y.ravel().astype(np.uint8))


@pytest.mark.parametrize("dtype", ["i64", "i32", "i8", "u8"])
def test_shifts_by_any_number_follow_the_reference(dtype: str) -> None:
    def body(add: Any, x: SSAValue, y: SSAValue) -> Sequence[SSAValue]:
        return [add(build.elementwise(kind, [x, y])) for kind in ("shl", "shr")]

    types = {"x": array_type(dtype, ("n",)), "y": array_type(dtype, ("n",))}
    kernel, native = kernel_of(types, body, level=0)  # lanes shift by the width as we do, registers do not
    info = np.iinfo(numpy_dtypes[dtype])
    places = [0, 1, info.bits - 1, info.bits, info.bits + 1, *([-1, info.min] if info.min else [255])]
    x, y = np.meshgrid(np.array([1, 3, info.max, info.min], info.dtype), np.array(places, info.dtype))
    check(kernel, native, x.ravel(), y.ravel())


def test_the_magnitude_of_the_least_integer_is_itself() -> None:
    """LLVM's optimiser must not take it for positive."""

    def body(add: Any, x: SSAValue) -> SSAValue:
        magnitude = add(build.elementwise("abs", [x]))
        return add(build.elementwise("lt", [magnitude, add(build.constant(0, "i8"))]))

    kernel, native = kernel_of({"x": array_type("i8", ("n",))}, body)
    x = np.array([-128, -127, -1, 0, 127], np.int8)
    check(kernel, native, x)
    assert native(x).tolist() == [True, False, False, False, False]


ACCURATE = ("exp", "exp2", "expm1", "log", "log2", "log1p", "tanh", "erf", "sigmoid", "sin", "cos", "sqrt")


@pytest.mark.parametrize("dtype", ["f32", "f64"])
def test_functions_are_accurate_to_a_few_units_in_the_last_place_everywhere(dtype: str) -> None:
    def body(add: Any, x: SSAValue) -> Sequence[SSAValue]:
        return [add(build.elementwise(kind, [x])) for kind in ACCURATE]

    _, native = kernel_of({"x": array_type(dtype, ("n",))}, body)
    rng = np.random.default_rng(7)
    kind = numpy_dtypes[dtype]
    tiny, huge = np.finfo(kind).tiny, np.finfo(kind).max
    x = np.concatenate([
        rng.uniform(-1, 1, 5000), rng.uniform(-110, 110, 5000), 10 ** rng.uniform(-40, 38, 5000),
        -(10 ** rng.uniform(-40, 38, 500)), rng.uniform(-760, 760, 5000), 2.0 ** np.arange(-60, 61),
        [0.0, -0.0, 1.0, -1.0, np.inf, -np.inf, np.nan, tiny, -tiny, tiny / 8, huge, -huge],
    ]).astype(kind)  # fmt: skip
    exact = evaluate_kernel(make_kernel({"x": array_type("f64", ("n",))}, body), [x.astype(np.float64)])
    for name, got, wanted in zip(ACCURATE, native(x), exact, strict=True):
        with np.errstate(all="ignore"):
            rounded = wanted.astype(kind)
            unit = np.maximum(np.abs(np.spacing(rounded)), np.finfo(kind).smallest_subnormal)
            finite = np.isfinite(rounded) & np.isfinite(got)
            error = np.abs(got.astype(np.float64) - wanted)[finite] / unit[finite].astype(np.float64)
            different = ~finite & ~((got == rounded) | (np.isnan(got) & np.isnan(rounded)))
        assert error.max() <= 4, (name, x[finite][error.argmax()], error.max())
        assert not different.any(), (name, x[different], got[different], rounded[different])


@pytest.mark.parametrize("dtype", ["f16", "bf16"])
def test_half_formats_round_to_nearest_even_once(dtype: str) -> None:
    kernel, native = kernel_of({"x": array_type("f64", ("n",))}, lambda add, x: add(build.cast(x, dtype)))
    rng = np.random.default_rng(3)
    x = np.concatenate(
        [rng.standard_normal(2000), [1 + 2.0**-9, 1 + 2.0**-8 + 2.0**-40, 1 + 2.0**-11 + 2.0**-30]]
    )
    x = np.concatenate([x, x * 1e-6, x * 65000, [np.nan, np.inf, -0.0, 65520.0, 1e300]])
    with np.errstate(all="ignore"):
        check(kernel, native, x, factor=0)


@pytest.mark.alike(3)
@pytest.mark.parametrize("source", DTYPES)
def test_casts_follow_the_reference_and_saturate(source: str) -> None:
    def body(add: Any, x: SSAValue) -> Sequence[SSAValue]:
        return [add(build.cast(x, target)) for target in DTYPES]

    kernel, native = kernel_of({"x": array_type(source, ("n",))}, body)
    values = [0, 1, -1, 2.75, -2.75, 127, 128, -129, 3e9, -3e9, 1e19, -1e19, np.nan, np.inf, -np.inf]
    values += [-0.5, -0.0, 127.5, -128.5, 255, 255.5, 256, 32767.5, -32768.5, 2147483647.5, -2147483648.5]
    with np.errstate(all="ignore"):
        x = np.array(values) if source.startswith(("f", "bf")) else np.array(values[:8])
        check(kernel, native, np.tile(x, 7).astype(numpy_dtypes[source]))


AXES = [None, [0], [1], [0, 2], [2], [1, 2]]


@pytest.mark.alike(3)
@pytest.mark.parametrize("dtype", DTYPES)
def test_every_reduction_follows_the_reference(dtype: str) -> None:
    def body(add: Any, x: SSAValue) -> Sequence[SSAValue]:
        kept = [add(build.reduce("sum", x, axes, True)) for axes in AXES]
        return kept + [add(build.reduce(kind, x, axes)) for kind in REDUCTIONS for axes in AXES]

    kernel = make_kernel({"x": array_type(dtype, ("n", 3, "m"))}, body)
    native = compiled(kernel, level=0)
    x = array_of(dtype, (2, 3, 5), 4)
    if dtype.startswith(("f", "bf")):
        x = np.where(x == 0, np.ones_like(x), x / 2)
    check(kernel, native, x, factor=4)


def test_a_sum_of_f32_is_at_least_as_exact_as_numpys() -> None:
    _, native = kernel_of({"x": array_type("f32", ("n",))}, lambda add, x: add(build.reduce("sum", x)))
    ones = np.ones(1 << 25, np.float32)
    assert native(ones) == 1 << 25
    x = np.random.default_rng(0).random(3_000_001, np.float32)
    exact = np.sum(x, dtype=np.float64)
    assert abs(native(x) - exact) <= max(abs(np.sum(x) - exact), np.spacing(np.float32(exact)))


def test_a_sum_of_f64_keeps_what_plain_addition_loses() -> None:
    _, native = kernel_of({"x": array_type("f64", ("n",))}, lambda add, x: add(build.reduce("sum", x)))
    x = np.zeros(5000)
    x[0], x[2000], x[4500] = 1e17, 1.0, -1e17
    assert native(x) == 1.0
    assert native(np.array([np.inf, 1.0])) == np.inf
    for places in permutations(range(500, 9 * 1024, 2048), 3):
        x = np.zeros(9 * 1024)
        x[[*places]] = 1e17, 1.0, -1e17
        assert native(x) == 1.0


@pytest.mark.parametrize("kind", ["argmax", "argmin"])
def test_the_first_extreme_or_the_first_nan_is_found(kind: str) -> None:
    kernel, native = kernel_of(
        {"x": array_type("f32", ("n", "m"))},
        lambda add, x: [
            add(build.argreduce(kind, x, axis, keep)) for axis in (0, 1) for keep in (False, True)
        ],
    )
    x = array_of("f32", (5, 9), 2)
    check(kernel, native, x)
    x[3, 4] = x[2, 7] = np.nan
    check(kernel, native, x)


@pytest.mark.alike(2)
@pytest.mark.parametrize("dtype", ["f64", "f32", "f16", "bf16", "i64", "i32", "i8", "bool"])
def test_products_follow_the_reference_for_thin_and_tiled_shapes(dtype: str) -> None:
    def body(add: Any, a: SSAValue, b: SSAValue) -> Sequence[SSAValue]:
        turned = add(build.transpose(b))
        return [add(build.contract(a, b)), add(build.contract(add(build.transpose(turned)), turned))]

    types = {"a": array_type(dtype, ("m", "k")), "b": array_type(dtype, ("k", "n"))}
    kernel, native = kernel_of(types, body, level_for(dtype))
    for m, k, n in [
        (1, 5, 3),
        (7, 8, 9),
        (6, 64, 64),
        (13, 300, 70),
        (100, 3, 130),
        (0, 3, 4),
        (9, 0, 9),
        (9, 9, 0),
    ]:
        a, b = array_of(dtype, (m, k), m), array_of(dtype, (k, n), n)
        check(kernel, native, a, b, factor=8)


def test_products_of_vectors_and_stacks_follow_numpy() -> None:
    kernel, native = kernel_of(
        {
            "v": array_type("f32", ("k",)),
            "a": array_type("f32", ("k", "k")),
            "s": array_type("f32", (3, 1, "k", "k")),
        },
        lambda add, v, a, s: [
            add(build.contract(x, y)) for x, y in [(v, v), (v, a), (a, v), (s, a), (a, s), (s, v), (v, s)]
        ],
    )
    for k in (4, 20):
        check(
            kernel, native, *(array_of("f32", shape, k) for shape in [(k,), (k, k), (3, 1, k, k)]), factor=8
        )


def test_topk_sorts_ties_by_position_and_puts_nan_first() -> None:
    def body(add: Any, x: SSAValue, k: SSAValue) -> Sequence[SSAValue]:
        op = build.topk(x, k)
        add(op)
        return [op.values, op.indices]

    for dtype in ("f32", "i8", "bool", "f16"):
        kernel, native = kernel_of({"x": array_type(dtype, ("r", "n")), "k": i64}, body)
        for n in (1, 2, 30, 257):
            x = array_of(dtype, (3, n), n, special=True)
            for k in {0, 1, n // 2, n}:
                check(kernel, native, x, k)


@pytest.mark.parametrize("count", [-1, 5, 1 << 60])
def test_topk_of_more_than_there_is_is_an_error_with_its_line(count: int) -> None:
    _, native = kernel_of({"x": array_type("f32", ("n",)), "k": i64}, lambda add, x, k: add(build.topk(x, k)))
    with pytest.raises(FlowError) as error:
        native(np.zeros(4, np.float32), count)
    assert error.value.problem.code in ("E0750", "E0752")
    assert error.value.problem.line == (1 if error.value.problem.code == "E0752" else 0)


def test_an_integer_argument_may_name_an_extent_of_the_result() -> None:
    types = {"x": array_type("f32", ("n",)), "k": i64}
    kernel = make_kernel(types, lambda add, x, k: add(build.topk(x, k)))
    kernel.properties["function_type"] = FunctionType.from_lists(
        list(types.values()), [array_type("f32", ("k",))]
    )
    check(kernel, compiled(kernel), array_of("f32", (5,), 1), 3)


def test_a_result_is_as_long_as_its_signature_says_or_the_call_fails() -> None:
    types = {"x": array_type("f32", ("n",)), "y": array_type("f32", ("m",))}
    kernel = make_kernel(types, lambda add, x, y: add(build.slices(x, parse_slice("1:"))))
    kernel.properties["function_type"] = FunctionType.from_lists(
        list(types.values()), [array_type("f32", ("m",))]
    )
    native = compiled(kernel)
    check(kernel, native, array_of("f32", (5,), 1), array_of("f32", (4,), 1))
    with pytest.raises(FlowError) as error:
        native(np.zeros(5, np.float32), np.zeros(5, np.float32))
    assert error.value.problem.code == "E0753"


def test_positions_count_from_the_end_and_are_checked() -> None:
    kernel, native = kernel_of(
        {"x": array_type("f32", ("n", "m")), "p": array_type("i32", ("k",)), "i": i64},
        lambda add, x, p, i: [add(build.gather(x, p)), add(build.index(x, i, 1)), add(build.index(x, i, 0))],
    )
    x = array_of("f32", (4, 5), 0)
    check(kernel, native, x, np.array([0, -1, 3, -4], np.int32), -2)
    for positions, i in [([4], 0), ([-5], 0), ([0], 5), ([0], -6)]:
        with pytest.raises(FlowError) as error:
            native(x, np.array(positions, np.int32), i)
        assert error.value.problem.code == "E0751"
    with pytest.raises(FlowError):
        native(np.zeros((0, 5), np.float32), np.zeros(1, np.int32), 0)


@pytest.mark.parametrize("text", ["1:$0", ":$0:2", "$0:", "$0::-1", ":$0:-3", "-3:$0", "::-1", "2:2"])
def test_slices_have_pythons_bounds(text: str) -> None:
    spec = parse_slice(text)
    kernel, native = kernel_of(
        {"x": array_type("f32", ("n",)), "i": i64},
        lambda add, x, i: add(build.slices(x, spec, [i] if "$" in text else [])),
    )
    for n in (0, 1, 6):
        for i in (-9, -6, -2, -1, 0, 1, 5, 6, 7, 1 << 62):
            check(kernel, native, array_of("f32", (n,), 3), i)


def test_the_extreme_of_an_empty_axis_is_an_error_but_an_empty_result_is_not() -> None:
    kernel, native = kernel_of(
        {"x": array_type("f32", ("n", "m"))}, lambda add, x: add(build.reduce("max", x, [1]))
    )
    check(kernel, native, np.zeros((0, 0), np.float32))
    with pytest.raises(FlowError) as error:
        native(np.zeros((2, 0), np.float32))
    assert error.value.problem.code == "E0754"


def test_extents_that_only_the_run_knows_are_compared_there() -> None:
    def body(add: Any, x: SSAValue, y: SSAValue) -> SSAValue:
        return add(build.elementwise("add", [add(build.slices(x, parse_slice("1:"))), y]))

    kernel, native = kernel_of({"x": array_type("f32", ("n",)), "y": array_type("f32", ("m",))}, body)
    check(kernel, native, array_of("f32", (5,), 0), array_of("f32", (4,), 1))
    with pytest.raises(FlowError) as error:
        native(np.zeros(5, np.float32), np.zeros(5, np.float32))
    assert error.value.problem.code == "E0753"


def test_a_result_whose_extent_is_computed_from_data_is_refused() -> None:
    def body(add: Any, x: SSAValue) -> SSAValue:
        return add(build.slices(x, parse_slice(":$0"), [add(build.argreduce("argmax", x, 0))]))

    with pytest.raises(ShapeError, match="depends on values it computes"):
        kernel_of({"x": array_type("f32", ("n",))}, body)


def test_comparisons_of_mixed_dtypes_follow_promotion() -> None:
    kernel, native = kernel_of(
        {"x": array_type("i64", ("n",)), "y": array_type("f32", ("n",))},
        lambda add, x, y: [add(build.elementwise(kind, [x, y])) for kind in COMPARISON],
    )
    check(kernel, native, array_of("i64", (20,), 1), array_of("f32", (20,), 2, special=True))


def test_running_sums_joins_and_ranges_follow_the_reference() -> None:
    def body(add: Any, x: SSAValue, n: SSAValue) -> Sequence[SSAValue]:
        positions = add(build.iota(n))
        joined = add(build.concat([x, x, add(build.elementwise("neg", [x]))], 1))
        full = add(
            build.broadcast(add(build.constant(2.5, "f32")), ("", 3), [n, add(build.constant(3, "i64"))])
        )
        return [
            add(irregular_build.scan("sum", x, 0)),
            add(irregular_build.scan("sum", x, 1)),
            positions,
            joined,
            full,
        ]

    kernel, native = kernel_of({"x": array_type("f32", ("n", "m")), "k": i64}, body)
    for shape in [(3, 4), (0, 2), (2, 0), (1, 1)]:
        check(kernel, native, array_of("f32", shape, 5), 4)
