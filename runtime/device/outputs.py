"""Where the results of a call on a device go: into new arrays, there or in host memory, or where `out=`
says."""

from collections.abc import Sequence
from typing import Any

from attrs import frozen

from flowc.runtime.buffers import empty
from flowc.runtime.device.arguments import Given, meet
from flowc.runtime.device.protocol import Device
from flowc.runtime.dtypes import numpy_dtype
from flowc.runtime.kernel_failures import overlapping, wrong_out
from flowc.runtime.kernel_outputs import buffers, share
from flowc.runtime.kernel_signature import KernelSignature


@frozen
class Destination:
    """Where a result goes. `array` is what the caller gave, or gets; None for an array of the device that is
    still to be made. With `direct` the kernel writes to it itself; where it is `shared` with an argument,
    nothing may be written before all of that has been read."""

    array: Any = None
    on_device: bool = False
    direct: bool = False
    shared: bool = False


def destinations(
    signature: KernelSignature,
    out: object,
    shapes: Sequence[tuple[int, ...]],
    given: Sequence[Given],
    device: Device,
    stay: bool | None = None,
) -> tuple[Destination, ...]:
    """Where each result goes; raises FlowError where `out` cannot hold one.

    New results stay on the device where that is said, or where nothing is and an argument lies there.
    """
    stays = any(each.on_device for each in given) if stay is None else stay
    wanted = out if isinstance(out, tuple) else (out,) * (1 if out is not None else len(shapes))
    if len(wanted) != len(shapes):
        raise wrong_out(signature.name, f"it gets {len(wanted)} arrays for {len(shapes)} results")
    there = [None if each is None else device.find(each) for each in wanted]
    on_host = tuple(e if t is None else None for e, t in zip(wanted, there, strict=True))
    buffers(signature, on_host, shapes)
    found: list[Destination] = []
    for position, (array, host, shape) in enumerate(zip(there, on_host, shapes, strict=True)):
        dtype = numpy_dtype(signature.results[position].dtype)
        if array is not None:
            _check(signature, array, shape, dtype)
            if any(e.on_device and meet(e.array, array, device) for e in found if e.array is not None):
                raise overlapping(signature.name, "two arrays of `out`")
            shared = any(meet(each.value, array, device) for each in given if each.on_device)
            found.append(Destination(array, True, array.flags.c_contiguous and not shared, shared))
        elif host is not None:
            shared = any(share(each.value, host) for each in given if each.uploaded)
            found.append(Destination(host, shared=shared))
        elif stays:
            found.append(Destination(None, True, True))
        else:
            found.append(Destination(empty(shape, dtype)))
    return tuple(found)


def _check(signature: KernelSignature, array: Any, shape: tuple[int, ...], dtype: Any) -> None:
    if array.dtype != dtype:
        raise wrong_out(signature.name, f"its elements are {array.dtype}, those of the result {dtype}")
    if tuple(array.shape) != shape:
        raise wrong_out(signature.name, f"its shape is {array.shape}, that of the result {shape}")


def returned(destinations: Sequence[Destination], arrays: Sequence[Any], out: object) -> Any:
    """What a call returns: what `out` named, else the results, numbers where they have no axes."""
    if out is not None:
        return tuple(arrays) if isinstance(out, tuple) and len(arrays) > 1 else arrays[0]
    values = [
        array if each.on_device or array.ndim else array[()]
        for each, array in zip(destinations, arrays, strict=True)
    ]
    return tuple(values) if len(values) > 1 else values[0] if values else None
