"""Kernels for GPUs run on the processor, in a child process, to see what they do without a GPU.

The host code is the one that runs beside a GPU; device code is the same text, compiled for the processor with
the emulation of blocks, warps and barriers. A sanitizer watches every access to memory.
"""

import ctypes
import json
import signal
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from attrs import frozen
from xdsl.dialects.builtin import ModuleOp

from flowc.compiler.backends.cuda import Options, compile_kernels, emulated_children
from flowc.compiler.backends.cuda.emulation import emulate
from flowc.runtime.device.code import DeviceCode
from flowc.runtime.dtypes import dtype_name, numpy_dtype
from flowc.runtime.errors import FlowError, Problem
from flowc.runtime.kernel_arguments import fitting
from flowc.runtime.kernel_outputs import check_written
from flowc.runtime.kernel_signature import KernelSignature, signature_to_json

SECONDS = 120.0
"""How long all calls together may take."""
MEMORY = 4 << 30
"""Bytes that a call may hold on the emulated device at once."""
_REPORTED = 6000
"""Characters of a report that are shown."""
_CHILD = Path(__file__).with_name("emulated_child.py")


class EmulationError(Exception):
    """A kernel did what no kernel may: it left its memory, raced, hung or died. The text is the report."""


@frozen
class Call:
    """One call: the kernel's name, and arrays of NumPy's and numbers."""

    kernel: str
    arguments: tuple[Any, ...]


def run(
    kernels: ModuleOp | DeviceCode,
    calls: Sequence[Call],
    *,
    sanitize: bool = True,
    order: str = "forward",
    seed: int = 0,
    seconds: float = SECONDS,
    memory: int = MEMORY,
) -> list[Any]:
    """What each call gives: an array, a number, a tuple of several, None, or the FlowError that it raised.

    Arrays that a kernel writes in place are changed. `order` is that of the threads of a block: "forward",
    "reverse" or "shuffled", by `seed`. Raises EmulationError for the first call that goes wrong.
    """
    code = compile_for_emulation(kernels) if isinstance(kernels, ModuleOp) else kernels
    library = emulate.build(code.text, sanitize=sanitize)
    signatures = {each.name: each for each in code.signatures}
    ready = [_ready(signatures[call.kernel], call) for call in calls]
    with tempfile.TemporaryDirectory(prefix="flowc-emulated-") as name:
        folder = Path(name)
        described = [
            _described(folder, place, calls[place], arguments)
            for place, arguments in enumerate(ready)
            if not isinstance(arguments, FlowError)
        ]
        given = {
            "library": str(library),
            "order": order,
            "seed": seed,
            "memory": memory,
            "signatures": [signature_to_json(each) for each in code.signatures],
            "calls": described,
        }
        (folder / "host.o").write_bytes(code.host)
        (folder / "calls.json").write_text(json.dumps(given))
        _in_child(folder, sanitize, seconds, described)
        return [
            arguments
            if isinstance(arguments, FlowError)
            else _outcome(folder, place, signatures[calls[place].kernel], arguments)
            for place, arguments in enumerate(ready)
        ]


def compile_for_emulation(module: ModuleOp) -> DeviceCode:
    """The kernels of a module as text for a device and host code, which needs no NVRTC."""
    return compile_kernels(module, Options(architectures=())).code


def _ready(signature: KernelSignature, call: Call) -> Sequence[Any] | FlowError:
    """The arguments as kernels take them, or why they cannot."""
    try:
        ready = fitting(signature, call.arguments)
        check_written(signature, ready)  # arrays that share memory here are apart there
        return ready
    except FlowError as error:
        return error


def _described(folder: Path, place: int, call: Call, arguments: Sequence[Any]) -> dict[str, Any]:
    """A call as JSON."""
    described = [
        _argument(folder, f"{place}.given{number}", argument) for number, argument in enumerate(arguments)
    ]
    return {"number": place, "kernel": call.kernel, "arguments": described}


def _argument(folder: Path, name: str, argument: Any) -> dict[str, Any]:
    """An argument as JSON; the bytes that an array spans go to a file."""
    if not isinstance(argument, np.ndarray):
        return {"number": argument}
    start = argument.ctypes.data
    low, high = np.lib.array_utils.byte_bounds(argument) if argument.size else (start, start)
    (folder / name).write_bytes(ctypes.string_at(low, high - low))
    return {
        "file": name,
        "dtype": dtype_name(argument.dtype),
        "shape": argument.shape,
        "strides": argument.strides,
        "offset": start - low,
        "low": low,
    }


def _in_child(folder: Path, sanitize: bool, seconds: float, calls: Sequence[Mapping[str, Any]]) -> None:
    """Runs the calls; raises EmulationError where the child does not come to the end of them."""
    problem = ""
    code = emulated_children.run_program(_CHILD, folder, sanitize=sanitize, seconds=seconds)
    if code == emulated_children.TIMED_OUT:
        problem = f"took longer than {seconds:g} s"
    elif code:
        problem = f"died of {signal.Signals(-code).name}" if code < 0 else f"ended with {code}"
    if not problem:
        return
    running = next((each for each in calls if not (folder / f"{each['number']}.json").exists()), None)
    where = "after its calls" if running is None else f"in call {running['number']}, of `{running['kernel']}`"
    with (folder / "said").open(errors="replace") as text:
        report = text.read(_REPORTED)
    raise EmulationError(f"the emulated device {problem} {where}\n{report}")


def _outcome(folder: Path, place: int, signature: KernelSignature, arguments: Sequence[Any]) -> Any:
    """What a call gave, once what it wrote in place is in the arguments."""
    outcome = json.loads((folder / f"{place}.json").read_text())
    if "problem" in outcome:
        problem = outcome["problem"]
        return FlowError(Problem(**problem | {"notes": tuple(problem["notes"])}))
    for number, (parameter, argument) in enumerate(zip(signature.params, arguments, strict=True)):
        if parameter.written:
            written = np.frombuffer((folder / f"{place}.argument{number}").read_bytes(), argument.dtype)
            argument[...] = written.reshape(argument.shape)
    values = []
    for number, (result, shape) in enumerate(zip(signature.results, outcome["shapes"], strict=True)):
        content = (folder / f"{place}.result{number}").read_bytes()
        array = np.frombuffer(bytearray(content), numpy_dtype(result.dtype)).reshape(shape)
        values.append(array if array.ndim else array[()])
    return tuple(values) if len(values) > 1 else values[0] if values else None
