"""A matrix product that host code asks a device's library for, as the words that describe it."""

from collections.abc import Sequence

from attrs import frozen

DTYPES = ("f64", "f32", "f16", "bf16", "i8", "i32")
"""The element types of products, which a description numbers from 0."""


@frozen
class Matrices:
    """Matrices in device memory: the address of the first element, and strides in elements from one matrix,
    row and column to the next."""

    address: int
    matrix_stride: int
    row_stride: int
    column_stride: int


@frozen
class Product:
    """result = left @ right for `count` pairs of matrices, rows x depth by depth x columns.

    As int64 words its fields lie in this order, those of matrices one after the other, and dtypes as places
    in DTYPES; `dtype` is that of the factors. Where the depth is 0, the result is all zeros; a product
    without elements is never asked for. Products of f16, bf16 and f32 are exact and summed in f32, those of
    i8 in i32, which wraps around.
    """

    dtype: str
    result_dtype: str
    count: int
    rows: int
    columns: int
    depth: int
    left: Matrices
    right: Matrices
    result: Matrices


WORDS = 18
"""The length of a description."""


def product_of(words: Sequence[int]) -> Product:
    """The product that WORDS words describe."""
    dtype, result, count, rows, columns, depth = words[:6]
    left, right, product = (Matrices(*words[start : start + 4]) for start in (6, 10, 14))
    return Product(DTYPES[dtype], DTYPES[result], count, rows, columns, depth, left, right, product)
