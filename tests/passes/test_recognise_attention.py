"""recognise-attention: the ways in which attention is written, what only looks like it; the value stays."""

from collections.abc import Callable

import numpy as np
import pytest
from xdsl.dialects.builtin import UnitAttr
from xdsl.ir import SSAValue

from flowc.dialects.array import AttentionOp, KernelOp, SoftmaxOp, build
from flowc.dialects.array.reference import evaluate_kernel
from flowc.dialects.array.types import array_type
from flowc.passes.recognise_attention import recognise_attention
from flowc.testing.strategies.kernels import Add, array_of, as_module, make_kernel

Body = Callable[[Add, SSAValue, SSAValue, SSAValue], SSAValue]


def _scores(add: Add, q: SSAValue, k: SSAValue) -> SSAValue:
    return add(build.contract(q, add(build.transpose(k, (0, 2, 1)))))


def _operator(add: Add, q: SSAValue, k: SSAValue, v: SSAValue) -> SSAValue:
    scaled = add(build.elementwise("div", [_scores(add, q, k), add(build.constant(2.0, "f32"))]))
    return add(build.contract(add(build.softmax(scaled, 2)), v))


def _written_out(add: Add, q: SSAValue, k: SSAValue, v: SSAValue) -> SSAValue:
    scores = add(build.elementwise("mul", [add(build.constant(0.5, "f32")), _scores(add, q, k)]))
    top = add(build.reduce("max", scores, [2], True))
    power = add(build.elementwise("exp", [add(build.elementwise("sub", [scores, top]))]))
    weights = add(build.elementwise("div", [power, add(build.reduce("sum", power, [2], True))]))
    return add(build.contract(weights, v))


def _unscaled(add: Add, q: SSAValue, k: SSAValue, v: SSAValue) -> SSAValue:
    return add(build.contract(add(build.softmax(_scores(add, q, k), 2)), v))


def _divided_at_the_end(add: Add, q: SSAValue, k: SSAValue, v: SSAValue) -> SSAValue:
    scores = _scores(add, q, k)
    top = add(build.reduce("max", scores, [2], True))
    power = add(build.elementwise("exp", [add(build.elementwise("sub", [scores, top]))]))
    total = add(build.reduce("sum", power, [2], True))
    return add(build.elementwise("div", [add(build.contract(power, v)), total]))


def _causal(add: Add, q: SSAValue, k: SSAValue) -> SSAValue:
    """True where a key stands before a query or at it."""
    queries, keys = (add(build.iota(add(build.dim(each, 1)))) for each in (q, k))
    return add(build.elementwise("ge", [add(build.expand(queries, 1)), keys]))


def _hidden_by(number: float) -> Body:
    def body(add: Add, q: SSAValue, k: SSAValue, v: SSAValue) -> SSAValue:
        seen, other = _causal(add, q, k), add(build.constant(number, "f32"))
        scores = add(build.elementwise("where", [seen, _scores(add, q, k), other]))
        return add(build.contract(add(build.softmax(scores, 2)), v))

    return body


def _with_a_bias(add: Add, q: SSAValue, k: SSAValue, v: SSAValue) -> SSAValue:
    bias = add(build.cast(_causal(add, q, k), "f32"))
    scores = add(build.elementwise("add", [bias, _scores(add, q, k)]))
    return add(build.contract(add(build.softmax(scores, 2)), v))


def _over_a_wide_root(add: Add, q: SSAValue, k: SSAValue, v: SSAValue) -> SSAValue:
    root = add(build.elementwise("sqrt", [add(build.dim(q, 2))]))
    scores = add(build.elementwise("div", [_scores(add, q, k), root]))
    return add(build.contract(add(build.softmax(scores, 2)), v))


def _hides_all_keys(add: Add, q: SSAValue, k: SSAValue, v: SSAValue) -> SSAValue:
    seen = add(build.elementwise("not", [_causal(add, q, k)]))  # the last queries see no key
    scores = add(build.elementwise("where", [seen, _scores(add, q, k), add(build.constant(-np.inf, "f32"))]))
    return add(build.contract(add(build.softmax(scores, 2)), v))


def _biased_then_hidden(add: Add, q: SSAValue, k: SSAValue, v: SSAValue) -> SSAValue:
    seen, number = _causal(add, q, k), add(build.constant(-np.inf, "f32"))
    bias = add(build.cast(seen, "f32"))
    scores = add(build.elementwise("add", [_scores(add, q, k), bias]))
    hidden = add(build.elementwise("where", [add(build.elementwise("not", [seen])), number, scores]))
    return add(build.contract(add(build.softmax(hidden, 2)), v))


def _bounded(add: Add, q: SSAValue, k: SSAValue, v: SSAValue) -> SSAValue:
    bound = add(build.constant(3.0, "f32"))
    scores = add(build.elementwise("div", [_scores(add, q, k), bound]))
    scores = add(build.elementwise("mul", [bound, add(build.elementwise("tanh", [scores]))]))
    return add(build.contract(add(build.softmax(scores, 2)), v))


