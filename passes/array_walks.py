"""From values back to what they are computed from."""

from collections.abc import Callable, Iterable, Iterator, Sequence

from xdsl.ir import Operation, SSAValue

from flowc.dialects.array import ops


def is_lazy(op: Operation) -> bool:
    """Whether an operator is evaluated where its value is used: a view, or one marked by fuse-array."""
    return ops.is_view(op) or "inline" in op.properties


def lazy_owner(value: SSAValue) -> Operation | None:
    """The operator that is evaluated where the value is used; None where the value is at hand."""
    return value.owner if isinstance(value.owner, Operation) and is_lazy(value.owner) else None


def evaluated(op: Operation) -> Iterator[SSAValue]:
    """The values that an operator reads, and those that these are evaluated from there."""

    def further(value: SSAValue) -> Sequence[SSAValue]:
        owner = lazy_owner(value)
        return owner.operands if owner is not None else ()

    return origins(op.operands, further)


def computed_from(
    value: SSAValue, at_hand: Callable[[SSAValue], bool] = lambda _: False
) -> Iterator[SSAValue]:
    """The value, and all that it is computed from, as far as that is not `at_hand`."""

    def operands(each: SSAValue) -> Sequence[SSAValue]:
        return each.owner.operands if isinstance(each.owner, Operation) and not at_hand(each) else ()

    return origins([value], operands)


def origins(
    values: Iterable[SSAValue], further: Callable[[SSAValue], Sequence[SSAValue]]
) -> Iterator[SSAValue]:
    """The values, and what `further` leads to from each; every value once."""
    pending, seen = list(values), set[SSAValue]()
    while pending:
        value = pending.pop()
        if value not in seen:
            seen.add(value)
            yield value
            pending += further(value)
