"""What can be wrong with a call of a kernel, in the words of the one who calls."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from flowc.runtime.dtypes import dtype_name, integer_range, numpy_dtype
from flowc.runtime.errors import FlowError, fail
from flowc.runtime.kernel_signature import KernelSignature, Parameter, parameter_text

if TYPE_CHECKING:
    import numpy as np

SITES = 16
"""A status is `code + SITES * site`; the site counts the source positions that a signature lists. Of DEVICE
it is what the driver answered, a `CUresult`."""

ODD_ADDRESS = -1
"""The status of a kernel that has done nothing: an array's address is no multiple of its elements' size."""

NO_MEMORY, DEVICE = 1, 14
"""Statuses that a back end reports itself: memory that could not be had, and a step that a GPU did not do.
(13 is `TOO_WIDE` of the lowering for GPUs, which no caller sees.)"""

_messages = {
    1: (
        "E0750",
        "{place} could not get memory for its results or temporaries",
        "use smaller arrays or fewer at once",
    ),
    2: ("E0751", "a position in {place} lies outside its array", "positions run from -n to n - 1"),
    3: (
        "E0752",
        "`topk` in {place} asks for more than there is",
        "k must be between 0 and the last extent",
    ),
    4: (
        "E0753",
        "extents that must be equal differ in {place}",
        "only an extent written as 1 stretches",
    ),
    5: (
        "E0754",
        "{place} takes the extreme of an empty axis, or continues one",
        "a minimum or maximum needs an element, and so does `pad` but for `constant`",
    ),
    6: (
        "E0758",
        "a key in {place} lies outside its groups",
        "keys run from 0 to n - 1, where n is the number of groups",
    ),
    7: (
        "E0759",
        "the edges of a histogram in {place} do not rise",
        "it needs at least one bin, and the low end below the high one",
    ),
    8: (
        "E0763",
        "a matrix in {place} cannot be decomposed",
        "`solve` and `inv` need a matrix that is not singular, `cholesky` one that is positive definite",
    ),
    9: (
        "E0764",
        "a condition that {place} states does not hold",
        "the line has an `assert`, or an `if` whose only statement is a `raise`",
    ),
    10: (
        "E0765",
        "an array in {place} would have a negative extent",
        "extents and numbers of repeats are 0 or more",
    ),
    11: (
        "E0766",
        "a share in {place} lies outside its range",
        "quantiles run from 0 to 1, percentiles from 0 to 100",
    ),
    12: (
        "E0768",
        "a whole number in {place} is raised to a negative power",
        "make one side a float: `x.astype(np.float64) ** y`",
    ),
    DEVICE: (
        "E0785",
        "the GPU could not go on with {place}",
        "run it on the processor: `--target cpu`",
    ),
}


def too_large(signature: KernelSignature, why: str) -> FlowError:
    """No memory for results of this size."""
    code, message, way_out = _messages[1]
    return fail(code, message.format(place=place_of(signature)), why=why, help=way_out)


def place_of(signature: KernelSignature) -> str:
    """A kernel as its author knows it: one that the compiler made of a part of a flow is that flow."""
    name, made, _ = signature.name.partition(".")
    return f"flow `{name}`" if made else f"kernel `{name}`"


def wrong_count(signature: KernelSignature, given: int) -> FlowError:
    """Too many or too few arguments."""
    return fail(
        "E0755",
        f"kernel `{signature.name}` takes {len(signature.params)} arguments, not {given}",
        help=f"it takes {', '.join(map(parameter_text, signature.params)) or 'nothing'}",
    )


def _unsuitable(kernel: str, parameter: Parameter, problem: str, why: str, way_out: str) -> FlowError:
    """An argument that a parameter cannot take."""
    message = f"argument `{parameter.name}` of kernel `{kernel}` {problem}"
    return fail("E0755", message, why=why, help=way_out)


def wrong_rank(kernel: str, parameter: Parameter, array: "np.ndarray[Any, Any]") -> FlowError:
    """An array with too many or too few axes."""
    return _unsuitable(
        kernel,
        parameter,
        f"must have {len(parameter.dims)} axes, not {array.ndim}",
        f"it is declared as {parameter_text(parameter)}, and the array's shape is {array.shape}",
        "add an axis with `x[None]` or drop one with `x[0]`",
    )


def wrong_extent(
    kernel: str, parameter: Parameter, array: "np.ndarray[Any, Any]", bound: Mapping[str, int]
) -> FlowError:
    """The first axis that is not as long as its dimension."""
    wanted = [bound.get(d, -1) if isinstance(d, str) else d for d in parameter.dims]
    axis = next(k for k, extent in enumerate(array.shape) if extent != wanted[k] and parameter.dims[k] != "")
    dimension = parameter.dims[axis]
    extent = array.shape[axis]
    named = f"`{dimension}`, which is {wanted[axis]}" if isinstance(dimension, str) else str(dimension)
    return fail(
        "E0756",
        f"axis {axis} of argument `{parameter.name}` of kernel `{kernel}` must be {named}, not {extent}",
        why="a dimension's name stands for one extent in a call",
        help=f"the kernel takes {parameter_text(parameter)}",
    )


def wrong_dtype(kernel: str, parameter: Parameter, array: "np.ndarray[Any, Any]") -> FlowError:
    """An array of other elements."""
    return _unsuitable(
        kernel,
        parameter,
        f"must have elements of type {parameter.dtype}",
        f"it has elements of type {dtype_name(array.dtype) or array.dtype}",
        f"convert it first: `{parameter.name}.astype({str(numpy_dtype(parameter.dtype))!r})`",
    )


def failure(signature: KernelSignature, status: int) -> FlowError:
    """What a status other than 0 means, with the source line it concerns."""
    code, site = status % SITES, status // SITES
    number, message, way_out = _messages[code]
    said = code not in (NO_MEMORY, DEVICE) and site < len(signature.sites)
    line = signature.sites[site] if said else 0
    return fail(number, message.format(place=place_of(signature)), help=way_out, line=line)


def not_an_array(kernel: str, parameter: Parameter, why: str) -> FlowError:
    """An argument that NumPy cannot make an array of."""
    return _unsuitable(kernel, parameter, "is no array", why, f"pass {parameter_text(parameter)}")


def not_in_place(kernel: str, parameter: Parameter, why: str) -> FlowError:
    """An argument that the kernel changes, and that only a converted copy of could be given to it."""
    copy = f"numpy.array({parameter.name}, dtype={str(numpy_dtype(parameter.dtype))!r})"
    return _unsuitable(kernel, parameter, "cannot be changed in place", why, f"pass `{copy}`")


def not_a_number(kernel: str, parameter: Parameter, argument: object) -> FlowError:
    """An argument that is no number of the parameter's type."""
    return _unsuitable(
        kernel,
        parameter,
        f"must be a number of type {parameter.dtype}",
        f"it is {type(argument).__name__}",
        "pass a number, or an array of rank 0",
    )


