"""Some of the kernels in Triton, as its tutorials have them: one program for a block, or for a row."""

from collections.abc import Callable, Mapping
from typing import Any

import torch
import triton
from triton import language as tl

Form = Callable[..., Any]
BLOCK = 1024


@triton.jit
def _tanh(x):
    return 2 * tl.sigmoid(2 * x) - 1


@triton.jit
def _gelu_kernel(a, b, c, out, count, BLOCK: tl.constexpr):
    at = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    inside = at < count
    x = tl.load(a + at, inside) * tl.load(b + at, inside) + tl.load(c + at, inside)
    x = 0.5 * x * (1 + _tanh(0.7978845608028654 * (x + 0.044715 * x * x * x)))
    tl.store(out + at, x, inside)


@triton.jit
def _affine_kernel(x, y, out, count, BLOCK: tl.constexpr):
    at = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    inside = at < count
    total = tl.load(x + at, inside) + tl.load(y + at, inside)
    tl.store(out + at, tl.maximum(total, 0.0) * 1.5, inside)


@triton.jit
def _softmax_kernel(x, out, width, BLOCK: tl.constexpr):
    at = tl.arange(0, BLOCK)
    row = tl.program_id(0).to(tl.int64) * width
    found = tl.load(x + row + at, at < width, other=-float("inf"))
    power = tl.exp(found - tl.max(found, 0))
    tl.store(out + row + at, power / tl.sum(power, 0), at < width)


@triton.jit
def _layer_norm_kernel(x, gain, shift, out, width, BLOCK: tl.constexpr):
    at = tl.arange(0, BLOCK)
    row = tl.program_id(0).to(tl.int64) * width
    inside = at < width
    found = tl.load(x + row + at, inside, other=0.0)
    centred = tl.where(inside, found - tl.sum(found, 0) / width, 0.0)
    factor = 1 / tl.sqrt(tl.sum(centred * centred, 0) / width + 1e-5)
    scaled = centred * factor * tl.load(gain + at, inside) + tl.load(shift + at, inside)
    tl.store(out + row + at, scaled, inside)


@triton.jit
def _rms_norm_kernel(x, gain, out, width, BLOCK: tl.constexpr):
    at = tl.arange(0, BLOCK)
    row = tl.program_id(0).to(tl.int64) * width
    inside = at < width
    found = tl.load(x + row + at, inside, other=0.0)
    factor = 1 / tl.sqrt(tl.sum(found * found, 0) / width + 1e-5)
    tl.store(out + row + at, found * factor * tl.load(gain + at, inside), inside)


def _by_blocks(kernel: Any) -> Form:
    def form(*arrays: Any) -> Any:
        out = torch.empty_like(arrays[0])
        count = out.numel()
        kernel[(triton.cdiv(count, BLOCK),)](*arrays, out, count, BLOCK=BLOCK)
        return out

    return form


def _by_rows(kernel: Any) -> Form:
    def form(x: Any, *others: Any) -> Any:
        out = torch.empty_like(x)
        width = x.shape[1]
        kernel[(x.shape[0],)](x, *others, out, width, BLOCK=triton.next_power_of_2(width), num_warps=8)
        return out

    return form


FORMS: Mapping[str, Form] = {
    "gelu": _by_blocks(_gelu_kernel),
    "affine": _by_blocks(_affine_kernel),
    "softmax": _by_rows(_softmax_kernel),
    "layer_norm": _by_rows(_layer_norm_kernel),
    "rms_norm": _by_rows(_rms_norm_kernel),
}
"""Those that its tutorials show; for the others it has no library."""


def forms(kernel: str) -> Mapping[str, Form]:
    """What a kernel is in Triton."""
    return {"triton": FORMS[kernel]} if kernel in FORMS else {}
