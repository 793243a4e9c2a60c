"""Kernels to measure: typed programs of several families, drawn at random from a seed, with sizes to try.

They are texts of the language, so that anyone can read what a model was fitted to.
"""

from collections.abc import Callable, Mapping, Sequence
from math import prod
from random import Random

from attrs import field, frozen

MOST_BYTES = 96 << 20
"""Bytes of the arguments of a call: larger ones measure the same memory for longer."""
LEAST_BYTES = 1 << 10
MOST_MULTIPLICATIONS = 2e9

_ITEM_BYTES = {"f32": 4, "f64": 8, "i64": 8}


@frozen
class Trial:
    """A kernel named `k` as text, its family, the sizes of its dimensions in each call to measure, and for
    each argument that holds positions the dimension, or number, below which they lie."""

    family: str
    text: str
    calls: tuple[Mapping[str, int], ...]
    positions: Mapping[str, str | int]


@frozen
class _Parameter:
    name: str
    dtype: str
    dims: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.name}: {self.dtype}[{', '.join(self.dims)}]"


@frozen
class _Draft:
    """Parameters, the type of the result, statements, and what positions stay below."""

    parameters: Sequence[_Parameter]
    result: str
    body: Sequence[str]
    positions: Mapping[str, str | int] = field(factory=dict)


_UNARY: Mapping[str, int] = {
    "{x} + {c}": 4, "{x} * {c}": 4, "{c} - {x}": 2, "abs({x})": 2, "maximum({x}, {c})": 3,
    "minimum({x}, {c})": 2, "sqrt(abs({x}))": 2, "exp(-abs({x}))": 3, "tanh({x})": 2, "erf({x})": 1,
    "log(abs({x}) + 1.0)": 2, "sigmoid({x})": 2, "sin({x})": 1, "{x} / (abs({x}) + 1.0)": 2,
    "where({x} > {c}, {x}, {x} * 0.5)": 3, "1.0 / (abs({x}) + {c})": 2, "(abs({x}) + 0.5) ** 1.5": 1,
}  # fmt: skip
_BINARY: Mapping[str, int] = {
    "{x} + {y}": 4, "{x} * {y}": 4, "{x} - {y}": 3, "maximum({x}, {y})": 2, "{x} / (abs({y}) + 1.0)": 2,
    "where({x} > {y}, {x}, {y})": 2, "hypot({x}, {y})": 1, "{x} * {c} + {y}": 3,
}  # fmt: skip
"""Expressions by how often they are drawn. None overflows, however long the chain: a subnormal or infinite
operand takes another time than those that programs have."""


def trial(family: str, seed: int, calls: int) -> Trial:
    """The kernel of a family and a seed, with so many sets of sizes.

    >>> print(trial("ordering", 3, 1).text)
    kernel k(a: f32[n, m]) -> i64[n]:
        t = 3.0 - a
        return argmax(t, axis=1)
    <BLANKLINE>
    """
    random = Random(f"{family} {seed}")
    draft = FAMILIES[family](random)
    head = f"kernel k({', '.join(map(str, draft.parameters))}) -> {draft.result}:"
    text = "\n".join([head, *(f"    {line}" for line in draft.body)]) + "\n"
    return Trial(family, text, tuple(_sizes(random, draft) for _ in range(calls)), draft.positions)


def _elementwise(random: Random) -> _Draft:
    """Chains of operators over vectors or matrices, the last operand perhaps repeated for each row."""
    dtype, dims = _dtype(random), random.choice((("n",), ("n", "m"), ("n", "m")))
    names = "abcd"[: random.randint(1, 4)]
    parameters = [_Parameter(name, dtype, dims) for name in names]
    if len(dims) == 2 and len(names) > 1 and random.random() < 0.4:
        parameters[-1] = _Parameter(names[-1], dtype, ("m",))
    body, last = _chain(random, names, random.randint(1, 7))
    return _Draft(parameters, f"{dtype}[{', '.join(dims)}]", [*body, f"return {last}"])


def _reductions(random: Random) -> _Draft:
    """A chain reduced along one axis, or along all."""
    dtype, dims = _dtype(random), random.choice((("n",), ("n", "m"), ("n", "m"), ("n", "m")))
    names = "ab"[: random.randint(1, 2)]
    parameters = [_Parameter(name, dtype, dims) for name in names]
    body, last = _chain(random, names, random.randint(0, 4))
    kind = _reduction(random)
    if len(dims) == 1 or random.random() < 0.2:
        return _Draft(parameters, dtype, [*body, f"return {kind}({last})"])
    axis = random.choice((0, 1, 1))
    return _Draft(parameters, f"{dtype}[{dims[1 - axis]}]", [*body, f"return {kind}({last}, axis={axis})"])


