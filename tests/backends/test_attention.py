"""Attention, compiled, against the scores written out."""

from functools import cache
from typing import Any

import numpy as np
import pytest
from xdsl.ir import SSAValue

import flowc
from flowc.compiler.backends.llvm import Options, compile_kernels
from flowc.dialects.array import build, products_build
from flowc.dialects.array.products_reference import attention
from flowc.dialects.array.types import ShapeError, array_type
from flowc.runtime.errors import FlowError
from flowc.runtime.kernels import Kernel, load
from flowc.testing.oracles.tolerance import assert_close
from flowc.testing.strategies.kernels import Add, as_module, make_kernel

pytestmark = pytest.mark.usefixtures("unoptimised")

SCALE = 0.3
SHAPES = [
    (2, 2, 30, 30, 8, 8),
    (4, 2, 65, 130, 64, 64),
    (1, 1, 1, 300, 64, 64),
    (2, 1, 7, 5, 3, 5),
    (2, 2, 50, 600, 300, 17),
    (3, 3, 0, 5, 4, 4),
    (2, 2, 5, 0, 4, 4),
]
"""Heads of queries and of keys, queries, keys, features of keys and of values."""


@cache
def compiled(dtype: str, causal: bool, window: int | None, mask: str | None) -> Kernel:
    dims = (("h", "s", "d"), ("g", "t", "d"), ("g", "t", "e"))
    types = {name: array_type(dtype, each) for name, each in zip("qkv", dims, strict=True)}
    if mask is not None:
        types["m"] = array_type(mask, ("s", "t") if mask == "bool" else ("h", 1, "t"))

    def body(add: Add, q: SSAValue, k: SSAValue, v: SSAValue, *extra: SSAValue) -> SSAValue:
        scale = add(build.constant(SCALE, "f32"))
        return add(products_build.attention(q, k, v, scale, extra[0] if extra else None, causal, window))

    code = compile_kernels(as_module(make_kernel(types, body)), Options(cached=False))
    return load(code.object_code, code.signatures)["k"]


def arrays(dtype: Any, heads: int, shared: int, queries: int, keys: int, features: int, values: int) -> Any:
    rng = np.random.default_rng(queries + keys)
    shapes = ((heads, queries, features), (shared, keys, features), (shared, keys, values))
    return [rng.standard_normal(shape).astype(dtype) for shape in shapes]


@pytest.mark.alike(2)
@pytest.mark.parametrize(
    ("causal", "window", "mask"),
    [
        (False, None, None),
        (True, None, None),
        (False, 7, None),
        (True, 200, None),
        (False, None, "bool"),
        (False, None, "f32"),
        (True, 3, "bool"),
    ],
)
def test_attention_is_the_softmax_of_the_scores_times_the_values(
    causal: bool, window: int | None, mask: str | None
) -> None:
    native = compiled("f32", causal, window, mask)
    for shape in SHAPES:
        arguments = arrays(np.float32, *shape)
        rng = np.random.default_rng(1)
        if mask == "bool":
            arguments.append(rng.random((shape[2], shape[3])) < 0.5)
        if mask == "f32":
            arguments.append(rng.standard_normal((shape[0], 1, shape[3])).astype(np.float32))
        extra = arguments[3] if mask else None
        wanted = attention(*arguments[:3], np.float32(SCALE), extra, causal, window)
        assert_close(native(*arguments), wanted, "f32", 5)


@pytest.mark.parametrize(("dtype", "kind"), [("f64", np.float64), ("f16", np.float16)])
def test_attention_has_every_width_of_float(dtype: str, kind: Any) -> None:
    arguments = arrays(kind, 2, 2, 30, 300, 16, 20)
    wanted = attention(*arguments, np.float32(SCALE), None, True)
    assert_close(compiled(dtype, True, None, None)(*arguments), wanted, dtype, 5)


def test_a_query_that_sees_nothing_gives_zeros() -> None:
    q, k, v = arrays(np.float32, 1, 1, 9, 20, 8, 8)
    seen = np.ones((9, 20), np.bool_)
    seen[4] = False
    got = compiled("f32", False, None, "bool")(q, k, v, seen)
    assert not got[0, 4].any()
    assert np.isfinite(got).all()


