"""Built-ins that become attention and convolution."""

from collections.abc import Callable, Mapping

from xdsl.ir import SSAValue

from flowc.compiler.checker.model import BoundCall
from flowc.compiler.lower.arrays import as_array, operand
from flowc.compiler.lower.frame import Frame
from flowc.dialects.array import products_build as build
from flowc.runtime.types import Type


def _attention(frame: Frame, bound: BoundCall, result: Type) -> SSAValue:
    query, key, value = (as_array(frame, operand(frame, each)) for each in bound.arguments[:3])
    given, window = bound.options.get("scale"), bound.options.get("window")
    scale = build.scale_of(frame.emit, query, given if isinstance(given, int | float) else None)
    causal = bound.options.get("causal") is True
    reach = window if isinstance(window, int) else None
    return frame.emit(build.attention(query, key, value, scale, None, causal, reach))


def _conv2d(frame: Frame, bound: BoundCall, result: Type) -> SSAValue:
    source, filters = (as_array(frame, operand(frame, each)) for each in bound.arguments[:2])
    stride, padding = bound.options["stride"], bound.options["padding"]
    assert isinstance(stride, int)
    assert isinstance(padding, int)
    return frame.emit(build.convolve(source, filters, (stride, stride), (padding,) * 4))


FORMS: Mapping[str, Callable[[Frame, BoundCall, Type], SSAValue]] = {
    "attention": _attention,
    "conv2d": _conv2d,
}
"""How each form is built."""