def _rows(random: Random) -> _Draft:
    """Softmax, normalisations and their like: several passes over each row."""
    dtype, names = _dtype(random), "ab"[: random.randint(1, 2)]
    body, x = _chain(random, names, random.randint(0, 3))
    result, end = random.choice((
        ("[n, m]", [f"return softmax({x}, axis=1)"]),
        (
            "[n, m]",
            [
                f"centred = {x} - mean({x}, axis=1, keepdims=true)",
                "spread = mean(centred * centred, axis=1, keepdims=true)",
                "return centred * rsqrt(spread + 0.00001)",
            ],
        ),
        ("[n, m]", [f"return {x} * rsqrt(sum({x} * {x}, axis=1, keepdims=true) + 0.00001)"]),
        ("[n, m]", [f"return {x} - max({x}, axis=1, keepdims=true)"]),
        (
            "[n]",
            [f"peak = max({x}, axis=1, keepdims=true)", f"return log(sum(exp({x} - peak), axis=1))"],
        ),
    ))  # fmt: skip
    return _Draft([_Parameter(name, dtype, ("n", "m")) for name in names], dtype + result, [*body, *end])


def _products(random: Random) -> _Draft:
    """Products of matrices and vectors, with what is done to the result."""
    dtype = random.choice(("f32", "f32", "f64"))
    left, right, written, dims = random.choice((
        (("m", "k"), ("k", "n"), "a @ b", ("m", "n")),
        (("m", "k"), ("k", "n"), "a @ b", ("m", "n")),
        (("m", "k"), ("n", "k"), "a @ b.T", ("m", "n")),
        (("k", "m"), ("k", "n"), "a.T @ b", ("m", "n")),
        (("m", "k"), ("k",), "a @ b", ("m",)),
    ))  # fmt: skip
    parameters, body, last = (
        [_Parameter("a", dtype, left), _Parameter("b", dtype, right)],
        [f"p = {written}"],
        "p",
    )
    after = random.choice(((), ("bias",), ("relu",), ("bias", "relu"), ("tanh",)))
    if "bias" in after:
        parameters.append(_Parameter("w", dtype, dims[-1:]))
        body.append("q = p + w")
        last = "q"
    if "relu" in after:
        body.append(f"r = maximum({last}, 0.0)")
    if "tanh" in after:
        body.append(f"r = tanh({last}) * {_number(random)}")
    last = "r" if body[-1].startswith("r") else last
    return _Draft(parameters, f"{dtype}[{', '.join(dims)}]", [*body, f"return {last}"])


def _gathers(random: Random) -> _Draft:
    """Elements or rows picked by position, and what is done with them."""
    dtype, dims = _dtype(random), random.choice((("n",), ("n", "m")))
    body, last = _chain(random, ["t"], random.randint(0, 3))
    reduced = len(dims) == 2 and random.random() < 0.5
    end = f"return {_reduction(random)}({last}, axis=1)" if reduced else f"return {last}"
    result = "k, m" if len(dims) == 2 and not reduced else "k"
    parameters = [_Parameter("a", dtype, dims), _Parameter("i", "i64", ("k",))]
    return _Draft(parameters, f"{dtype}[{result}]", ["t = a[i]", *body, end], {"i": "n"})


def _ordering(random: Random) -> _Draft:
    """Sorting, scans, positions of extremes, the largest few, of numbers that stay different."""
    dtype, few = _dtype(random), random.choice((1, 5, 10, 50))
    before = random.choice(("", "a * 2.0", "3.0 - a", "exp(a)"))
    body, x = ([f"t = {before}"], "t") if before else ([], "a")
    dims, result, end = random.choice((
        (("n",), f"{dtype}[n]", f"sort({x})"),
        (("n",), f"{dtype}[n]", f"cumsum({x})"),
        (("n",), "i64", f"argmax({x})"),
        (("n",), f"tuple[{dtype}[{few}], i64[{few}]]", f"topk({x}, {few})"),
        (("n", "m"), f"{dtype}[n, m]", f"sort({x}, axis=1)"),
        (("n", "m"), f"{dtype}[n, m]", f"cumsum({x}, axis=1)"),
        (("n", "m"), "i64[n]", f"argmax({x}, axis=1)"),
    ))  # fmt: skip
    return _Draft([_Parameter("a", dtype, dims)], result, [*body, f"return {end}"])


def _segments(random: Random) -> _Draft:
    """Sums and extremes of groups, histograms."""
    dtype, groups = _dtype(random), random.choice((16, 256, 4096))
    positions = _Parameter("i", "i64", ("n",))
    body, x = _chain(random, "a", random.randint(0, 2))
    kind = random.choice(("segment_sum", "segment_max", "segment_mean", "bincount"))
    if kind == "bincount":
        return _Draft([positions], f"i64[{groups}]", [f"return bincount(i, {groups})"], {"i": groups})
    parameters = [_Parameter("a", dtype, ("n",)), positions]
    return _Draft(
        parameters, f"{dtype}[{groups}]", [*body, f"return {kind}({x}, i, {groups})"], {"i": groups}
    )


