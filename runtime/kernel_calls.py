"""One call of a kernel, prepared for arguments of certain dtypes, shapes and strides.

What does not change between such calls is worked out once: extents and strides are bytes already, the shapes
of the results are known. A call then reads addresses, makes room for the results and jumps.
"""

import operator
import struct
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from math import prod
from typing import Any

from attrs import frozen

from flowc.runtime.buffers import SMALLEST, empty
from flowc.runtime.dtypes import FLOATS, numpy_dtype
from flowc.runtime.kernel_arguments import fitting, holder, number
from flowc.runtime.kernel_failures import ODD_ADDRESS, failure, too_large
from flowc.runtime.kernel_outputs import check_written, direct_test, single, through
from flowc.runtime.kernel_signature import KernelSignature, Parameter

Native = Callable[[bytes], int]
"""The C function of a kernel: takes the words, gives a status."""

Prepared = Callable[..., Any]
"""A call for arguments of certain types: takes them as one tuple, then what the caller gives as `out`."""

_operators: dict[str, Callable[[int, int], int]] = {
    "add": operator.add,
    "sub": operator.sub,
    "mul": operator.mul,
    "floordiv": lambda a, b: a // b if b else 0,  # as in native code
    "min": min,
    "max": max,
    "wrap": lambda a, b: a + b if a < 0 else a,
}


@frozen
class Frame:
    """What all calls of a kernel share: the head of its words, and how to make its results."""

    signature: KernelSignature
    native: Native
    pack: Callable[..., bytes]
    sizes: tuple[tuple[Callable[[Mapping[str, int], Sequence[Any]], int], ...], ...]


def frame(signature: KernelSignature, native: Native) -> Frame:
    """The frame of a kernel's calls."""
    head = "".join(map(_format, signature.params)) + "q" * len(signature.results)
    sizes = tuple(tuple(map(sizer, result.dims)) for result in signature.results)
    return Frame(signature, native, struct.Struct(head).pack, sizes)


def prepare(frame: Frame, arguments: tuple[Any, ...]) -> Prepared:
    """The call for arguments like these, which `fitting` has given or left as they are."""
    signature = frame.signature
    if not _shapes_depend_on_numbers(signature) and _is_plain(signature):
        return _plain_call(frame, arguments)
    return _general_call(frame, arguments)


def shapes(frame: Frame, arguments: Sequence[Any]) -> list[tuple[int, ...]]:
    """The shapes of the results of a call."""
    bound: dict[str, int] = {}
    for parameter, argument in zip(frame.signature.params, arguments, strict=True):
        if parameter.dims:
            bound |= {d: n for d, n in zip(parameter.dims, argument.shape, strict=True) if type(d) is str}
    return [tuple(size(bound, arguments) for size in sizes) for sizes in frame.sizes]


def _is_plain(signature: KernelSignature) -> bool:
    """Whether a kernel only reads arrays and gives one array."""
    return (
        all(p.dims and not p.written for p in signature.params)
        and len(signature.results) == 1
        and bool(signature.results[0].dims)
    )


def _plain_call(frame: Frame, arguments: tuple[Any, ...]) -> Prepared:
    """The call of a kernel of arrays alone, the most frequent: nothing but what must be done."""
    signature = frame.signature
    (shape,) = shapes(frame, arguments)
    rest = tail(signature, arguments, [shape])
    dtype = numpy_dtype(signature.results[0].dtype)
    pack, native, held = frame.pack, frame.native, holder()[0]
    make = _maker(shape, dtype)
    may_write = direct_test(arguments, [shape], [dtype])

    def call(arguments: tuple[Any, ...], out: Any = None) -> Any:
        if out is None:
            try:
                output = make(shape, dtype)
            except (MemoryError, ValueError) as error:
                raise too_large(signature, str(error)) from error
        elif may_write(out, arguments):
            output = single(out)
        else:
            return through(signature, call, arguments, out, [shape])
        status = native(pack(*map(held, arguments), held(output)) + rest)
        if status:
            if status == ODD_ADDRESS:
                return call(fitting(signature, arguments), output)
            raise failure(signature, status)
        return output

    return call


