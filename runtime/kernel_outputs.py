"""Results into buffers that the caller gives: what `out=` takes, and when it can be written directly."""

from collections.abc import Callable, Sequence
from math import prod
from typing import TYPE_CHECKING, Any

from flowc.runtime.dtypes import numpy_dtype
from flowc.runtime.kernel_arguments import find_address_of, is_masked
from flowc.runtime.kernel_failures import overlapping, read_only, wrong_out
from flowc.runtime.kernel_signature import KernelSignature

if TYPE_CHECKING:
    import numpy as np


def buffers(
    signature: KernelSignature, out: object, shapes: Sequence[tuple[int, ...]]
) -> "tuple[np.ndarray[Any, Any] | None, ...]":
    """The arrays that `out=` names, one for each result, None where there shall be a new one.

    Raises FlowError where one cannot hold its result.
    """
    import numpy as np

    given = out if isinstance(out, tuple) else (out,)
    if len(given) != len(shapes):
        wanted = f"{len(shapes)} arrays in a tuple" if len(shapes) != 1 else "one array"
        raise wrong_out(signature.name, f"it gets {len(given)}, and takes {wanted}")
    for array, result, shape in zip(given, signature.results, shapes, strict=True):
        dtype = numpy_dtype(result.dtype)
        if array is None and given is out:
            continue
        if not isinstance(array, np.ndarray) or is_masked(array):
            raise wrong_out(signature.name, f"it is a {type(array).__name__}, no array")
        if array.dtype != dtype:
            raise wrong_out(signature.name, f"its elements are {array.dtype}, those of the result {dtype}")
        if array.shape != shape:
            raise wrong_out(signature.name, f"its shape is {array.shape}, that of the result {shape}")
        if not array.flags.writeable:
            raise read_only(signature.name, "out")
    for position, array in enumerate(given):
        if array is not None and any(share(array, o) for o in given[:position] if o is not None):
            raise overlapping(signature.name, "two arrays of `out`")
    return given


def direct_test(
    arguments: Sequence[Any], shapes: Sequence[tuple[int, ...]], dtypes: Sequence[Any]
) -> Callable[[Any, Sequence[Any]], bool]:
    """A quick test whether what is given as `out` can be written while arguments like these are read.

    It may be: arrays of the results' shapes and dtypes, dense, in the bytes of no argument and of no other.
    """
    import numpy as np

    plain = np.ndarray
    wanted = [
        (shape, dtype, prod(shape) * dtype.itemsize) for shape, dtype in zip(shapes, dtypes, strict=True)
    ]
    address_of = find_address_of()
    spans = [(position, *span(each)) for position, each in enumerate(arguments) if isinstance(each, plain)]

    def may_write(out: Any, arguments: Sequence[Any]) -> bool:
        given = out if type(out) is tuple else (out,)
        if len(given) != len(wanted):
            return False
        taken: list[tuple[int, int]] = []
        for array, (shape, dtype, size) in zip(given, wanted, strict=True):
            if type(array) is not plain or array.dtype != dtype or array.shape != shape:
                return False
            if not array.flags.carray:
                return False
            start = address_of(array)
            end = start + size
            for position, low, high in spans:
                address = address_of(arguments[position])
                if address + low < end and start < address + high:
                    return False
            if any(first < end and start < last for first, last in taken):
                return False
            taken.append((start, end))
        return True

    return may_write


def span(array: Any) -> tuple[int, int]:
    """The first byte of an array's elements and the one behind the last, counted from its address."""
    if not array.size:
        return 0, 0
    reach = [(extent - 1) * stride for extent, stride in zip(array.shape, array.strides, strict=True)]
    return sum(min(each, 0) for each in reach), sum(max(each, 0) for each in reach) + array.itemsize


def through(
    signature: KernelSignature,
    call: Callable[..., Any],
    arguments: Sequence[Any],
    out: Any,
    shapes: Sequence[tuple[int, ...]],
) -> Any:
    """A call into arrays that cannot be written while it reads: results are copied there when complete.

    Where `out` has None for a result, as NumPy's functions take it, the result itself is given back.
    """
    arrays = buffers(signature, out, shapes)
    made = call(arguments)
    values = made if isinstance(made, tuple) else (made,)
    for array, value in zip(arrays, values, strict=True):
        if array is not None:
            array[...] = value
    return single(tuple([v if a is None else a for a, v in zip(arrays, values, strict=True)]))


def single(out: Any) -> Any:
    """What a call with `out` returns: as in NumPy, a tuple of one array is that array."""
    return out[0] if type(out) is tuple and len(out) == 1 else out


def check_written(signature: KernelSignature, arguments: Sequence[Any]) -> None:
    """Raises FlowError where an array that the kernel changes is read-only or shares memory with another."""
    arrays = [
        (parameter, argument)
        for parameter, argument in zip(signature.params, arguments, strict=True)
        if parameter.dims
    ]
    for position, (parameter, array) in enumerate(arrays):
        if parameter.written and not array.flags.writeable:
            raise read_only(signature.name, parameter.name)
        for other, second in arrays[:position]:
            if (parameter.written or other.written) and share(array, second):
                raise overlapping(signature.name, f"arguments `{other.name}` and `{parameter.name}`")


def share(first: "np.ndarray[Any, Any]", second: "np.ndarray[Any, Any]") -> bool:
    """Whether the ranges of addresses that two arrays span have a byte in common."""
    import numpy as np

    return bool(np.may_share_memory(first, second))
