"""The table of built-ins: its rules against NumPy, and against nonsense."""

from collections.abc import Callable
from typing import TypeVar

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from flowc.compiler.builtins import BUILTINS, OPERATORS, RESERVED, SPECIAL_FORMS, Given, Outcome, RuleError
from flowc.compiler.builtins.dtypes import broadcast, common_dtype, matmul_shape, promote, reduced_shape
from flowc.dialects.array.kinds import reduction_dtype as array_reduction_dtype
from flowc.dialects.array.types import promote as array_promote
from flowc.runtime.types import (
    BOOL,
    FLOAT,
    INT,
    JSON,
    NONE,
    NUMERIC,
    STR,
    Array,
    Dict,
    Enum,
    List,
    Optional,
    Record,
    Scalar,
    Tuple,
    Type,
)

T = TypeVar("T")
DTYPES = (*NUMERIC, "bool")
SHAPES = st.lists(st.integers(1, 3), max_size=3).map(tuple)


def types() -> st.SearchStrategy[Type]:
    """Any type."""
    plain = st.sampled_from([STR, INT, FLOAT, BOOL, NONE, JSON, Scalar("f32"), Scalar("i8"), Scalar("bytes")])
    dims = st.lists(st.sampled_from([1, 2, "n", "d", ""]), min_size=1, max_size=3).map(tuple)
    arrays = st.builds(Array, st.sampled_from(DTYPES), dims)
    leaves = plain | arrays | st.sampled_from([Record("R"), Enum("E")])
    return st.recursive(
        leaves,
        lambda inner: (
            inner.map(List) | inner.map(Dict) | inner.map(Optional) | st.tuples(inner, inner).map(Tuple)
        ),
        max_leaves=4,
    )


def attempt(rule: Callable[[], T]) -> T | RuleError:
    """What a rule gives, or its refusal."""
    try:
        return rule()
    except RuleError as error:
        return error


@given(st.data())
def test_every_rule_gives_a_type_or_says_what_is_wrong(data: st.DataObject) -> None:
    builtin = BUILTINS[data.draw(st.sampled_from(sorted(BUILTINS)))]
    open_ = [parameter for parameter in builtin.parameters if not parameter.fixed]
    count = data.draw(st.integers(1, 4)) if builtin.variadic else len(open_)
    values = st.sampled_from([None, 0, -1, 5, True, "f32", "label", (2, "n")])
    fixed = {p.name: data.draw(values) for p in builtin.parameters if data.draw(st.booleans())}
    seen = Given(
        tuple(data.draw(types()) for _ in range(count)),
        fixed,
        frozenset(fixed),
        {"R": {"label": STR}},
        lambda a, b: a if a == b else None,
    )
    outcome = attempt(lambda: builtin.rule(seen))
    assert isinstance(outcome, Outcome) or (outcome.code.startswith("E0") and outcome.message)


@pytest.mark.parametrize("name", sorted(BUILTINS))
def test_every_built_in_is_documented_in_one_sentence(name: str) -> None:
    row = BUILTINS[name]
    assert row.documentation.endswith(".")
    assert row.usage.startswith(f"{name}(")
    assert row.name == name


def test_special_forms_and_built_ins_have_different_names() -> None:
    assert not set(SPECIAL_FORMS) & set(BUILTINS)
    assert set(RESERVED) <= set(BUILTINS) | set(SPECIAL_FORMS)
    assert len(set(OPERATORS.values())) == len(OPERATORS)


@given(st.sampled_from(DTYPES), st.sampled_from(DTYPES))
def test_promotion_is_that_of_the_array_dialect(first: str, second: str) -> None:
    assert promote(first, second) == array_promote(first, second)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("kind", ["sum", "prod", "min", "max", "mean", "any", "all"])
def test_reductions_have_the_dtype_of_the_array_dialect(kind: str, dtype: str) -> None:
    given_ = Given((Array(dtype, ("n",)),), {}, frozenset(), {}, lambda a, b: a)
    assert BUILTINS[kind].rule(given_).type == Scalar(array_reduction_dtype(kind, dtype))


@given(st.lists(SHAPES, min_size=1, max_size=3))
def test_broadcasting_agrees_with_numpy(shapes: list[tuple[int, ...]]) -> None:
    try:
        expected: tuple[int, ...] | None = np.broadcast_shapes(*shapes)
    except ValueError:
        expected = None
    shape = attempt(lambda: broadcast(shapes))
    assert shape == expected if expected is not None else isinstance(shape, RuleError)


@given(SHAPES, SHAPES)
def test_matrix_products_agree_with_numpy(left: tuple[int, ...], right: tuple[int, ...]) -> None:
    try:
        expected: tuple[int, ...] | None = (np.zeros(left) @ np.zeros(right)).shape
    except ValueError:
        expected = None
    shape = attempt(lambda: matmul_shape(left, right))
    assert shape == expected if expected is not None else isinstance(shape, RuleError)


@given(st.lists(st.integers(1, 3), min_size=1, max_size=3).map(tuple), st.data())
def test_reduced_shapes_agree_with_numpy(dims: tuple[int, ...], data: st.DataObject) -> None:
    axis = data.draw(st.none() | st.integers(0, len(dims) - 1))
    keepdims = data.draw(st.booleans())
    expected = np.zeros(dims).sum(axis=axis, keepdims=keepdims).shape
    assert reduced_shape(dims, None if axis is None else (axis,), keepdims) == expected


@pytest.mark.parametrize("dtype", [d for d in DTYPES if d not in ("bf16", "bool")])
@pytest.mark.parametrize("number", [1, 1.5])
def test_weak_numbers_take_the_dtype_that_numpy_gives_them(dtype: str, number: int | float) -> None:
    names = {name: f"{'float' if name[0] == 'f' else 'int'}{name[1:]}" for name in DTYPES}
    weak = INT if isinstance(number, int) else FLOAT
    result = (np.zeros(2, names[dtype]) + number).dtype.name
    assert names[common_dtype([Array(dtype, (2,)), weak])] == result
