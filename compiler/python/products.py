"""Attention and convolution as plain Python functions, for code that runs undecorated.

Compiled, attention never holds more than a tile of its scores, and convolution makes no copy of its windows.
"""

from collections.abc import Sequence
from typing import Any

__all__ = ["attention", "conv2d"]


def attention(
    q: Any,
    k: Any,
    v: Any,
    causal: bool = False,
    window: int | None = None,
    mask: Any = None,
    scale: float | None = None,
) -> Any:
    """`softmax(scale * q @ k.T + mask) @ v` for each head.

    Queries are [..., h, s, d], keys [..., g, t, d] and values [..., g, t, e]; h is a multiple of g, so that
    neighbouring heads of queries may share keys. The last query stands at the last key; with `causal` a query
    sees no later key, with `window` only those less than that far away. A boolean mask says what is seen, any
    other is added. `scale` is 1 / sqrt(d) if it is left out.
    """
    import numpy as np

    from flowc.dialects.array.products_reference import attention as reference

    queries, keys, values = np.asarray(q), np.asarray(k), np.asarray(v)
    factor = queries.shape[-1] ** -0.5 if scale is None else scale
    extra = None if mask is None else np.asarray(mask)
    return reference(queries, keys, values, factor, extra, causal, window)


def conv2d(x: Any, w: Any, stride: int | Sequence[int] = 1, padding: int | Sequence[int] | str = 0) -> Any:
    """The convolution of images x [n, h, w, c] with filters w [kh, kw, c, o], which are not flipped.

    `stride` is one number or one an axis; `padding` zeros on each side, one number or one an axis, or "same"
    for as many as keep the extents at stride 1.
    """
    import numpy as np

    from flowc.dialects.array.products_reference import convolve

    filters = np.asarray(w)
    return convolve(np.asarray(x), filters, pair(stride), sides(padding, filters.shape[0], filters.shape[1]))


def pair(number: int | Sequence[int]) -> tuple[int, int]:
    """One number for both axes, or one for each."""
    return (number, number) if isinstance(number, int) else (int(number[0]), int(number[1]))


def sides(padding: int | Sequence[int] | str, height: int, width: int) -> tuple[int, int, int, int]:
    """The padding above, below, left and right for filters of an extent; raises ValueError for a word that
    it does not know."""
    if isinstance(padding, str):
        if padding not in ("same", "valid"):
            raise ValueError(f'padding is a number, two numbers, "same" or "valid", not {padding!r}')
        if padding == "valid":
            return 0, 0, 0, 0
        return (height - 1) // 2, height // 2, (width - 1) // 2, width // 2
    down, right = pair(padding)
    return down, down, right, right
