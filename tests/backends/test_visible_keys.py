"""Masks written out by positions: keys that they hide are left out only where that changes nothing."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from xdsl.dialects.builtin import UnknownLoc
from xdsl.ir import Block, SSAValue

import flowc
from flowc.dialects.array import build, products_build
from flowc.dialects.array.products import AttentionOp
from flowc.dialects.array.types import array_type
from flowc.passes.array_to_loops.elements import Lowering
from flowc.passes.array_to_loops.segment import PROCESSOR
from flowc.passes.array_to_loops.visible_keys import sight_of
from flowc.testing.strategies.kernels import Add, make_kernel

pytestmark = pytest.mark.usefixtures("unoptimised")

NOTHING = np.float32(-np.inf)


def _attention(scores: Any, v: Any) -> Any:
    power = np.exp(scores - scores.max(axis=-1, keepdims=True))
    return power @ v / power.sum(axis=-1, keepdims=True)


@flowc.jit
def shifted(q: Any, k: Any, v: Any, shift: int) -> Any:
    seen = np.arange(q.shape[1])[:, None] + shift >= np.arange(k.shape[1])
    return _attention(np.where(seen, q @ k.transpose(0, 2, 1), NOTHING), v)


@flowc.jit
def windowed(q: Any, k: Any, v: Any, width: int) -> Any:
    apart = np.arange(q.shape[1])[:, None] - np.arange(k.shape[1])
    seen = (apart < width) & (apart > -width)
    return _attention(np.where(seen, q @ k.transpose(0, 2, 1), np.float32(-1e9)), v)


@flowc.jit
def short(q: Any, k: Any, v: Any, length: int) -> Any:
    hidden = ~(np.arange(k.shape[1]) < length)
    return _attention(np.where(hidden, NOTHING, q @ k.transpose(0, 2, 1)), v)


@flowc.jit
def added(q: Any, k: Any, v: Any, shift: int) -> Any:
    queries, keys = np.arange(q.shape[1])[:, None], np.arange(k.shape[1])
    return _attention(q @ k.transpose(0, 2, 1) + np.where(keys - shift > queries, NOTHING, np.float32(0)), v)


@flowc.jit
def triangular(q: Any, k: Any, v: Any, shift: int) -> Any:
    seen = np.tril(np.ones((q.shape[1], k.shape[1]), np.bool_))
    return _attention(np.where(seen, q @ k.transpose(0, 2, 1), NOTHING) + np.float32(shift), v)


FORMS = [shifted, windowed, short, added, triangular]


def _agree(form: Any, q: Any, k: Any, v: Any, number: int) -> None:
    with np.errstate(all="ignore"):
        wanted = form.function(q, k, v, number)
    np.testing.assert_allclose(form(q, k, v, number), wanted, rtol=2e-4, atol=2e-5)


def _arrays(queries: int, keys: int) -> list[Any]:
    rng = np.random.default_rng(queries + keys)
    shapes = ((2, queries, 16), (2, keys, 16), (2, keys, 20))
    return [rng.standard_normal(shape).astype(np.float32) for shape in shapes]


@pytest.mark.alike(2)
@pytest.mark.parametrize("form", FORMS, ids=lambda form: str(form.function.__name__))
def test_a_mask_by_positions_hides_what_numpy_hides(form: Any) -> None:
    for queries, keys in ((70, 70), (1, 300), (130, 700), (700, 130), (5, 0), (0, 5)):
        if keys or form is not shifted:
            for number in (0, 1, 65, -3, 400):
                if keys:
                    _agree(form, *_arrays(queries, keys), number)


@pytest.mark.parametrize("form", FORMS, ids=lambda form: str(form.function.__name__))
@pytest.mark.parametrize("special", [np.nan, np.inf, -np.inf, 3e38])
@pytest.mark.parametrize("operand", [1, 2])
def test_what_is_hidden_shows_where_zero_does_not_take_it_back(
    form: Any, special: float, operand: int
) -> None:
    arrays = _arrays(60, 600)
    arrays[operand][1, 550, 3] = special
    _agree(form, *arrays, 10)


@pytest.mark.parametrize("number", [2**62, 2**63 - 1, -(2**62), -(2**63)])
@pytest.mark.parametrize("form", [shifted, added, short])
def test_positions_may_wrap_around(form: Any, number: int) -> None:
    _agree(form, *_arrays(40, 300), number)


def test_scores_as_low_as_hidden_ones_leave_these_their_weight() -> None:
    q, k, v = _arrays(60, 600)
    _agree(windowed, np.abs(q) * 1e5, -np.abs(k) * 1e5, v, 3)


Condition = Callable[[Add, SSAValue, SSAValue], SSAValue]


def _pair(kind: str, turned: bool = False) -> Condition:
    def body(add: Add, queries: SSAValue, keys: SSAValue) -> SSAValue:
        return add(build.elementwise(kind, [keys, queries] if turned else [queries, keys]))

    return body


def _scaled(add: Add, queries: SSAValue, keys: SSAValue) -> SSAValue:
    twice = add(build.elementwise("mul", [keys, add(build.constant(2, "i64"))]))
    return add(build.elementwise("ge", [queries, twice]))


def _either(add: Add, queries: SSAValue, keys: SSAValue) -> SSAValue:
    pair = [_pair("ge")(add, queries, keys), _pair("eq")(add, queries, keys)]
    return add(build.elementwise("or", pair))


def _both(add: Add, queries: SSAValue, keys: SSAValue) -> SSAValue:
    pair = [_pair("ge")(add, queries, keys), _pair("ne")(add, queries, keys)]
    return add(build.elementwise("and", pair))


def _neither(add: Add, queries: SSAValue, keys: SSAValue) -> SSAValue:
    pair = [_pair("lt")(add, queries, keys), _pair("eq")(add, queries, keys)]
    return add(build.elementwise("not", [add(build.elementwise("or", pair))]))


def _chosen(add: Add, queries: SSAValue, keys: SSAValue) -> SSAValue:
    pair = [_pair("ge")(add, queries, keys), _pair("ne")(add, queries, keys)]
    return add(build.elementwise("where", [*pair, add(build.constant(False, "bool"))]))


def _narrow(add: Add, queries: SSAValue, keys: SSAValue) -> SSAValue:
    return add(build.elementwise("ge", [add(build.cast(each, "i32")) for each in (queries, keys)]))


@pytest.mark.parametrize(
    ("condition", "lines"),
    [
        (_pair("ge"), [(1, -1, 0)]),
        (_pair("gt"), [(1, -1, 1)]),
        (_pair("ge", turned=True), [(-1, 1, 0)]),
        (_pair("lt"), [(-1, 1, 1)]),
        (_pair("ne"), []),
        (_scaled, []),
        (_either, []),
        (_both, [(1, -1, 0)]),
        (_neither, [(1, -1, 0)]),
        (_chosen, [(1, -1, 0)]),
        (_narrow, []),
    ],
)
@pytest.mark.parametrize("same", [True, False])
def test_lines_follow_from_comparisons_of_positions_alone(
    condition: Condition, lines: list[tuple[int, int, int]], same: bool
) -> None:
    def body(add: Add, q: SSAValue, k: SSAValue, v: SSAValue, n: SSAValue) -> SSAValue:
        # As many positions as queries, or a number of them that may be 1 and is then stretched.
        number = add(build.dim(q, 0)) if same else n
        queries = add(build.expand(add(build.iota(number)), 1))
        seen = condition(add, queries, add(build.iota(add(build.dim(k, 0)))))
        return add(products_build.attention(q, k, v, add(build.constant(1.0, "f32")), seen))

    types = {name: array_type("f32", (rows, "d")) for name, rows in zip("qkv", "stt", strict=True)}
    kernel = make_kernel({**types, "n": array_type("i64", ())}, body)
    (op,) = [op for op in kernel.walk() if isinstance(op, AttentionOp)]
    sight = sight_of(Lowering(kernel, Block(), UnknownLoc(), PROCESSOR), op)
    found = [] if sight is None else [(line.query, line.key, line.least) for line in sight.lines]
    assert found == (lines if same else [])