def _layouts(random: Random) -> _Draft:
    """Transposed and sliced operands, stencils."""
    dtype = _dtype(random)
    body, x = _chain(random, ["t"], random.randint(1, 3))
    five = "a[2:, 1:-1] + a[:-2, 1:-1] + a[1:-1, 2:] + a[1:-1, :-2] - 4.0 * a[1:-1, 1:-1]"
    kind = _reduction(random)
    result, lines = random.choice((
        ("[m, n]", ["t = a.T", *body, f"return {x}"]),
        ("", ["t = a[:, 2:] - 2.0 * a[:, 1:-1] + a[:, :-2]", *body, f"return {kind}({x})"]),
        ("", [f"t = {five}", *body, f"return {kind}({x})"]),
        ("[n]", ["t = a[:, ::2]", *body, f"return {kind}({x}, axis=1)"]),
    ))  # fmt: skip
    return _Draft([_Parameter("a", dtype, ("n", "m"))], dtype + result, lines)


def _passes(random: Random) -> _Draft:
    """Reductions of a chain that needs them again: loops one after the other over the same arrays."""
    dtype, axis = _dtype(random), random.choice((0, 1))
    names = "ab"[: random.choice((1, 1, 2))]
    body, x = _chain(random, names, random.randint(0, 4))
    body += [
        f"u = {_reduction(random)}({x}, axis={axis}, keepdims=true)",
        f"v = max(abs({x} - u), axis={axis}, keepdims=true)",
    ]
    result, end = random.choice((
        ("n, m", f"({x} - u) / (v + 0.001)"), ("n, m", f"({x} - u) * 0.5 + v"),
        ("nm"[1 - axis], f"{_reduction(random)}({x} / (v + 0.001), axis={axis})"),
    ))  # fmt: skip
    parameters = [_Parameter(name, dtype, ("n", "m")) for name in names]
    return _Draft(parameters, f"{dtype}[{result}]", [*body, f"return {end}"])


FAMILIES: Mapping[str, Callable[[Random], _Draft]] = {
    each.__name__.removeprefix("_"): each
    for each in (
        _elementwise, _reductions, _rows, _products, _gathers, _ordering, _segments, _layouts, _passes,
    )
}  # fmt: skip
"""What draws the kernels of a family, by the family's name."""


def _chain(random: Random, names: Sequence[str], steps: int) -> tuple[list[str], str]:
    """Statements that combine all `names`, arrays of one shape, in some more steps; the name of the last.

    Nothing meets itself: a compiler knows what `x - x` is.
    """
    body: list[str] = []
    last = names[0]
    operands = [*names[1:], *[""] * steps]
    for number, operand in enumerate(operands):
        others = [name for name in names if name != last] or names
        table = _BINARY if operand or (last not in others and random.random() < 0.3) else _UNARY
        (text,) = random.choices(list(table), list(table.values()))
        filled = text.format(x=last, y=operand or random.choice(others), c=_number(random))
        body.append(f"t{number} = {filled}")
        last = f"t{number}"
    return body, last


def _reduction(random: Random) -> str:
    return random.choice(("sum", "sum", "mean", "max", "min"))


def _number(random: Random) -> str:
    return random.choice(("0.25", "0.5", "1.0", "1.5", "2.0", "3.0"))


def _dtype(random: Random) -> str:
    return random.choice(("f32", "f32", "f32", "f64"))


def _sizes(random: Random, draft: _Draft) -> Mapping[str, int]:
    """Sizes of the dimensions, even by their logarithms, within the bounds on what a call may take."""
    names = sorted({dim for parameter in draft.parameters for dim in parameter.dims})
    product = draft.body[0].startswith("p = ")
    while True:
        found = {name: round(2 ** random.uniform(3, 11)) for name in names}
        if not product:
            total = random.uniform(8, 24)
            share = random.uniform(0.1, 0.9) if "m" in names else 1
            found |= {"n": round(2 ** (total * share)), "m": round(2 ** (total * (1 - share)))}
            found["k"] = max(round(2 ** random.uniform(8, 22)) // (found["m"] if "m" in names else 1), 4)
            found = {name: max(found[name], 8) for name in names}
        taken = sum(_ITEM_BYTES[p.dtype] * prod(found[d] for d in p.dims) for p in draft.parameters)
        if LEAST_BYTES <= taken <= MOST_BYTES and not (
            product and prod(found.values()) > MOST_MULTIPLICATIONS
        ):
            return found