def _general_call(frame: Frame, arguments: tuple[Any, ...]) -> Prepared:
    """The call of any kernel: numbers, several results or none, arrays that it changes."""
    signature, native, held = frame.signature, frame.native, holder()[0]
    fixed = None if _shapes_depend_on_numbers(signature) else shapes(frame, arguments)
    known = None if fixed is None else tail(signature, arguments, fixed)
    dtypes = [numpy_dtype(result.dtype) for result in signature.results]
    writes = any(parameter.written for parameter in signature.params)

    readers = [held if each.dims else partial(number, signature.name, each) for each in signature.params]
    may_write = direct_test(arguments, fixed, dtypes) if fixed is not None else None
    makers = [empty] * len(dtypes) if fixed is None else list(map(_maker, fixed, dtypes))

    def call(arguments: tuple[Any, ...], out: Any = None) -> Any:
        words = [read(argument) for read, argument in zip(readers, arguments, strict=True)]
        if writes:
            check_written(signature, arguments)
        extents = shapes(frame, _plain(signature, arguments, words)) if fixed is None else fixed
        if out is None:
            try:
                made = tuple([make(s, d) for make, s, d in zip(makers, extents, dtypes, strict=True)])
            except (MemoryError, ValueError) as error:
                raise too_large(signature, str(error)) from error
        elif (may_write or direct_test(arguments, extents, dtypes))(out, arguments):
            made = out if isinstance(out, tuple) else (out,)
        else:
            return through(signature, call, arguments, out, extents)
        rest = tail(signature, arguments, extents) if known is None else known
        status = native(frame.pack(*words, *map(held, made)) + rest)
        if status:
            if status == ODD_ADDRESS:
                return call(fitting(signature, arguments), made if len(made) != 1 else made[0])
            raise failure(signature, status)
        if out is not None:
            return single(out)
        values = [output if output.ndim else output[()] for output in made]
        return tuple(values) if len(values) > 1 else values[0] if values else None

    return call


def _plain(signature: KernelSignature, arguments: Sequence[Any], words: Sequence[Any]) -> list[Any]:
    """Arrays as they are, numbers as they travel, which are plain whatever kind of number was given."""
    return [a if p.dims else w for a, w, p in zip(arguments, words, signature.params, strict=True)]


def _maker(shape: Sequence[int], dtype: Any) -> Callable[..., Any]:
    """What makes room for a result the soonest: little memory is sooner new than recycled."""
    import numpy as np

    return np.empty if prod(shape) * dtype.itemsize < SMALLEST else empty


def tail(
    signature: KernelSignature,
    arguments: Sequence[Any],
    results: Sequence[tuple[int, ...]],
    offset: int | None = None,
) -> bytes:
    """The words behind the first: where holders have addresses (as in NumPy's arrays, or at an `offset`),
    then extents and strides."""
    words = [holder()[1] if offset is None else offset]
    for parameter, argument in zip(signature.params, arguments, strict=True):
        if parameter.dims:
            size = argument.dtype.itemsize
            words += (*argument.shape, *[stride // size for stride in argument.strides])
    for extents in results:
        words += extents
    return struct.pack(f"{len(words)}q", *words)


def _format(parameter: Parameter) -> str:
    return "d" if parameter.dtype in FLOATS and not parameter.dims else "q"


def _shapes_depend_on_numbers(signature: KernelSignature) -> bool:
    def reads_a_number(extent: object) -> bool:
        if not isinstance(extent, tuple):
            return False
        return extent[0] == "scalar" or any(map(reads_a_number, extent))

    return any(reads_a_number(extent) for result in signature.results for extent in result.dims)


def sizer(extent: object) -> Callable[[Mapping[str, int], Sequence[Any]], int]:
    """An extent as a function of the bound dimensions and the arguments."""
    match extent:
        case int():
            return lambda bound, arguments: extent
        case str():
            return lambda bound, arguments: bound[extent]
        case ("dim", int(position), int(axis)):
            return lambda bound, arguments: int(arguments[position].shape[axis])
        case ("scalar", int(position)):
            return lambda bound, arguments: int(arguments[position])
        case (str(name), left, right):
            combine, first, second = _operators[name], sizer(left), sizer(right)
            return lambda bound, arguments: combine(first(bound, arguments), second(bound, arguments))
    raise ValueError(f"not an extent: {extent!r}")
