"""Built-ins of the language that Python lacks, as plain Python functions for code that runs undecorated."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, TypeVar

from flowc.runtime.functions.texts import sentences

T = TypeVar("T")

__all__ = [
    "agreement",
    "argmax",
    "argmin",
    "embed",
    "erf",
    "majority",
    "put",
    "sentences",
    "sigmoid",
    "softmax",
    "topk",
]


class TopK(NamedTuple):
    """The largest values along the last axis, in falling order, and where they stood."""

    values: Any
    indices: Any


def topk(x: Any, k: int) -> TopK:
    """The `k` largest values along the last axis, NaN above all; of equal ones the lower index is first."""
    import numpy as np

    array = np.asarray(x)
    rising = np.argsort(array[..., ::-1], axis=-1, kind="stable")  # equal ones from the last to the first
    order = array.shape[-1] - 1 - rising[..., ::-1][..., :k]
    return TopK(np.take_along_axis(array, order, axis=-1), order)


def softmax(x: Any, axis: int = -1) -> Any:
    """Exponentials that sum to one along `axis`, computed from differences to the maximum."""
    import numpy as np

    exponentials = np.exp(x - np.max(x, axis=axis, keepdims=True))
    return exponentials / np.sum(exponentials, axis=axis, keepdims=True)


def sigmoid(x: Any) -> Any:
    """1 / (1 + exp(-x))."""
    import numpy as np

    return 1 / (1 + np.exp(-np.asarray(x)))


def erf(x: Any) -> Any:
    """The error function, elementwise."""
    import math

    import numpy as np

    return np.vectorize(math.erf, otypes=[np.asarray(x).dtype])(x)


def argmax(x: Any, axis: int | None = None) -> Any:
    """The index of the first largest value."""
    import numpy as np

    return np.argmax(x, axis=axis)


def argmin(x: Any, axis: int | None = None) -> Any:
    """The index of the first smallest value."""
    import numpy as np

    return np.argmin(x, axis=axis)


def majority(values: Sequence[T]) -> T:
    """The most common value; of equally common ones the first."""
    return Counter(values).most_common(1)[0][0]


def agreement(values: Sequence[Any]) -> float:
    """The share of the most common value."""
    return Counter(values).most_common(1)[0][1] / len(values)


def put(values: Mapping[str, T], key: str, value: T) -> dict[str, T]:
    """A new dict in which the key has the value."""
    return {**values, key: value}


def embed(texts: Sequence[str]) -> Any:
    """Vectors of texts, one row each. Only a compiled flow has a provider to ask."""
    raise RuntimeError(
        f"embed of {len(texts)} texts needs a provider: call it inside a function decorated with @flowc.flow"
    )
