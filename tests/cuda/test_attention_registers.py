"""What attention needs of a device, as NVRTC says."""

import re
from collections.abc import Callable

import pytest

from flowc.compiler.backends.cuda import nvrtc
from flowc.passes.array_to_gpu.attention.fragments import Shape
from flowc.passes.array_to_gpu.attention.tensor_cores import shape_of_few, shape_of_many, shared_bytes
from tests.cuda.comparing import on_device
from tests.cuda.test_attention import attend, kernel

_NARROW = re.compile(r"__global__ void (?:__launch_bounds__\(\d+\) )?(\w+)\([^{]*\{\s*using idx = int;")


@pytest.mark.skipif(not nvrtc.available(), reason="NVRTC is not installed")
@pytest.mark.parametrize("architecture", ["sm_80", "sm_90"])
@pytest.mark.parametrize(("dtype", "features"), [("f16", 64), ("bf16", 128)])
def test_registers_hold_a_tile(dtype: str, features: int, architecture: str) -> None:
    module = kernel(dtype, (features, features), attend(causal=True))
    text = on_device(module, layouts=("contiguous",) * 3).text
    narrow = _NARROW.findall(text)
    figures = {each.kernel: each for each in nvrtc.compile_text(text, architecture).figures}
    assert len(narrow) == 3
    for name in narrow:
        assert figures[name].spill_bytes == 0, figures[name]


@pytest.mark.parametrize("shape_of", [shape_of_many, shape_of_few])
@pytest.mark.parametrize("depth", range(16, 257, 16))
def test_a_block_fits_every_device(depth: int, shape_of: Callable[[int], Shape]) -> None:
    for features in range(16, 257, 16):
        assert shared_bytes(shape_of(max(depth, features)), depth, features) <= 64 << 10
