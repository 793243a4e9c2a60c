"""What is read across, on the emulated device, against the processor."""

from typing import Any

import ml_dtypes
import numpy as np
import pytest

from flowc.compiler.backends.cuda import Options, compile_kernels
from tests.cuda.comparing import agree, as_module
from tests.cuda.written import module_of

KERNELS = """
kernel plus(x: f32[n, m], y: f32[m, n]) -> f32[m, n]:
    return x.T * 2.0 + y

kernel turned(x: f32[n, m]) -> f32[m, n]:
    return x.T

kernel halves(x: bf16[a, b, c], y: bf16[a, c, b]) -> bf16[a, c, b]:
    return exp(transpose(x, [0, 2, 1])) + y

kernel rotated(x: f32[a, b, c]) -> f32[c, a, b]:
    return transpose(x, [2, 0, 1]) + 1.0

kernel symmetric(x: f32[n, n]) -> f32[n, n]:
    return x + x.T + (x * x).T

kernel flags(x: bool[n, 40]) -> bool[40, n]:
    return x.T == false
"""
SHAPES = ((0, 5), (5, 0), (1, 1), (7, 50), (8, 8), (33, 65), (64, 32), (100, 31))


def floats(*shape: int) -> Any:
    return np.random.default_rng(sum(shape)).normal(size=shape).astype(np.float32)


def halves(*shape: int) -> Any:
    return floats(*shape).astype(ml_dtypes.bfloat16)


def calls_of(name: str) -> list[tuple[Any, ...]]:
    """Arguments with matrices of all shapes."""
    match name:
        case "plus":
            strided = floats(70, 40)[::2, ::-1]
            return [*((floats(*s), floats(*s[::-1])) for s in SHAPES), (strided, floats(40, 35))]
        case "turned":
            return [(floats(*s),) for s in SHAPES]
        case "halves":
            return [(halves(2, *s), halves(2, *s[::-1])) for s in SHAPES]
        case "rotated":
            return [(floats(3, *s),) for s in SHAPES]
        case "symmetric":
            return [(floats(n, n),) for n in (0, 1, 33, 70)]
    return [(floats(n, 40) > 0,) for n in (0, 7, 100)]


@pytest.mark.parametrize("name", ["plus", "turned", "halves", "rotated", "symmetric", "flags"])
def test_what_is_read_across_is_what_stands_there(name: str) -> None:
    agree(KERNELS, *calls_of(name), name=name, orders=("forward", "shuffled"))


def test_tiles_go_through_shared_memory_only_where_neighbours_are_apart() -> None:
    kernels = module_of("kernel k(x: f32[n, m], y: f32[m, n]) -> f32[m, n]:\n    return x.T + y\n")
    assert "FLOWC_SHARED(float" in text_of(kernels)
    for along in ("x: f32[a, b, c]) -> f32[b, a, c]", "x: f32[a, b, c]) -> f32[a, b, c]"):
        permutation = [1, 0, 2] if "[b, a" in along else [0, 1, 2]
        assert "FLOWC_SHARED(float" not in text_of(
            module_of(f"kernel k({along}:\n    return transpose(x, {permutation}) + 1.0\n")
        )


def text_of(kernels: Any) -> str:
    """The CUDA text of a module."""
    return compile_kernels(as_module(kernels), Options(architectures=())).code.text
