"""Native kernels at run time: object code in, Python callables out.

A kernel is one C function, `int64 name(const int64 *words)`. The words are, for each array argument, its address,
its extents and its strides in elements; for each number its value, floats as the bits of a double; then for each
result its address and extents. It returns 0 or a status, and neither allocates Python objects nor calls back.
"""

import struct
import sys
from collections.abc import Callable, Mapping, Sequence
from ctypes import CFUNCTYPE, c_char_p, c_int64, c_void_p
from functools import cache
from typing import TYPE_CHECKING, Any

from attrs import asdict, frozen

from flowc.runtime.dtypes import dtype_name, itemsizes, numpy_dtype
from flowc.runtime.errors import FlowError, fail

if TYPE_CHECKING:
    import numpy as np

Json = None | bool | int | float | str | Sequence["Json"] | Mapping[str, "Json"]

Extent = int | str | tuple[object, ...]
"""A number; a dimension's name; or an expression over the arguments:
("dim", argument, axis), ("scalar", argument), or (operator, left, right)."""

STATUS_SITES = 16


@frozen
class Parameter:
    """An argument of a kernel; `dims` is empty for a number, and an extent in it "" where anything goes."""

    name: str
    dtype: str
    dims: tuple[int | str, ...]


@frozen
class Result:
    """A result of a kernel, with the extents to allocate."""

    dtype: str
    dims: tuple[Extent, ...]


@frozen
class KernelSignature:
    """What a caller of a kernel must know. `sites` are the lines that a status refers to, 0 where unknown."""

    name: str
    params: tuple[Parameter, ...]
    results: tuple[Result, ...]
    sites: tuple[int, ...] = ()


def signature_to_json(signature: KernelSignature) -> dict[str, Any]:
    """A plain JSON value that `signature_from_json` reads back."""
    return asdict(signature)


def signature_from_json(value: Mapping[str, Any]) -> KernelSignature:
    """Reads what `signature_to_json` gives; raises ValueError on anything else."""
    try:
        return KernelSignature(
            name=str(value["name"]),
            params=tuple(
                Parameter(str(p["name"]), _known(p["dtype"]), tuple(_dimension(d) for d in p["dims"]))
                for p in value["params"]
            ),
            results=tuple(
                Result(_known(r["dtype"]), tuple(_extent(d) for d in r["dims"])) for r in value["results"]
            ),
            sites=tuple(int(line) for line in value["sites"]),
        )
    except (KeyError, TypeError) as error:
        raise ValueError(f"not the signature of a kernel: {error}") from error


def _known(dtype: object) -> str:
    if dtype not in itemsizes:
        raise ValueError(f"not an element type: {dtype!r}")
    return str(dtype)


def _dimension(value: object) -> int | str:
    if isinstance(value, int | str):
        return value
    raise ValueError(f"not a dimension: {value!r}")


def _extent(value: object) -> Extent:
    if isinstance(value, int | str):
        return value
    if isinstance(value, list | tuple) and value and value[0] in ("dim", "scalar", *_operators):
        head, *rest = value
        return (head, *(item if isinstance(item, int) else _extent(item) for item in rest))
    raise ValueError(f"not an extent: {value!r}")


