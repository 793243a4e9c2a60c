"""Similarity to a corpus: scores, the best of them, 8-bit codes, the nearest centre."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from benchmarks.kernels import retrieval_peers as peers
from benchmarks.kernels.kernel import Arrays, Forms, Kernel, floats, size
from benchmarks.worker import Call

BEST = 10


def cosine(corpus: Any, query: Any) -> Any:
    """Cosine of every row to one query."""
    lengths = np.sqrt(np.sum(corpus * corpus, axis=1)) * np.sqrt(np.sum(query * query))
    return (corpus @ query) / lengths


def cosine_many(corpus: Any, queries: Any) -> Any:
    """Cosine of every row to every query: [rows, queries]."""
    lengths = np.sqrt(np.sum(corpus * corpus, axis=1, keepdims=True))
    units = queries / np.sqrt(np.sum(queries * queries, axis=1, keepdims=True))
    return (corpus @ units.T) / lengths


def byte_scores(corpus: Any, query: Any) -> Any:
    """Dot products of signed bytes in 32 bits."""
    return corpus.astype(np.int32) @ query.astype(np.int32)


def assign(points: Any, centres: Any) -> Any:
    """The nearest centre of each point, without the square root and without |x|^2, which change nothing."""
    return np.argmin(np.sum(centres * centres, axis=1) - 2 * (points @ centres.T), axis=1)


def _flowc(function: Callable[..., Any]) -> Forms:
    def forms(arrays: Arrays, threads: int) -> Mapping[str, Call]:
        import flowc

        kernel = flowc.jit(function)
        corpus, query = arrays.values()
        example = function(corpus[:4], query)
        out = np.zeros((len(corpus), *example.shape[1:]), example.dtype)
        return {"flowc": lambda: kernel(corpus, query), "flowc out=": lambda: kernel(corpus, query, out=out)}

    return forms


def _flowc_best(arrays: Arrays, threads: int) -> Mapping[str, Call]:
    import flowc

    @flowc.jit
    def best(corpus, query):
        lengths = np.sqrt(np.sum(corpus * corpus, axis=1)) * np.sqrt(np.sum(query * query))
        return flowc.topk((corpus @ query) / lengths, 10)

    corpus, query = arrays.values()
    return {"flowc": lambda: best(corpus, query)}


def _flowc_best_many(arrays: Arrays, threads: int) -> Mapping[str, Call]:
    import flowc

    @flowc.jit
    def best(corpus, queries):
        lengths = np.sqrt(np.sum(corpus * corpus, axis=1))
        units = queries / np.sqrt(np.sum(queries * queries, axis=1, keepdims=True))
        return flowc.topk((units @ corpus.T) / lengths, 10)

    corpus, queries = arrays.values()
    return {"flowc": lambda: best(corpus, queries)}


def _c(name: str, columns: int = 0, dtype: type = np.float32, extra: int = 0) -> Forms:
    """A floor: `columns` per row of the corpus (0: none), and `extra` the number of results or centres."""

    def forms(arrays: Arrays, threads: int) -> Mapping[str, Call]:
        from benchmarks import floors

        corpus, query = arrays.values()
        best = name.endswith("best")
        rows = (len(query) if query.ndim == 2 else 0) if best else len(corpus)
        width = BEST if best else columns
        shape = tuple(extent for extent in (rows, width) if extent)
        out = floors.aligned(shape, dtype)
        count = (BEST,) if best else (len(query),) if extra else ()
        arguments = (corpus, query, out, *corpus.shape, *count, threads)
        return {"c out=": lambda: floors.call(name, *arguments, result=out)}

    return forms


def _best(scores: Any) -> Any:
    """The largest along the last axis, falling."""
    return -np.sort(-np.partition(scores, -BEST, axis=-1)[..., -BEST:], axis=-1)


def _corpus(queries: int) -> Callable[[np.random.Generator, float], Arrays]:
    def inputs(rng: np.random.Generator, scale: float) -> Arrays:
        rows = size(1_000_000, scale)
        query = floats(rng, queries, 384) if queries > 1 else floats(rng, 384)
        return {"corpus": floats(rng, rows, 384), "query": query}

    return inputs


def _bytes(rng: np.random.Generator, scale: float) -> Arrays:
    shape = (size(1_000_000, scale), 384)
    return {
        "corpus": rng.integers(-127, 128, shape, dtype=np.int8),
        "query": rng.integers(-127, 128, 384, dtype=np.int8),
    }


def _products(arrays: Arrays) -> float:
    corpus, query = arrays.values()
    return 2.0 * corpus.size * len(query)


KERNELS = (
    Kernel(
        name="cosine",
        title="cosine, 1 query, 1e6 x 384",
        inputs=_corpus(1),
        reference=lambda arrays: cosine(*arrays.values()),
        forms={"flowc": _flowc(cosine), "c": _c("cosine")} | peers.COSINE,
        bound="read",
    ),
    Kernel(
        name="cosine64",
        title="cosine, 64 queries, 1e6 x 384",
        inputs=_corpus(64),
        reference=lambda arrays: cosine_many(*arrays.values()),
        forms={"flowc": _flowc(cosine_many), "c": _c("cosine_many", columns=64)} | peers.COSINE_MANY,
        bound="arithmetic",
        operations=_products,
    ),
    Kernel(
        name="nearest",
        title="cosine and top 10, 1 query",
        inputs=_corpus(1),
        reference=lambda arrays: _best(cosine(*arrays.values())),
        forms={"flowc": _flowc_best, "c": _c("cosine_best")} | peers.NEAREST,
        bound="read",
    ),
    Kernel(
        name="nearest64",
        title="cosine and top 10, 64 queries",
        inputs=_corpus(64),
        reference=lambda arrays: _best(np.ascontiguousarray(cosine_many(*arrays.values()).T)),
        forms={"flowc": _flowc_best_many, "c": _c("cosine_many_best")} | peers.NEAREST_MANY,
        bound="arithmetic",
        operations=_products,
    ),
    Kernel(
        name="kmeans",
        title="k-means assignment, 2e5 x 128, 256 centres",
        inputs=lambda rng, scale: {
            "points": floats(rng, size(200_000, scale), 128),
            "centres": floats(rng, 256, 128),
        },
        reference=lambda arrays: assign(*arrays.values()),
        forms={"flowc": _flowc(assign), "c": _c("nearest_centre", dtype=np.int64, extra=1)} | peers.ASSIGN,
        bound="arithmetic",
        operations=_products,
        indices=True,
    ),
    Kernel(
        name="bytes",
        title="int8 dot scan, 1e6 x 384",
        inputs=_bytes,
        reference=lambda arrays: byte_scores(*arrays.values()),
        forms={"flowc": _flowc(byte_scores), "c": _c("bytes_dot", dtype=np.int32)} | peers.BYTES,
        bound="read",
    ),
)
