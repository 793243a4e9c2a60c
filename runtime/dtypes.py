"""The element types of kernels as NumPy knows them. NumPy itself is imported on first use."""

from functools import cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np

itemsizes: dict[str, int] = {
    "f64": 8,
    "f32": 4,
    "f16": 2,
    "bf16": 2,
    "i64": 8,
    "i32": 4,
    "i8": 1,
    "bool": 1,
}
_numpy_names = {"f64": "f8", "f32": "f4", "f16": "f2", "i64": "i8", "i32": "i4", "i8": "i1", "bool": "?"}


@cache
def numpy_dtype(dtype: str) -> "np.dtype[Any]":
    """The NumPy dtype of the name; bf16 is that of ml_dtypes."""
    import numpy as np

    if dtype == "bf16":
        import ml_dtypes

        brain: np.dtype[Any] = np.dtype(ml_dtypes.bfloat16)
        return brain
    return np.dtype(_numpy_names[dtype])


@cache
def _names() -> "dict[np.dtype[Any], str]":
    return {numpy_dtype(name): name for name in itemsizes}


def dtype_name(dtype: "np.dtype[Any]") -> str | None:
    """The name of a NumPy dtype, None where kernels have no such type."""
    return _names().get(dtype)
