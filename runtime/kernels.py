"""Native kernels at run time: object code in, Python callables out.

A kernel is one C function, `int64 name(const int64 *words)`. The words are, for each array argument, its
address, its extents and its strides in elements; for each number its value, floats as the bits of a double;
then for each result its address and extents. It returns 0 or a status, and neither allocates Python objects
nor calls back.
"""

import hashlib
import operator
import struct
import sys
from collections.abc import Callable, Mapping, Sequence
from ctypes import CFUNCTYPE, c_char_p, c_int64, c_void_p
from functools import cache
from typing import TYPE_CHECKING, Any

from flowc.runtime.dtypes import itemsizes, numpy_dtype
from flowc.runtime.errors import fail
from flowc.runtime.kernel_failures import (
    does_not_fit,
    failure,
    not_a_number,
    not_an_array,
    too_large,
    wrong_count,
    wrong_dtype,
    wrong_extent,
    wrong_rank,
)
from flowc.runtime.kernel_signature import (
    Extent,
    KernelSignature,
    Parameter,
    Result,
    signature_from_json,
    signature_to_json,
)

if TYPE_CHECKING:
    import numpy as np

__all__ = [
    "Extent",
    "Kernel",
    "KernelSignature",
    "Parameter",
    "Result",
    "load",
    "sealed",
    "signature_from_json",
    "signature_to_json",
    "symbol",
]

_operators: dict[str, Callable[[int, int], int]] = {
    "add": operator.add,
    "sub": operator.sub,
    "mul": operator.mul,
    "floordiv": operator.floordiv,
    "min": min,
    "max": max,
    "wrap": lambda a, b: a + b if a < 0 else a,
}


