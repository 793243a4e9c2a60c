"""The passes over kernels by name, in the order in which the compiler of kernels runs what they do.

`flowc opt` takes them beside those of `pipelines`; the compiler itself calls their functions.
"""

from collections.abc import Mapping

from xdsl.passes import ModulePass

from flowc.passes.array_to_loops import ArrayToLoopsPass
from flowc.passes.batch_products import BatchProductsPass
from flowc.passes.decide_kernels import DecideKernelsPass
from flowc.passes.decompose_array import DecomposeArrayPass
from flowc.passes.fuse_array import FuseArrayPass
from flowc.passes.hoist_scales import HoistScalesPass
from flowc.passes.hoist_transposes import HoistTransposesPass
from flowc.passes.kernel_choices import ChooseKernelsPass
from flowc.passes.outline_launches import OutlineLaunchesPass
from flowc.passes.recognise_attention import RecogniseAttentionPass
from flowc.passes.recognise_byte_dots import RecogniseByteDotsPass
from flowc.passes.round_halves import RoundHalvesPass
from flowc.passes.unroll_rows import UnrollRowsPass

KERNEL_PASSES: Mapping[str, type[ModulePass]] = {
    each.name: each
    for each in (
        RoundHalvesPass,
        RecogniseAttentionPass,
        RecogniseByteDotsPass,
        BatchProductsPass,
        HoistTransposesPass,
        DecomposeArrayPass,
        UnrollRowsPass,
        HoistScalesPass,
        ChooseKernelsPass,
        DecideKernelsPass,
        FuseArrayPass,
        ArrayToLoopsPass,
        OutlineLaunchesPass,
    )
}
"""Passes over kernels by name; `fuse-array` does what those between `round-halves` and
`choose-kernels` do."""
