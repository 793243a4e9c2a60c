"""Which loops are written out, and how much code is made of the others."""

from xdsl.dialects import func
from xdsl.parser import Parser

from flowc.compiler.backends.llvm.emit import FEW, emit_function
from flowc.compiler.backends.llvm.target import assemble
from flowc.dialects.registry import context
from flowc.runtime.processor import host

STRIDED = """
func.func @f(%out: memref<?xf32>, %stride: index, %n: index) -> i64 {{
  %zero = arith.constant 0 : index
  %one = arith.constant 1 : index
  %end = arith.constant {rounds} : index
  %value = arith.constant 1.0 : f32
  scf.for %i = %zero to {end} step %one {{
    %at = arith.muli %i, %stride : index
    memref.store %value, %out[%at] : memref<?xf32>
  }}
  %status = arith.constant 0 : i64
  func.return %status : i64
}}
"""


def optimised(rounds: int, end: str = "%end") -> str:
    module = Parser(context(everything=True), STRIDED.format(rounds=rounds, end=end)).parse_module()
    function = module.body.block.first_op
    assert isinstance(function, func.FuncOp)
    emitted = emit_function(function, '"inner"', host().attributes)
    entry = (
        "define i64 @entry(ptr %p, i64 %e, i64 %s, i64 %n) {\n"
        '  %r = call i64 @"inner"(ptr %p, i64 %e, i64 %s, i64 %n)\n  ret i64 %r\n}'
    )
    text = "\n".join([*sorted(emitted.called), *emitted.lines, entry])
    return assemble(text, host(), listing=True).llvm_ir


def stores(text: str) -> int:
    return sum(line.strip().startswith("store ") for line in text.splitlines())


def test_a_loop_of_few_known_rounds_is_written_out() -> None:
    text = optimised(FEW)
    assert stores(text) == FEW
    assert "phi" not in text


def test_a_loop_of_more_rounds_stays_a_loop() -> None:
    for text in (optimised(FEW + 1), optimised(0, end="%n")):
        assert stores(text) <= FEW
        assert "phi" in text
