"""Masks written out by positions, on the emulated device: keys are left out where that changes nothing."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from xdsl.ir import SSAValue

from flowc.dialects.array import build, products_build
from flowc.testing.strategies.kernels import Add
from tests.cuda.test_attention import agrees, arrays, kernel

Mask = Callable[[Add, SSAValue, SSAValue], SSAValue]


def _positions(add: Add, q: SSAValue, k: SSAValue) -> tuple[SSAValue, SSAValue]:
    queries, keys = (add(build.iota(add(build.dim(each, 1)))) for each in (q, k))
    return add(build.expand(queries, 1)), keys


def _causal(add: Add, q: SSAValue, k: SSAValue) -> SSAValue:
    return add(build.elementwise("ge", list(_positions(add, q, k))))


def _banded(add: Add, q: SSAValue, k: SSAValue) -> SSAValue:
    queries, keys = _positions(add, q, k)
    apart = add(build.elementwise("sub", [queries, keys]))
    near = add(build.elementwise("lt", [apart, add(build.constant(40, "i64"))]))
    return add(build.elementwise("and", [near, add(build.elementwise("ge", [queries, keys]))]))


def _short(add: Add, q: SSAValue, k: SSAValue) -> SSAValue:
    """Keys up to a number that is far beyond positions of 32 bits."""
    _, keys = _positions(add, q, k)
    return add(build.elementwise("gt", [add(build.constant((1 << 32) + 20, "i64")), keys]))


def _where(mask: Mask, hidden: float, dtype: str) -> Callable[..., SSAValue]:
    """softmax(where(mask, q @ k.T, hidden)) @ v, which becomes attention; of halves it is written as that."""

    def body(add: Add, q: SSAValue, k: SSAValue, v: SSAValue) -> SSAValue:
        seen = mask(add, q, k)
        if dtype == "f16":
            return add(products_build.attention(q, k, v, add(build.constant(0.2, "f32")), seen))
        scores = add(build.contract(q, add(build.transpose(k, (0, 2, 1)))))
        scores = add(build.elementwise("where", [seen, scores, add(build.constant(hidden, dtype))]))
        return add(build.contract(add(build.softmax(scores, 2)), v))

    return body


def _added(mask: Mask) -> Callable[..., SSAValue]:
    def body(add: Add, q: SSAValue, k: SSAValue, v: SSAValue) -> SSAValue:
        numbers = [add(build.constant(number, "f32")) for number in (0.0, -1e9)]
        bias = add(build.elementwise("where", [mask(add, q, k), *numbers]))
        scores = add(build.contract(q, add(build.transpose(k, (0, 2, 1)))))
        scores = add(build.elementwise("add", [scores, bias]))
        return add(build.contract(add(build.softmax(scores, 2)), v))

    return body


FORMS = [
    ("f16", _where(_causal, -np.inf, "f16")),
    ("f16", _where(_banded, -np.inf, "f16")),
    ("f16", _where(_short, -np.inf, "f16")),
    ("f32", _where(_causal, -1e9, "f32")),
    ("f32", _where(_banded, -np.inf, "f32")),
    ("f32", _added(_banded)),
]


@pytest.mark.parametrize(
    ("dtype", "body"), FORMS, ids=["causal", "banded", "short", "hidden", "unseen", "added"]
)
def test_what_is_hidden_shows_only_where_zero_does_not_take_it_back(dtype: str, body: Any) -> None:
    calls = [arrays(dtype, (2, 2), rows, (16, 16)) for rows in ((200, 330), (330, 260), (3, 140))]
    for operand in (1, 2):
        for special in (np.nan, np.inf):
            call = arrays(dtype, (2, 2), (150, 300), (16, 16))
            call[operand][1, 270, 3] = special
            calls.append(call)
    with np.errstate(all="ignore"):
        agrees(kernel(dtype, (16, 16), body, shared="h"), dtype, *calls)
