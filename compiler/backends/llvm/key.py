"""What the code of kernels depends on, as one key: taken before any lowering, so that a hit costs none."""

import hashlib
import json
from collections.abc import Sequence
from io import StringIO

from xdsl.printer import Printer

from flowc.compiler.backends.llvm.signature import line_of
from flowc.compiler.backends.llvm.target import Target
from flowc.compiler.build import build_id
from flowc.dialects.array.kernel import KernelOp

CODE_DIGITS = 24
"""Hexadecimal digits of what names the code of a kernel."""


def kernels_key(
    kernels: Sequence[KernelOp],
    texts: Sequence[str],
    target: Target,
    level: int,
    layouts: Sequence[str] | None,
    listing: bool,
    model: str,
) -> str:
    """The key of compiled kernels: their texts (`kernel_text`), what they are compiled for, by which
    compiler, and by which cost model, if one decides.

    Lines count from that of the first kernel, so that code survives edits above it.
    """
    base = first_line(kernels)
    lines = [[relative(line_of(op.location), base) for op in kernel.walk()] for kernel in kernels]
    parts = [[*texts], lines, target.triple, target.cpu, target.features]
    parts += [target.vector_bits, level > 0, layouts, listing, model, build_id()]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


def first_line(kernels: Sequence[KernelOp]) -> int:
    """The line that the others of a module are counted from."""
    return line_of(kernels[0].location) if kernels else 0


def relative(line: int, base: int) -> int | None:
    """A line as it is kept: None where unknown."""
    return line - base if line else None


def kernel_code(text: str, level: int) -> str:
    """What tells kernels apart that take different times, given their texts: what they compute, whatever they
    are called, and whether at a level that fuses."""
    _, _, content = text.partition("(")  # what stands before is its name
    return hashlib.sha256(json.dumps([content, level > 0, level > 1]).encode()).hexdigest()[:CODE_DIGITS]


def kernel_text(kernel: KernelOp) -> str:
    """A kernel as it is printed, without its lines."""
    stream = StringIO()
    Printer(stream).print_op(kernel)
    return stream.getvalue()
