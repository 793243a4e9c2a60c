"""Kernels as people write them, from text to machine code, against NumPy: one compilation for all of them."""

from collections.abc import Callable, Mapping
from typing import Any

import ml_dtypes
import numpy as np
import pytest
from attrs import frozen

from flowc.compiler.diagnostics.model import CompileError
from flowc.compiler.driver import check_text, compile_text
from flowc.runtime.errors import FlowError
from flowc.runtime.kernels import Kernel, load

Arguments = tuple[Any, ...]


@frozen
class Case:
    """A kernel, what NumPy says it gives, and arguments for it."""

    text: str
    wanted: Callable[..., Any]
    arguments: tuple[Arguments, ...]


def f32(*shape: int) -> Any:
    size = int(np.prod(shape))
    return (np.arange(size, dtype=np.float32).reshape(shape) * 37 % 23 - 11) / 4


def softmax(x: Any, axis: int = -1) -> Any:
    e = np.exp(x - x.max(axis=axis, keepdims=True))
    return e / e.sum(axis=axis, keepdims=True)


def normalised(x: Any, gain: Any, shift: Any) -> Any:
    centred = x - x.mean(1, keepdims=True)
    return centred / np.sqrt((centred**2).mean(1, keepdims=True) + np.float32(1e-5)) * gain + shift


def squares(x: Any, y: Any) -> Any:
    return ((x[:, None] - y[None]) ** 2).sum(2)


WHOLE = np.array([-(2**63), -7, 0, 5, 2**63 - 1])
BITS = np.arange(-128, 128, 5, dtype=np.int8)

