"""The functions that sort a few keys in memory."""

import ctypes
from functools import cache
from itertools import product
from typing import Any

import numpy as np
import pytest

from flowc.compiler.backends.llvm import sort_networks
from flowc.compiler.backends.llvm.sort_networks import PART, exchanges
from flowc.compiler.backends.llvm.target import assemble
from flowc.runtime.native.linking import Linked, link
from flowc.runtime.processor import host

MARGIN = 80
"""Keys on both sides of those that are sorted."""


@cache
def linked(width: int, lanes: int) -> Linked:
    name = sort_networks.function_name(width, lanes)
    finished = sort_networks.definitions([sort_networks.declaration(name)], host().attributes)
    code = assemble("", host(), finished=finished)
    return link(code.object_code, [name], {})


def sorted_in_place(keys: Any, lanes: int) -> None:
    """Sorts all keys but those of the margins."""
    width = keys.itemsize * 8
    name = sort_networks.function_name(width, lanes)
    sort = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_int64)(linked(width, lanes).addresses[name])
    sort(keys.ctypes.data + MARGIN * keys.itemsize, len(keys) - 2 * MARGIN)


@pytest.mark.parametrize("count", [2, 4, 8, 16])
def test_the_columns_network_sorts_all_sequences_of_zeros_and_ones(count: int) -> None:
    pairs = list(exchanges(count))
    for bits in product((0, 1), repeat=count):
        keys = list(bits)
        for one, other in pairs:
            keys[one], keys[other] = sorted((keys[one], keys[other]))
        assert keys == sorted(bits)


@pytest.mark.parametrize(("dtype", "lanes"), [("uint32", 16), ("uint64", 8)])
def test_every_number_of_keys_is_sorted_and_nothing_beside_them(dtype: str, lanes: int) -> None:
    rng, most = np.random.default_rng(0), np.iinfo(dtype).max
    for count in range(2 * PART * lanes + 1):
        keys = rng.integers(0, most, count + 2 * MARGIN, dtype, endpoint=True)
        keys %= (2, 100, most)[count % 3]
        wanted = keys.copy()
        wanted[MARGIN : MARGIN + count].sort()
        sorted_in_place(keys, lanes)
        np.testing.assert_array_equal(keys, wanted)


@pytest.mark.parametrize(("dtype", "lanes"), [("uint32", 16), ("uint64", 8)])
def test_steps_from_zero_to_one_at_any_place_are_sorted(dtype: str, lanes: int) -> None:
    most = np.iinfo(dtype).max
    for count in (2 * lanes, 4 * lanes, 8 * lanes, PART * lanes, 2 * PART * lanes):
        for ones in range(count + 1):
            keys = np.zeros(count + 2 * MARGIN, dtype)
            keys[MARGIN : MARGIN + ones] = most
            sorted_in_place(keys, lanes)
            assert keys[MARGIN : MARGIN + count - ones].sum() == 0
            assert (keys[MARGIN + count - ones : MARGIN + count] == most).all()
