"""What a product of words of several numbers asks for ahead of its use."""

from types import SimpleNamespace
from typing import Any

import pytest
from xdsl.dialects.builtin import MemRefType, UnknownLoc, bf16
from xdsl.ir import Block

from flowc.dialects.loops import PrefetchOp
from flowc.passes.array_to_loops.builder import LoopBuilder
from flowc.passes.array_to_loops.contract.microkernel import ROWS
from flowc.passes.array_to_loops.contract.product import DEPTH, Operand, Product
from flowc.passes.array_to_loops.contract.tiles import _rows_ahead


@pytest.mark.parametrize(("dtype", "steps"), [("f32", 2), ("i32", 4)])
def test_part_of_a_deep_product_of_words_asks_for_the_numbers_of_its_own_steps(
    dtype: str, steps: int
) -> None:
    block = Block(arg_types=[MemRefType(bf16, [-1, -1])])
    b = LoopBuilder(block, UnknownLoc())  # type: ignore[arg-type]
    asked: list[Any] = []

    def place(_: Any, row: Any, step: Any) -> Any:
        asked.append((row, step))
        return block.args[0], [row, step]

    def nothing(*_: Any) -> Any:
        raise AssertionError("no element is read")

    numbers = Operand(nothing, place, DEPTH)
    single = Product(dtype, (), 48, 64, 10_000 * steps, numbers, numbers)
    words = Operand(nothing, None, DEPTH)
    whole = Product("i32", (), 48, 64, 10_000, words, words, single=single)
    part = whole.of_depth(b, 2048, 4000).of_depth(b, 1024, 512)
    lowering: Any = SimpleNamespace(b=b)
    number: Any = 16
    _rows_ahead(lowering, part, (), 96, 128).ask(number)
    assert asked == [(96 + row, steps * (2048 + 1024 + 128 + 16)) for row in range(ROWS)]
    assert sum(isinstance(op, PrefetchOp) for op in block.ops) == ROWS
