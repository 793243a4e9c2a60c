"""Kernels of generated programs, and their calls.

What a kernel computes is exact, up to one smooth function around all of it; what its callers see of that is
rounded at places where no result lies. So every backend gives the same value.
"""

import re
from collections.abc import Callable
from functools import cache, partial

from flowc.compiler import syntax as s
from flowc.compiler.parser import parse
from flowc.testing.strategies.expressions import Maker
from flowc.testing.strategies.forms import Build, constants, template, words
from flowc.testing.strategies.phrases import SMOOTH
from flowc.testing.strategies.trees import PLACE, binary, call, constant, declared, name, placed, ref

VECTORS = """
    V + V; V - V; V * C; maximum(V, V); minimum(V, V); where(V < V, V, V); abs(V); -V; sign(V); sort(V)
    cumsum(V); cummin(V); cummax(V); V[::-1]; V[argsort(V)]; gather(V, argsort(V)); take_along(V, argsort(V))
    scatter(V, argsort(V), V); scatter_add(V, argsort(V), V); V + V[0]; V - max(V); V + min(V); V + sum(V)
    where(any(V > C), V, -V); where(all(V > C), V, -V); transpose(expand(V, 1))[0]; expand(V, axis=0)[0]
    where((V > C) & (V < V) | ~(V == C), V, -V); where((V > C) ^ (V < V), V, C * V)
    segment_sum(V, argsort(V), EXTENT); segment_prod(V, argsort(V), EXTENT)
    segment_max(V, argsort(V), EXTENT); segment_min(V, argsort(V), EXTENT)
    V + zeros(EXTENT, dtype=DTYPE); V * ones(EXTENT, dtype=DTYPE); V + full(EXTENT, 2, dtype=DTYPE)
    (expand(V, 1) + V)[0]; (expand(V, 1) * expand(V, 0)).T[0]; V + topk(V, 1).values
    V + max(concat(V[1:], V))
"""
"""Vectors of any dtype, from others: `V` is one, `C` a constant."""

FLOATS = """
    floor(V); ceil(V); round(V); segment_mean(V, argsort(V), EXTENT); dropout(V, 0.5, 7); V + argmax(V)
    V - argmin(V); where(isfinite(V), V, C); where(isnan(V), C, V); V + f64(searchsorted(sort(V), V))
    V + f64(bincount(argsort(V), EXTENT)); V + sum(histogram(V, 4, -8.0, 8.0)); V + categorical(V * 100.0, 3)
    V + f64(iota(EXTENT)); V + size(V); V - f64(topk(V, 1).indices); f64(f32(V)); f64(i64(V)); f64(i32(V))
    V * f64(V > C); V + V.shape[0]
"""
"""Those of f64 alone."""

LAST = """
    V; V - mean(V); softmax(V); random_uniform(7, EXTENT, dtype='f64') + V; V / (abs(V) + 1.0)
    random_normal(9, EXTENT, dtype='f64') + V; V @ V + V; matmul(expand(V, 0), expand(V, 1))[0] + V
    cumprod(tanh(V)); prod(tanh(V)) + V; log(abs(V) + 1.0) ** 2.0
    sum(attention(expand(V, 1), expand(V, 1), expand(V, 1)), axis=1)
"""
"""What may stand around all of it, of f64, beside the smooth functions."""

AROUND = """
    V + V; V - V; maximum(V, V); minimum(V, V); V[::-1]; -V; abs(V)
    lean(V, V); lean(V, V); handed(V, V); handed(V, V); handed(V, V)
"""
"""What flows do with arrays before and after a launch: nothing that makes a rounding larger."""

LEAN = """
kernel lean(x: DTYPE[n], y: DTYPE[n]) -> DTYPE[n]:
    return maximum(x, y) - y
"""
"""A kernel whose results go into others."""

WHOLE = """
kernel NAME(m: f64[r, n], x: f64[n]) -> f64[r]:
    return m @ x

kernel NAME(m: f64[r, n], x: f64[n]) -> f64[n]:
    q = m * x
    return max(q, axis=0) - sum(min(q, axis=1, keepdims=true) * 0.5)

@precise
kernel NAME(m: f64[r, n], x: f64[n]) -> f64[n]:
    return sum(m.T @ m, axis=1) / (x * x + 1.0)

@reproducible
kernel NAME(m: f64[r, n], x: f64[n]) -> f64[r, n]:
    return softmax(m, axis=1) + tanh(x)

kernel NAME(m: f64[r, n], x: f64[n]) -> f64[r, n]:
    return attention(m, m, m, causal=true) - x

kernel NAME(m: f64[r, n], x: f64[n]) -> f64[r, n]:
    return conv2d(expand(expand(m, 0), 3), ones([1, 1, 1, 2], dtype="f64"))[0][:, :, 1] + x

kernel NAME(m: f64[r, n], x: f64[n]) -> i64[r]:
    return argmax(m - x, axis=1)

kernel NAME(m: f64[r, n], x: f64[n]) -> tuple[f64[r, 1], i64[r, 1]]:
    return topk(m + x, 1)
"""
"""Kernels of matrices."""

_DTYPES = ("f64", "f64", "f32", "f64", "i64")


Launches = tuple[Callable[[int], s.Expression], ...]
"""What calls a kernel; of no depth, since its arguments are constants."""


@cache
def _vectors(dtype: str) -> tuple[Build, ...]:
    return _templates(VECTORS + (FLOATS if dtype == "f64" else ""), dtype)


@cache
def _last() -> tuple[Build, ...]:
    return _templates(LAST + "\n".join(SMOOTH).replace("X", "V"), "f64")