class Kernel:
    """A callable on NumPy arrays and numbers, safe to use from several threads at once; releases the GIL."""

    def __init__(self, signature: KernelSignature, address: int, engine: object) -> None:
        import numpy as np

        self.signature = signature
        self._engine = engine
        self._array: type = np.ndarray
        self._empty = np.empty
        self._address_of = _find_address_of()
        self._function = CFUNCTYPE(c_int64, c_char_p)(address)
        self._params = [(p, numpy_dtype(p.dtype) if p.dims else None, p.dims) for p in signature.params]
        self._results = [(numpy_dtype(r.dtype), list(map(_sizer, r.dims))) for r in signature.results]
        self._packer = struct.Struct("".join(map(_format, signature.params)) + _result_format(signature))

    def __call__(self, *arguments: object) -> Any:
        """The result, or a tuple of several. Raises FlowError where arguments or values do not fit."""
        if len(arguments) != len(self._params):
            raise wrong_count(self.signature, len(arguments))
        words: list[int | float] = []
        bound: dict[str, int] = {}
        kept: list[Any] = []
        for (parameter, dtype, dims), argument in zip(self._params, arguments, strict=True):
            if dtype is None:
                number = _scalar(self.signature.name, parameter, argument)
                words.append(number)
                kept.append(number)
                continue
            array: Any = argument
            if type(array) is not self._array:
                array = _as_array(self.signature.name, parameter, argument)
            if array.dtype != dtype:
                raise wrong_dtype(self.signature.name, parameter, array)
            shape = array.shape
            if len(shape) != len(dims):
                raise wrong_rank(self.signature.name, parameter, array)
            for dimension, extent in zip(dims, shape, strict=True):
                wanted = bound.setdefault(dimension, extent) if type(dimension) is str else dimension
                if wanted != extent and dimension != "":
                    raise wrong_extent(self.signature.name, parameter, array, bound)
            size = dtype.itemsize
            strides = array.strides
            if not array.flags.aligned or any(stride % size for stride in strides):
                # No stride in elements describes it: a field of records, or a view at an odd address.
                array = array.copy()
                strides = array.strides
            kept.append(array)
            words += (self._address_of(array), *shape, *[stride // size for stride in strides])
        outputs = []
        for dtype, sizes in self._results:
            try:
                output = self._empty([size(bound, kept) for size in sizes], dtype)
            except (MemoryError, ValueError) as error:
                raise too_large(self.signature, str(error)) from error
            outputs.append(output)
            words += (self._address_of(output), *output.shape)
        status = self._function(self._packer.pack(*words))
        if status:
            raise failure(self.signature, status)
        values = [output if output.ndim else output[()] for output in outputs]
        return values[0] if len(values) == 1 else tuple(values)


@cache
def _find_address_of() -> Callable[["np.ndarray[Any, Any]"], int]:
    """`array.ctypes.data`, which takes a microsecond, or the same word read from the array object itself.

    In CPython the address of the elements is the first field of an array after the object's head. Arrays of
    several kinds are tried before that is believed.
    """
    import numpy as np

    def slow(array: "np.ndarray[Any, Any]") -> int:
        return int(array.ctypes.data)

    if sys.implementation.name != "cpython":
        return slow
    word, head = c_void_p.from_address, object.__basicsize__

    def fast(array: "np.ndarray[Any, Any]") -> int:
        return word(id(array) + head).value or 0

    probes: list[np.ndarray[Any, Any]] = [
        np.zeros(3),
        np.zeros((2, 3), np.int8)[:, ::-1],
        np.zeros(()),
        np.empty(0, np.float32),
    ]
    return fast if all(fast(probe) == slow(probe) for probe in probes) else slow


_SEAL = b"flowc-sha256:"


def sealed(object_code: bytes) -> bytes:
    """Object code with its checksum behind it, where tools for object files do not look."""
    return object_code + _SEAL + hashlib.sha256(object_code).digest()


def unsealed(data: bytes) -> bytes:
    """The object code in what `sealed` gave; raises FlowError where a byte has changed.

    LLVM crashes on damaged object code, so it must never see any.
    """
    size = len(data) - len(_SEAL) - hashlib.sha256().digest_size
    code = data[: max(size, 0)]
    if data != sealed(code):
        raise fail(
            "E0695",
            "the object code of the kernels is damaged",
            why="its checksum does not fit its content",
            help="compile the program again",
        )
    return code


def load(object_code: bytes, signatures: Sequence[KernelSignature]) -> dict[str, Kernel]:
    """Maps sealed object code into the process and gives its kernels by name."""
    code = unsealed(object_code)
    from llvmlite import binding

    binding.initialize_native_target()
    binding.initialize_native_asmprinter()
    # One machine per engine: an engine takes it over, and two that share one crash.
    machine = binding.Target.from_default_triple().create_target_machine(jit=True)
    module = binding.parse_assembly("")
    engine = binding.create_mcjit_compiler(module, machine)
    engine.add_object_file(binding.ObjectFileRef.from_data(code))
    engine.finalize_object()
    return {s.name: Kernel(s, engine.get_function_address(symbol(s.name)), engine) for s in signatures}


def symbol(name: str) -> str:
    """The name of a kernel's function in object code."""
    return f"flowc_{name}"


def _format(parameter: Parameter) -> str:
    if parameter.dims:
        return "q" * (1 + 2 * len(parameter.dims))
    return "d" if parameter.dtype in ("f64", "f32", "f16", "bf16") else "q"


def _result_format(signature: KernelSignature) -> str:
    return "".join("q" * (1 + len(result.dims)) for result in signature.results)


def _scalar(kernel: str, parameter: Parameter, argument: object) -> int | float:
    """A number as it travels; raises FlowError where it is none or does not fit."""
    import numpy as np

    value = argument
    if not isinstance(value, int | float) and isinstance(value, np.generic | np.ndarray) and value.ndim == 0:
        value = value.item()
    dtype = parameter.dtype
    if dtype in ("f64", "f32", "f16", "bf16") and isinstance(value, int | float):
        return float(value)
    if dtype == "bool" and isinstance(value, bool):
        return int(value)
    if isinstance(value, int) and dtype in ("i64", "i32", "i8"):
        edge = 1 << 8 * itemsizes[dtype] - 1
        if -edge <= value < edge:
            return int(value)
        raise does_not_fit(kernel, parameter, value, edge)
    raise not_a_number(kernel, parameter, argument)


def _as_array(kernel: str, parameter: Parameter, argument: object) -> "np.ndarray[Any, Any]":
    import numpy as np

    try:
        array: np.ndarray[Any, Any] = np.asarray(argument, dtype=numpy_dtype(parameter.dtype))
    except (ValueError, TypeError, OverflowError) as error:
        raise not_an_array(kernel, parameter, str(error)) from error
    return array


def _sizer(extent: object) -> Callable[[Mapping[str, int], Sequence[Any]], int]:
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
            combine, first, second = _operators[name], _sizer(left), _sizer(right)
            return lambda bound, arguments: combine(first(bound, arguments), second(bound, arguments))
    raise ValueError(f"not an extent: {extent!r}")
