"""What a model says of a call, what it says of one that it knows nothing about, and what is no model."""

import json
from typing import Any

import numpy as np
import pytest
from attrs import evolve

from flowc.dialects.array import build
from flowc.dialects.array.kernel import KernelOp
from flowc.dialects.array.types import array_type
from flowc.passes.array_to_loops.kernel import lower_kernel
from flowc.passes.cost.forest import as_data, forest_of
from flowc.passes.cost.kernel_amounts import COLUMNS, KernelCounts, amounts, kernel_counts
from flowc.passes.cost.kernel_features import FEATURES, combinations, combinations_of, features
from flowc.passes.cost.kernel_model import (
    UNSURE,
    KernelModel,
    ModelError,
    as_json,
    from_json,
    predict,
    predict_features,
)
from flowc.passes.cost.kernel_roofline import Machine
from flowc.passes.cost.kernel_work import kernel_work
from flowc.passes.fuse_array import fuse_array
from flowc.testing.strategies.kernels import as_module, make_kernel

MACHINE = Machine("some", 1, np.array([10.0, 20.0]), np.array([4e9, 1e9]), 1e10, 1e11, 1e-6, 1e-8, 64)


def _counts(kernel: KernelOp) -> KernelCounts:
    fuse_array(as_module(kernel))
    layouts = ("contiguous",) * len(kernel.function_type.inputs)
    _, checks = lower_kernel(kernel, "k", 512, layouts)
    return kernel_counts(kernel_work(kernel, checks.groups))


def _row_sums(operator: str = "exp") -> KernelCounts:
    """sum(f(a + b), axis=1): one loop, which reads the two and writes the rows."""
    matrix, row = array_type("f32", ("n", "m")), array_type("f32", ("m",))
    return _counts(
        make_kernel(
            {"a": matrix, "b": row},
            lambda add, a, b: add(
                build.reduce(
                    "sum", add(build.elementwise(operator, [add(build.elementwise("add", [a, b]))])), [1]
                )
            ),
        )
    )


def _sizes(n: int, m: int) -> Any:
    return lambda extent: {("dim", 0, 0): n, ("dim", 0, 1): m}[extent]


def test_the_amounts_of_a_fused_loop_are_those_of_its_arrays_and_operators() -> None:
    found = amounts(_row_sums(), _sizes(30, 50))
    loop = dict(zip(COLUMNS, found.loops[0], strict=True))
    assert len(found.loops) == 1
    assert {name: amount for name, amount in loop.items() if amount} == {
        "elements": 1500,
        "inner": 50,
        "written": 4 * 30,
        "plain": 4 * 1500,
        "repeated": 4 * 50,
        "add": 1500,
        "exp": 1500,
        "reduce_rows": 1500,
    }
    assert found.arguments.tolist() == [4 * 1500, 4 * 50, 4 * 30]


def test_features_are_finite_for_any_extents() -> None:
    counts = _row_sums()
    for n, m in ((0, 0), (1, 1), (0, 9), (1 << 31, 1 << 31)):
        row = features(counts, MACHINE, _sizes(n, m)).row
        assert row.shape == (len(FEATURES),)
        assert np.isfinite(row).all()


def _model(correction: float = 1.0) -> KernelModel:
    """One that says twice the roofline, for anything that `_row_sums` does, between 1.5 and 4 times."""
    rows = np.array([features(_row_sums(), MACHINE, _sizes(n, n)).row for n in (4, 4000)])
    had = np.logical_or.reduce([combinations(row) for row in rows])
    return KernelModel(
        {1: MACHINE}, forest_of(_trees(correction)), rows.min(axis=0), rows.max(axis=0), had, 2
    )


def _tree(feature: int) -> dict[str, Any]:
    """One that asks for a feature."""
    return {"features": [feature, -1, -1], "numbers": [0.0, 1.0, 2.0]}


def _trees(correction: float) -> list[list[dict[str, Any]]]:
    spread = (np.log2(1.5), correction, 2.0)
    return [[{"features": [-1], "numbers": [float(value)]}] for value in spread]


def test_a_prediction_is_the_roofline_times_what_the_forest_says() -> None:
    found = predict(_model(), _row_sums(), 1, _sizes(100, 100))
    assert found.seconds == pytest.approx(2 * found.roofline, rel=0.15)
    assert (found.low, found.high) == pytest.approx((1.5 * found.roofline, 4 * found.roofline))
    assert found.roofline > MACHINE.call
    assert not found.why


