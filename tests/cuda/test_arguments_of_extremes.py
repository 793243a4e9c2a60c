"""argmax and argmin on the emulated device, against NumPy: ties, NaN, any axis."""

from collections.abc import Iterator, Sequence
from itertools import product
from typing import Any

import numpy as np
import pytest
from xdsl.dialects.builtin import ModuleOp

from flowc.compiler.backends.cuda import emulated
from flowc.dialects.array import build
from flowc.dialects.array.types import array_type
from flowc.testing.strategies.kernels import array_of, as_module, make_kernel
from tests.cuda.comparing import EVERY_FORM, on_device

FORMS = ((1, 0, False), (2, 0, False), (2, 1, True), (3, 0, True), (3, 1, False), (3, 2, False))
"""Rank, axis, and whether the axis is kept."""
SHAPES: dict[int, Sequence[Sequence[int]]] = {
    1: [(1,), (33,), (20000,)],
    2: [(3, 5), (1, 1), (40, 33), (300, 3), (2, 9000), (5000, 2)],
    3: [(2, 3, 4), (5, 33, 7), (3, 300, 40)],
}


DENSE = None if EVERY_FORM else ("contiguous",)
"""All arrays are dense: code for others would not be called."""


def module_of(dtype: str) -> ModuleOp:
    """A kernel for each form and kind."""
    return as_module(*(
        make_kernel(
            {"x": array_type(dtype, ("a", "b", "c")[:rank])},
            lambda add, x, kind=kind, axis=axis, keep=keep: add(build.argreduce(kind, x, axis, keep)),
            f"{kind}{rank}{axis}",
        )
        for kind in ("argmax", "argmin")
        for rank, axis, keep in FORMS
    ))  # fmt: skip


@pytest.mark.parametrize("dtype", ["f32", "i64", "bool"])
def test_the_first_of_equals_and_the_first_nan_win(dtype: str) -> None:
    asked, wanted = [], []
    for kind, (rank, axis, keep) in product(("argmax", "argmin"), FORMS):
        for x in arrays(dtype, rank):
            asked.append(emulated.Call(f"{kind}{rank}{axis}", (x,)))
            wanted.append(getattr(np, kind)(x, axis=axis, keepdims=keep))
    results = emulated.run(
        on_device(module_of(dtype), layouts=DENSE), asked, order="shuffled", sanitize=False
    )
    for call, got, expected in zip(asked, results, wanted, strict=True):
        np.testing.assert_array_equal(got, expected, err_msg=f"{call.kernel} of {call.arguments[0].shape}")


def arrays(dtype: str, rank: int) -> Iterator[Any]:
    """Arrays with many ties, and some whose elements are all the same."""
    for shape in SHAPES[rank]:
        yield array_of(dtype, shape, 3, special=True)
    last = SHAPES[rank][-1]
    yield np.zeros(last, array_of(dtype, (), 0).dtype)
    if dtype == "f32":
        yield from (np.full(last, value, np.float32) for value in (-np.inf, np.inf, np.nan))