CASES = {
    "layernorm": Case(
        """(x: f32[n, d], g: f32[d], b: f32[d]) -> f32[n, d]:
    c = x - mean(x, axis=1, keepdims=true)
    return c * rsqrt(mean(c * c, axis=-1, keepdims=true) + 1e-5) * g + b""",
        normalised,
        ((f32(5, 7), f32(7), f32(7)), (f32(0, 7), f32(7), f32(7)), (f32(1, 1), f32(1), f32(1))),
    ),
    "attention": Case(
        """(q: f32[t, d], kk: f32[s, d], v: f32[s, e]) -> f32[t, e]:
    return softmax(q @ kk.T / sqrt(q.shape[1])) @ v""",
        lambda q, k, v: softmax(q @ k.T / np.sqrt(np.float32(q.shape[1]))) @ v,
        ((f32(5, 8), f32(9, 8), f32(9, 3)),),
    ),
    "heads": Case(
        """(q: f32[h, t, d], kk: f32[h, s, d]) -> f32[h, t, s]:
    return q @ transpose(kk, [0, 2, 1])""",
        lambda q, k: q @ k.transpose(0, 2, 1),
        ((f32(2, 5, 8), f32(2, 9, 8)), (f32(0, 5, 8), f32(0, 9, 8))),
    ),
    "assignment": Case(
        """(x: f32[n, d], c: f32[m, d]) -> i64[n]:
    e = x[:, none] - c[none]
    return argmin(sum(e * e, axis=2), axis=1)""",
        lambda x, c: squares(x, c).argmin(1),
        ((f32(20, 4), f32(3, 4)),),
    ),
    "distances": Case(
        """(x: f32[n, d], c: f32[n, d]) -> f32[n, n]:
    return sqrt(sum((expand(x, 1) - expand(c, 0)) ** 2, axis=-1))""",
        lambda x, c: np.sqrt(squares(x, c)),
        ((f32(20, 4), f32(20, 4)), (f32(1, 4), f32(1, 4))),
    ),
    "masked": Case(
        """(x: f32[n, d], m: bool[n, d]) -> f32[n]:
    return sum(where(m, x, 0), axis=1) / maximum(f32(sum(m, axis=1)), 1)""",
        lambda x, m: np.where(m, x, 0).sum(1) / np.maximum(m.sum(1), 1).astype(np.float32),
        ((f32(4, 5), f32(4, 5) > 0), (f32(4, 0), f32(4, 0) > 0)),
    ),
    "one_hot": Case(
        "(x: i64[n], c: int) -> bool[n, c]:\n    return x[:, none] == iota(c)",
        lambda x, c: x[:, None] == np.arange(c),
        ((np.array([0, 3, 9]), 4), (np.array([0, 3]), 0)),
    ),
    "columns": Case(
        "(x: f32[n, d], i: i8[m]) -> f32[n, m]:\n    return x[:, i]",
        lambda x, i: x[:, i],
        ((f32(5, 3), np.array([0, -1, 2, 2], np.int8)),),
    ),
    "new_axes": Case(
        "(x: f32[n, m], i: i64[q, r]) -> f32[q, r, 1, m]:\n    return x[i, none, :]",
        lambda x, i: x[i, None, :],
        ((f32(4, 3), np.array([[0, -1], [3, -4]])),),
    ),
    "mixed": Case(
        "(x: i32[n]) -> f64[n]:\n    return x * 0.5 + 1",
        lambda x: x * 0.5 + 1,
        ((np.arange(5, dtype=np.int32),),),
    ),
    "rounded": Case(
        "(x: f32[n]) -> f32[n]:\n    return x // 0.3 + x % 0.3 + floor(x) + ceil(x) + round(x)",
        lambda x: x // np.float32(0.3) + x % np.float32(0.3) + np.floor(x) + np.ceil(x) + np.round(x),
        ((f32(40),),),
    ),
    "huge_numbers": Case(
        "(x: f16[n]) -> f16[n]:\n    return minimum(x + f16(100000.0), f16(1e300))",
        lambda x: x + np.float16(np.inf),
        ((np.ones(3, np.float16),),),
    ),
    "filled": Case(
        """(x: f32[n, m], k: int) -> f64[k, m]:
    return full([k, x.shape[1]], 7, dtype="f64") + zeros(x.shape)[0]""",
        lambda x, k: np.full((k, x.shape[1]), 7.0),
        ((f32(2, 3), 4), (f32(2, 3), 0)),
    ),
    "measured": Case(
        "(x: f32[n, m]) -> f32:\n    return sum(x) / x.size + x.ndim * len(x)",
        lambda x: np.float32(x.sum() / x.size + 2 * len(x)),
        ((f32(4, 3),),),
    ),
    "first_column": Case(
        "(x: f32[n, m]) -> f32[n, m]:\n    return x - x[:, :1] * x[-1:]",
        lambda x: x - x[:, :1] * x[-1:],
        ((f32(4, 5),), (f32(4, 1),), (f32(1, 4),)),
    ),
    "largest_of_three": Case(
        "(x: f32[n], y: f32) -> f32:\n    return max(x[0], y, 1)",
        lambda x, y: max(x[0], np.float32(y), np.float32(1)),
        ((f32(2), 2.5), (f32(2), -1.0)),
    ),
    "wrapping": Case(
        "(a: i8[n], b: i8[n]) -> i8[n]:\n    return a * b + a - b ** 2",
        lambda a, b: a * b + a - b**2,
        ((BITS, BITS[::-1]),),
    ),
    "quotients": Case(
        "(a: i64[n], b: i64) -> i64[n]:\n    return a // b + a % b",
        lambda a, b: a // b + a % b if b else a * 0,
        ((WHOLE, 3), (WHOLE, 0), (WHOLE, -1)),
    ),
    "halves": Case(
        "(x: bf16[n, d], y: f16[d]) -> f32[n, d]:\n    return x * 2 + y",
        lambda x, y: (x * ml_dtypes.bfloat16(2)).astype(np.float32) + y,
        ((f32(2, 3).astype(ml_dtypes.bfloat16), f32(3).astype(np.float16)),),
    ),
    "turned": Case(
        "(x: f32[a, b, c], i: int) -> f32[c, a]:\n    return sum(x[::-1, i:, ::-1], axis=1).T",
        lambda x, i: x[::-1, i:, ::-1].sum(1).T,
        ((f32(4, 3, 2), 1), (f32(4, 3, 2), -2), (f32(4, 3, 2), 99)),
    ),
    "rolled": Case(
        "(x: f32[n]) -> f32[n]:\n    return concat(x[1:], x[:1])",
        lambda x: np.roll(x, -1),
        ((f32(5),), (f32(1),), (f32(0),)),
    ),
}


