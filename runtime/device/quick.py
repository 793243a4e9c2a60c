"""Calls on arrays that all lie on the device, of dtypes, shapes and strides that were met before.

Nothing is looked at again that cannot have changed; what is new in a call are addresses and numbers.
"""

from collections.abc import Sequence
from typing import Any

from attrs import frozen

from flowc.runtime.device.arguments import Given, meet
from flowc.runtime.device.protocol import Device
from flowc.runtime.dtypes import numpy_dtype
from flowc.runtime.kernel_arguments import number
from flowc.runtime.kernel_signature import KernelSignature, Parameter

Key = tuple[object, ...]


@frozen(eq=False)
class Known:
    """What is known of such calls: where the arrays are among the arguments, with the sizes of their
    elements, the numbers beside them, and the results."""

    arrays: tuple[tuple[int, int], ...]
    numbers: tuple[tuple[int, Parameter], ...]
    results: tuple[tuple[tuple[int, ...], Any], ...]


def key_of(arguments: Sequence[Any]) -> Key:
    """What tells calls apart but for addresses and numbers."""
    return tuple(
        [(type(x), x.dtype, x.shape, x.strides) if hasattr(x, "strides") else type(x) for x in arguments]
    )


def known_of(
    signature: KernelSignature,
    arguments: Sequence[Any],
    given: Sequence[Given],
    shapes: Sequence[tuple[int, ...]],
) -> Known | None:
    """What is known after a call was checked; None where calls like it must be checked anew.

    That is where an array came from elsewhere, had to be copied, or is changed; where a number is none of
    Python's; and where the extents of results may follow from numbers.
    """
    plain = all(
        each.on_device and each.value is argument and not each.parameter.written
        if each.parameter.dims
        else isinstance(argument, int | float)
        for each, argument in zip(given, arguments, strict=True)
    )
    if not plain or not any(each.on_device for each in given) or _follow_from_numbers(signature):
        return None
    places = list(enumerate(given))
    return Known(
        tuple((place, each.value.dtype.itemsize) for place, each in places if each.parameter.dims),
        tuple((place, each.parameter) for place, each in places if not each.parameter.dims),
        tuple((shape, numpy_dtype(r.dtype)) for shape, r in zip(shapes, signature.results, strict=True)),
    )


def _follow_from_numbers(signature: KernelSignature) -> bool:
    return any(isinstance(extent, tuple) for result in signature.results for extent in result.dims)


def values_of(kernel: str, known: Known, arguments: Sequence[Any], device: Device) -> list[Any] | None:
    """The arguments as host code takes them; None where an address is odd. Raises FlowError for a number that
    does not fit, and for an array on another device."""
    values = list(arguments)
    for place, size in known.arrays:
        device.find(values[place])
        if device.address(values[place]) % size:
            return None
    for place, parameter in known.numbers:
        values[place] = number(kernel, parameter, values[place])
    return values


def targets_of(known: Known, out: Any, arguments: Sequence[Any], device: Device) -> list[Any] | None:
    """The arrays to write results to; None where what `out` names must be looked at, or written at the
    end."""
    if out is None:
        return [device.empty(shape, dtype) for shape, dtype in known.results]
    given = out if type(out) is tuple else (out,)
    kind = type(arguments[known.arrays[0][0]])
    if len(given) != 1 or len(known.results) != 1 or type(given[0]) is not kind:
        return None
    (array,), ((shape, dtype),) = given, known.results
    if array.dtype != dtype or array.shape != shape or not array.flags.c_contiguous:
        return None
    if device.find(array) is None or any(meet(arguments[place], array, device) for place, _ in known.arrays):
        return None
    return [array]
