"""The device dialect: assembly that reads back, verifiers."""

import pytest
from xdsl.dialects.builtin import ModuleOp
from xdsl.parser import Parser
from xdsl.utils.exceptions import VerifyException

from flowc.dialects.registry import context

PROGRAM = """
func.func @block(
  %m: memref<?xf16>, %w: memref<?xi64>, %i: index, %n: index, %x: f32, %c: i1, %l: i32, %o: i64
) {
  %s = device.shared : memref<8x32xf16, 3>
  %d = device.shared_at %i[%n] : memref<?x4xf16, 3>
  %e = device.shared_at %i[] : memref<4xf16, 3>
  %y = device.shuffle "xor" %x, %l width 16 : f32
  %b = device.ballot %c
  device.sync_warp
  device.fence
  device.copy_async %m[%i] to %s[%i, %n] if %c : memref<?xf16> to memref<8x32xf16, 3>
  device.commit_copies
  device.wait_copies 1
  %q = device.compare_exchange %w[%i], %o, %o : memref<?xi64>, i64, i64 -> i64
  %a = device.load_matrix %s[%i, %n] : memref<8x32xf16, 3> -> vector<4xi32>
  %t = device.load_matrix %s[%i, %n] transpose : memref<8x32xf16, 3> -> vector<2xi32>
  %z = arith.constant dense<0.0> : vector<4xf32>
  %r = device.matrix_multiply "f16" %a, %t, %z : vector<4xi32>, vector<2xi32>, vector<4xf32> -> vector<4xf32>
  %h = device.pack_halves "bf16" %x, %x
  %p = device.dot_bytes "i8" %h, %h, %h
  func.return
}
func.func @product(%a: memref<?x?xf16, strided<[?, ?]>>, %b: memref<?x?xf16>, %c: memref<?x?xf32>) {
  device.product %a, %b into %c : memref<?x?xf16, strided<[?, ?]>>, memref<?x?xf16> into memref<?x?xf32>
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
        ("memref<8x32xf16, 3>", "memref<8x32xf16>", "not shared by the threads"),
        ("memref<8x32xf16, 3>", "memref<?x32xf16, 3>", "has no size"),
        ("%i[%n] : memref<?x4xf16, 3>", "%i[] : memref<?x4xf16, 3>", "1 dynamic extents, not 0"),
        ("%i[] : memref<4xf16, 3>", "%i[] : memref<4xf16>", "not shared by the threads"),
        ("%i[] : memref<4xf16, 3>", "%i[] : memref<4xf16, strided<[2]>, 3>", "row-major"),
        ('"xor"', '"swap"', '"swap" is no shuffle'),
        ("width 16", "width 12", "no power of two"),
        ("to %s[%i, %n]", "to %s[%i]", "no position"),
        (
            "%m[%i] to %s[%i, %n] if %c : memref<?xf16> to memref<8x32xf16, 3>",
            "%s[%i, %n] to %s[%i, %n] if %c : memref<8x32xf16, 3> to memref<8x32xf16, 3>",
            "reads global memory",
        ),
        ("wait_copies 1", "wait_copies 64", "cannot be pending"),
        ("memref<?xi64>, i64, i64 -> i64", "memref<?xi64>, i64, i64 -> i32", "for i32 or for i64"),
        ("vector<2xi32>", "vector<3xi32>", "two or four matrices"),
        ('multiply "f16"', 'multiply "f64"', 'no tensor core multiplies "f64"'),
        ('multiply "f16"', 'multiply "i8"', "fragments of i8"),
        ('dot_bytes "i8"', 'dot_bytes "i16"', "no byte"),
        ('pack_halves "bf16"', 'pack_halves "f32"', "no float of two bytes"),
        ("memref<?x?xf16> into memref<?x?xf32>", "memref<?x?xf16> into memref<?x?xf64>", "no product of f16"),
    ],
)
def test_what_makes_no_sense_is_refused(old: str, new: str, complaint: str) -> None:
    assert old in PROGRAM
    text = PROGRAM.replace(old, new)
    if new.endswith("f64>"):
        text = text.replace("%c: memref<?x?xf32>", "%c: memref<?x?xf64>")
    with pytest.raises(VerifyException, match=complaint):
        parsed(text).verify()


def test_only_elements_of_two_bytes_are_transposed() -> None:
    text = """
    %s = device.shared : memref<8x16xi8, 3>
    %i = arith.constant 0 : index
    %w = device.load_matrix %s[%i, %i] MARK: memref<8x16xi8, 3> -> vector<2xi32>
    """
    parsed(text.replace("MARK", "")).verify()
    with pytest.raises(VerifyException, match="cannot be loaded this way"):
        parsed(text.replace("MARK", "transpose ")).verify()


def test_stacks_of_products_have_as_many_axes() -> None:
    types = "memref<?x?x?xi8>, memref<?x?xi8> into memref<?x?x?xi32>"
    given = types.replace(" into", ",")
    text = f'%a, %b, %c = "test.op"() : () -> ({given})\ndevice.product %a, %b into %c : {types}'
    with pytest.raises(VerifyException, match="stacks of as many matrices"):
        parsed(text).verify()
