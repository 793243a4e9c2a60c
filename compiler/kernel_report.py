"""What became of a kernel, told to the one who wrote it: loops, memory, machine code, expected time."""

import re
import time
from collections import Counter
from collections.abc import Sequence
from functools import cache
from io import StringIO
from typing import Any

from attrs import evolve, field, frozen
from xdsl.dialects.builtin import ModuleOp

from flowc.compiler.backends.llvm import Options, compile_kernels
from flowc.dialects.array import build
from flowc.dialects.array.kernel import KernelOp, ReturnOp
from flowc.dialects.array.types import array_type
from flowc.passes.array_account import Account, account
from flowc.passes.array_to_loops.kernel import lower_kernel
from flowc.passes.fuse_array import fuse_array
from flowc.passes.round_halves import round_halves
from flowc.runtime import processor
from flowc.runtime.kernel_calls import sizer
from flowc.runtime.kernel_signature import KernelSignature, parameter_text
from flowc.runtime.kernels import Kernel, load

_REGISTER = re.compile(r"%([xyz])mm\d")
_VECTOR_BITS = {"x": 128, "y": 256, "z": 512}


@frozen
class Roofline:
    """What this machine can do: bytes a second from memory, and operations a second."""

    bandwidth: float
    peak: float

    def seconds(self, moved: int, operations: int) -> float:
        """The time that the slower of the two takes."""
        return max(moved / self.bandwidth, operations / self.peak)


@frozen
class Report:
    """What became of a kernel. Without arguments, `account` has axes of one element, and there is no time."""

    signature: KernelSignature
    account: Account
    registers: dict[int, int]
    layouts: tuple[str, ...]
    threads: int
    origin: str = ""
    roofline: Roofline | None = None
    measured: float | None = field(default=None)


def report(
    kernel: KernelOp, layouts: Sequence[str] | None, level: int = 2, arguments: Sequence[Any] | None = None
) -> Report:
    """The report of a kernel compiled for this machine; with arguments, also of what a call of it moves."""
    from flowc.runtime.native import threads

    words = tuple(layouts) if layouts is not None else ("contiguous",) * len(kernel.function_type.inputs)
    copy = kernel.clone()
    module = ModuleOp([copy])
    compiled = compile_kernels(module, Options(level=level, listing=True, layouts=words))
    round_halves(module)
    if level > 0:
        fuse_array(module)
    _, checks = lower_kernel(copy, copy.sym_name.data, processor.host().vector_bits, words)
    (signature,) = compiled.signatures
    found = account(copy, checks.groups, lambda extent: _size(extent, arguments))
    made = Report(signature, found, registers(compiled.assembly), words, threads())
    return made if arguments is None else evolve(made, roofline=roofline())


def report_module(module: ModuleOp, level: int) -> str:
    """The reports of all kernels of a module, as text."""
    return "\n".join(text(report(op, None, level)) for op in module.ops if isinstance(op, KernelOp))


def registers(assembly: str) -> dict[int, int]:
    """How many instructions use vector registers, by the width of their widest; none on other machines.

    >>> registers("vaddps %zmm0, %zmm1, %zmm2 ; vmovss %xmm0, (%rax)".replace(" ; ", chr(10)))
    {512: 1, 128: 1}
    """
    lines = (set(_REGISTER.findall(line)) for line in assembly.splitlines())
    return dict(Counter(max(_VECTOR_BITS[letter] for letter in found) for found in lines if found))


@cache
def roofline() -> Roofline:
    """Measured once: a copy too large for the caches, and a product of matrices that stay in them."""
    import numpy as np

    source, target = np.ones(1 << 24, np.float32), np.zeros(1 << 24, np.float32)
    copied = _fastest(lambda: np.copyto(target, source))
    square, product = np.ones((256, 256), np.float32), _product()
    multiplied = _fastest(lambda: product(square, square), 20)
    return Roofline(2 * source.nbytes / copied, 2 * 256**3 / multiplied)


def _product() -> Kernel:
    """The product of two matrices as kernels have it; NumPy's would be a question to another thread pool."""
    matrix = array_type("f32", ("n", "n"))
    kernel = KernelOp("product", ([matrix, matrix], [matrix]))
    block = kernel.body.block
    made = build.contract(*block.args)
    block.add_ops([made, ReturnOp(made.results[0])])
    compiled = compile_kernels(ModuleOp([kernel]), Options(layouts=("contiguous", "contiguous")))
    return load(compiled.object_code, compiled.signatures)["product"]


