"""Norms of rows beside a product: whichever is written first, those rows are read once where that pays."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
from xdsl.dialects import func, memref
from xdsl.dialects.builtin import ModuleOp
from xdsl.ir import SSAValue

import flowc
from flowc.dialects.array import build
from flowc.dialects.array.types import array_type
from flowc.passes import kernel_choices
from flowc.testing.strategies.kernels import Add, array_of, make_kernel
from tests.passes.test_array_groups import MATRIX, QUERIES, compare, elementwise, lowered, native

pytestmark = pytest.mark.usefixtures("unoptimised")

Body = Callable[..., SSAValue | Sequence[SSAValue]]

CORPUS, FEW = array_type("f32", (1000, 512)), array_type("f32", (64, 512))
"""A product that needs panels, and rows of which one side is much longer."""

SHAPES = (
    (300, 7, 33),
    (7, 300, 33),
    (65, 65, 20),
    (3, 1, 5),
    (60, 4, 0),
    (0, 5, 3),
    (5, 0, 3),
    (49, 530, 20),
)


def lengths(add: Add, x: SSAValue) -> SSAValue:
    return elementwise(add, "sqrt", add(build.reduce("sum", elementwise(add, "mul", x, x), [1], True)))


def scored(statistic: Callable[[Add, SSAValue], SSAValue], first: bool) -> Body:
    """A product with what each row of its left operand gives, which is computed first or after it."""

    def body(add: Add, r: SSAValue, q: SSAValue) -> SSAValue:
        early = statistic(add, r) if first else None
        products = add(build.contract(r, add(build.transpose(q))))
        return elementwise(add, "div", products, statistic(add, r) if early is None else early)

    return body


def mean(add: Add, x: SSAValue) -> SSAValue:
    return add(build.reduce("mean", x, [1], True))


def largest(add: Add, x: SSAValue) -> SSAValue:
    return add(build.reduce("max", x, [1], True))


def cosines(first: bool) -> Body:
    """Norms of both sides; one of them is taken from the queries, which the product reads."""

    def body(add: Add, r: SSAValue, q: SSAValue) -> SSAValue:
        norms = lengths(add, r) if first else None
        units = elementwise(add, "div", q, lengths(add, q))
        products = add(build.contract(r, add(build.transpose(units))))
        return elementwise(add, "div", products, lengths(add, r) if norms is None else norms)

    return body


def distances(first: bool) -> Body:
    def body(add: Add, r: SSAValue, q: SSAValue) -> SSAValue:
        def norms() -> list[SSAValue]:
            return [lengths(add, r), add(build.transpose(lengths(add, q)))]

        early = norms() if first else []
        products = add(build.contract(r, add(build.transpose(q))))
        rows, columns = early or norms()
        return elementwise(add, "sub", elementwise(add, "add", rows, columns), products)

    return body


def best(first: bool) -> Body:
    def body(add: Add, r: SSAValue, q: SSAValue) -> Sequence[SSAValue]:
        scores = cosines(first)(add, r, q)
        assert isinstance(scores, SSAValue)
        found = build.topk(add(build.transpose(scores)), add(build.constant(3, "i64")))
        add(found)
        return [found.values, found.indices]

    return body


def needed(add: Add, r: SSAValue, q: SSAValue) -> SSAValue:
    """The product reads what the norms give."""
    units = elementwise(add, "tanh", elementwise(add, "div", r, lengths(add, r)))
    return add(build.contract(units, add(build.transpose(q))))


def extremes(add: Add, r: SSAValue, q: SSAValue) -> Sequence[SSAValue]:
    """Numbers, which must be there behind whichever way was taken."""
    norms = lengths(add, r)
    products = add(build.contract(r, add(build.transpose(q))))
    scores = elementwise(add, "div", products, norms)
    return [scores, add(build.reduce("sum", norms)), add(build.reduce("sum", products))]


ORDERS = {
    "lengths": lambda first: scored(lengths, first),
    "mean": lambda first: scored(mean, first),
    "max": lambda first: scored(largest, first),
    "cosines": cosines,
    "distances": distances,
    "best": best,
}


def loops_over(module: ModuleOp, argument: int) -> int:
    """The loops, one after the other, that read an argument of the kernel."""
    function = next(op for op in module.walk() if isinstance(op, func.FuncOp))
    block = function.body.block
    users = (use.operation for use in block.args[argument].uses)
    return len(
        {block.find_ancestor_op_in_block(user) for user in users if not isinstance(user, memref.DimOp)}
    )


@pytest.mark.parametrize("first", [False, True])
@pytest.mark.parametrize("form", ORDERS)
def test_the_corpus_is_read_by_one_loop_whichever_is_written_first(form: str, first: bool) -> None:
    module = lowered({"r": CORPUS, "q": FEW}, ORDERS[form](first))
    assert loops_over(module, 0) == 1


@pytest.mark.parametrize("first", [False, True])
def test_a_product_that_needs_no_panels_stands_alone(first: bool) -> None:
    few = array_type("f32", (8, 16))
    module = lowered({"r": array_type("f32", (1000, 16)), "q": few}, scored(lengths, first))
    assert loops_over(module, 0) == 2


def test_rows_that_do_not_lie_along_the_contraction_are_not_shared() -> None:
    def body(add: Add, r: SSAValue, w: SSAValue) -> SSAValue:
        sums = add(build.reduce("sum", w, [0], True))
        return elementwise(add, "sub", add(build.contract(r, w)), sums)

    wide = array_type("f32", (512, 1000))
    assert loops_over(lowered({"r": FEW, "w": wide}, body), 1) == 2


def test_norms_that_a_product_needs_come_before_it() -> None:
    kernel = make_kernel({"r": MATRIX, "q": QUERIES}, needed)
    run = native(kernel)
    for n, q, m in SHAPES:
        compare(kernel, run, [1 + np.abs(array_of("f32", (n, m), 1)), array_of("f32", (q, m), 2)])


@pytest.mark.alike(5)
@pytest.mark.parametrize("near", [0, kernel_choices.DEFAULT.near], ids=["shared", "alone"])
@pytest.mark.parametrize("form", [*ORDERS, "extremes"])
def test_both_ways_give_what_the_reference_gives(
    monkeypatch: pytest.MonkeyPatch, form: str, near: int
) -> None:
    monkeypatch.setattr(kernel_choices, "DEFAULT", kernel_choices.Choices(near=near))
    body = extremes if form == "extremes" else ORDERS[form](True)
    kernel = make_kernel({"r": MATRIX, "q": QUERIES}, body)
    run = native(kernel, 1)
    for n, q, m in SHAPES:
        arguments = [1 + np.abs(array_of("f32", (n, m), 1)), 1 + np.abs(array_of("f32", (q, m), 2))]
        compare(kernel, run, arguments)


def test_a_chain_of_products_before_a_softmax_is_computed_one_by_one() -> None:
    def network(x: Any, v: Any, w: Any) -> Any:
        scores = np.maximum(np.maximum(x @ v, 0) @ w, 0) @ w
        powers = np.exp(scores - np.max(scores, axis=-1, keepdims=True))
        return powers / np.sum(powers, axis=-1, keepdims=True)

    rng = np.random.default_rng(0)
    given = [rng.standard_normal(shape) for shape in ((8, 3), (3, 10), (10, 10))]
    np.testing.assert_allclose(flowc.jit(network)(*given), network(*given), rtol=1e-12)


@pytest.mark.parametrize("shape", [(100, 33), (33, 100), (0, 7), (7, 0)])
def test_a_number_made_of_a_product_is_there_whichever_side_is_long(shape: tuple[int, int]) -> None:
    def total(x: Any, w: Any) -> Any:
        return np.sum(np.abs(x @ w))

    rng = np.random.default_rng(0)
    x, w = rng.standard_normal((shape[0], 70)), rng.standard_normal((70, shape[1]))
    np.testing.assert_allclose(flowc.jit(total)(x, w), total(x, w), rtol=1e-12)