@pytest.fixture(scope="module", params=[0, 2])
def kernels(request: pytest.FixtureRequest) -> Mapping[str, Kernel]:
    text = "\n\n".join(f"kernel {name}{case.text}" for name, case in CASES.items())
    compiled = compile_text(text + "\n", "kernels.flow", level=request.param)
    assert compiled.kernels is not None
    return load(compiled.kernels.object_code, compiled.kernels.signatures)


def layouts(arguments: Arguments) -> list[Arguments]:
    """The arguments as they are, in column-major order, in odd places and read-only, and backwards."""

    def odd(array: Any) -> Any:
        room = np.zeros(2 * array.nbytes + 1, np.uint8)
        found = room[1:].view(array.dtype).reshape((*array.shape, 2))[..., 1]
        found[...] = array
        found.flags.writeable = False
        return found

    makers = (np.asarray, np.asfortranarray, odd, lambda x: np.ascontiguousarray(x[::-1])[::-1])
    return [
        tuple(make(each) if isinstance(each, np.ndarray) else each for each in arguments) for make in makers
    ]


@pytest.mark.parametrize("name", CASES)
def test_a_kernel_gives_what_numpy_gives_in_every_layout(name: str, kernels: Mapping[str, Kernel]) -> None:
    case = CASES[name]
    for arguments in case.arguments:
        with np.errstate(all="ignore"):
            wanted = np.asarray(case.wanted(*arguments))
        for laid_out in layouts(arguments):
            got = np.asarray(kernels[name](*laid_out))
            assert got.shape == wanted.shape
            if wanted.ndim:
                assert got.dtype == wanted.dtype
            tolerance = 3e-5 if wanted.dtype.kind == "f" else 0
            np.testing.assert_allclose(got, wanted, rtol=tolerance, atol=tolerance)


def test_nothing_of_which_no_extent_is_said_stretches_unseen() -> None:
    text = "kernel k(x: f32[n], i: int, j: int) -> f32:\n    return sum(x[i:] + x[j:])\n"
    compiled = compile_text(text, "k.flow", level=0)
    assert compiled.kernels is not None
    kernel = load(compiled.kernels.object_code, compiled.kernels.signatures)["k"]
    assert kernel(np.ones(5, np.float32), 1, 1) == 8
    with pytest.raises(FlowError) as error:
        kernel(np.ones(5, np.float32), 1, 4)
    assert error.value.problem.code == "E0753"


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("(x: i8[n]) -> bool[n]:\n    return x > 200", "E0141"),
        ("(x: i8[n]) -> i8[n]:\n    return x + 200", "E0141"),
        ("(x: f32[n]) -> f32[n]:\n    return max(x, 0)", "E0109"),
        ("(x: i64[n]) -> i64[n]:\n    return x ** -1", "E0149"),
        ("(x: f32[n, m]) -> f32[n, m]:\n    return transpose(x, [1, 1])", "E0205"),
        ("(x: f32[n, m], i: i64[k]) -> f32[k]:\n    return x[i, i]", "E0114"),
        ("(x: f32[n], k: i64[m]) -> f32[n]:\n    return x + k", "E0201"),
    ],
)
def test_what_cannot_be_computed_is_refused_before_anything_runs(text: str, code: str) -> None:
    with pytest.raises(CompileError) as error:
        check_text(f"kernel k{text}\n", "k.flow")
    assert code in [diagnostic.code for diagnostic in error.value.diagnostics]