def does_not_fit(kernel: str, parameter: Parameter, value: int) -> FlowError:
    """An integer outside the range of the parameter's type."""
    low, high = integer_range(parameter.dtype)
    return _unsuitable(
        kernel,
        parameter,
        f"does not fit in {parameter.dtype}",
        f"it is {value}",
        f"{parameter.dtype} holds {low} to {high}",
    )


def too_large_a_number(kernel: str, parameter: Parameter) -> FlowError:
    """A whole number beyond the floating-point range."""
    return _unsuitable(
        kernel,
        parameter,
        f"does not fit in {parameter.dtype}",
        "it is beyond the largest number of floating point",
        "pass a smaller number",
    )


def wrong_out(kernel: str, why: str) -> FlowError:
    """A buffer given for a result that cannot hold it."""
    return fail(
        "E0760",
        f"`out` cannot take the result of kernel `{kernel}`",
        why=why,
        help="make it with `numpy.empty(shape, dtype)` of the result's shape and dtype",
    )


def read_only(kernel: str, name: str) -> FlowError:
    """An array that cannot be written where the kernel writes."""
    return fail(
        "E0761",
        f"`{name}` of kernel `{kernel}` is read-only, and the kernel writes to it",
        why="its flag `writeable` is off",
        help=f"pass a copy: `{name}.copy()`",
    )


def overlapping(kernel: str, what: str) -> FlowError:
    """Arrays with bytes in common of which the kernel changes at least one."""
    return fail(
        "E0762",
        f"{what} of kernel `{kernel}` share memory",
        why="the kernel writes to one of them, and the other would change meanwhile",
        help="pass a copy of one",
    )
