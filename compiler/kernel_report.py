"""What became of a kernel, told to the one who wrote it: loops, memory, machine code, expected time."""

import math
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from io import StringIO
from typing import Any

from attrs import evolve, field, frozen
from xdsl.dialects.builtin import ModuleOp

from flowc.compiler.backends.llvm import kernels_of
from flowc.compiler.kernel_build import Built, build, dense
from flowc.compiler.kernel_samples import sample
from flowc.compiler.stopwatch import shortest
from flowc.dialects.array.kernel import KernelOp
from flowc.passes.array_account import Account, account
from flowc.passes.array_extents import Expression
from flowc.passes.cost import variant_model
from flowc.passes.cost.decisions import Decision, by_gain
from flowc.passes.cost.kernel_correction import corrected, correction
from flowc.passes.cost.kernel_model import Prediction
from flowc.passes.cost.stored import Chosen, chosen
from flowc.passes.decide_kernels import decisions
from flowc.passes.decide_width import width_decision
from flowc.runtime.errors import FlowError
from flowc.runtime.expectations import KernelExpectation
from flowc.runtime.kernel_calls import sizer
from flowc.runtime.kernel_signature import KernelSignature, parameter_text
from flowc.runtime.kernels import load

_REGISTER = re.compile(r"%([xyz])mm\d")
_VECTOR_BITS = {"x": 128, "y": 256, "z": 512}


@frozen
class Report:
    """What became of a kernel. Without arguments, `account` has axes of one element, and there is no time.
    `sizes` are those that named dimensions were given to have arguments at all; `decisions` what the cost
    model chose, with times for this call."""

    signature: KernelSignature
    account: Account
    registers: dict[int, int]
    layouts: tuple[str, ...]
    threads: int
    origin: str = ""
    prediction: Prediction | None = None
    measured: float | None = None
    sizes: Mapping[str, int] = field(factory=dict)
    decisions: Sequence[Decision] = ()


def report(kernel: KernelOp, layouts: Sequence[str], level: int, arguments: Sequence[Any]) -> Report:
    """The report of a kernel compiled for this machine, and of what a call with these arguments moves."""
    return _predicted(build(kernel, layouts, level, listing=True), arguments, {})


def sampled_report(kernel: KernelOp, level: int, seen: KernelExpectation | None = None) -> Report:
    """The report of a kernel that nobody calls yet, with arguments made for it; without them where they would
    be too large or it fails on them. What earlier runs have `seen` of it corrects what is expected."""
    built = build(kernel, dense(kernel), level, listing=True)
    (signature,) = built.compiled.signatures
    tried = sample(signature.params)
    if tried is None:
        return _report(built, None, {})
    function = load(built.compiled.object_code, [signature])[signature.name]
    try:
        taken = shortest(lambda: function(*tried.arguments))
    except FlowError:
        return _report(built, None, {})
    made = _predicted(built, tried.arguments, tried.sizes, seen)
    return evolve(made, measured=taken, sizes=tried.sizes)


def _report(built: Built, arguments: Sequence[Any] | None, sizes: Mapping[str, int]) -> Report:
    from flowc.runtime.native import threads

    (signature,) = built.compiled.signatures
    found = account(built.kernel, built.checks.groups, lambda extent: _size(extent, arguments, sizes))
    return Report(signature, found, registers(built.compiled.assembly), built.layouts, threads())


def _predicted(
    built: Built,
    arguments: Sequence[Any],
    sizes: Mapping[str, int],
    seen: KernelExpectation | None = None,
) -> Report:
    """The report of a call, with what the cost model expects of it; it knows nothing of control flow."""
    made = _report(built, arguments, sizes)
    if not made.account.complete:
        return made
    model, counts = chosen().model, built.counts()
    known = None if seen is None else correction(model, counts, seen)

    def extent(expression: Expression) -> int:
        return _size(expression, arguments, sizes)

    def seconds(threads: int) -> float:
        return corrected(model, counts, threads, extent, known).seconds

    found = corrected(model, counts, made.threads, extent, known)
    ways = decisions(built.ready, extent, found.seconds * 1e3, built.checks.asked)
    threads = width_decision(built.kernel, built.function, seconds, extent, built.work, made.threads)
    return evolve(made, prediction=found, decisions=by_gain([*ways, *([threads] if threads else [])]))