def test_what_is_expected_has_a_lesser_relative_error_than_the_median() -> None:
    deviation = 0.6
    points = (-1.2816 * deviation, 0.0, 1.2816 * deviation)
    trees = [[{"features": [-1], "numbers": [each]}] for each in points]
    found = predict(evolve(_model(), forest=forest_of(trees)), _row_sums(), 1, _sizes(100, 100))
    times = found.roofline * 2.0 ** np.random.default_rng(1).normal(0.0, deviation, 20_000)
    assert found.low < found.seconds < found.roofline
    assert np.mean(abs(found.seconds / times - 1)) < np.mean(abs(found.roofline / times - 1))


def test_an_interval_holds_what_is_expected_even_where_quantiles_cross() -> None:
    for correction in (-3.0, 5.0):
        found = predict(_model(correction), _row_sums(), 1, _sizes(100, 100))
        assert found.low <= found.seconds <= found.high


def test_of_an_operator_that_was_never_measured_only_the_roofline_is_said() -> None:
    for size in (100, 1 << 15):
        found = predict(_model(), _row_sums("log"), 1, _sizes(size, size))
        assert found.why == "no kernel with logarithm was measured"
        assert found.seconds == found.roofline
        assert found.low < found.seconds < found.high


@pytest.mark.parametrize(("correction", "times"), [(1.0, 2.0), (-1.0, 1.0)])
def test_beyond_the_sizes_that_were_measured_a_call_is_as_much_above_the_roofline_as_at_the_border(
    correction: float, times: float
) -> None:
    found = predict(_model(correction), _row_sums(), 1, _sizes(1 << 20, 1 << 10))
    assert "lies outside what was measured" in found.why
    assert found.seconds == pytest.approx(times * found.roofline, rel=0.15)
    assert (found.low, found.high) == pytest.approx((found.seconds / UNSURE, found.seconds * UNSURE))


def test_a_prediction_from_features_is_that_of_the_call() -> None:
    for size in (100, 1 << 15):
        made = features(_row_sums(), MACHINE, _sizes(size, size))
        assert predict_features(_model(), made) == predict(_model(), _row_sums(), 1, _sizes(size, size))


@pytest.mark.parametrize("operator", ["exp", "log", "sqrt", "tanh"])
def test_what_a_kernel_combines_follows_from_any_of_its_calls(operator: str) -> None:
    counts = _row_sums(operator)
    for n, m in ((1, 1), (7, 900), (1 << 20, 3)):
        row = features(counts, MACHINE, _sizes(n, m)).row
        assert (combinations(row) == combinations_of(counts)).all()


def test_a_model_comes_back_from_its_text() -> None:
    model = _model()
    again = from_json(as_json(model))
    sizes = _sizes(77, 99)
    assert predict(again, _row_sums(), 1, sizes) == predict(model, _row_sums(), 1, sizes)
    assert predict(again, _row_sums(), 64, sizes) == predict(model, _row_sums(), 1, sizes)


@pytest.mark.parametrize(
    ("place", "value"),
    [
        (("version",), 1),
        (("features",), ["roofline"]),
        (("machines",), []),
        (("machines", 0, "threads"), 0),
        (("machines", 0, "sizes"), [20.0, 10.0]),
        (("machines", 0, "bandwidths"), [1.0, -1.0]),
        (("machines", 0, "bandwidths"), [1.0]),
        (("machines", 0, "call"), "fast"),
        (("machines", 0, "operations"), float("nan")),
        (("machines", 0, "row"), -1.0),
        (("machines", 0, "vector"), 0),
        (("machines", 0, "operations"), 1e-320),
        (("machines", 0, "call"), 1e9),
        (("combinations",), ["nothing"]),
        (("combinations",), None),
        (("samples",), None),
        (("lowest",), [0.0]),
        (("highest", 3), None),
        (("highest", 3), 10**400),
        (("forest", "leaves", 0), 1e300),
        (("forest", "ends"), [3]),
        (("forest",), as_data(forest_of([[_tree(999)]] * 3))),
        (("forest", "roots", 1), 0),
    ],
)
def test_what_is_damaged_is_no_model(place: tuple[Any, ...], value: Any) -> None:
    data = json.loads(as_json(_model()))
    *way, last = place
    inner = data
    for step in way:
        inner = inner[step]
    inner[last] = value
    with pytest.raises(ModelError):
        from_json(json.dumps(data))


@pytest.mark.parametrize("text", ["", "[]", "null", "{", "[" * 100_000, '{"version": 1}'])
def test_what_is_no_json_or_something_else_is_no_model(text: str) -> None:
    with pytest.raises(ModelError):
        from_json(text)


def test_an_absurd_forest_gives_finite_times_in_order() -> None:
    for correction in (-64.0, 64.0):
        trees = [[{"features": [-1], "numbers": [correction]}] * 500] * 3
        model = evolve(_model(), forest=forest_of(trees))
        found = predict(model, _row_sums(), 1, _sizes(100, 100))
        assert 0 < found.low <= found.seconds <= found.high < np.inf
