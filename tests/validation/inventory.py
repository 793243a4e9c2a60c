"""Every place of the passes that puts one thing in the place of another, over which domain it is proved to be
the same, and by what. `test_inventory` finds the places; one that does not stand here fails it.
"""

from collections.abc import Sequence

from attrs import frozen


@frozen
class Rule:
    """A rule at `passes/FILE:FUNCTION`. `proof` is the test with the proof, relative to tests/; where there
    is none by a solver, `domain` is empty and `proof` the tests that try it on programs.
    """

    place: str
    proof: str
    domain: str = ""


def _proved(proof: str, domain: str, *places: str) -> list[Rule]:
    return [Rule(place, f"validation/{proof}", domain) for place in places]


def _tried(proof: str, *places: str) -> list[Rule]:
    return [Rule(place, proof) for place in places]


FLOWS = "all ints, texts and bools; lists of 0 and 2 elements; whether a flow fails"
_CANONICAL = (
    "_if_constant", "_if_cheap", "_if_unused", "_for_invariant", "_select", "_not", "_item", "_field",
    "_length", "_cast", "_attempt", "_without_carried", "_chosen", "_says_condition",
)  # fmt: skip

INVENTORY: Sequence[Rule] = (
    # Flows: simplification.
    *_proved("test_flow_rules.py", FLOWS, *(f"canonicalise.py:{name}" for name in _CANONICAL)),
    *_proved("test_flow_rules.py", FLOWS, "constant_fold.py:_fold_apply", "constant_fold.py:_fold_cast"),
    *_proved("test_flow_rules.py", FLOWS, "cse.py:_visit", "cse.py:expression_key", "dce.py:_sweep"),
    *_proved("test_flow_rules.py", FLOWS, "framework.py:_replace", "framework.py:replace_with"),
    *_proved("test_flow_rules.py", FLOWS, "framework.py:inline_block"),
    # Flows: calls, whose order and effects are no matter of terms.
    *_tried("passes/test_meaning.py", "inline.py:_inline_call", "inline.py:_retype", "hoist_calls.py:_move"),
    *_tried(
        "passes/test_meaning.py",
        "parallelise.py:_loop",
        "loop_parts.py:take_apart",
        "split_branches.py:_split",
    ),
    *_tried(
        "passes/test_meaning.py", "prune.py:_narrow", "stream_fields.py:_fields", "stream_items.py:mapped"
    ),
    *_tried("passes/test_merge_calls.py", "merge_calls.py:_merge", "raise_calls.py:_raise"),
    *_tried("passes/test_parallelise.py", "fold_trees.py:fold"),
    *_tried("passes/test_fuse_calls.py", "fuse_calls.py:_fuse"),
    *_tried("passes/test_batch_calls.py", "batch_calls.py:_batch", "batch_embeds.py:_take_rows"),
    *_tried("passes/test_typed_meaning.py", "infer_shapes.py:_rename", "infer_shapes.py:_retype"),
    *_tried("passes/test_outline_kernels.py", "outline_kernels.py:run", "outline_kernels.py:_outline"),
    # Kernels: rewrites.
    *_proved(
        "test_array_rules.py",
        "all elements; all orders of three axes, empty ones too",
        "hoist_transposes.py:_hoist",
    ),
    *_proved("test_array_rules.py", "real numbers, no division by 0", "hoist_scales.py:_hoist_from"),
    *_proved("test_array_rules.py", "real numbers", "decompose_array.py:_decompose"),
    *_proved("test_array_rules.py", "real numbers", "array_to_gpu/prepare.py:_decompose"),
    *_proved("test_array_rules.py", "all bytes, sums that wrap", "recognise_byte_dots.py:_replace"),
    *_proved(
        "test_array_rules.py",
        "sums of real numbers and of bits, extremes of floats with NaN",
        "unroll_rows.py:_unroll",
    ),
    *_proved("test_order.py", "real numbers", "array_to_loops/chains.py:_fuse"),
    *_proved("test_order.py", "all elements, the sign of zero included", "array_to_loops/order.py:_neutral"),
    *_tried("passes/test_recognise_attention.py", "recognise_attention.py:_replace"),
    *_tried("passes/test_batch_products.py", "batch_products.py:_batch"),
    *_tried("backends/test_halves.py", "round_halves.py:_round"),
    *_tried(
        "passes/test_array_passes.py", "unused.py:erase_unused", "array_to_loops/__init__.py:array_to_loops"
    ),
    *_tried(
        "passes/test_order.py", "array_to_loops/order.py:_in_lanes", "array_to_loops/order.py:_product_step"
    ),
    *_tried("passes/test_distribution.py", "array_to_loops/distribution.py:_rebuild"),
    *_tried(
        "passes/test_lifetimes.py", "array_to_loops/lifetimes.py:_span", "array_to_loops/lifetimes.py:_lend"
    ),
    *_tried("compiler/cuda/test_outline_launches.py", "outline_launches.py:outline_launches"),
    # Kernels: scalars, extents and loops.
    *_proved(
        "test_scalars.py",
        "all bits of all dtypes",
        "array_to_loops/scalars.py:apply",
        "array_to_loops/scalars.py:convert",
    ),
    *_proved("test_scalars.py", "all floats", "array_to_loops/scalar_floats.py:on_floats"),
    *_proved("test_scalars.py", "all numbers", "array_to_loops/scalar_integers.py:on_integers"),
    *_proved("test_scalars.py", "all numbers", "array_to_loops/scalar_integers.py:on_bytes"),
    *_proved(
        "test_exhaustive.py",
        "every pair of bytes; wider ones by the law",
        "array_to_loops/scalar_integers.py:_integer_division",
    ),
    *_proved("test_exhaustive.py", "every pair of bytes", "array_to_loops/scalar_integers.py:_integer_power"),
    *_proved(
        "test_scalars.py",
        "all elements",
        "array_to_loops/reductions.py:combine",
        "array_to_loops/reductions.py:identity",
    ),
    *_proved("test_exhaustive.py", "pairs of f16", "array_to_loops/reductions.py:_add_block"),
    *_proved("test_scalars.py", "all floats", "array_to_loops/reductions.py:close"),
    *_proved(
        "test_scalars.py",
        "all elements with NaN",
        "array_to_loops/positions.py:better",
        "array_to_gpu/folding.py:nearer",
    ),
    *_proved("test_extents.py", "all extents and scalars, unbounded", "extent_algebra.py:combine"),
    *_proved("test_extents.py", "all extents and scalars, unbounded", "extent_algebra.py:never_negative"),
    *_proved("test_extents.py", "all extents and bounds, unbounded", "array_extents.py:slice_range"),
    *_proved(
        "test_loops.py",
        "all extents",
        "array_to_loops/builder.py:by_steps",
        "array_to_loops/builder.py:sweep",
    ),
    *_proved(
        "test_loops.py",
        "all extents",
        "array_to_loops/reductions.py:_blocks",
        "array_to_loops/tiling.py:grain_of",
    ),
    *_proved("test_loops.py", "all extents", "array_to_loops/tiles.py:_unravelled"),
)

SCANNED = (
    "replace_all_uses_with", "replace_op", "erase_op", "replace_with", "replace_uses_with_if", "erase_arg",
    "replace_value_with_new_type",
)  # fmt: skip
"""What a function calls that puts one thing in the place of another."""
