"""A program of the array dialect while it is drawn: its arguments, and short ways to write its operators."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from attrs import define, field
from xdsl.ir import Attribute, SSAValue

from flowc.dialects.array import build
from flowc.dialects.array.reference import numpy_dtypes
from flowc.dialects.array.slices import AxisSlice, SliceSpec
from flowc.dialects.array.types import Extent, array_type, dtype_of, shape_of
from flowc.testing.strategies.choices import Choices
from flowc.testing.strategies.kernels import Add, Program, array_of, as_module, make_kernel

SHORT = (0, 1, 2, 3, 5, 6, 7, 15, 16, 17, 47, 48, 49, 63, 64, 65, 95, 96, 97)
LONG = (1023, 1024, 1025, 4097)
"""Extents on either side of the tiles and blocks that the compiler cuts."""
MOST = 200_000
"""Elements of the largest argument."""
FLOATS = ("f32", "f32", "f64", "f16", "bf16")
NUMBERS = (*FLOATS, "i64", "i32", "i16", "i8", "u8")

Body = Callable[..., Sequence[SSAValue] | SSAValue]


@define
class Sketch:
    """A program while it is drawn; `special` puts NaN and infinities into its arguments."""

    choices: Choices
    special: bool = False
    sizes: dict[str, int] = field(factory=dict)
    parameters: dict[str, Attribute] = field(factory=dict)
    arguments: list[Any] = field(factory=list)

    def one(self, *choices: Any) -> Any:
        """One of the choices."""
        return self.choices.one(choices)

    def extent(self, name: str, sizes: Sequence[int] = SHORT) -> str:
        """An axis that several arguments may have."""
        self.sizes[name] = self.one(*sizes)
        return name

    def axes(self, count: int) -> list[str]:
        """Named axes of which at most one is long, small enough together."""
        long = self.choices.number(-1, count - 1)
        names = [self.extent(f"n{k}", LONG if k == long else SHORT) for k in range(count)]
        total = 1
        for name in names:
            total *= max(self.sizes[name], 1)
            if total > MOST:
                self.sizes[name] = 2
        return names

    def array(self, dtype: str, shape: Sequence[Extent]) -> int:
        """Another argument; gives its number. An extent is declared as a name, a number or not at all."""
        concrete = [self.sizes[extent] if isinstance(extent, str) else extent for extent in shape]
        form = self.one("name", "name", "name", "number", "unknown")
        declared: list[Extent] = list(concrete) if form == "number" else list(shape)
        if form == "unknown" and shape:
            declared[self.choices.number(0, len(shape) - 1)] = ""
        values = array_of(dtype, concrete, self.choices.number(0, 999), self.special)
        return self.given(values, array_type(dtype, declared))

    def places(self, extent: str, low: int, high: int) -> int:
        """An argument of whole numbers from `low` to below `high`."""
        dtype = self.one("i64", "i32", "i16", "i8")
        rng = np.random.default_rng(self.choices.number(0, 999))
        values = rng.integers(max(low, -100), min(high, 100), self.sizes[extent])
        return self.given(values.astype(numpy_dtypes[dtype]), array_type(dtype, [extent]))

    def given(self, values: Any, type_: Attribute) -> int:
        """Another argument with these values; gives its number."""
        self.parameters[f"a{len(self.arguments)}"] = type_
        self.arguments.append(values)
        return len(self.arguments) - 1

    def done(self, body: Body) -> Program:
        """The program whose results `body(add, *arguments)` gives."""
        kernel = make_kernel(self.parameters, body)
        return Program(as_module(kernel), kernel, tuple(self.arguments))


def unary(add: Add, kind: str, value: SSAValue) -> SSAValue:
    """An elementwise operator of one operand."""
    return add(build.elementwise(kind, [value]))


def pair(add: Add, kind: str, first: SSAValue, second: SSAValue) -> SSAValue:
    """An elementwise operator of two operands."""
    return add(build.elementwise(kind, [first, second]))


def number(add: Add, value: float, like: SSAValue) -> SSAValue:
    """A number beside an array."""
    return add(build.constant(value, build.weak_dtype(value, dtype_of(like.type))))


def extents(add: Add, value: SSAValue) -> list[SSAValue]:
    """The extents of a value as i64 values."""
    return [add(build.dim(value, axis)) for axis in range(len(shape_of(value.type)))]


def sliced(add: Add, value: SSAValue, axis: int, part: AxisSlice, *bounds: SSAValue) -> SSAValue:
    """A slice along one axis."""
    return add(build.slices(value, SliceSpec((*[AxisSlice()] * axis, part)), bounds))


def ranked(add: Add, value: SSAValue, count: int) -> list[SSAValue]:
    """The largest along the last axis and their positions."""
    best = build.topk(value, add(build.constant(count, "i64")))
    add(best)
    return [best.values, best.indices]
