"""Arguments to try a kernel on when nobody calls it yet: sizes for its named dimensions, and numbers."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from attrs import frozen

from flowc.runtime.dtypes import itemsizes, numpy_dtype
from flowc.runtime.kernel_signature import Parameter

ELEMENTS = 1_000_000
"""Elements of the largest array all of whose dimensions are named."""

MOST_BYTES = 256 << 20
"""Kernels of which the arguments are larger are not tried."""


@frozen
class Sample:
    """The sizes that named dimensions have in the arguments."""

    sizes: Mapping[str, int]
    arguments: Sequence[Any]


def sample(parameters: Sequence[Parameter]) -> Sample | None:
    """Numbers between 0.5 and 1.5 where they are floats, else zeros, which are positions in any array; None
    where they would take too much memory.

    >>> found = sample([Parameter("x", "f32", ("n", 8)), Parameter("i", "i64", ("n",))])
    >>> found.sizes, found.arguments[0].shape
    ({'n': 1000000}, (1000000, 8))
    """
    import numpy as np

    most = max((len(_named(parameter)) for parameter in parameters), default=0)
    edge = round(ELEMENTS ** (1 / max(most, 1)))
    names = dict.fromkeys(name for parameter in parameters for name in _named(parameter))
    sizes = {name: edge for name in names if name}
    shapes = [
        tuple(size if isinstance(size, int) else sizes.get(size, edge) for size in parameter.dims)
        for parameter in parameters
    ]
    total = sum(itemsizes[p.dtype] * math.prod(shape) for p, shape in zip(parameters, shapes, strict=True))
    if total > MOST_BYTES:
        return None
    generator = np.random.default_rng(0)

    def array(dtype: str, shape: tuple[int, ...]) -> Any:
        kind = numpy_dtype(dtype)
        if dtype in ("f64", "f32", "f16", "bf16"):
            return (generator.random(shape, np.float32) + np.float32(0.5)).astype(kind)
        return np.zeros(shape, kind)

    made = [array(p.dtype, shape) for p, shape in zip(parameters, shapes, strict=True)]
    values = [a if p.dims else a.item() for p, a in zip(parameters, made, strict=True)]
    return Sample(sizes, values)


def _named(parameter: Parameter) -> list[str]:
    return list(dict.fromkeys(size for size in parameter.dims if isinstance(size, str)))
