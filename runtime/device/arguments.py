"""Arguments of a kernel on a device: what is there is taken as it lies, what is in host memory is to be
copied.

The rules of what fits are those of `runtime.kernel_arguments`, and so are the errors.
"""

from collections.abc import Sequence
from typing import Any

from attrs import frozen

from flowc.runtime.device.protocol import Device
from flowc.runtime.dtypes import numpy_dtype, widened
from flowc.runtime.kernel_arguments import as_array, check_shape, layout_of, number
from flowc.runtime.kernel_failures import (
    not_in_place,
    overlapping,
    read_only,
    wrong_count,
    wrong_dtype,
)
from flowc.runtime.kernel_outputs import share, span
from flowc.runtime.kernel_signature import KernelSignature, Parameter


@frozen
class Given:
    """An argument as a call takes it: a number, an array of the device, or one of the host's that is to be
    copied there, and back where the kernel changes it."""

    value: Any
    parameter: Parameter
    on_device: bool = False

    @property
    def uploaded(self) -> bool:
        """Whether it is an array of the host's."""
        return bool(self.parameter.dims) and not self.on_device


def fitting(signature: KernelSignature, arguments: Sequence[object], device: Device) -> tuple[Given, ...]:
    """The arguments as calls on a device take them.

    Raises FlowError for one that is no number or array of its parameter's kind, or on another device.
    """
    if len(arguments) != len(signature.params):
        raise wrong_count(signature, len(arguments))
    layouts = signature.layouts or ("any",) * len(arguments)
    bound: dict[str, int] = {}
    ready = []
    for parameter, argument, layout in zip(signature.params, arguments, layouts, strict=True):
        there = device.find(argument)
        if not parameter.dims:
            plain = argument if there is None or there.ndim else there.item()
            ready.append(Given(number(signature.name, parameter, plain), parameter))
            continue
        array = as_array(signature.name, parameter, argument) if there is None else there
        check_shape(signature.name, parameter, array, bound)
        if there is not None:
            array = _suited(signature.name, parameter, argument, array, layout, device)
        elif parameter.written and not array.flags.writeable:
            raise read_only(signature.name, parameter.name)
        ready.append(Given(array, parameter, there is not None))
    _check_apart(signature, ready, device)
    return tuple(ready)


def _suited(
    kernel: str, parameter: Parameter, argument: object, array: Any, layout: str, device: Device
) -> Any:
    """An array of the device with the parameter's dtype, laid out as its code expects; itself where it can
    be."""
    if parameter.written and _is_read_only(argument):
        raise read_only(kernel, parameter.name)
    dtype = numpy_dtype(parameter.dtype)
    if array.dtype != dtype:
        if widened(array.dtype) != parameter.dtype:
            raise wrong_dtype(kernel, parameter, array)
        if parameter.written:
            raise not_in_place(kernel, parameter, f"its elements are {array.dtype}")
        return array.astype(dtype)
    whole = not any(word % dtype.itemsize for word in (*array.strides, device.address(array)))
    if whole and (layout == "any" or layout_of(array) in (layout, "contiguous")):
        return array
    if parameter.written:
        raise not_in_place(kernel, parameter, "its elements lie otherwise than the code expects")
    return array.copy(order="C")


def _is_read_only(argument: object) -> bool:
    interface = getattr(argument, "__cuda_array_interface__", None)
    return interface is not None and bool(interface["data"][1])


def _check_apart(signature: KernelSignature, given: Sequence[Given], device: Device) -> None:
    """Raises FlowError where an array that the kernel changes shares memory with another."""
    arrays = [each for each in given if each.parameter.dims]
    for position, second in enumerate(arrays):
        for first in arrays[:position]:
            if not (first.parameter.written or second.parameter.written):
                continue
            if first.on_device == second.on_device and _meet(first, second, device):
                names = f"arguments `{first.parameter.name}` and `{second.parameter.name}`"
                raise overlapping(signature.name, names)


def _meet(first: Given, second: Given, device: Device) -> bool:
    here = first.on_device
    return meet(first.value, second.value, device) if here else share(first.value, second.value)


def meet(first: Any, second: Any, device: Device) -> bool:
    """Whether the ranges of addresses that two arrays of a device span have a byte in common."""
    (low, high), (start, end) = span(first), span(second)
    here, there = device.address(first), device.address(second)
    return bool(here + low < there + end and there + start < here + high)
