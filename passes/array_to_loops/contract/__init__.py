"""`@` as loops: dot products and row updates for thin operands, packed tiles in registers for the rest."""

from flowc.passes.array_to_loops.contract.epilogue import epilogue_of, lower_with_epilogue
from flowc.passes.array_to_loops.contract.lower import is_packed_at_once, lower_contract, lower_product
from flowc.passes.array_to_loops.contract.tiles import Prepared, prepare

__all__ = [
    "Prepared",
    "epilogue_of",
    "is_packed_at_once",
    "lower_contract",
    "lower_product",
    "lower_with_epilogue",
    "prepare",
]
