"""Products of matrices on a GPU by cuBLAS, through CuPy."""

import ctypes
from typing import Any

import cupy
import numpy as np
from attrs import evolve
from cupy.cuda import cublas, device

from flowc.runtime.device.blas import Order, order_of, suits_bytes
from flowc.runtime.device.product import Matrices, Product
from flowc.runtime.dtypes import numpy_dtype

_KINDS = {"f32": 0, "f64": 1, "f16": 2, "i8": 3, "i32": 10, "bf16": 14}
"""Element types, as `cudaDataType_t` numbers them."""
_SUMS = {"f32": 68, "f16": 68, "bf16": 68, "f64": 70, "i8": 72}
"""In what sums are taken, as `cublasComputeType_t` numbers it: f32, f64, or i32."""
_EXACT = 16
"""The mode of cuBLAS in which no part of a sum is rounded to fewer bits than the sum has, and f32 stays
f32."""
_DEFAULT = -1
"""cuBLAS chooses the way."""


def multiply(product: Product) -> None:
    """Does a product in CuPy's current stream."""
    result = _view(product.result, product.result_dtype, product.count, product.rows, product.columns)
    if not product.depth:
        result[...] = 0
        return
    order = order_of(product)
    if order is None or (product.dtype == "i8" and not suits_bytes(order, product.result.address)):
        _multiply_copies(product, result)
    else:
        _ask(product, order)


def _ask(product: Product, order: Order) -> None:
    """The product by the library, as the matrices lie."""
    handle = device.get_cublas_handle()
    mode, pointers = cublas.getMathMode(handle), cublas.getPointerMode(handle)
    number: Any = {"f64": ctypes.c_double, "i8": ctypes.c_int32}.get(product.dtype, ctypes.c_float)
    one, zero = number(1), number(0)
    kind = _KINDS[product.dtype]
    first, second = order.first, order.second
    cublas.setMathMode(handle, _EXACT)
    cublas.setPointerMode(handle, cublas.CUBLAS_POINTER_MODE_HOST)
    try:
        cublas.gemmStridedBatchedEx(
            handle, int(first.transposed), int(second.transposed),
            order.rows, order.columns, order.depth, ctypes.addressof(one),
            first.address, kind, first.leading, first.matrix_stride,
            second.address, kind, second.leading, second.matrix_stride,
            ctypes.addressof(zero),
            product.result.address, _KINDS[product.result_dtype], order.leading, product.result.matrix_stride,
            product.count, _SUMS[product.dtype], _DEFAULT,
        )  # fmt: skip
    finally:
        cublas.setMathMode(handle, mode)
        cublas.setPointerMode(handle, pointers)


def _multiply_copies(product: Product, result: Any) -> None:
    """The product of dense copies, in words of i32 for bytes; the library takes matrices in rows or columns,
    and bytes in fours."""
    wide = numpy_dtype("i32") if product.dtype == "i8" else numpy_dtype(product.dtype)
    shown = (
        _view(product.left, product.dtype, product.count, product.rows, product.depth),
        _view(product.right, product.dtype, product.count, product.depth, product.columns),
    )
    left, right = (each.astype(wide, order="C") for each in shown)
    if product.dtype == "i8":
        result[...] = cupy.matmul(left, right)
        return
    dense = cupy.empty(result.shape, numpy_dtype(product.result_dtype))
    parts = [_dense(each) for each in (left, right, dense)]
    again = evolve(product, left=parts[0], right=parts[1], result=parts[2])
    order = order_of(again)
    assert order is not None
    _ask(again, order)
    result[...] = dense


def _dense(array: Any) -> Matrices:
    _, rows, columns = array.shape
    return Matrices(int(array.data.ptr), rows * columns, columns, 1)


def _view(matrices: Matrices, dtype: str, count: int, rows: int, columns: int) -> Any:
    """An array of the matrices' own memory, which somebody else keeps."""
    kind: np.dtype[Any] = numpy_dtype(dtype)
    strides = (matrices.matrix_stride, matrices.row_stride, matrices.column_stride)
    memory = cupy.cuda.UnownedMemory(matrices.address, 0, None)
    return cupy.ndarray(
        (count, rows, columns),
        kind,
        cupy.cuda.MemoryPointer(memory, 0),
        tuple(stride * kind.itemsize for stride in strides),
    )
