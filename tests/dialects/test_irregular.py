"""Irregular array operators: assembly that reads back, and what their type rules refuse."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from xdsl.context import Context
from xdsl.dialects.builtin import Builtin
from xdsl.ir import Operation, SSAValue
from xdsl.parser import Parser

from flowc.dialects.array import Array, ShapeError, build
from flowc.dialects.array import irregular_build as irregular
from flowc.dialects.array.irregular import ELEMENTWISE
from flowc.dialects.array.reference import numpy_dtypes
from flowc.dialects.array.types import array_type, is_float, shape_of
from flowc.testing.strategies.kernels import DTYPES, as_module, make_kernel

VECTOR, MATRIX, KEYS = array_type("f32", ("n",)), array_type("f32", ("n", "m")), array_type("i32", ("n",))
NUMBER, COUNT = array_type("f64", ()), array_type("i64", ())
TYPES = {"x": VECTOR, "y": MATRIX, "k": KEYS, "f": NUMBER, "i": COUNT}


def every_operator(
    add: Callable[[Operation], SSAValue], x: Any, y: Any, k: Any, f: Any, i: Any
) -> list[SSAValue]:
    three = add(build.constant(3, "i64"))
    operators = [
        irregular.sort(y, 0),
        irregular.argsort(y),
        irregular.scan("max", y, 0),
        irregular.searchsorted(x, y, "right"),
        irregular.take_along(y, add(irregular.argsort(y)), 1),
        irregular.scatter("sum", y, k, f32(add, f)),
        irregular.segment("count", k, three),
        irregular.segment("sum", k, i, y, "g"),
        irregular.histogram(y, x, uniform=True),
        irregular.histogram(x, x, x),
        irregular.linspace(f, f, i),
        irregular.random("bits", i, ("", 3), (i, three)),
        irregular.random("normal", i, (), (), "f64"),
        irregular.pick(x, add(build.elementwise("lt", [x, x]))),
    ]
    return [add(each) for each in operators]


def f32(add: Callable[[Operation], SSAValue], value: SSAValue) -> SSAValue:
    return add(build.cast(value, "f32"))


def test_every_irregular_operator_reads_back_as_it_is_printed() -> None:
    kernel = make_kernel(TYPES, every_operator)
    text = str(as_module(kernel))
    context = Context()
    context.load_dialect(Builtin)
    context.load_dialect(Array)
    module = Parser(context, text).parse_module()
    module.verify()
    assert str(module) == text
    assert any(isinstance(op, ELEMENTWISE) for op in kernel.body.block.ops)


def test_extents_of_groups_and_bins_are_told_where_they_are_known() -> None:
    kernel = make_kernel(TYPES, every_operator)
    shapes = [shape_of(value.type) for value in kernel.returned]
    assert shapes[6:10] == [(3,), ("g", "m"), ("",), ("",)]


Refused = Callable[[Any, Any, Any, Any, Any], Operation]


@pytest.mark.parametrize(
    "refused",
    [
        lambda x, y, k, f, i: irregular.sort(f),
        lambda x, y, k, f, i: irregular.argsort(x, 1),
        lambda x, y, k, f, i: irregular.scan("mean", x),
        lambda x, y, k, f, i: irregular.searchsorted(y, x),
        lambda x, y, k, f, i: irregular.searchsorted(x, x, "both"),
        lambda x, y, k, f, i: irregular.take_along(y, k),
        lambda x, y, k, f, i: irregular.take_along(x, x),
        lambda x, y, k, f, i: irregular.scatter("mean", x, k, x),
        lambda x, y, k, f, i: irregular.scatter("set", f, k, x),
        lambda x, y, k, f, i: irregular.scatter("set", k, k, x),
        lambda x, y, k, f, i: irregular.scatter("set", x, k, y),
        lambda x, y, k, f, i: irregular.segment("sum", x, i, x),
        lambda x, y, k, f, i: irregular.segment("sum", k, i),
        lambda x, y, k, f, i: irregular.segment("count", k, i, x),
        lambda x, y, k, f, i: irregular.segment("median", k, i, x),
        lambda x, y, k, f, i: irregular.histogram(x, y),
        lambda x, y, k, f, i: irregular.histogram(k, x),
        lambda x, y, k, f, i: irregular.histogram(x, x, y),
        lambda x, y, k, f, i: irregular.pick(x, k),
        lambda x, y, k, f, i: irregular.random("uniform", i, (), (), "i64"),
        lambda x, y, k, f, i: irregular.random("cauchy", i, (), ()),
        lambda x, y, k, f, i: irregular.random("normal", i, ("n",), ()),
    ],
)
def test_operands_that_do_not_fit_are_refused(refused: Refused) -> None:
    def body(add: Any, x: Any, y: Any, k: Any, f: Any, i: Any) -> SSAValue:
        with pytest.raises(ShapeError):
            refused(x, y, k, f, i)
        return x

    make_kernel(TYPES, body)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("value", [True, 1, 0.5])
def test_python_numbers_are_weak_as_in_numpy(dtype: str, value: float) -> None:
    if dtype == "bf16":
        wanted = numpy_dtypes["bf16"]
    else:
        wanted = np.result_type(numpy_dtypes[dtype], type(value)(value))
    if isinstance(value, int) and not isinstance(value, bool) and dtype == "bool":
        wanted = np.dtype(np.int64)
    assert numpy_dtypes[build.weak_dtype(value, dtype)] == wanted


@pytest.mark.parametrize("dtype", [each for each in DTYPES if not is_float(each) and each != "bool"])
def test_a_constant_outside_the_range_of_its_dtype_is_refused(dtype: str) -> None:
    info = np.iinfo(numpy_dtypes[dtype])
    for value in (info.min, info.max):
        assert build.constant(value, dtype).value.value.data == value
    for value in (info.min - 1, info.max + 1):
        with pytest.raises(ShapeError):
            build.constant(value, dtype)
