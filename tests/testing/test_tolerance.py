"""What two ways of computing a kernel may differ by: nothing where nothing rounds, else as the table says."""

import itertools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
from xdsl.ir import SSAValue

from flowc.compiler.backends.llvm.mathematics import BOUNDS
from flowc.dialects.array import KernelOp, build, irregular_build, kinds, products_build
from flowc.dialects.array.reference import evaluate_kernel, numpy_dtypes
from flowc.dialects.array.types import array_type
from flowc.runtime.dtypes import FLOATS
from flowc.testing.oracles.roundings import disagreement
from flowc.testing.oracles.tolerance import ULP
from flowc.testing.strategies.kernel_arrays import places_of
from flowc.testing.strategies.kernels import array_of, as_module, make_kernel

EXACT = {
    "neg", "abs", "sign", "minimum", "maximum", "where", "floordiv", "mod", *kinds.COMPARISON, *kinds.LOGICAL,
    *kinds.BITWISE, *kinds.ROUNDING, *kinds.TEST,
}  # fmt: skip
Body = Callable[..., Sequence[SSAValue] | SSAValue]


def kernel(body: Body, *dtypes: str) -> KernelOp:
    made = make_kernel({f"a{n}": array_type(dtype, ("n",)) for n, dtype in enumerate(dtypes)}, body)
    as_module(made)
    return made


def elementwise(kind: str) -> Body:
    return lambda add, *operands: add(build.elementwise(kind, operands))


def off_by(values: Any, units: float, dtype: str) -> Any:
    """The numbers, one of them so many ULP above what it was."""
    found = values.astype(np.longdouble)
    place = int(np.argmax(np.abs(found)))
    _, exponent = np.frexp(found[place])
    found[place] += np.ldexp(np.longdouble(units), exponent - 1 - places_of(dtype)[0])
    return found.astype(numpy_dtypes[dtype])


def problem(made: KernelOp, arguments: Sequence[Any], change: Callable[[Any], Any]) -> str:
    wanted = evaluate_kernel(made, arguments)
    return disagreement(made, arguments, [change(each) for each in wanted], wanted)


def test_every_operator_is_exact_or_says_how_far_it_may_be_off() -> None:
    assert set(kinds.arity) == EXACT | (set(kinds.arity) & set(ULP))
    assert not EXACT & set(ULP)


def test_every_function_of_ours_may_be_off_by_its_bound_and_one_of_the_reference() -> None:
    for name, (single, double) in BOUNDS.items():
        assert ULP[name]["f32"] >= single + 1, name
        assert ULP[name]["f64"] >= double + 1, name


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("kind", ["neg", "abs", "maximum", "floor", "add", "sub", "mul"])
def test_one_ulp_is_too_much_where_nothing_rounds(kind: str, dtype: str) -> None:
    made = kernel(elementwise(kind), *[dtype] * kinds.arity[kind])
    arguments = [array_of(dtype, (9,), seed) for seed in range(kinds.arity[kind])]
    assert not problem(made, arguments, lambda each: each)
    assert "1 of 9 are wrong" in problem(made, arguments, lambda each: off_by(each, 1, dtype))


@pytest.mark.parametrize("dtype", ["f64", "f32"])
@pytest.mark.parametrize("kind", ["exp", "tanh", "sin", "rsqrt"])
def test_a_function_may_be_off_by_its_row_and_the_last_rounding(kind: str, dtype: str) -> None:
    made = kernel(elementwise(kind), dtype)
    argument = (np.arange(1, 9) / 7).astype(numpy_dtypes[dtype])
    allowed = ULP[kind][dtype]
    assert not problem(made, [argument], lambda each: off_by(each, allowed, dtype))
    assert problem(made, [argument], lambda each: off_by(each, allowed + 2, dtype))


def test_integers_bools_and_positions_are_exact() -> None:
    for dtype in ("i64", "u8", "bool"):
        made = kernel(elementwise("bitxor"), dtype, dtype)
        arguments = [array_of(dtype, (9,), seed) for seed in (1, 2)]
        assert problem(made, arguments, lambda each: each ^ (np.arange(9) == 4).astype(each.dtype))


def difference(add: Any, x: SSAValue, y: SSAValue) -> SSAValue:
    root = add(build.elementwise("sqrt", [x]))
    return add(build.elementwise("sub", [root, y]))


def test_what_cancels_may_be_off_by_what_was_lost_before_and_no_more() -> None:
    made = kernel(difference, "f32", "f32")
    x = np.full(4, 2, np.float32)
    arguments = [x, np.sqrt(x.astype(np.float64)).astype(np.float32) - np.float32(1e-4)]
    lost = np.float32(2.0**-23)  # an ULP of the root is about a thousand of the difference
    assert not problem(made, arguments, lambda each: each + lost)
    assert problem(made, arguments, lambda each: each + 4 * lost)


