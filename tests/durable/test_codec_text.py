"""The text of a kept value, and the key of a call."""

import json

from hypothesis import given
from hypothesis import strategies as st

from flowc.runtime.durable.codec import Blobs, key_of, packed, packed_text, unpacked

scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary(max_size=8)
values = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.text(max_size=3) | st.just("$"), inner, max_size=3)
        | st.tuples(inner, inner)
    ),
    max_leaves=12,
)


@given(values | st.text(min_size=1000, max_size=1100))
def test_a_value_reads_back_from_its_text(value: object) -> None:
    blobs: Blobs = []
    written = packed_text(value, blobs)
    assert written.isascii()
    assert len(written) <= 8000
    read = unpacked(json.loads(written), dict(blobs).__getitem__)
    assert repr(read) == repr(value)
    assert packed(value, []) == json.loads(written) or value != value or "nan" in repr(value)


@given(st.lists(values, max_size=3), st.lists(values, max_size=3))
def test_two_calls_have_one_key_where_they_are_equal_types_included(
    one: list[object], other: list[object]
) -> None:
    assert (key_of("f", one) == key_of("f", other)) == (repr(one) == repr(other))
    assert key_of("f", one) != key_of("g", one)


def test_values_that_look_alike_have_different_keys() -> None:
    alike: list[object] = [
        1,
        1.0,
        True,
        "1",
        "True",
        None,
        "None",
        [1],
        (1,),
        {"a": 1},
        [[1]],
        "[1]",
        1 << 64,
        b"1",
    ]
    keys = {key_of("f", [value]) for value in alike}
    assert len(keys) == len(alike)
    assert key_of("f", [1, 2]) != key_of("f", [[1, 2]])
    assert all(len(key) == 16 for key in keys)