def _fastest(work: Any, times: int = 5) -> float:
    found = []
    for _ in range(times):
        start = time.perf_counter()
        work()
        found.append(time.perf_counter() - start)
    return min(found)


def measured(work: Any) -> float:
    """Seconds that a call takes, the fastest of some."""
    return _fastest(work)


def _size(extent: object, arguments: Sequence[Any] | None) -> int:
    """An extent in a call; 1 where there is no call, or only the kernel knows it."""
    if arguments is None:
        return extent if isinstance(extent, int) else 1
    try:
        return max(sizer(extent)({}, arguments), 0)
    except ValueError:
        return 1


def text(found: Report) -> str:
    """The report as a person reads it."""
    from rich.console import Console
    from rich.table import Table

    table = Table.grid(padding=(0, 2))
    for label, value in _rows(found):
        table.add_row(label, value)
    stream = StringIO()
    console = Console(file=stream, width=100, highlight=False, markup=False, emoji=False)
    signature = found.signature
    console.print(f"{signature.name}({', '.join(map(parameter_text, signature.params))})")
    console.print(table)
    return "\n".join(line.rstrip() for line in stream.getvalue().splitlines()) + "\n"


def _rows(found: Report) -> list[tuple[str, str]]:
    rows = [("  code", found.origin)] if found.origin else []
    arrays = [(p, w) for p, w in zip(found.signature.params, found.layouts, strict=True) if p.dims]
    rows.append(("  layouts", ", ".join(f"{p.name} {word}" for p, word in arrays) or "no arrays"))
    for number, loop in enumerate(found.account.loops, 1):
        rows.append((f"  loop {number}", _operators(loop.operators)))
    rows.append(("  vectors", _vectors(found.registers)))
    rows.append(("  threads", f"up to {found.threads}"))
    if found.roofline is not None and not found.account.complete:
        rows.append(("  memory", "as the control flow has it"))
    elif found.roofline is not None:
        moved, least = found.account.moved, found.account.least
        times = f", {moved / least:.2f} times the least possible" if least else ""
        rows.append(("  memory", f"{_quantity(moved, 'B')}{times}"))
        rows.append(("  work", _quantity(found.account.operations, "op")))
        rows.append(("  predicted", _prediction(found.roofline, found.account)))
    if found.measured is not None:
        rows.append(("  measured", duration(found.measured)))
    return rows


def _operators(names: Sequence[str]) -> str:
    """Operators in order, repeated ones counted; a loop without any copies."""
    if not names:
        return "copy"
    return ", ".join(f"{name} x{count}" if count > 1 else name for name, count in Counter(names).items())


def _vectors(found: dict[int, int]) -> str:
    if not found:
        return "none"
    widths = sorted(found.items(), reverse=True)
    counts = ", ".join(f"{count} of {bits} bits" for bits, count in widths)
    return f"instructions: {counts} or scalar" if 128 in found else f"instructions: {counts}"


def _prediction(machine: Roofline, work: Account) -> str:
    least = machine.seconds(work.moved, work.operations)
    bound = "memory" if work.moved / machine.bandwidth >= least else "arithmetic"
    return f"{duration(least)}, bound by {bound} ({_quantity(machine.bandwidth, 'B/s')} here)"


def _quantity(number: float, unit: str) -> str:
    """
    >>> _quantity(40_000_000, "B")
    '40 MB'
    """
    for factor, prefix in ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")):
        if number >= factor:
            return f"{number / factor:.3g} {prefix}{unit}"
    return f"{number:.3g} {unit}"


def duration(seconds: float) -> str:
    """A time in the unit that fits it.

    >>> duration(0.00025), duration(0.0025), duration(0.98765), duration(8.9), duration(1234.5)
    ('250 us', '2.5 ms', '988 ms', '8.9 s', '1,234 s')
    """
    if seconds >= 0.9995:
        return f"{seconds:.3g} s" if seconds < 999.5 else f"{seconds:,.0f} s"
    return f"{seconds * 1e3:.3g} ms" if seconds >= 1e-3 else f"{seconds * 1e6:.3g} us"
