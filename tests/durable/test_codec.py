"""A value reads back from a journal as what it was, to the bit and to the type."""

import json
import math
import struct
from collections import OrderedDict
from enum import IntEnum, StrEnum
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from flowc.runtime.dtypes import numpy_dtype
from flowc.runtime.durable.codec import INLINE, Blobs, encode_json, key_of, pack, packed, unpacked
from flowc.runtime.journal.store import address
from flowc.runtime.values import RecordValue, record_class, record_fields

DTYPES = ("f64", "f32", "f16", "bf16", "i64", "i32", "i16", "i8", "u8")


def again(value: Any) -> Any:
    """What is read back of a value, through text as a journal keeps it."""
    blobs: Blobs = []
    written = json.loads(encode_json(packed(value, blobs)))
    kept = dict(blobs)
    assert all(address(content) == digest for digest, content in blobs)
    return unpacked(written, kept.__getitem__)


def same(one: Any, other: Any) -> bool:
    """Whether two values are one, to the bit and to the type."""
    if type(one) is not type(other):
        return False
    if isinstance(one, float):
        return struct.pack("d", one) == struct.pack("d", other) or (math.isnan(one) and math.isnan(other))
    if isinstance(one, np.ndarray | np.generic):
        return one.dtype == other.dtype and one.shape == other.shape and one.tobytes() == other.tobytes()
    if isinstance(one, list | tuple):
        return len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, dict):
        return list(one) == list(other) and all(same(one[name], other[name]) for name in one)
    if isinstance(one, RecordValue):
        return same(record_fields(one), record_fields(other))
    return bool(one == other)


@st.composite
def arrays(draw: st.DrawFn) -> Any:
    dtype = numpy_dtype(draw(st.sampled_from(DTYPES)))
    shape = tuple(draw(st.lists(st.integers(0, 4), min_size=1, max_size=3)))
    content = draw(
        st.binary(min_size=math.prod(shape) * dtype.itemsize, max_size=math.prod(shape) * dtype.itemsize)
    )
    array = np.frombuffer(content, dtype=dtype).reshape(shape)
    return array.T if draw(st.booleans()) else array


_POINT = record_class("Point", ("x", "y"))
_LEAVES = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.integers(-(2**200), 2**200)
    | st.floats()
    | st.text(st.characters())
    | st.text(min_size=INLINE, max_size=INLINE + 9)
    | st.binary()
    | arrays()
    | st.builds(lambda array: array.ravel()[0], arrays().filter(lambda array: array.size > 0))
)
VALUES = st.recursive(
    _LEAVES,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.lists(inner, max_size=3).map(tuple)
        | st.dictionaries(st.sampled_from(("$", "a", "b\u20ac", "")), inner)
        | st.builds(_POINT, inner, inner)
    ),
    max_leaves=12,
)


@given(VALUES)
def test_a_value_reads_back_as_it_was(value: Any) -> None:
    assert same(again(value), value)


@given(st.integers(0, 3 * INLINE))
def test_what_is_large_stands_beside_its_record(size: int) -> None:
    blobs: Blobs = []
    written = packed([["x" * size]], blobs)
    assert len(encode_json(written)) <= INLINE
    assert bool(blobs) == (size + 6 > INLINE)


class _Names(StrEnum):
    ONE = "one"


class _Numbers(IntEnum):
    TWO = 2


class _Real(float):
    pass


class _List(list[int]):
    pass


@pytest.mark.parametrize(
    ("given", "plain"),
    [
        (_Names.ONE, "one"),
        (_Numbers.TWO, 2),
        (_Real(0.5), 0.5),
        (_List([1, 2]), [1, 2]),
        (OrderedDict(a=1), {"a": 1}),
    ],
)
def test_what_tools_make_up_reads_back_plain(given: object, plain: object) -> None:
    assert same(again(given), plain)


def test_what_is_no_value_is_refused() -> None:
    with pytest.raises(TypeError, match="a set is no value"):
        pack({1}, [])


@given(st.lists(VALUES, max_size=3), st.lists(VALUES, max_size=3))
def test_keys_tell_inputs_apart(one: list[Any], other: list[Any]) -> None:
    alike = key_of("f", one) == key_of("f", other)
    assert alike == (repr(one) == repr(other)) or same(one, other) == alike
    assert key_of("g", one) != key_of("f", one)
