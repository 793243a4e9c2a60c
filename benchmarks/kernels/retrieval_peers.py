"""The retrieval kernels in the other libraries, each as that library's users would write it for speed."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from benchmarks.kernels import retrieval_numba
from benchmarks.kernels.kernel import Arrays, Forms, in_jax, in_torch
from benchmarks.worker import Call

BEST = 10


def _scores(library: Any, corpus: Any, query: Any) -> Any:
    """Cosines, written once for NumPy's, JAX's and torch's namesakes."""
    lengths = library.sqrt((corpus * corpus).sum(1))
    if query.ndim == 1:
        return (corpus @ query) / (lengths * library.sqrt((query * query).sum()))
    units = query / library.sqrt((query * query).sum(1))[:, None]
    return (corpus @ units.T) / lengths[:, None]


def _distances(points: Any, centres: Any) -> Any:
    return (centres * centres).sum(1) - 2 * (points @ centres.T)


def _numpy_scores(arrays: Arrays, threads: int) -> Mapping[str, Call]:
    corpus, query = arrays.values()

    def call() -> Any:
        lengths = np.sqrt(np.einsum("ij,ij->i", corpus, corpus))
        if query.ndim == 1:
            return (corpus @ query) / (lengths * np.linalg.norm(query))
        units = query / np.linalg.norm(query, axis=1, keepdims=True)
        return (corpus @ units.T) / lengths[:, None]

    return {"numpy": call}


def _numpy_best(arrays: Arrays, threads: int) -> Mapping[str, Call]:
    corpus, query = arrays.values()

    def blocked() -> Any:
        queries = query.reshape(-1, query.shape[-1])
        units = (queries / np.linalg.norm(queries, axis=1, keepdims=True)).T.copy()
        best = np.full((BEST, len(queries)), -2, np.float32)
        for start in range(0, len(corpus), 8000):
            part = corpus[start : start + 8000]
            scores = (part @ units) / np.sqrt(np.einsum("ij,ij->i", part, part))[:, None]
            best = np.partition(np.concatenate([best, scores]), -BEST, axis=0)[-BEST:]
        return -np.sort(-best.T, axis=1).reshape(*query.shape[:-1], BEST)

    return {"numpy in blocks": blocked}


def _numpy_assign(arrays: Arrays, threads: int) -> Mapping[str, Call]:
    points, centres = arrays.values()

    def blocked() -> Any:
        out = np.empty(len(points), np.int64)
        squares, turned = (centres * centres).sum(1), (-2 * centres.T).copy()
        for start in range(0, len(points), 2000):
            scores = points[start : start + 2000] @ turned
            scores += squares
            out[start : start + 2000] = scores.argmin(1)
        return out

    return {
        "numpy": lambda: _distances(points, centres).argmin(1),
        "numpy in blocks": blocked,
    }


def _numpy_bytes(arrays: Arrays, threads: int) -> Mapping[str, Call]:
    corpus, query = arrays.values()

    def blocked() -> Any:
        out = np.empty(len(corpus), np.int32)
        wide = query.astype(np.float32)
        for start in range(0, len(corpus), 20_000):
            out[start : start + 20_000] = corpus[start : start + 20_000].astype(np.float32) @ wide
        return out

    return {"numpy in blocks of f32": blocked}


def _jax(function: Callable[[Any, Any], Any]) -> Forms:
    def forms(arrays: Arrays, threads: int) -> Mapping[str, Call]:
        import jax

        compiled = jax.jit(function)
        first, second = in_jax(arrays).values()
        return {"jax": lambda: jax.block_until_ready(compiled(first, second))}

    return forms


def _jax_scores(corpus: Any, query: Any) -> Any:
    import jax

    return _scores(jax.numpy, corpus, query)


def _jax_best(corpus: Any, query: Any) -> Any:
    import jax

    return jax.lax.top_k(_jax_scores(corpus, query).T, BEST)


def _jax_assign(points: Any, centres: Any) -> Any:
    return _distances(points, centres).argmin(1)


def _jax_bytes(corpus: Any, query: Any) -> Any:
    import jax

    return (corpus.astype(jax.numpy.int32) * query.astype(jax.numpy.int32)).sum(1)


def _torch(function: Callable[[Any, Any], Any], *, compiled: bool) -> Forms:
    def forms(arrays: Arrays, threads: int) -> Mapping[str, Call]:
        import torch

        first, second = in_torch(arrays).values()
        call = torch.compile(function, dynamic=False) if compiled else function
        return {"torch.compile" if compiled else "torch": lambda: call(first, second)}

    return forms


def _torch_scores(corpus: Any, query: Any) -> Any:
    import torch

    return _scores(torch, corpus, query)


def _torch_one_pass(corpus: Any, query: Any) -> Any:
    """As sums of products, which the compiler fuses into one sweep."""
    return (corpus * query).sum(1) / ((corpus * corpus).sum(1) * (query * query).sum()).sqrt()


