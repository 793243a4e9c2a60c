"""The retrieval kernels in Numba: loops that fuse what other libraries compute one after the other."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from benchmarks.kernels.kernel import Arrays
from benchmarks.worker import Call

BEST = 10


def _compiled_factor() -> Any:
    """One over the length of a row."""
    import numba

    one = np.float32(1)

    @numba.njit(fastmath=True)
    def factor(rows, i):
        square = np.float32(0)
        for j in range(rows.shape[1]):
            square += rows[i, j] * rows[i, j]
        return one / np.sqrt(square)

    return factor


def scores(arrays: Arrays, threads: int) -> Mapping[str, Call]:
    """Cosines of one query in one sweep, of many by blocks of rows."""
    import numba

    factor_of = _compiled_factor()

    @numba.njit(fastmath=True, parallel=True)
    def single(corpus, query):
        out = np.empty(corpus.shape[0], np.float32)
        length = np.float32(0)
        for j in range(query.size):
            length += query[j] * query[j]
        for i in numba.prange(corpus.shape[0]):
            product, square = np.float32(0), np.float32(0)
            for j in range(corpus.shape[1]):
                product += corpus[i, j] * query[j]
                square += corpus[i, j] * corpus[i, j]
            out[i] = product / np.sqrt(square * length)
        return out

    @numba.njit(fastmath=True, parallel=True)
    def many(corpus, units, block):
        out = np.empty((corpus.shape[0], units.shape[1]), np.float32)
        for part in numba.prange((corpus.shape[0] + block - 1) // block):
            low = part * block
            rows = corpus[low : low + block]
            scores = np.dot(rows, units)
            for i in range(rows.shape[0]):
                factor = factor_of(rows, i)
                for k in range(scores.shape[1]):
                    out[low + i, k] = scores[i, k] * factor
        return out

    corpus, query = arrays.values()
    if query.ndim == 1:
        return {"numba": lambda: single(corpus, query)}
    return {"numba": lambda: many(corpus, _units(query), 2000)}


def _units(queries: Any) -> Any:
    return np.ascontiguousarray((queries / np.linalg.norm(queries, axis=1, keepdims=True)).T)


def _compiled_insert() -> Any:
    """Puts a score into its place among the best."""
    import numba

    @numba.njit(fastmath=True)
    def insert(best, score):
        place = best.size - 1
        while place > 0 and best[place - 1] < score:
            best[place] = best[place - 1]
            place -= 1
        best[place] = score

    return insert


def _compiled_search() -> Any:
    """Many queries: products by blocks of rows."""
    import numba

    factor_of, insert = _compiled_factor(), _compiled_insert()

    @numba.njit(fastmath=True, parallel=True)
    def search(corpus, units, best, block):
        workers = best.shape[0]
        blocks = (corpus.shape[0] + block - 1) // block
        each = (blocks + workers - 1) // workers
        for worker in numba.prange(workers):
            for part in range(worker * each, min((worker + 1) * each, blocks)):
                rows = corpus[part * block : (part + 1) * block]
                scores = np.dot(rows, units)
                for i in range(rows.shape[0]):
                    factor = factor_of(rows, i)
                    for k in range(scores.shape[1]):
                        score = scores[i, k] * factor
                        if score > best[worker, k, best.shape[2] - 1]:
                            insert(best[worker, k], score)

    return search


def _compiled_search_one() -> Any:
    """One query: product and length of a row in one sweep."""
    import numba

    insert = _compiled_insert()

    @numba.njit(fastmath=True, parallel=True)
    def search_one(corpus, query, best):
        workers = best.shape[0]
        each = (corpus.shape[0] + workers - 1) // workers
        for worker in numba.prange(workers):
            for i in range(worker * each, min((worker + 1) * each, corpus.shape[0])):
                product, square = np.float32(0), np.float32(0)
                for j in range(corpus.shape[1]):
                    product += corpus[i, j] * query[j]
                    square += corpus[i, j] * corpus[i, j]
                score = product / np.sqrt(square)
                if score > best[worker, 0, best.shape[2] - 1]:
                    insert(best[worker, 0], score)

    return search_one


def best(arrays: Arrays, threads: int) -> Mapping[str, Call]:
    """The best of each worker, kept while the rows go by; then the best of all."""
    corpus, query = arrays.values()
    queries = query.reshape(-1, query.shape[-1])
    search, search_one = _compiled_search(), _compiled_search_one()

    def call() -> Any:
        best = np.full((threads, len(queries), BEST), -2, np.float32)
        units = _units(queries)
        if len(queries) == 1:
            search_one(corpus, units[:, 0].copy(), best)
        else:
            search(corpus, units, best, 2000)
        merged = best.transpose(1, 0, 2).reshape(len(queries), -1)
        return -np.sort(-merged, axis=1)[:, :BEST].reshape(*query.shape[:-1], BEST)

    return {"numba": call}


def assign(arrays: Arrays, threads: int) -> Mapping[str, Call]:
    """Products by blocks of rows, the nearest centre found while a block is in cache."""
    import numba

    two = np.float32(2)

    @numba.njit(fastmath=True, parallel=True)
    def compiled(points, turned, squares, block):
        out = np.empty(points.shape[0], np.int64)
        for part in numba.prange((points.shape[0] + block - 1) // block):
            low = part * block
            scores = np.dot(points[low : low + block], turned)
            for i in range(scores.shape[0]):
                best, place = np.float32(3e38), 0
                for k in range(scores.shape[1]):
                    distance = squares[k] - two * scores[i, k]
                    if distance < best:
                        best, place = distance, k
                out[low + i] = place
        return out

    points, centres = arrays.values()
    return {
        "numba": lambda: compiled(points, np.ascontiguousarray(centres.T), (centres * centres).sum(1), 1000)
    }


def byte_scores(arrays: Arrays, threads: int) -> Mapping[str, Call]:
    """A sum of products in 32 bits for each row."""
    import numba

    @numba.njit(fastmath=True, parallel=True)
    def compiled(corpus, query):
        out = np.empty(corpus.shape[0], np.int32)
        for i in numba.prange(corpus.shape[0]):
            total = np.int32(0)
            for j in range(corpus.shape[1]):
                total += np.int32(corpus[i, j]) * np.int32(query[j])
            out[i] = total
        return out

    corpus, query = arrays.values()
    return {"numba": lambda: compiled(corpus, query)}