def test_a_long_sum_may_lose_more_than_a_short_one_but_no_number() -> None:
    made = kernel(lambda add, x: add(build.reduce("sum", x)), "f32")
    for count in (4, 4000):
        x = np.random.default_rng(count).standard_normal(count).astype(np.float32)
        size, least = np.abs(x).sum() * np.float32(2.0**-24), np.abs(x).max() / 2
        assert not problem(made, [x], lambda each, size=size: each + size)
        assert problem(made, [x], lambda each, least=least: each + least)


def test_a_product_may_vanish_where_a_part_of_it_does() -> None:
    made = kernel(lambda add, x: add(build.reduce("prod", x)), "f32")
    tiny = np.array([-0.025, 4e-45, 498.0], np.float32)  # the first two come to 0
    assert not problem(made, [tiny], lambda each: 0 * each)
    assert problem(made, [tiny], lambda each: 3 * each)
    for order in itertools.permutations([0.2046, -4.2e-45, -0.52824]):  # the reference gives 0 in some
        assert not problem(made, [np.array(order, np.float32)], lambda each: 0 * each + np.float32(1e-45))
    small = np.array([-0.025, 4e-30, 498.0], np.float32)
    assert problem(made, [small], lambda each: 0 * each)


@pytest.mark.parametrize("kind", ["exp", "exp2"])
def test_what_nearly_comes_to_nothing_may_be_the_smallest_number(kind: str) -> None:
    made, smallest = kernel(elementwise(kind), "f32"), np.float32(1e-45)
    near, far = (np.array([-x if kind == "exp2" else -x * np.log(2)], np.float32) for x in (150.2, 160.0))
    assert not problem(made, [near], lambda each: each + smallest)
    assert problem(made, [near], lambda each: each + 3 * smallest)
    assert problem(made, [far], lambda each: each + smallest)


def test_a_running_product_may_vanish_from_where_a_part_of_it_does() -> None:
    made = kernel(lambda add, x: add(irregular_build.scan("prod", x, 0)), "f32")
    numbers = np.array([0.5, 1e-30, 1e-15, 1e8], np.float32)
    assert not problem(made, [numbers], lambda each: each * np.array([1, 1, 1, 0], np.float32))
    assert problem(made, [numbers], lambda each: each * np.array([1, 2, 1, 1], np.float32))


def test_the_sign_of_a_sum_that_comes_to_nothing_is_open() -> None:
    made = kernel(
        lambda add, x: add(build.elementwise("rsqrt", [add(irregular_build.scan("sum", x, 0))])), "f32"
    )
    assert not problem(made, [np.array([-0.0], np.float32)], lambda each: -each)


def test_what_a_mask_hides_leaves_a_softmax_of_large_halves_as_open_as_it_was() -> None:
    made = kernel(
        lambda add, x, y: add(
            build.softmax(add(build.elementwise("minimum", [add(build.elementwise("mul", [x, x])), y])))
        ),
        "bf16",
        "bf16",
    )
    numbers = np.array([22.75, 22.625, 22.625, 1.0]).astype(numpy_dtypes["bf16"])
    mask = np.array([np.inf, np.inf, np.inf, -np.inf]).astype(numpy_dtypes["bf16"])
    others = np.array([0.0, 0.5, 0.5, 0.0]).astype(numpy_dtypes["bf16"])
    assert not problem(made, [numbers, mask], lambda _: others)


def test_nothing_is_asked_of_a_sum_whose_products_overflow_in_one_way_of_computing() -> None:
    """A product that is rounded is infinite, and one that a fused operation keeps is not."""
    made = kernel(lambda add, x, y: add(build.contract(x, y)), "f64", "f64")
    greatest = np.finfo(np.float64).max
    arguments = [np.array([greatest, greatest]), np.array([greatest, -greatest])]
    assert not problem(made, arguments, lambda each: np.full_like(each, -np.inf))
    arguments = [np.array([1e150, 2.0]), np.array([0.0, 1.0])]
    assert problem(made, arguments, lambda each: each + 1)


@pytest.mark.parametrize("dtype", ["f32", "f16", "bf16"])
def test_attention_may_lose_of_each_score_what_f32_does_and_no_more(dtype: str) -> None:
    types = {name: array_type(dtype, ("m", "n")) for name in "qkv"}

    def body(add: Any, q: SSAValue, k: SSAValue, v: SSAValue) -> SSAValue:
        wide = [add(build.cast(each, "f32")) for each in (q, k, v)] if dtype == "f32" else [q, k, v]
        result: SSAValue = add(products_build.attention(*wide, add(build.constant(0.17, "f32"))))
        return result

    made = make_kernel(types, body)
    as_module(made)
    chance = np.random.default_rng(0)
    q = chance.integers(0, 4, (33, 33)).astype(numpy_dtypes[dtype])
    wanted = evaluate_kernel(made, [q, q, q])
    scores = q.astype(np.float64) @ q.astype(np.float64).T * 0.17
    for error, agrees in ((3e-6, True), (0.1, False)):  # of each score, another one from key to key
        weights = np.exp(scores - scores.max(1, keepdims=True) + error * chance.uniform(-1, 1, scores.shape))
        got = weights / weights.sum(1, keepdims=True) @ q.astype(np.float64)
        found = disagreement(made, [q, q, q], [got.astype(numpy_dtypes[dtype])], wanted)
        assert (not found) == agrees, found