def _by_a_number_a_key(add: Add, q: SSAValue, k: SSAValue, v: SSAValue) -> SSAValue:
    keys = add(build.cast(add(build.iota(add(build.dim(k, 1)))), "f32"))
    scores = add(build.elementwise("mul", [_scores(add, q, k), keys]))
    return add(build.contract(add(build.softmax(scores, 2)), v))


def _with_a_wide_bias(add: Add, q: SSAValue, k: SSAValue, v: SSAValue) -> SSAValue:
    bias = add(build.cast(_causal(add, q, k), "f64"))
    scores = add(build.elementwise("add", [add(build.cast(_scores(add, q, k), "f64")), bias]))
    return add(build.contract(add(build.softmax(scores, 2)), v))


def _taken_from_a_bias(add: Add, q: SSAValue, k: SSAValue, v: SSAValue) -> SSAValue:
    bias = add(build.cast(_causal(add, q, k), "f32"))
    scores = add(build.elementwise("sub", [bias, _scores(add, q, k)]))
    return add(build.contract(add(build.softmax(scores, 2)), v))


def _hidden_by_its_own_sign(add: Add, q: SSAValue, k: SSAValue, v: SSAValue) -> SSAValue:
    scores = _scores(add, q, k)
    positive = add(build.elementwise("gt", [scores, add(build.constant(0.0, "f32"))]))
    scores = add(build.elementwise("where", [positive, scores, add(build.constant(-1.0, "f32"))]))
    return add(build.contract(add(build.softmax(scores, 2)), v))


def _along_the_queries(add: Add, q: SSAValue, k: SSAValue, v: SSAValue) -> SSAValue:
    return add(build.contract(add(build.softmax(_scores(add, q, k), 1)), v))


def _other_maximum(add: Add, q: SSAValue, k: SSAValue, v: SSAValue) -> SSAValue:
    scores = _scores(add, q, k)
    top = add(build.reduce("max", scores, [1], True))
    power = add(build.elementwise("exp", [add(build.elementwise("sub", [scores, top]))]))
    weights = add(build.elementwise("div", [power, add(build.reduce("sum", power, [2], True))]))
    return add(build.contract(weights, v))


def kernel_of(body: Body) -> KernelOp:
    dims = {"q": ("h", "s", "d"), "k": ("h", "t", "d"), "v": ("h", "t", "e")}
    return make_kernel({name: array_type("f32", each) for name, each in dims.items()}, body)


@pytest.mark.parametrize(
    ("body", "found"),
    [
        (_operator, 1),
        (_written_out, 1),
        (_unscaled, 1),
        (_divided_at_the_end, 1),
        (_hidden_by(-np.inf), 1),
        (_hidden_by(-1e9), 1),
        (_with_a_bias, 1),
        (_hides_all_keys, 1),
        (_over_a_wide_root, 1),
        (_biased_then_hidden, 1),
        (_bounded, 1),
        (_by_a_number_a_key, 1),
        (_with_a_wide_bias, 1),
        (_taken_from_a_bias, 0),
        (_hidden_by_its_own_sign, 0),
        (_along_the_queries, 0),
        (_other_maximum, 0),
    ],
)
def test_attention_is_recognised_and_nothing_else(body: Body, found: int) -> None:
    kernel = kernel_of(body)
    arguments = [array_of("f32", shape, 1) for shape in ((2, 5, 4), (2, 7, 4), (2, 7, 3))]
    before = evaluate_kernel(kernel, arguments)[0]
    module = as_module(kernel)
    assert recognise_attention(module) == found
    module.verify()
    assert sum(isinstance(op, AttentionOp) for op in kernel.walk()) == found
    np.testing.assert_allclose(evaluate_kernel(kernel, arguments)[0], before, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("stretched", ["q", "k", "v"])
def test_stacks_that_are_stretched_stay_as_they_are_written(stretched: str) -> None:
    dims: dict[str, tuple[str | int, ...]]
    dims = {"q": ("h", "s", "d"), "k": ("h", "t", "d"), "v": ("h", "t", "e")}
    dims[stretched] = (1, *dims[stretched][1:])
    kernel = make_kernel({name: array_type("f32", each) for name, each in dims.items()}, _operator)
    assert recognise_attention(as_module(kernel)) == 0


def test_the_scores_are_gone() -> None:
    kernel = kernel_of(_operator)
    recognise_attention(as_module(kernel))
    assert not any(isinstance(op, SoftmaxOp) for op in kernel.walk())


def test_the_written_order_is_kept_where_it_is_asked_for() -> None:
    kernel = kernel_of(_operator)
    kernel.attributes["array.precise"] = UnitAttr()
    assert recognise_attention(as_module(kernel)) == 0
