"""What follows a product element by element, done while the elements are in the cache."""

from collections.abc import Set

from xdsl.ir import Operation, SSAValue

from flowc.dialects.array import ops
from flowc.dialects.array.types import shape_of
from flowc.passes.array_to_loops.builder import Index
from flowc.passes.array_to_loops.contract.lower import lower_product
from flowc.passes.array_to_loops.elements import Lowering, Place


def epilogue_of(op: ops.ContractOp, computed: Set[Operation]) -> Operation | None:
    """The one elementwise operator among those `computed` that uses a product, perhaps through others that
    are recomputed where they are used; all of them have its shape. None if there are other uses."""
    shape = shape_of(op.result.type)
    found: set[Operation] = set()
    pending, seen = [op.result], set()
    while pending:
        for use in pending.pop().uses:
            user = use.operation
            if user in seen or isinstance(user, ops.DimOp):
                continue
            seen.add(user)
            if not isinstance(user, ops.ElementwiseOp | ops.CastOp) or shape_of(user.result.type) != shape:
                return None
            if user in computed:
                found.add(user)
            elif "inline" in user.properties:
                pending.append(user.result)
            else:
                return None
    return found.pop() if len(found) == 1 and shape and "" not in shape else None


def lower_with_epilogue(s: Lowering, op: ops.ContractOp, epilogue: Operation, place: Place) -> None:
    """Computes a product and what `epilogue_of` found for it; only the latter's result is stored."""
    value = epilogue.results[0]

    def finish(element: SSAValue, at: tuple[Index, ...]) -> None:
        position = s.aligned(value, at)
        s.assume(op.result, position, element)
        s.store(s.element(value, position), place, at)

    lower_product(s, op, finish)
