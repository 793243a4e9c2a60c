"""Writes the data of the example: 100,000 clustered vectors of 384 numbers and 8 queries, the same on every
machine.

Queries are rows of the corpus with a little noise, so the right answer is known: query i is nearest to row i
* 12,345.
"""

import argparse
from pathlib import Path

import numpy as np

DIMENSIONS, QUERIES, STRIDE = 384, 8, 12_345


def make(rows: int, seed: int = 7) -> tuple[np.ndarray, np.ndarray]:
    """The corpus and the queries as f32."""
    random = np.random.Generator(np.random.PCG64(seed))
    centres = random.standard_normal((64, DIMENSIONS), dtype=np.float32)
    corpus = centres[random.integers(0, 64, rows)]
    corpus += random.standard_normal((rows, DIMENSIONS), dtype=np.float32)
    picked = np.arange(QUERIES) * STRIDE % rows
    queries = corpus[picked] + 0.1 * random.standard_normal((QUERIES, DIMENSIONS), dtype=np.float32)
    return corpus, queries.astype(np.float32)


def main() -> None:
    """Writes corpus.npy and queries.npy into the folder of this file, or the one that is named."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", nargs="?", type=Path, default=Path(__file__).parent)
    parser.add_argument("--rows", type=int, default=100_000)
    options = parser.parse_args()
    corpus, queries = make(options.rows)
    np.save(options.folder / "corpus.npy", corpus)
    np.save(options.folder / "queries.npy", queries)
    print(f"wrote {corpus.shape[0]} x {corpus.shape[1]} rows and {len(queries)} queries to {options.folder}")


if __name__ == "__main__":
    main()