def test_large_scores_do_not_overflow() -> None:
    q, k, v = arrays(np.float32, 1, 1, 20, 300, 8, 8)
    got = compiled("f32", False, None, None)(q * 1e4, k * 1e4, v)
    assert_close(got, attention(q * 1e4, k * 1e4, v, np.float32(SCALE)), "f32", 50)


def test_heads_that_cannot_share_keys_evenly_are_refused() -> None:
    q, k, v = arrays(np.float32, 3, 2, 4, 4, 4, 4)
    with pytest.raises(FlowError):
        compiled("f32", False, None, None)(q, k, v)
    types = {"q": array_type("f32", (3, 4, 4)), "k": array_type("f32", (2, 4, 4))}
    with pytest.raises(ShapeError, match="evenly"):
        make_kernel(
            types,
            lambda add, q, k: add(products_build.attention(q, k, k, add(build.constant(1.0, "f32")))),
        )


@flowc.jit
def _decoded(q: Any, k: Any, v: Any) -> Any:
    return flowc.attention(q, k, v, causal=True)


def test_the_last_query_sees_every_key_in_a_compiled_function_and_plainly() -> None:
    q, k, v = arrays(np.float32, 4, 2, 1, 77, 16, 16)
    plain = flowc.attention(q, k, v, causal=True)
    np.testing.assert_allclose(plain, flowc.attention(q, k, v), rtol=1e-6)
    assert_close(_decoded(q, k, v), plain, "f32", 5)


@flowc.jit
def _masked_by_hand(q: Any, k: Any, v: Any, seen: Any) -> Any:
    scores = np.where(seen, q @ k.transpose(0, 2, 1) * np.float32(0.25), np.float32(-np.inf))
    power = np.exp(scores - scores.max(axis=-1, keepdims=True))
    return power @ v / power.sum(axis=-1, keepdims=True)


def test_a_query_of_which_a_softmax_by_hand_hides_every_key_gives_nan_as_in_numpy() -> None:
    q, k, v = arrays(np.float32, 2, 2, 70, 130, 16, 9)
    seen = np.arange(70)[:, None] > np.arange(130)[None, :]
    with np.errstate(invalid="ignore"):
        wanted = _masked_by_hand.function(q, k, v, seen)
    assert np.isnan(wanted[:, 0]).all()
    np.testing.assert_allclose(_masked_by_hand(q, k, v, seen), wanted, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("causal", "window", "mask"),
    [(False, None, None), (True, None, None), (True, 700, None), (False, 3, None), (False, None, "bool")],
)
def test_one_query_a_head_sees_the_keys_part_by_part(
    causal: bool, window: int | None, mask: str | None
) -> None:
    dims = ((2, "h", 1, "d"), (2, "g", "t", "d"), (2, "g", "t", "e"))
    types = {name: array_type("f32", each) for name, each in zip("qkv", dims, strict=True)}
    if mask is not None:
        types["m"] = array_type(mask, (1, "t"))

    def body(add: Add, q: SSAValue, k: SSAValue, v: SSAValue, *extra: SSAValue) -> SSAValue:
        scale = add(build.constant(SCALE, "f32"))
        return add(products_build.attention(q, k, v, scale, extra[0] if extra else None, causal, window))

    code = compile_kernels(as_module(make_kernel(types, body)), Options(cached=False))
    native = load(code.object_code, code.signatures)["k"]
    for heads, shared, keys, features, values in [(4, 2, 1300, 64, 64), (3, 3, 5, 7, 9), (2, 1, 0, 4, 4)]:
        one, two = (arrays(np.float32, heads, shared, 1, keys, features, values) for _ in range(2))
        arguments = [np.stack([a, -b]) for a, b in zip(one, two, strict=True)]
        seen = np.arange(keys)[None, :] >= 600 if mask is not None else None
        wanted = attention(*arguments, np.float32(SCALE), seen, causal, window)
        given = arguments if seen is None else [*arguments, seen]
        assert_close(native(*given), wanted, "f32", 5)