def report_module(module: ModuleOp, level: int, seen: Mapping[str, KernelExpectation] | None = None) -> str:
    """The reports of all kernels of a module, as text; first those that took least as was predicted. What
    earlier runs have `seen` of them, by name, corrects that.
    """
    known = seen or {}
    found = [sampled_report(op, level, known.get(op.sym_name.data)) for op in kernels_of(module)]
    return "\n".join(map(text, sorted(found, key=_surprise, reverse=True)))


def _surprise(found: Report) -> float:
    """How many times longer, or shorter, a kernel took than predicted, as a logarithm."""
    if found.prediction is None or not found.measured:
        return 0.0
    return abs(math.log(found.measured / found.prediction.seconds))


def registers(assembly: str) -> dict[int, int]:
    """How many instructions use vector registers, by the width of their widest; none on other machines.

    >>> registers("vaddps %zmm0, %zmm1, %zmm2 ; vmovss %xmm0, (%rax)".replace(" ; ", chr(10)))
    {512: 1, 128: 1}
    """
    lines = (set(_REGISTER.findall(line)) for line in assembly.splitlines())
    return dict(Counter(max(_VECTOR_BITS[letter] for letter in found) for found in lines if found))


def _size(extent: object, arguments: Sequence[Any] | None, sizes: Mapping[str, int]) -> int:
    """An extent in a call; 1 where there is no call, or only the kernel knows it."""
    if arguments is None:
        return extent if isinstance(extent, int) else 1
    try:
        return max(sizer(extent)(sizes, arguments), 0)
    except (KeyError, ValueError):
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
    if found.sizes:
        rows.append(("  sizes", ", ".join(f"{name} = {size:,}" for name, size in found.sizes.items())))
    if not found.account.complete:
        rows.append(("  memory", "as the control flow has it"))
    elif found.prediction is not None:
        moved, least = found.account.moved, found.account.least
        times = f", {moved / least:.2f} times the least possible" if least else ""
        rows.append(("  memory", f"{_quantity(moved, 'B')}{times}"))
        rows.append(("  work", _quantity(found.account.operations, "op")))
        rows += _expected(found.prediction, chosen())
        rows += [("  decided", decided_text(each)) for each in found.decisions]
        if problem := variant_model.chosen().problem:
            rows.append(("  choices", problem))
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


def _expected(found: Prediction, model: Chosen) -> list[tuple[str, str]]:
    """The expected time and how sure that is, the roofline, and what is amiss with the model, if anything."""
    bound = "memory" if found.by_memory >= 0.5 else "arithmetic"
    span = f"{duration(found.low)} to {duration(found.high)}"
    said = f"{duration(found.seconds)} ({span})" + (f": {found.why}" if found.why else "")
    rows = [("  predicted", said)]
    if found.samples:
        calls = "1 call" if found.samples == 1 else f"{found.samples:,} calls"
        without = duration(found.seconds / found.factor)
        rows.append(("  corrected", f"by {calls} of it in earlier runs, from {without}"))
    rows += [("  roofline", f"{duration(found.roofline)}, by {bound}")]
    if model.problem:
        rows.append(("  model", model.problem))
    if not model.tuned:
        rows.append(("  model", "of another machine: `flowc tune` measures this one"))
    return rows


def decided_text(decision: Decision) -> str:
    """A decision in a line: the choice, its time, and what else there was."""
    chosen_way = decision.chosen
    others = [each for each in decision.alternatives if each is not chosen_way]
    beside = "; ".join(f"{each.name} {duration(each.ms / 1e3)}" for each in others)
    basis = f" ({decision.basis})" if decision.basis else ""
    return f"{decision.what}: {chosen_way.name} {duration(chosen_way.ms / 1e3)}, not {beside}{basis}"


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
