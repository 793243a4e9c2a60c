"""What is known of the kernels without a GPU: what NVIDIA's compiler says of them, and that they are right.

Registers, shared memory and spills are NVRTC's, for one card of each generation. Results are those of the
same CUDA C++ on the processor, thread by thread, at a small size, under a sanitizer.
"""

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from ctypes import CFUNCTYPE, c_int, c_uint, c_void_p, cast
from functools import partial
from typing import Any

import numpy as np
from attrs import define, evolve, field, frozen

from benchmarks.gpu.catalogue import KERNELS
from benchmarks.gpu.kernel import GpuKernel
from benchmarks.gpu.programs import program
from benchmarks.kernels.child import result
from benchmarks.kernels.kernel import disagreement
from benchmarks.measure import Row, Table
from benchmarks.rounds import Options
from flowc.compiler.backends.cuda import ARCHITECTURES, emulated, nvrtc
from flowc.compiler.backends.cuda.emulated_device import EmulatedDevice
from flowc.compiler.backends.cuda.emulation import emulate
from flowc.compiler.backends.cuda.nvrtc import Figures
from flowc.compiler.python.jit_device import Back, DeviceJit
from flowc.runtime.device.code import DeviceCode
from flowc.runtime.device.kernel import DeviceKernel
from flowc.runtime.device.loading import load_device
from flowc.runtime.device.site import Site
from flowc.runtime.dtypes import numpy_dtype
from flowc.runtime.errors import FlowError

TITLE = "Kernels on a GPU: not measured on a GPU"
NOTE = """\
Not measured on a GPU: {why}. `make gpu` on a machine with one replaces this table by times beside those of
CuPy, torch, Triton and JAX.
What was checked instead: every function of each kernel compiles with NVRTC {version} for {architectures},
and the figures are the most that any of its functions needs on each of them in this order; what a launch asks
for by itself is not in shared bytes. `launches` are those of a call at a small size, by its host code.
`result` is that of the same text on an emulated device, at a small size, with checks of memory and for
races."""

_LAUNCH = CFUNCTYPE(c_int, c_void_p, *[c_uint] * 7, c_void_p, c_void_p, c_void_p)


@frozen(eq=False)
class Numbers:
    """Functions that are numbers, and what counts their launches."""

    handles: Sequence[int]
    launcher: int


@define(eq=False)
class CountingDevice(EmulatedDevice):
    """A device that launches nothing and counts what it is asked to."""

    launches: int = 0
    launcher: Any = field(init=False)

    def __attrs_post_init__(self) -> None:
        self.launcher = _LAUNCH(self._launch)

    def _launch(self, *words: Any) -> int:
        self.launches += 1
        return 0

    def load(self, image: bytes, functions: Sequence[str]) -> Any:
        """Nothing but numbers for the functions."""
        return Numbers(range(1, len(functions) + 1), cast(self.launcher, c_void_p).value or 0)

    def block(self, size: int) -> Any:
        """Zeroed memory, so that what a kernel would have found out is read as nothing wrong."""
        found = super().block(size)
        found.memory[:] = 0
        return found


@frozen
class Made:
    """A kernel as it is compiled for arguments, with the name that it has there, and launches of a call."""

    code: DeviceCode
    name: str
    launches: int


def run(options: Options, why: str) -> Table:
    """A row for each kernel."""
    rows: list[Row] = []
    spilling: dict[str, object] = {}
    for kernel in KERNELS.values():
        if not options.only or kernel.name in options.only:
            found, spilled = row(kernel)
            rows.append(found)
            spilling |= {kernel.name: spilled} if spilled else {}
            print(f"{kernel.title}: {found['result']}", flush=True)
    architectures = f"{', '.join(ARCHITECTURES[:-1])} and {ARCHITECTURES[-1]}"
    note = NOTE.format(why=why, version=nvrtc.version(), architectures=architectures)
    return Table("gpu", TITLE, tuple(rows), note, {"measured": False, "spilling": spilling})


def row(kernel: GpuKernel) -> tuple[Row, Mapping[str, Mapping[str, int]]]:
    """What is known of a kernel, and the bytes of registers that its functions spill, by architecture."""
    arguments = given(kernel)
    made = compiled(kernel, arguments)
    by_architecture = figures(made.code)
    spilled = {
        name: {each.kernel: each.spill_bytes for each in functions if each.spill_bytes}
        for name, functions in by_architecture.items()
    }
    return {
        "kernel": kernel.title,
        "functions": len(made.code.functions),
        "launches": made.launches,
        "registers": most(by_architecture, "registers"),
        "shared_bytes": most(by_architecture, "shared_bytes"),
        "spilled_bytes": most(by_architecture, "spill_bytes"),
        "result": agreement(kernel, made, arguments) or "agrees",
    }, {name: functions for name, functions in spilled.items() if functions}


def given(kernel: GpuKernel) -> list[Any]:
    """The inputs of a kernel at its small size, in the types that it has on a GPU."""
    arrays = kernel.inputs(np.random.default_rng(0), kernel.small).values()
    dtype = numpy_dtype(kernel.dtype)
    return [each.astype(dtype) if each.dtype == np.float32 else each for each in arrays]


def compiled(kernel: GpuKernel, arguments: Sequence[Any]) -> Made:
    """The kernel's text and host code for such arguments."""
    device = CountingDevice()
    site, seen = Site(device), list[DeviceCode]()

    def load(code: DeviceCode) -> Mapping[str, DeviceKernel]:
        seen.append(code)
        return load_device(evolve(code, cubins={}, ptx=b""), find=lambda: site, recompile=lambda *_: b"")

    called = DeviceJit(program(kernel.name), back=Back(lambda: site, (), load))
    called(*(device.array(each) for each in arguments))
    (code,) = seen
    return Made(code, code.signatures[0].name, device.launches)


def figures(code: DeviceCode) -> Mapping[str, Sequence[Figures]]:
    """What NVRTC says of each function, by architecture."""
    with ThreadPoolExecutor(2) as pool:
        made = pool.map(partial(nvrtc.compile_text, code.text), ARCHITECTURES)
        return {name: each.figures for name, each in zip(ARCHITECTURES, made, strict=True)}


def most(by_architecture: Mapping[str, Sequence[Figures]], figure: str) -> str:
    """The greatest figure of all functions for each architecture; one number where they are equal."""
    found = [max(getattr(each, figure) for each in functions) for functions in by_architecture.values()]
    return " / ".join(map(str, found)) if len(set(found)) > 1 else str(found[0])


def agreement(kernel: GpuKernel, made: Made, arguments: Sequence[Any]) -> str:
    """Why the emulated result is not the expected one; empty where it is."""
    if not emulate.available():
        return "not compared: there is no C++ compiler"
    arrays = kernel.inputs(np.random.default_rng(0), kernel.small)
    (found,) = emulated.run(made.code, [emulated.Call(made.name, tuple(arguments))], seconds=600)
    if isinstance(found, FlowError):
        return str(found)
    part = np.asarray(kernel.part(np.asarray(result(found))))
    return disagreement(kernel, kernel.reference(arrays), part.astype(np.float32) if _half(part) else part)


def _half(array: Any) -> bool:
    return array.dtype.name == "bfloat16"