def _templates(text: str, dtype: str) -> tuple[Build, ...]:
    text = text.replace("DTYPE", f"'{dtype}'").replace("EXTENT", "x.shape[0]")
    return tuple(template(line.strip(), frozenset("VC")) for line in re.split("[;\n]", text) if line.strip())


@cache
def _whole() -> tuple[s.Callable, ...]:
    found = parse(WHOLE.replace("kernel NAME", "kernel grid").strip() + "\n", "kernels.flow").declarations
    return tuple(placed(each) for each in found if isinstance(each, s.Callable))


def kernel(maker: Maker) -> tuple[list[s.Declaration], Launches]:
    """A kernel, sometimes with one that it calls; and what calls it from a flow, as a float."""
    chosen = maker.number(0, len(_whole()) + 23)
    if chosen > 23:
        grid = _whole()[chosen - 24]
        return [grid], (partial(_launched, maker, "topk" if grid.result.name == "tuple" else "grid", "f64"),)
    dtype = _DTYPES[chosen % len(_DTYPES)]
    vector = ref(dtype, s.Dimension("n", span=PLACE))
    kernels: list[s.Declaration] = []
    inner = _vector(maker, dtype, 2)
    if chosen > 19:
        kernels.append(_kernel("inner", vector, (s.Return(_vector(maker, dtype, 1), span=PLACE),)))
        inner = call("inner", inner, name("y"))
    last: s.Expression = name("z")
    if dtype == "f64":
        first, second = (maker.pick(_last())(lambda hole: name("z")) for _ in range(2))
        last = binary("+", first, second)
    body = (s.Assign(("z",), inner, span=PLACE), s.Return(last, span=PLACE))
    kernels.append(_kernel("bend", vector, body, {9: "precise", 10: "reproducible"}.get(chosen)))
    if maker.number(0, 1) == 0:
        return kernels, (partial(_launched, maker, "bend", dtype),)
    return [*kernels, _lean(dtype), _handed(maker, dtype)], (partial(_chained, maker, dtype),)


def _handed(maker: Maker, dtype: str) -> s.Callable:
    """A flow that hands arrays on: what its callers know of their extents is known inside of it as well."""
    vector = ref(dtype, s.Dimension("k", span=PLACE))
    forms = [each for each in _around() if "handed" not in words(each(lambda hole: name("x")))]
    inner = maker.pick(forms)(lambda hole: name(maker.pick("xy")))
    value = call("lean", inner, name("y"))
    body = (s.Return(value, span=PLACE),)
    return declared("flow", "handed", {"x": vector, "y": vector}, vector, body=body)


@cache
def _lean(dtype: str) -> s.Callable:
    (found,) = parse(LEAN.replace("DTYPE", dtype).lstrip(), "lean.flow").declarations
    assert isinstance(found, s.Callable)
    return placed(found)


@cache
def _around() -> tuple[Build, ...]:
    return _templates(AROUND, "f64")


def _vector(maker: Maker, dtype: str, depth: int) -> s.Expression:
    if depth == 0:
        return name(maker.pick("xy"))
    made = maker.pick(_vectors(dtype))
    return made(lambda hole: _vector(maker, dtype, depth - 1) if hole == "V" else _number(maker, dtype))


def _kernel(called: str, vector: s.TypeRef, body: s.Block, said: str | None = None) -> s.Callable:
    decorators = () if said is None else (s.Decorator(said, span=PLACE),)
    takes = {"x": vector, "y": vector}
    return declared("kernel", called, takes, vector, body=body, decorators=decorators)


def _number(maker: Maker, dtype: str) -> s.Expression:
    return constants("TINY" if dtype[0] == "i" else "HALF")[maker.number(0, 5)].build(_nothing)


def _nothing(hole: str) -> s.Expression:
    raise KeyError(hole)


@cache
def _seen() -> Build:
    return template("round(float(sum(V)) * 0.7071, 3)", frozenset("V"))


def _launched(maker: Maker, called: str, dtype: str, depth: int) -> s.Expression:
    length = maker.number(1, 4)

    def row() -> s.Expression:
        return s.ListDisplay(tuple(_number(maker, dtype) for _ in range(length)), span=PLACE)

    first = row()
    if called == "bend":
        return _seen()(lambda hole: call(called, first, row()))
    rows = s.ListDisplay((first, *(row() for _ in range(maker.number(0, 2)))), span=PLACE)
    launch = call("grid", rows, row())
    return _seen()(
        lambda hole: launch if called == "grid" else s.Subscript(launch, (constant(0),), span=PLACE)
    )


def _chained(maker: Maker, dtype: str, depth: int) -> s.Expression:
    """Launches of what other launches and operators of flows give."""
    length = maker.number(1, 4)

    def row() -> s.Expression:
        return call(dtype, s.ListDisplay(tuple(_number(maker, dtype) for _ in range(length)), span=PLACE))

    def around(first: Callable[[], s.Expression]) -> s.Expression:
        holes = iter([first])
        return maker.pick(_around())(lambda hole: next(holes, row)())

    def launch() -> s.Expression:
        return call("bend", around(row), row())

    return _seen()(lambda hole: around(launch))


def everything(dtype: str) -> s.Callable:
    """A kernel `bend` that says everything there is for a dtype, once."""
    vector = ref(dtype, s.Dimension("n", span=PLACE))
    templates = (*_vectors(dtype), *(_last() if dtype == "f64" else ()))
    number = constants("TINY" if dtype[0] == "i" else "HALF")[1]
    total: s.Expression = name("y")
    for each in templates:
        total = binary("+", each(lambda hole: name("x") if hole == "V" else number.build(_nothing)), total)
    return _kernel("bend", vector, (s.Return(total, span=PLACE),))
