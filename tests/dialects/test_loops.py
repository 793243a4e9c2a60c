"""The loops dialect: assembly that reads back, verifiers."""

import pytest
from xdsl.dialects.builtin import ModuleOp
from xdsl.parser import Parser
from xdsl.utils.exceptions import VerifyException

from flowc.dialects.registry import context

PROGRAM = """
func.func @fill(%out: memref<?xf32>, %n: index, %grain: index, %work: index, %v: vector<16xf32>) {
  loops.parallel %n grain %grain work %work {
  ^bb0(%low: index, %high: index):
    loops.prefetch %out[%high] : memref<?xf32>
    loops.stream %v, %out[%low] : vector<16xf32>, memref<?xf32>
    loops.fence
    loops.end
  }
  func.return
}
"""


def parsed(text: str) -> ModuleOp:
    return Parser(context(everything=True), text).parse_module()


def test_what_is_printed_reads_back() -> None:
    module = parsed(PROGRAM)
    module.verify()
    again = parsed(str(module))
    assert module.is_structurally_equivalent(again)


@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [
        ("(%low: index, %high: index)", "(%low: index)", "two indices"),
        ("%out[%high]", "%out[%high, %high]", "no position"),
        ("%out[%low]", "%out[]", "no position"),
        ("vector<16xf32>", "vector<3xf32>", "not 16, 32 or 64 bytes"),
        ("vector<16xf32>", "vector<16xf64>", "cannot be stored"),
    ],
)
def test_what_makes_no_sense_is_refused(old: str, new: str, complaint: str) -> None:
    text = PROGRAM.replace(old, new)
    if "high" in old and "low" in old:
        text = text.replace("%out[%high]", "%out[%low]")
    with pytest.raises(VerifyException, match=complaint):
        parsed(text).verify()


VECTORS = """
func.func @parted(%v: vector<8xi64>, %m: vector<8xi1>, %keys: memref<2x?xi64>, %i: index) -> vector<8xi64> {
  %packed, %count = loops.pack %v, %m : vector<8xi64>, vector<8xi1> -> vector<8xi64>
  loops.sort %count of %keys[%i, %i] : memref<2x?xi64> by 8
  func.return %packed : vector<8xi64>
}
"""


def test_vectors_of_keys_read_back() -> None:
    module = parsed(VECTORS)
    module.verify()
    assert module.is_structurally_equivalent(parsed(str(module)))


@pytest.mark.parametrize("flushes", ["", " flushes"])
def test_products_of_pairs_read_back(flushes: str) -> None:
    types = "vector<16xi32>, vector<16xi32>, vector<16xf32> -> vector<16xf32>"
    values = '%w, %s = "test.op"() : () -> (vector<16xi32>, vector<16xf32>)'
    module = parsed(f"{values}\n%d = loops.pair_dot %w, %w, %s{flushes} : {types}\n")
    module.verify()
    assert str(module).count("flushes") == len(flushes.split())
    assert module.is_structurally_equivalent(parsed(str(module)))


def test_products_of_four_bytes_read_back() -> None:
    types = "vector<16xi32>, vector<16xi32>, vector<16xi32> -> vector<16xi32>"
    module = parsed(f'%w = "test.op"() : () -> vector<16xi32>\n%d = loops.quad_dot %w, %w, %w : {types}\n')
    module.verify()
    assert module.is_structurally_equivalent(parsed(str(module)))


def test_a_constant_that_is_not_seen_through_reads_back() -> None:
    lines = "%a = loops.opaque 0xFF800000 : f32\n%b = loops.opaque -128 : i8\n"
    module = parsed(lines)
    module.verify()
    assert module.is_structurally_equivalent(parsed(str(module)))


@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [
        ("vector<8xi1>", "vector<4xi1>", "no mask"),
        ("vector<8xi1>", "vector<8xi8>", "no mask"),
        ("?xi64", "?xf64", "orders integers"),
        ("[%i, %i]", "[%i]", "2 axes, not 1"),
        ("by 8", "by 6", "not two or a greater power"),
        ("by 8", "by 1", "not two or a greater power"),
    ],
)
def test_vectors_that_cannot_be_sorted_or_packed_are_refused(old: str, new: str, complaint: str) -> None:
    with pytest.raises(VerifyException, match=complaint):
        parsed(VECTORS.replace(old, new)).verify()
