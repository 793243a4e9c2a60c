"""What no processor foresees is selected, not branched on."""

from typing import Any

import numpy as np
import pytest
from xdsl.dialects.builtin import ModuleOp

import flowc
from flowc.compiler.backends.llvm import Options, compile_kernels
from flowc.compiler.python.native import kernel_of


def places(ordered, values):
    return np.searchsorted(ordered, values)


def greatest(x, mask):
    return np.where(mask, x, -np.inf).max(axis=-1)


def least(x, mask):
    return np.where(mask, x, np.inf).min(axis=-1)


def least_byte(x, mask):
    return np.where(mask, x, np.uint8(255)).min(axis=-1)


def greatest_integer(x, mask):
    return np.where(mask, x, np.int64(-(2**63))).max(axis=-1)


def listing_of(function: Any, *arguments: Any) -> str:
    """The IR of a function, once it is optimised."""
    compiled = flowc.jit(function)
    found = compiled.specialisation(arguments)
    module = kernel_of(compiled, compiled.names, found.types, compiled.options)
    kernels = ModuleOp([op.detach() or op for op in module.ops])
    return compile_kernels(kernels, Options(listing=True)).llvm_ir


def test_a_search_selects_its_half_without_a_branch() -> None:
    text = listing_of(places, np.arange(9), np.arange(50))
    selects = [line for line in text.splitlines() if "!unpredictable" in line]
    assert selects
    assert all(" select i1 " in line for line in selects)


@pytest.mark.parametrize(
    ("function", "dtype", "reduced"),
    [
        (greatest, "float32", "fmaximum"),
        (greatest, "float64", "fmaximum"),
        (least, "float32", "fminimum"),
        (least_byte, "uint8", "umin"),
        (greatest_integer, "int64", "smax"),
    ],
)
def test_an_extreme_of_what_a_mask_leaves_is_made_of_vectors(function: Any, dtype: str, reduced: str) -> None:
    x, mask = np.arange(70 * 9).reshape(9, 70) % 251, np.arange(70 * 9).reshape(9, 70) % 3 == 1
    mask[4] = False
    x = x.astype(dtype)
    assert f"@llvm.vector.reduce.{reduced}.v" in listing_of(function, x, mask)
    np.testing.assert_array_equal(flowc.jit(function)(x, mask), function(x, mask), strict=True)