def test_a_nan_an_infinity_and_another_shape_are_told() -> None:
    made = kernel(elementwise("exp"), "f32")
    argument = np.arange(3, dtype=np.float32)
    for wrong in (np.nan, np.inf):
        assert problem(
            made, [argument], lambda each, wrong=wrong: np.where(argument == 1, wrong, each).astype("f4")
        )
    assert "float32[2]" in problem(made, [argument], lambda each: each[:2])
    assert "float64[3]" in problem(made, [argument], lambda each: each.astype(np.float64))


@pytest.mark.parametrize("dtype", ["f16", "bf16"])
def test_a_scatter_of_halves_rounds_once_or_after_each_row_and_loses_no_row(dtype: str) -> None:
    types = {
        "x": array_type(dtype, (1,)),
        "places": array_type("i64", ("k",)),
        "rows": array_type(dtype, ("k",)),
    }
    made = make_kernel(types, lambda add, x, at, rows: add(irregular_build.scatter("sum", x, at, rows)))
    as_module(made)
    zero, ones = np.zeros(1, numpy_dtypes[dtype]), np.ones(4000, numpy_dtypes[dtype])
    arguments = [zero, np.zeros(4000, np.int64), ones]
    wanted = evaluate_kernel(made, arguments)
    stuck = 2 ** {"f16": 11, "bf16": 8}[dtype]
    for value, agrees in ((4000, True), (stuck, True), (3000, False), (8000, False), (stuck / 2, False)):
        assert (not disagreement(made, arguments, [np.full(1, value, zero.dtype)], wanted)) == agrees, value


@pytest.mark.parametrize("dtype", ["f16", "bf16"])
def test_sums_of_many_halves_lose_what_f32_does(dtype: str) -> None:
    numbers = np.abs(array_of(dtype, (1000,), 1))
    total = kernel(lambda add, a: add(build.reduce("sum", a)), dtype)
    weights = kernel(lambda add, a: add(build.softmax(a, 0)), dtype)
    for made in (total, weights):
        assert not problem(
            made, [numbers], lambda values: off_by(np.atleast_1d(values), 1, dtype).reshape(values.shape)
        )
        assert problem(
            made, [numbers], lambda values: off_by(np.atleast_1d(values), 3, dtype).reshape(values.shape)
        )


def test_products_of_halves_and_wide_numbers_lose_what_wide_ones_do() -> None:
    """Whole numbers beyond 2^53, added up in f64, and halves that nearly cancel, added up in f32."""
    made = kernel(lambda add, a, b: add(build.contract(a, b)), "f16", "i64")
    a, b = array_of("f16", (33,), 1), np.arange(33) * 2**57 + 1
    assert not problem(made, [a, b], lambda value: off_by(np.atleast_1d(value), 4, "f64").reshape(()))
    assert problem(made, [a, b], lambda value: value * (1 + 1e-9))
    halves = np.array([6e4, 2e-4, -6e4]).astype(np.float16)
    total = kernel(lambda add, a: add(build.reduce("sum", a)), "f16")
    assert not problem(total, [halves], lambda value: value + np.float16(2e-4))


def test_weights_are_open_where_one_rounding_makes_them_nothing_or_all() -> None:
    """Squares of 22.75 and 22.625 are 517.6 and 511.9: in bf16 516 or 520, and 512."""
    numbers = np.array([22.75, 22.625, 22.625]).astype(numpy_dtypes["bf16"])
    others = np.array([0.0, 0.5, 0.5]).astype(numpy_dtypes["bf16"])
    squares = kernel(lambda add, a: add(build.softmax(add(build.elementwise("mul", [a, a])), 0)), "bf16")
    assert not problem(squares, [numbers], lambda _: others)
    given = kernel(lambda add, a: add(build.softmax(a, 0)), "bf16")
    assert problem(given, [numbers * numbers], lambda _: others)


def test_what_all_numbers_lose_by_one_divisor_the_rest_need_not_make_good() -> None:
    """With all roundings up the sum is greater, the quotients less, and their mean as it was."""
    made = kernel(
        lambda add, a: add(
            build.reduce("mean", add(build.elementwise("div", [a, add(build.reduce("sum", a, None, True))])))
        ),
        "f32",
    )
    numbers = np.abs(array_of("f32", (95,), 1)) + 1
    assert not problem(made, [numbers], lambda value: off_by(np.atleast_1d(value), 8, "f32").reshape(()))
    assert problem(made, [numbers], lambda value: off_by(np.atleast_1d(value), 40, "f32").reshape(()))