_operators: dict[str, Callable[[int, int], int]] = {
    "add": lambda a, b: a + b,
    "sub": lambda a, b: a - b,
    "mul": lambda a, b: a * b,
    "floordiv": lambda a, b: a // b,
    "min": min,
    "max": max,
    "wrap": lambda a, b: a + b if a < 0 else a,
}
_messages = {
    1: (
        "E0710",
        "kernel `{name}` could not get memory for its temporaries",
        "use smaller arrays or fewer at once",
    ),
    2: ("E0711", "a position in kernel `{name}` lies outside its array", "positions run from -n to n - 1"),
    3: (
        "E0712",
        "`topk` in kernel `{name}` asks for more than there is",
        "k must be between 0 and the last extent",
    ),
    4: (
        "E0713",
        "extents that must be equal differ in kernel `{name}`",
        "only an extent written as 1 stretches",
    ),
    5: (
        "E0714",
        "kernel `{name}` takes the extreme of an empty axis",
        "a minimum or maximum needs an element",
    ),
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
            raise _wrong_count(self.signature, len(arguments))
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
                raise _wrong_dtype(self.signature.name, parameter, array)
            shape = array.shape
            if len(shape) != len(dims):
                raise _wrong_rank(self.signature.name, parameter, array)
            for dimension, extent in zip(dims, shape, strict=True):
                wanted = bound.setdefault(dimension, extent) if type(dimension) is str else dimension
                if wanted != extent and dimension != "":
                    raise _wrong_extent(self.signature.name, parameter, array, bound)
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
            output = self._empty([size(bound, kept) for size in sizes], dtype)
            outputs.append(output)
            words += (self._address_of(output), *output.shape)
        status = self._function(self._packer.pack(*words))
        if status:
            raise _failure(self.signature, status)
        values = [output if output.ndim else output[()] for output in outputs]
        return values[0] if len(values) == 1 else tuple(values)


@cache
def _find_address_of() -> Callable[["np.ndarray[Any, Any]"], int]:
    """`array.ctypes.data`, which takes a microsecond, or the same word read from the array object itself.

    In CPython the address of the elements is the first field of an array after the object's head. Arrays of several
    kinds are tried before that is believed.
    """
    import numpy as np

    def slow(array: "np.ndarray[Any, Any]") -> int:
        return int(array.ctypes.data)

    if sys.implementation.name != "cpython":
        return slow
    word, head = c_void_p.from_address, object.__basicsize__

    def fast(array: "np.ndarray[Any, Any]") -> int:
        return word(id(array) + head).value or 0

    probes = [np.zeros(3), np.zeros((2, 3), np.int8)[:, ::-1], np.zeros(()), np.empty(0, np.float32)]
    return fast if all(fast(probe) == slow(probe) for probe in probes) else slow


def load(object_code: bytes, signatures: Sequence[KernelSignature]) -> dict[str, Kernel]:
    """Maps object code into the process and gives its kernels by name."""
    from llvmlite import binding

    binding.initialize_native_target()
    binding.initialize_native_asmprinter()
    # One machine per engine: an engine takes it over, and two that share one crash.
    machine = binding.Target.from_default_triple().create_target_machine(jit=True)
    module = binding.parse_assembly("")
    engine = binding.create_mcjit_compiler(module, machine)
    try:
        engine.add_object_file(binding.ObjectFileRef.from_data(object_code))
    except RuntimeError as error:
        raise fail(
            "E0611",
            "the object code of the kernels cannot be read",
            why=str(error),
            help="compile the program again",
        ) from error
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

    value = (
        argument.item() if isinstance(argument, np.generic | np.ndarray) and argument.ndim == 0 else argument
    )
    if parameter.dtype in ("f64", "f32", "f16", "bf16") and isinstance(value, int | float):
        return float(value)
    if parameter.dtype == "bool" and isinstance(value, bool):
        return int(value)
    if isinstance(value, int) and parameter.dtype in ("i64", "i32", "i8"):
        edge = 1 << 8 * itemsizes[parameter.dtype] - 1
        if -edge <= value < edge:
            return int(value)
        raise fail(
            "E0716",
            f"argument `{parameter.name}` of kernel `{kernel}` does not fit in {parameter.dtype}",
            why=f"it is {value}",
            help=f"{parameter.dtype} holds {-edge} to {edge - 1}",
        )
    raise fail(
        "E0717",
        f"argument `{parameter.name}` of kernel `{kernel}` must be a number of type {parameter.dtype}",
        why=f"it is {type(argument).__name__}",
        help="pass a number, or an array of rank 0",
    )


def _as_array(kernel: str, parameter: Parameter, argument: object) -> "np.ndarray[Any, Any]":
    import numpy as np

    try:
        array: np.ndarray[Any, Any] = np.asarray(argument, dtype=numpy_dtype(parameter.dtype))
    except (ValueError, TypeError, OverflowError) as error:
        raise fail(
            "E0718",
            f"argument `{parameter.name}` of kernel `{kernel}` is no array",
            why=str(error),
            help=f"pass {_parameter_text(parameter)}",
        ) from error
    return array


def _wrong_dtype(kernel: str, parameter: Parameter, array: "np.ndarray[Any, Any]") -> FlowError:
    return fail(
        "E0719",
        f"argument `{parameter.name}` of kernel `{kernel}` must have elements of type {parameter.dtype}",
        why=f"it has elements of type {dtype_name(array.dtype) or array.dtype}",
        help=f"convert it first: `{parameter.name}.astype({str(numpy_dtype(parameter.dtype))!r})`",
    )


def _wrong_count(signature: KernelSignature, given: int) -> FlowError:
    return fail(
        "E0715",
        f"kernel `{signature.name}` takes {len(signature.params)} arguments, not {given}",
        help=f"it takes {', '.join(map(_parameter_text, signature.params)) or 'nothing'}",
    )


def _wrong_rank(kernel: str, parameter: Parameter, array: "np.ndarray[Any, Any]") -> FlowError:
    return fail(
        "E0720",
        f"argument `{parameter.name}` of kernel `{kernel}` must have {len(parameter.dims)} axes, not {array.ndim}",
        why=f"it is declared as {_parameter_text(parameter)}, and the array's shape is {array.shape}",
        help="add an axis with `x[None]` or drop one with `x[0]`",
    )


def _wrong_extent(
    kernel: str, parameter: Parameter, array: "np.ndarray[Any, Any]", bound: Mapping[str, int]
) -> FlowError:
    for axis, (dimension, extent) in enumerate(zip(parameter.dims, array.shape, strict=True)):
        wanted = bound.get(dimension, extent) if isinstance(dimension, str) else dimension
        if wanted != extent and dimension != "":
            break
    named = f"`{dimension}`, which is {wanted}" if isinstance(dimension, str) else str(wanted)
    return fail(
        "E0721",
        f"axis {axis} of argument `{parameter.name}` of kernel `{kernel}` must be {named}, not {extent}",
        why="a dimension's name stands for one extent in a call",
        help=f"the kernel takes {_parameter_text(parameter)}",
    )


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
        case (str(operator), left, right):
            combine, first, second = _operators[operator], _sizer(left), _sizer(right)
            return lambda bound, arguments: combine(first(bound, arguments), second(bound, arguments))
    raise ValueError(f"not an extent: {extent!r}")


def _failure(signature: KernelSignature, status: int) -> FlowError:
    code, site = status % STATUS_SITES, status // STATUS_SITES
    number, message, way_out = _messages[code]
    line = signature.sites[site] if code > 1 and site < len(signature.sites) else 0
    return fail(number, message.format(name=signature.name), help=way_out, line=line)


def _parameter_text(parameter: Parameter) -> str:
    if not parameter.dims:
        return f"{parameter.name}: {parameter.dtype}"
    dims = ", ".join(str(d) if d != "" else "?" for d in parameter.dims)
    return f"{parameter.name}: {parameter.dtype}[{dims}]"