def _torch_best(corpus: Any, query: Any) -> Any:
    import torch

    return torch.topk(_torch_scores(corpus, query).T, BEST)


def _torch_best_one_pass(corpus: Any, query: Any) -> Any:
    import torch

    return torch.topk(_torch_one_pass(corpus, query), BEST)


def _torch_assign(points: Any, centres: Any) -> Any:
    return _distances(points, centres).argmin(1)


def _torch_bytes(corpus: Any, query: Any) -> Any:
    import torch

    return (corpus.to(torch.int32) * query.to(torch.int32)).sum(1, dtype=torch.int32)


def _torch_padded_bytes(arrays: Arrays, threads: int) -> Mapping[str, Call]:
    """torch's 8-bit product wants more than one column."""
    import torch

    corpus, query = in_torch(arrays).values()
    padded = torch.zeros(len(query), 16, dtype=torch.int8)
    padded[:, 0] = query
    return {"torch": lambda: torch._int_mm(corpus, padded)[:, 0]}


def _numexpr(arrays: Arrays, threads: int) -> Mapping[str, Call]:
    import numexpr

    corpus, query = arrays.values()

    def call() -> Any:
        product = numexpr.evaluate("sum(c * q, axis=1)", {"c": corpus, "q": query})
        square = numexpr.evaluate("sum(c * c, axis=1)", {"c": corpus})
        return product / np.sqrt(square) / np.linalg.norm(query)

    return {"numexpr": call}


def _faiss_best(arrays: Arrays, threads: int) -> Mapping[str, Call]:
    """Inner products of rows that were scaled to length one before, so it reads once and divides never."""
    import faiss

    faiss.omp_set_num_threads(threads)
    corpus, query = arrays.values()
    queries = query.reshape(-1, query.shape[-1])
    for start in range(0, len(corpus), 10_000):
        corpus[start : start + 10_000] /= np.linalg.norm(
            corpus[start : start + 10_000], axis=1, keepdims=True
        )
    units = queries / np.linalg.norm(queries, axis=1, keepdims=True)

    def call() -> Any:
        found = faiss.knn(units, corpus, BEST, metric=faiss.METRIC_INNER_PRODUCT)[0]
        return found.reshape(*query.shape[:-1], BEST)

    return {"faiss, rows of length 1": call}


def _faiss_assign(arrays: Arrays, threads: int) -> Mapping[str, Call]:
    import faiss

    faiss.omp_set_num_threads(threads)
    points, centres = arrays.values()
    return {"faiss": lambda: faiss.knn(points, centres, 1)[1][:, 0]}


def _sklearn_assign(arrays: Arrays, threads: int) -> Mapping[str, Call]:
    from sklearn.metrics import pairwise_distances_argmin

    points, centres = arrays.values()
    return {"sklearn": lambda: pairwise_distances_argmin(points, centres)}


def _simsimd_bytes(arrays: Arrays, threads: int) -> Mapping[str, Call]:
    import simsimd

    corpus, query = arrays.values()
    return {
        "simsimd": lambda: np.asarray(simsimd.cdist(corpus, query[None], "dot", threads=threads))[:, 0],
    }


COSINE: Mapping[str, Forms] = {
    "numpy": _numpy_scores,
    "numba": retrieval_numba.scores,
    "jax": _jax(_jax_scores),
    "torch": _torch(_torch_scores, compiled=False),
    "torch_compile": _torch(_torch_one_pass, compiled=True),
    "numexpr": _numexpr,
}
COSINE_MANY: Mapping[str, Forms] = {
    "numpy": _numpy_scores,
    "numba": retrieval_numba.scores,
    "jax": _jax(_jax_scores),
    "torch": _torch(_torch_scores, compiled=False),
    "torch_compile": _torch(_torch_scores, compiled=True),
}
NEAREST: Mapping[str, Forms] = {
    "numpy": _numpy_best,
    "numba": retrieval_numba.best,
    "jax": _jax(_jax_best),
    "torch": _torch(_torch_best, compiled=False),
    "torch_compile": _torch(_torch_best_one_pass, compiled=True),
    "faiss": _faiss_best,
}
NEAREST_MANY: Mapping[str, Forms] = NEAREST | {"torch_compile": _torch(_torch_best, compiled=True)}
ASSIGN: Mapping[str, Forms] = {
    "numpy": _numpy_assign,
    "numba": retrieval_numba.assign,
    "jax": _jax(_jax_assign),
    "torch": _torch(_torch_assign, compiled=False),
    "torch_compile": _torch(_torch_assign, compiled=True),
    "faiss": _faiss_assign,
    "sklearn": _sklearn_assign,
}
BYTES: Mapping[str, Forms] = {
    "numpy": _numpy_bytes,
    "numba": retrieval_numba.byte_scores,
    "jax": _jax(_jax_bytes),
    "torch": _torch_padded_bytes,
    "torch_compile": _torch(_torch_bytes, compiled=True),
    "simsimd": _simsimd_bytes,
}
