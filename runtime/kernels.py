"""Native kernels at run time: object code in, Python callables out.

A kernel is one C function, `int64 name(const int64 *words)`. The words are, for each array argument, its address,
its extents and its strides in elements; for each number its value, floats as the bits of a double; then for each
result its address and extents. It returns 0 or a status, and neither allocates Python objects nor calls back.
"""

import struct
from collections.abc import Mapping, Sequence
from ctypes import CFUNCTYPE, c_char_p, c_int64
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


_operators = {
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
        self.signature = signature
        self._engine = engine
        self._function = CFUNCTYPE(c_int64, c_char_p)(address)
        self._dtypes = [numpy_dtype(p.dtype) if p.dims else None for p in signature.params]
        self._result_dtypes = [numpy_dtype(r.dtype) for r in signature.results]
        self._packer = struct.Struct("".join(map(_format, signature.params)) + _result_format(signature))

    def __call__(self, *arguments: object) -> Any:
        """The result, or a tuple of several. Raises FlowError where arguments or values do not fit."""
        import numpy as np

        signature = self.signature
        if len(arguments) != len(signature.params):
            raise fail(
                "E0715",
                f"kernel `{signature.name}` takes {len(signature.params)} arguments, not {len(arguments)}",
                help=f"it takes {', '.join(map(_parameter_text, signature.params)) or 'nothing'}",
            )
        words: list[int | float] = []
        bound: dict[str, int] = {}
        kept: list[object] = []
        for parameter, dtype, argument in zip(signature.params, self._dtypes, arguments, strict=True):
            if dtype is None:
                value = _scalar(signature.name, parameter, argument)
                words.append(value)
                kept.append(value)
                continue
            array = (
                argument
                if isinstance(argument, np.ndarray)
                else _as_array(signature.name, parameter, argument)
            )
            if array.dtype != dtype:
                raise _wrong_dtype(signature.name, parameter, array)
            array = _bind(signature.name, parameter, array, bound)
            kept.append(array)
            size = array.itemsize
            words.append(array.ctypes.data)
            words += array.shape
            words += [stride // size for stride in array.strides]
        results = []
        for result, dtype in zip(signature.results, self._result_dtypes, strict=True):
            shape = [
                d if isinstance(d, int) else bound[d] if isinstance(d, str) else _evaluated(d, kept)
                for d in result.dims
            ]
            if min(shape, default=0) < 0:
                shape = [max(extent, 0) for extent in shape]
            output = np.empty(shape, dtype)
            results.append(output)
            words.append(output.ctypes.data)
            words += output.shape
        status = self._function(self._packer.pack(*words))
        if status:
            raise _failure(signature, status)
        values = [output if output.ndim else output[()] for output in results]
        return values[0] if len(values) == 1 else tuple(values)


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


def _bind(
    kernel: str, parameter: Parameter, array: "np.ndarray[Any, Any]", bound: dict[str, int]
) -> "np.ndarray[Any, Any]":
    """Checks rank and extents, notes named dimensions; copies only what no stride in elements can describe."""
    dims = parameter.dims
    if array.ndim != len(dims):
        raise fail(
            "E0720",
            f"argument `{parameter.name}` of kernel `{kernel}` must have {len(dims)} axes, not {array.ndim}",
            why=f"it is {_parameter_text(parameter)}, and the array's shape is {array.shape}",
            help="add an axis with `x[None]` or drop one with `x[0]`",
        )
    for axis, (dimension, extent) in enumerate(zip(dims, array.shape, strict=True)):
        if dimension == "":
            continue
        wanted = bound.setdefault(dimension, extent) if isinstance(dimension, str) else dimension
        if wanted != extent:
            named = f"`{dimension}`, which is {wanted}" if isinstance(dimension, str) else str(wanted)
            raise fail(
                "E0721",
                f"axis {axis} of argument `{parameter.name}` of kernel `{kernel}` must be {named}, not {extent}",
                why="a dimension's name stands for one extent in a call",
                help=f"the kernel takes {_parameter_text(parameter)}",
            )
    size = array.itemsize
    # Byte order too: a swapped array compares unequal in dtype and never gets here.
    if array.flags.aligned and all(stride % size == 0 for stride in array.strides):
        return array
    return array.copy()


def _evaluated(extent: tuple[object, ...], arguments: Sequence[Any]) -> int:
    match extent:
        case ("dim", int(position), int(axis)):
            return int(arguments[position].shape[axis])
        case ("scalar", int(position)):
            return int(arguments[position])
        case (str(operator), left, right):
            a, b = (
                item if isinstance(item, int) else _evaluated(item, arguments)  # type: ignore[arg-type]
                for item in (left, right)
            )
            return int(_operators[operator](a, b))  # type: ignore[no-untyped-call]
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
