"""Built-ins made of products: attention and convolution."""

from flowc.compiler.builtins.arguments import integer, want_rank
from flowc.compiler.builtins.dtypes import FLOATS, Extent, promote, shape_text
from flowc.compiler.builtins.model import Builtin, Given, Outcome, RuleError, fixed, required
from flowc.runtime.types import Array

GROUP = "Arrays"


def _attention(given: Given) -> Outcome:
    query, key, value = (want_rank(type_, "attention", place) for place, type_ in enumerate(given.types))
    if len({query.dtype, key.dtype, value.dtype}) != 1 or query.dtype not in FLOATS:
        raise RuleError("E0105", "`attention` takes arrays of one floating dtype", argument=0)
    if not len(query.dims) == len(key.dims) == len(value.dims) or len(query.dims) < 2:
        raise RuleError("E0203", "`attention` takes arrays of one rank, at least 2", argument=1)
    _require_same(query.dims[-1], key.dims[-1], "attention", 1)
    for own, other in zip(key.dims[:-1], value.dims[:-1], strict=True):
        _require_same(own, other, "attention", 2)
    window, scale = given.values.get("window"), given.values.get("scale")
    if window is not None and integer(given, "window", 1) < 1:
        raise RuleError("E0148", f"the window of `attention` is at least 1, not {window}")
    options = {"causal": given.values.get("causal") is True, "window": window, "scale": scale}
    return Outcome(Array(query.dtype, (*query.dims[:-1], value.dims[-1])), "attention", "attention", options)


def _conv2d(given: Given) -> Outcome:
    images, filters = want_rank(given.types[0], "conv2d"), want_rank(given.types[1], "conv2d", 1)
    if len(images.dims) != 4 or len(filters.dims) != 4:
        shapes = f"{shape_text(images.dims)} and {shape_text(filters.dims)}"
        raise RuleError("E0203", f"`conv2d` takes [n, h, w, c] and [kh, kw, c, o], not {shapes}")
    _require_same(images.dims[3], filters.dims[2], "conv2d", 1)
    stride, padding = integer(given, "stride", 1), integer(given, "padding", 0)
    if stride < 1 or padding < 0:
        raise RuleError("E0148", "`conv2d` needs a stride of at least 1 and no negative padding")
    rows = _windows(images.dims[1], filters.dims[0], stride, padding)
    columns = _windows(images.dims[2], filters.dims[1], stride, padding)
    result = Array(promote(images.dtype, filters.dtype), (images.dims[0], rows, columns, filters.dims[3]))
    return Outcome(result, "conv2d", "conv2d", {"stride": stride, "padding": padding})


def _windows(extent: Extent, size: Extent, stride: int, padding: int) -> Extent:
    if not isinstance(extent, int) or not isinstance(size, int):
        return ""
    return max((extent + 2 * padding - size) // stride + 1, 0)


def _require_same(first: Extent, second: Extent, name: str, argument: int) -> None:
    if first != second and "" not in (first, second):
        raise RuleError("E0201", f"`{name}`: the extents `{first}` and `{second}` differ", argument=argument)


BUILTINS = (
    Builtin("attention",
            (required("q"), required("k"), required("v"), fixed("causal", False), fixed("window", None),
             fixed("scale", None)),
            _attention,
            "softmax(q @ k.T / sqrt(d)) @ v for each head, the scores never stored.", GROUP),
    Builtin("conv2d", (required("x"), required("w"), fixed("stride", 1), fixed("padding", 0)), _conv2d,
            "Images [n, h, w, c] convolved with filters [kh, kw, c, o].", GROUP),
)  # fmt: skip
