"""Elementwise code, rows and reductions on the emulated device against the processor."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from xdsl.ir import SSAValue

from flowc.compiler.backends import cuda
from flowc.dialects.array import build
from flowc.dialects.array.types import array_type
from flowc.testing.strategies.kernels import Add, make_kernel
from tests.cuda.comparing import agree, as_module

NORM = """kernel norm(x: f32[n, m], g: f32[m], b: f32[m]) -> f32[n, m]:
    d = x - x.mean(axis=-1, keepdims=true)
    return d / sqrt((d * d).mean(axis=-1, keepdims=true) + 1e-5) * g + b
"""
SHAPES = (
    (1, 4),
    (37, 16),
    (9, 64),
    (5, 1000),
    (3, 1024),
    (2, 2048),
    (2, 20000),
    (7, 33),
    (33, 31),
    (40, 12),
    (2, 1),
    (0, 5),
    (3, 0),
)
"""Every way to hold a row: in the registers of a few neighbours, of a warp, of a block, in loops; by vectors
and by elements."""
CANCELLED = 4096
"""Units in the last place that sums may differ by whose terms cancel."""


def floats(*shape: int) -> Any:
    """Normal numbers, the same for a shape in every run."""
    return np.random.default_rng(shape[-1] if shape else 0).standard_normal(shape).astype(np.float32)


def test_a_layer_norm_of_rows_of_any_length() -> None:
    agree(NORM, *((floats(n, m), floats(m), floats(m)) for n, m in SHAPES), ulps=CANCELLED)


def test_a_layer_norm_reads_each_row_in_one_launch() -> None:
    found = cuda.compile_kernels(as_module(NORM), cuda.Options(architectures=(), layouts=("contiguous",) * 3))
    assert {name.split("_")[-1] for name in found.code.functions} == {"mean"}


OTHERS: dict[str, Sequence[tuple[Any, ...]]] = {
    "kernel total(x: f32[n]) -> f32:\n    return x.sum()\n": [(floats(n),) for n in (0, 1, 5, 255, 100001)],
    "kernel columns(x: f32[n, m]) -> f32[m]:\n    return x.sum(axis=0)\n": [
        (floats(n, m),) for n, m in ((1, 1), (33, 5), (9000, 3), (3, 1000), (100, 2100), (0, 4), (4, 0))
    ],
    "kernel scaled(x: f64[n]) -> f64[n]:\n    return x / x.sum() + x.max()\n": [
        (floats(n).astype(np.float64),) for n in (1, 5, 4099)
    ],
    "kernel across(x: f32[n, m]) -> f32[n, m]:\n    return softmax(x, axis=0)\n": [
        (floats(n, m),) for n, m in ((1, 1), (33, 5), (100, 7))
    ],
    "kernel middle(x: f32[b, n, m], y: f32[m]) -> f32[b, m]:\n    return (x * y).sum(axis=1) + 1.0\n": [
        (floats(2, 3, 4), floats(4)),
        (floats(5, 100, 33), floats(33)),
    ],
    "kernel spread(x: f32[n, m], y: f32[m], z: f32[n, 1]) -> f32[n, m]:\n    return x * y + z\n": [
        (floats(n, m), floats(m), floats(n, 1))
        for n, m in ((3, 4), (5, 100), (301, 64), (2, 63), (300, 3), (9, 1), (0, 4), (4, 0))
    ],
    "kernel best(x: f32[n, m]) -> i64[n]:\n    return argmax(x, axis=-1)\n": [
        (floats(3, 5),),
        (floats(2, 3000),),
        (floats(45, 20),),
        (np.array([[1, np.nan, 5, np.nan], [3, 3, 1, 3]], np.float32),),
    ],
}


LONG = 1 << 17
"""Elements from which several blocks share a row, where rows are few."""
FEW_LONG_ROWS = {
    "kernel total(x: f32[n, m]) -> f32[n]:\n    return x.sum(axis=1)\n": (
        (2, LONG),
        (3, LONG + 5),
        (0, LONG),
    ),
    "kernel best(x: f32[n, m]) -> i64[n]:\n    return argmax(x, axis=-1)\n": ((2, LONG + 1),),
    f"kernel soft(x: f32[n, {LONG}]) -> f32[n, {LONG}]:\n    return softmax(x, axis=-1)\n": ((2, LONG),),
    f"kernel root(x: f32[n, {LONG + 3}]) -> f32[n]:\n    return sqrt((x * x).mean(axis=-1)) * 2.0\n": (
        (3, LONG + 3),
    ),
}


@pytest.mark.parametrize("text", FEW_LONG_ROWS)
def test_several_blocks_share_a_long_row(text: str) -> None:
    agree(text, *((floats(*shape),) for shape in FEW_LONG_ROWS[text]), ulps=CANCELLED)


def test_only_rows_that_may_be_long_and_few_are_combined() -> None:
    def launches(n: str, m: str) -> set[str]:
        text = f"kernel total(x: f32[{n}, {m}]) -> f32[{n}]:\n    return x.sum(axis=1)\n"
        found = cuda.compile_kernels(as_module(text), cuda.Options(architectures=(), layouts=("contiguous",)))
        return {name.split("_")[-1] for name in found.code.functions}

    assert launches("n", "m") == launches("4", str(LONG)) == {"sum", "combine"}
    assert launches("n", "4096") == launches("4096", str(LONG)) == {"sum"}


@pytest.mark.parametrize("text", OTHERS)
def test_other_reductions(text: str) -> None:
    agree(text, *OTHERS[text], ulps=CANCELLED)


def test_positions_outside_are_an_error_and_read_nothing() -> None:
    rows = "kernel pick(x: f32[n, m], i: i64[k]) -> f32[k, m]:\n    return x[i]\n"
    wrong = [np.array([25]), np.array([3, -21])]
    agree(rows, (floats(20, 8), np.arange(-20, 20)), *((floats(20, 8), each) for each in wrong))


def test_memory_that_is_not_aligned_is_read_by_elements() -> None:
    def shifted(count: int) -> Any:
        return floats(count + 1)[1:]

    agree("kernel twice(x: f32[n]) -> f32[n]:\n    return x * 2.0\n", (shifted(4),), (shifted(1000),))


@pytest.mark.parametrize("length", [5, LONG])
def test_rows_of_a_square_and_of_its_transpose_are_other_rows(length: int) -> None:
    """What the one finds in a row may not be taken for what the other finds."""

    def body(add: Add, x: SSAValue) -> Sequence[SSAValue]:
        turned = add(build.transpose(x, (1, 0, 2)))
        total = add(build.expand(add(build.reduce("sum", x, (2,))), 2))
        most = add(build.expand(add(build.reduce("max", turned, (2,))), 2))
        return add(build.elementwise("div", [turned, most])), add(build.elementwise("div", [x, total]))

    kernel = make_kernel({"x": array_type("f32", ("n", "n", "m"))}, body)
    agree(kernel, (np.abs(floats(3, 3, length)) + 1,), ulps=CANCELLED)
