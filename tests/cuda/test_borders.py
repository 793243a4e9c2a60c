"""Where code for devices ends: parts of rows, rows of two lengths, nothing at all, more than 32 bits."""

import re
from typing import Any

import numpy as np

from flowc.compiler.backends import cuda
from tests.cuda.comparing import agree, as_module


def floats(*shape: int) -> Any:
    """Whole numbers, whose sums are exact, the same for a shape in every run."""
    return np.random.default_rng(sum(shape)).integers(-8, 9, shape).astype(np.float32)


def test_a_part_of_a_row_is_read_by_elements_where_rows_are_no_whole_vectors() -> None:
    text = "kernel left(x: f32[n, m]) -> f32[n, 64]:\n    return x[:, :64] * 2.0\n"
    agree(text, (floats(3, 67),), (floats(3, 64),))


def test_rows_of_two_lengths_are_gone_through_to_their_ends() -> None:
    text = """kernel two(x: f32[n, k], y: f32[n, m]) -> f32[n, m]:
    return y * x.max(axis=1, keepdims=true) - (y * x.max(axis=1, keepdims=true)).max(axis=1, keepdims=true)
"""
    agree(text, (floats(4, 16), floats(4, 3000)), (floats(4, 3000), floats(4, 16)))


def test_nothing_is_picked_from_nothing() -> None:
    text = "kernel pick(x: f32[n], i: i64[k]) -> f32[k]:\n    return x[i]\n"
    nothing = np.zeros(0, np.int64)
    agree(text, (floats(0), np.array([0, 1])), (floats(0), nothing), (floats(3), nothing))


def test_a_softmax_of_nothing_is_nothing() -> None:
    agree("kernel soft(x: f32[n]) -> f32[n]:\n    return softmax(x, axis=0)\n", (floats(0),), (floats(5),))


def test_more_positions_than_32_bits_count_are_counted_by_64() -> None:
    text = "kernel pairs(x: f32[n, 1], y: f32[m]) -> f32:\n    return (x * y).sum()\n"
    found = cuda.compile_kernels(as_module(text), cuda.Options(architectures=()))
    assert "using idx = int" in found.code.text  # for few
    known = text.replace("n, 1", "65536, 1").replace("[m]", "[65536]")
    wide = cuda.compile_kernels(as_module(known), cuda.Options(architectures=())).code.text
    assert not re.search(r"using idx = int.*4294967296", wide, re.DOTALL)
    assert "i < 4294967296" in wide
