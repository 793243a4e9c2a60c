"""A function under `@flowc.jit` beside itself as Python runs it."""

import copy
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

import flowc


def agrees(function: Callable[..., Any], arguments: Sequence[Any]) -> None:
    """Compares what is returned, and what becomes of the arguments, with the function as Python runs it."""
    plain, native = copy.deepcopy(arguments), copy.deepcopy(arguments)
    expected, got = function(*plain), flowc.jit(function)(*native)
    for want, have in [*zip(_parts(expected), _parts(got), strict=True), *zip(plain, native, strict=True)]:
        assert np.shape(want) == np.shape(have)
        np.testing.assert_allclose(have, want, rtol=1e-12)


def _parts(value: Any) -> tuple[Any, ...]:
    return value if isinstance(value, tuple) else (value,)
