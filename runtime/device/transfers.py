"""Arrays on their way: to the device before a call, and its results to where they belong."""

from collections.abc import Sequence
from math import prod
from typing import Any

from flowc.runtime.device.arguments import Given
from flowc.runtime.device.outputs import Destination
from flowc.runtime.device.protocol import Device, Stream
from flowc.runtime.dtypes import numpy_dtype
from flowc.runtime.kernel_signature import KernelSignature

Shape = tuple[int, ...]


def needed(
    signature: KernelSignature,
    given: Sequence[Given],
    extents: Sequence[Shape],
    targets: Sequence[Destination],
) -> int:
    """Bytes of the device that the arrays of a call take, apart from those that are there."""
    size = sum(int(each.value.nbytes) for each in given if each.uploaded)
    for result, shape, target in zip(signature.results, extents, targets, strict=True):
        if target.array is None or not target.direct:
            size += prod(shape) * numpy_dtype(result.dtype).itemsize
    return size


def placed(device: Device, each: Given, stream: Stream) -> Any:
    """An argument on the device: itself, or a copy of an array of the host's."""
    if not each.uploaded:
        return each.value
    import numpy as np

    source = np.ascontiguousarray(each.value)
    array = device.empty(source.shape, source.dtype)
    device.put(source, array, stream)
    return array


def delivered(
    device: Device,
    stream: Stream,
    given: Sequence[Given],
    targets: Sequence[Destination],
    values: Sequence[Any],
    made: Sequence[Any],
) -> list[Any]:
    """The results where they belong. What comes to host memory, be it a result or an argument that the kernel
    has changed, is there when this returns."""
    import numpy as np

    arrays, landed = [], []
    pairs = [(each.value, value) for each, value in zip(given, values, strict=True)]
    back = [pair for each, pair in zip(given, pairs, strict=True) if each.uploaded and each.parameter.written]
    for target, array in zip(targets, made, strict=True):
        if target.on_device:
            if not target.direct:
                target.array[...] = array
            arrays.append(target.array if target.array is not None else array)
        else:
            back.append((target.array, array))
            arrays.append(target.array)
    for host, _ in back:  # memory first: once one has come, the call cannot be made again
        landed.append((host, host if host.flags.c_contiguous else np.empty(host.shape, host.dtype)))
    for (_, array), (_, dense) in zip(back, landed, strict=True):
        device.get(array, dense, stream)
    if landed:
        stream.wait()
    for host, dense in landed:
        if dense is not host:
            host[...] = dense
    return arrays
