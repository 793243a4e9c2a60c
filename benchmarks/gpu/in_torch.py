"""The kernels by torch, as its own functions and as `torch.compile` makes them."""

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch.nn import functional

from benchmarks.gpu import streams

Form = Callable[..., Any]


def _gelu(a: Any, b: Any, c: Any) -> Any:
    return functional.gelu(a * b + c, approximate="tanh")


def _gelu_eager(a: Any, b: Any, c: Any) -> Any:
    return functional.gelu(torch.addcmul(c, a, b), approximate="tanh")


def _nearest(corpus: Any, query: Any) -> Any:
    lengths = torch.linalg.vector_norm(corpus, dim=1) * torch.linalg.vector_norm(query)
    return torch.topk((corpus @ query) / lengths, streams.BEST)


def _segments(keys: Any, values: Any) -> Any:
    sums = torch.zeros(streams.SEGMENTS, dtype=values.dtype, device=values.device)
    return sums.index_add_(0, keys, values)


def _attention(causal: bool) -> Form:
    return lambda q, k, v: functional.scaled_dot_product_attention(q, k, v, is_causal=causal)


def _plain_attention(causal: bool) -> Form:
    def form(q: Any, k: Any, v: Any) -> Any:
        scores = q @ k.transpose(-1, -2) / q.shape[-1] ** 0.5
        if causal:
            seen = torch.ones(scores.shape[-2:], dtype=torch.bool, device=q.device).tril()
            scores = scores.masked_fill(~seen, float("-inf"))
        return torch.softmax(scores, -1) @ v

    return form


def _flash(causal: bool) -> Form:
    """Torch's own copy of FlashAttention, and nothing else."""
    from torch.nn.attention import SDPBackend, sdpa_kernel

    def form(q: Any, k: Any, v: Any) -> Any:
        with sdpa_kernel(SDPBackend.FLASH_ATTENTION):
            return functional.scaled_dot_product_attention(q, k, v, is_causal=causal)

    return form


def _layer(x: Any, w: Any, bias: Any) -> Any:
    return torch.relu(torch.addmm(bias, x, w))


def _fused_chain(x: Any) -> Any:
    for _ in range(50):
        x = torch.maximum(x * 0.99, x - 0.01)
    return x


def _balanced(x: Any) -> Any:
    for _ in range(10):
        x = x / x.sum(1, keepdim=True)
        x = x / x.sum(0)
    return x


PLAIN: Mapping[str, Form] = {
    "gelu": _gelu,
    "affine": lambda x, y: torch.relu(x + y) * 1.5,
    "layer_norm": lambda x, gain, shift: functional.layer_norm(x, (x.shape[1],), gain, shift),
    "rms_norm": lambda x, gain: functional.rms_norm(x, (x.shape[1],), gain, 1e-5),
    "softmax": lambda x: torch.softmax(x, 1),
    "total": lambda x: x.abs().sum(),
    "columns": lambda x: x.sum(0),
    "argmax": lambda x: torch.argmax(x),
    "nearest": _nearest,
    "histogram": lambda x: torch.histc(x, streams.BINS, -4.0, 4.0),
    "segments": _segments,
    "scan": lambda x: torch.cumsum(x, 0),
    "sort": lambda x: torch.sort(x)[0],
    "gather": lambda table, rows: table.index_select(0, rows),
    "attention_full_64": _plain_attention(False),
    "attention_full_128": _plain_attention(False),
    "attention_causal_64": _plain_attention(True),
    "attention_causal_128": _plain_attention(True),
    "layer_bf16": _layer,
    "layer_f16": _layer,
    "layer_f32": _layer,
    "byte_products": lambda x, w: torch._int_mm(x, w),
    "fused_chain": _fused_chain,
    "balanced": _balanced,
}
EAGER: Mapping[str, Form] = {"gelu": _gelu_eager}
"""Where torch has a function of its own that does more at once."""


def forms(kernel: str) -> Mapping[str, Form]:
    """What a kernel is in torch."""
    if not kernel.startswith("attention"):
        return {"torch": EAGER.get(kernel, PLAIN[kernel])}
    causal = "causal" in kernel
    return {"torch sdpa": _attention(causal), "torch flash": _flash(causal)}


def compiled(kernel: str) -> Mapping[str, Form]:
    """What `torch.compile` makes of it."""
    return {"torch.compile": torch.compile(PLAIN[kernel], dynamic=False)}


def recorded(kernel: str, arrays: list[Any]) -> Mapping[str, Callable[[], object]]:
    """A kernel's launches as a graph of CUDA's, which gives the same memory again each time."""
    form = PLAIN[kernel]
    aside = torch.cuda.Stream()
    aside.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(aside):
        form(*arrays)
    torch.cuda.current_stream().wait_stream(aside)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        result = form(*arrays)

    def call() -> object:
        graph.replay()
        return result

    return {"torch graph": call}
