"""How long temporaries live: the memory of one is freed right behind the operation that uses it last, so the
next one of its size gets it.

A temporary that has the form of a result and is dead before that result is first touched needs no memory of
its own: the result lends it its own.
"""

from collections.abc import Iterator, Mapping, Sequence

from attrs import frozen
from xdsl.dialects import memref
from xdsl.dialects.builtin import MemRefType
from xdsl.ir import Block, Operation, SSAValue
from xdsl.rewriter import Rewriter

from flowc.passes.array_to_loops.builder import Index

Position = tuple[int, int]
"""Of an operation in straight-line code: the number of its block, and its own number there."""


@frozen
class Result:
    """Memory that the caller gives for a result, and its extents as far as all of them are known."""

    buffer: SSAValue
    extents: Sequence[Index] | None


@frozen
class _Span:
    """From where memory is allocated to the operation, or the one around it, that uses it last."""

    made: memref.AllocOp
    first: Position
    last: Position
    end: Operation


def end_lifetimes(
    buffers: Sequence[SSAValue], code: Sequence[Block], results: Sequence[Result] = ()
) -> list[list[SSAValue]]:
    """Frees each buffer behind its last use in `code`, blocks that run one after the other.

    Gives for each block the buffers that outlive it: what must be freed where the next one is not reached.
    """
    places = {op: (i, j) for i, block in enumerate(code) for j, op in enumerate(block.ops)}
    spans = [span for buffer in buffers if (span := _span(buffer, places)) is not None]
    for result in results:
        spans = _lend(result, spans, places)
    for span in spans:
        free = memref.DeallocOp.get(span.made.memref)
        free.location = span.end.location
        code[span.last[0]].insert_op_after(free, span.end)
    return [
        [span.made.memref for span in spans if span.first[0] <= number < span.last[0]]
        for number in range(len(code))
    ]


def _span(buffer: SSAValue, places: Mapping[Operation, Position]) -> _Span | None:
    """The span of a buffer; one that nothing uses is not even allocated."""
    made = buffer.owner
    assert isinstance(made, memref.AllocOp)
    ends = [_outermost(user, places) for user in _users(buffer)]
    if not ends:
        Rewriter.erase_op(made)
        return None
    end = max(ends, key=places.__getitem__)
    return _Span(made, places[made], places[end], end)


def _lend(result: Result, spans: Sequence[_Span], places: Mapping[Operation, Position]) -> list[_Span]:
    """The spans that still need memory. The others take the result's in turn, found from its first use back:
    in a chain, where each value is made from the one before, every second one then fits there."""
    touched = [places[_outermost(user, places)] for user in _users(result.buffer)]
    free_until = min(touched, default=(len(places), 0))
    own = []
    for span in reversed(spans):
        if span.last < free_until and _same_form(span.made, result):
            span.made.memref.replace_all_uses_with(result.buffer)
            Rewriter.erase_op(span.made)
            free_until = span.first
        else:
            own.append(span)
    return own[::-1]


def _same_form(made: memref.AllocOp, result: Result) -> bool:
    if result.extents is None or made.memref.type != result.buffer.type:
        return False
    return list(made.dynamic_sizes) == [extent for extent in result.extents if isinstance(extent, SSAValue)]


def _users(buffer: SSAValue) -> Iterator[Operation]:
    """The operations that use memory, also those that see it with other extents or may see it."""
    for use in buffer.uses:
        yield use.operation
        for result in use.operation.results:
            if isinstance(result.type, MemRefType):
                yield from _users(result)


def _outermost(op: Operation, places: Mapping[Operation, Position]) -> Operation:
    """The operation of the straight-line code that is or contains `op`."""
    while op not in places:
        around = op.parent_op()
        assert around is not None, f"{op.name} stands outside the code that owns the memory"
        op = around
    return op
