"""A matrix product in the terms of a library for matrices in columns, such as cuBLAS.

What lies in rows is, to such a library, the transpose of what lies in columns. So it is asked for the
transpose of the result, which is the right factor's transpose times the left one's.
"""

from attrs import evolve, frozen

from flowc.runtime.device.product import Matrices, Product


@frozen
class Factor:
    """A factor as the library reads it: from where, transposed or not, and the elements from one of its
    columns to the next."""

    address: int
    transposed: bool
    leading: int
    matrix_stride: int


@frozen
class Order:
    """What to ask the library for: `rows` by `columns` of the result in columns, whose columns are `leading`
    elements apart."""

    rows: int
    columns: int
    depth: int
    first: Factor
    second: Factor
    leading: int


def order_of(product: Product) -> Order | None:
    """The order for a product, None where a factor or the result lies in neither rows nor columns."""
    if _leading(product.result, product.rows, product.columns) is None:
        product = transposed(product)
    leading = _leading(product.result, product.rows, product.columns)
    first = _factor(product.right, product.depth, product.columns)
    second = _factor(product.left, product.rows, product.depth)
    if leading is None or first is None or second is None:
        return None
    return Order(product.columns, product.rows, product.depth, first, second, leading)


def transposed(product: Product) -> Product:
    """The same product with all matrices transposed."""
    left, right, result = (_turned(each) for each in (product.left, product.right, product.result))
    return evolve(product, rows=product.columns, columns=product.rows, left=right, right=left, result=result)


def _turned(matrices: Matrices) -> Matrices:
    return evolve(matrices, row_stride=matrices.column_stride, column_stride=matrices.row_stride)


def _factor(matrices: Matrices, rows: int, columns: int) -> Factor | None:
    straight = _leading(matrices, rows, columns)
    if straight is not None:
        return Factor(matrices.address, False, straight, matrices.matrix_stride)
    turned = _leading(_turned(matrices), columns, rows)
    return None if turned is None else Factor(matrices.address, True, turned, matrices.matrix_stride)


def _leading(matrices: Matrices, rows: int, columns: int) -> int | None:
    """The elements from one row to the next, None where matrices do not lie in rows one behind the other."""
    if columns > 1 and matrices.column_stride != 1:
        return None
    if rows <= 1:
        return max(columns, 1)
    return matrices.row_stride if matrices.row_stride >= max(columns, 1) else None


def suits_bytes(order: Order, result: int) -> bool:
    """Whether cuBLAS multiplies bytes as they lie: extents, strides and addresses in words of four."""
    factors = (order.first, order.second)
    sizes = [order.rows, order.columns, order.depth, order.leading, result]
    sizes += [size for each in factors for size in (each.leading, each.address, each.matrix_stride)]
    return not any(size % 4 for size in sizes)
