"""Convolution on the emulated device gives what the processor gives."""

import pytest

from flowc.compiler.backends.cuda.emulation import emulate
from tests.cuda.products import Case, check

pytestmark = pytest.mark.skipif(not emulate.available(), reason="there is no C++ compiler")

Shape = tuple[int, int, int, int]


def _case(dtype: str, images: Shape, filters: Shape, stride: int, padding: int, widened: str = "") -> Case:
    number, height, width, _ = images
    rows = (height + 2 * padding - filters[0]) // stride + 1
    columns = (width + 2 * padding - filters[1]) // stride + 1
    result = f"{widened or dtype}[{number}, {rows}, {columns}, {filters[3]}]"
    x, w = (f"{widened}(x)", f"{widened}(w)") if widened else ("x", "w")
    body = f"conv2d({x}, {w}, stride={stride}, padding={padding})"
    return Case({"x": (dtype, images), "w": (dtype, filters)}, result, body)


def test_windows_of_images() -> None:
    code = check(
        {
            "padded": _case("f32", (2, 9, 11, 4), (3, 3, 4, 8), 1, 1),
            "halves": _case("f16", (2, 9, 7, 8), (3, 3, 8, 16), 1, 1),
            "apart": _case("f16", (1, 12, 10, 3), (5, 3, 3, 17), 2, 2),
            "bytes": _case("i8", (1, 7, 7, 16), (3, 3, 16, 16), 1, 1, "i32"),
            "nothing": _case("f32", (1, 2, 2, 3), (3, 3, 3, 4), 1, 0),
            "empty": _case("f32", (2, 1, 49, 0), (2, 5, 0, 16), 3, 1),
            "pixels": _case("f64", (1, 6, 5, 9), (1, 1, 9, 12), 1, 0),
        },
        "shuffled",
    )
    assert "multiply_f16" in code.text
    assert "multiply_i8" in code.text


def test_sizes_that_the_call_says() -> None:
    case = Case(
        {"x": ("f16", (2, 9, 7, 8)), "w": ("f16", (3, 3, 8, 16))},
        "f16[n, o]",
        "conv2d(x, w, padding=1).sum(axis=1).sum(axis=1)",
        extents={"x": "n, h, v, c", "w": "a, b, c, o"},
    )
    check({"open": case}, "reverse")
