"""Comprehensions: over what is known now a list of values; over what only the run knows a loop that fills an
array."""

import ast
from collections.abc import Callable, Sequence

from xdsl.dialects import scf
from xdsl.dialects.builtin import i64
from xdsl.ir import Block

from flowc.compiler.python.numeric.arithmetic import apply, settled, value_of
from flowc.compiler.python.numeric.binding import bind
from flowc.compiler.python.numeric.errors import UNSETTLED, Refused
from flowc.compiler.python.numeric.frame import Frame
from flowc.compiler.python.numeric.functions.sequences import Counting, Paired
from flowc.compiler.python.numeric.spans import length_of, nth
from flowc.compiler.python.numeric.subscripts import store
from flowc.compiler.python.numeric.values import Array, Listed, Number, is_run_time
from flowc.dialects.array.types import array_type, dtype_of, shape_of

Evaluate = Callable[[Frame, ast.expr], object]


def comprehension(frame: Frame, node: ast.ListComp | ast.GeneratorExp, evaluate: Evaluate) -> object:
    """The list that a comprehension gives; a generator is read at once."""
    before = dict(frame.names)
    first, *inner = node.generators
    sequence = settled(frame.c, evaluate(frame, first.iter))
    try:
        if isinstance(sequence, Array | Counting | Paired):
            if inner or first.ifs:
                raise Refused(
                    "a comprehension over what only the run knows has one `for` and no `if`",
                    help="fill an array in a loop",
                )
            return _filled(frame, node, sequence, evaluate)
        found: list[object] = []
        _write_out(frame, node.generators, node.elt, found, evaluate)
        return found
    finally:
        frame.names = before


def _write_out(
    frame: Frame,
    generators: Sequence[ast.comprehension],
    element: ast.expr,
    found: list[object],
    evaluate: Evaluate,
) -> None:
    """One value after the other."""
    if not generators:
        found.append(evaluate(frame, element))
        return
    first, *inner = generators
    items = settled(frame.c, evaluate(frame, first.iter))
    if not isinstance(items, range | tuple | list):
        raise Refused("an inner `for` of a comprehension runs over what is known now", help="write loops")
    for item in items:
        bind(frame, first.target, item)
        if all(_holds_now(frame, test, evaluate) for test in first.ifs):
            _write_out(frame, inner, element, found, evaluate)


def _holds_now(frame: Frame, node: ast.expr, evaluate: Evaluate) -> bool:
    test = evaluate(frame, node)
    if is_run_time(test):
        raise Refused("the `if` of a comprehension is known when the code is made", help="write a loop")
    return bool(test)


def _filled(
    frame: Frame, node: ast.ListComp | ast.GeneratorExp, sequence: object, evaluate: Evaluate
) -> Listed:
    """A loop that stores each value in an array."""
    c, body = frame.c, Block(arg_types=[i64])
    place = Number(body.args[0], weak=True)
    length = length_of(c, sequence)
    if isinstance(sequence, Counting):
        length = apply(c, "maximum", length, 0)
    with c.inside(body, loops=1):
        bind(frame, node.generators[0].target, nth(c, sequence, place))
        element = settled(c, evaluate(frame, node.elt))
        value = value_of(c, element)
    inner = [c.known_extent(extent) for extent in shape_of(value.type)]
    if any(extent is None for extent in inner):
        raise Refused(
            "the values of this comprehension have an extent that only its rounds know", code=UNSETTLED
        )
    type_ = array_type(dtype_of(value.type), (c.extent_name(length), *shape_of(value.type)))
    made = c.fresh(type_, [c.extent_value(extent) for extent in (length, *inner)])
    with c.inside(body, loops=1):
        store(c, made, [place], element)
        c.append(scf.YieldOp())
    c.append(scf.ForOp(c.constant(0, "i64"), c.extent_value(length), c.constant(1, "i64"), [], body))
    return Listed(c.copied(made, element) if isinstance(element, Array) else made)
