"""Operators that put numbers in order, on a device: sort, argsort, order statistics and topk."""

from flowc.passes.array_to_gpu.sorting.along import lower_sort
from flowc.passes.array_to_gpu.sorting.best import lower_topk
from flowc.passes.array_to_gpu.sorting.order_statistics import lower_order_statistics

__all__ = ["lower_order_statistics", "lower_sort", "lower_topk"]
