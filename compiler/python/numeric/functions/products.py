"""Attention and convolution."""

from flowc.compiler.python import products as own
from flowc.compiler.python.numeric.arithmetic import value_of
from flowc.compiler.python.numeric.context import Context
from flowc.compiler.python.numeric.errors import Refused
from flowc.compiler.python.numeric.functions.registry import implements
from flowc.compiler.python.numeric.values import is_run_time
from flowc.dialects.array import build, products_build
from flowc.dialects.array.types import dtype_of, shape_of


@implements(own.attention)
def attention(
    c: Context,
    q: object,
    k: object,
    v: object,
    causal: object = False,
    window: object = None,
    mask: object = None,
    scale: object = None,
) -> object:
    """The softmax of scaled products with keys, times values."""
    query, key, value = value_of(c, q), value_of(c, k), value_of(c, v)
    if not isinstance(causal, bool) or not (window is None or isinstance(window, int)):
        raise Refused("`causal` and `window` are known when the function is compiled")
    wide = "f64" if dtype_of(query.type) == "f64" else "f32"
    if is_run_time(scale):
        factor = c.emit(build.cast(value_of(c, scale), wide))
    else:
        factor = products_build.scale_of(c.emit, query, scale if isinstance(scale, int | float) else None)
    extra = None if mask is None else value_of(c, mask)
    op = products_build.attention(query, key, value, factor, extra, causal, window)
    return c.array(c.emit(op))


@implements(own.conv2d)
def conv2d(c: Context, x: object, w: object, stride: object = 1, padding: object = 0) -> object:
    """Images convolved with filters."""
    images, filters = value_of(c, x), value_of(c, w)
    height, width = shape_of(filters.type)[:2]
    if padding == "same" and not (isinstance(height, int) and isinstance(width, int)):
        raise Refused('`padding="same"` needs filters of known extent', help="give the padding as a number")
    if not isinstance(stride, int | tuple) or not isinstance(padding, int | tuple | str):
        raise Refused("`stride` and `padding` are known when the function is compiled")
    try:
        known = [extent if isinstance(extent, int) else 1 for extent in (height, width)]
        around = own.sides(padding, *known)
    except ValueError as error:
        raise Refused(str(error)) from error
    return c.array(c.emit(products_build.convolve(images, filters, own.pair(stride), around)))
