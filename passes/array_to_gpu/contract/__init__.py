"""`@` and convolution on a device: by tensor cores, by tiles in registers, by the library of the device's
maker, or as fast as memory gives the larger factor."""

from flowc.passes.array_to_gpu.contract.apart import with_products_apart
from flowc.passes.array_to_gpu.contract.lower import lower_contract, lower_convolution, lower_finished_product

__all__ = ["lower_contract", "lower_convolution", "lower_finished_product", "with_products_apart"]
