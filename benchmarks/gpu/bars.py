"""What measured times mean: rates, shares of what the GPU can do, and whether the bars are kept.

The bars: memory-bound kernels at 1 GB reach 0.9 of the copy, attention 0.5 of the products of bf16; no such
kernel is below 0.8 of its best peer, and the geometric mean is at least 1; a chain of launches costs by a
graph at most 0.3 of what it costs one by one.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from benchmarks.gpu.kernel import GpuKernel
from benchmarks.measure import Row

COPY, PRODUCTS, PEER, MEAN, GRAPH = 0.9, 0.5, 0.8, 1.0, 0.3
UNBOUND = ("sort", "gather")
"""What moves bytes in no order, or more than once, and has no bar but its peers."""


def row(kernel: GpuKernel, size: str, found: Mapping[str, Any], limits: Mapping[str, float]) -> Row:
    """A row of the table, from the median seconds of each variant and what else was found."""
    seconds: Mapping[str, float] = found["seconds"]
    ours = seconds.get("flowc")
    peers = {name: value for name, value in seconds.items() if not name.startswith("flowc")}
    best = min(peers, key=lambda name: peers[name], default="")
    ratio = peers[best] / ours if best and ours else None
    work = found["moved"] if kernel.bound == "bytes" else found["operations"]
    limit = limits["copy"] if kernel.bound == "bytes" else limits.get(kernel.bound)
    share = work / ours / limit if ours and limit and work else None
    alone = seconds.get("flowc without graph")
    by_graph = ours / alone if ours and alone else None
    return {
        "kernel": f"{kernel.title}, {size}" if size else kernel.title,
        "flowc_ms": _number(ours, 1e3, 4),
        "rate": _rate(kernel, work, ours),
        "of_the_limit": _number(share, 1, 2),
        "best_peer": best,
        "peer_ms": _number(peers.get(best), 1e3, 4),
        "peer/flowc": _number(ratio, 1, 2),
        "graph/launches": _number(by_graph, 1, 2),
        "extra_MB": _number(found["facts"].get("extra bytes"), 1e-6, 1),
        "bar": verdict(kernel, size, share, ratio, by_graph),
    }


def verdict(
    kernel: GpuKernel, size: str, share: float | None, ratio: float | None, by_graph: float | None
) -> str:
    """Whether the bars of a kernel at a size are kept, each with its figure; empty where it has none."""
    asked: list[tuple[str, float | None, float, bool]] = []
    if kernel.bound == "bytes" and size == "1 GB":
        if kernel.name not in UNBOUND:
            asked.append(("of the copy", share, COPY, False))
        asked.append(("of the best peer", ratio, PEER, False))
    elif kernel.name.startswith("attention"):
        asked.append(("of the products", share, PRODUCTS, False))
    elif kernel.name == "balanced":
        asked.append(("of one by one", by_graph, GRAPH, True))
    return "; ".join(_judged(*each) for each in asked)


def _judged(what: str, figure: float | None, bar: float, most: bool) -> str:
    if figure is None:
        return f"missed: no figure {what} (bar {bar})"
    kept = figure <= bar if most else figure >= bar
    return f"{'kept' if kept else 'missed'}: {figure:.2f} {what} (bar {bar})"


def remark(rows: Sequence[Row], device: Mapping[str, str], limits: Mapping[str, float], date: str) -> str:
    """What a reader must know of the figures, and the bars that are about all rows."""
    at_large = [each for each in rows if "of the best peer" in str(each["bar"])]
    ratios = [float(str(each["peer/flowc"])) for each in at_large if each["peer/flowc"] != ""]
    missed = [str(each["kernel"]) for each in rows if "missed" in str(each["bar"])]
    products = ", ".join(f"{name} {value / 1e12:.0f} T/s" for name, value in limits.items() if name != "copy")
    lines = [
        f"{', '.join(f'{name} {value}' for name, value in device.items())}; measured on {date}.",
        f"Limits in the same run: copy {limits['copy'] / 1e9:.0f} GB/s, bytes read and written; "
        f"cuBLAS {products}.",
        "Milliseconds of the GPU by events, medians over rounds in turn, the L2 swept before each call; "
        "JAX, and kernels without `of the limit`, by the wall's clock.",
    ]
    if ratios:
        mean = math.exp(sum(map(math.log, ratios)) / len(ratios))
        kept = "kept" if mean >= MEAN else "missed"
        lines.append(f"Best peer over flowc at 1 GB: geometric mean {mean:.2f} (bar {MEAN}: {kept}).")
    lines.append(f"Bars missed: {', '.join(missed)}." if missed else "No bar is missed.")
    return "\n".join(lines)


def _rate(kernel: GpuKernel, work: float, seconds: float | None) -> str:
    if not seconds or not work or kernel.bound == "orders":
        return ""
    return (
        f"{work / seconds / 1e9:.0f} GB/s" if kernel.bound == "bytes" else f"{work / seconds / 1e12:.0f} T/s"
    )


def _number(value: float | None, scale: float, digits: int) -> object:
    return "" if value is None else round(value * scale, digits)
