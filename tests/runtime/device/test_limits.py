"""A flow's limit of memory bounds what its kernels hold on a device."""

from typing import Any

import numpy as np
import pytest

from flowc.compiler.driver import compile_text
from flowc.runtime.device import chunks
from flowc.runtime.device.enclosing import enclosing_limits
from flowc.runtime.device.placing import PlacedKernel, Placement
from flowc.runtime.environment import Environment
from flowc.runtime.execute import run
from flowc.runtime.kernel_signature import KernelSignature, Parameter, Result
from tests.runtime.device.stand_in import RecordingDevice, doubled, kernel

PROGRAM = """
kernel double(x: f32[n]) -> f32[n]:
    return x + x

flow free(x: f32[n]) -> f32[n]:
    return double(x)

flow bound(x: f32[n]) -> f32[n]:
    with memory(1MB):
        with memory(40KB):
            y = double(x)
    return y

@memory(30KB)
flow whole(x: f32[n]) -> f32[n]:
    with memory(1MB):
        y = double(x)
    return y
"""
DOUBLE = KernelSignature("double", (Parameter("x", "f32", ("n",)),), (Result("f32", ("n",)),), chunked=(0, 0))


@pytest.mark.parametrize(("flow", "limit"), [("free", None), ("bound", 40_000), ("whole", 30_000)])
@pytest.mark.parametrize("placed", [False, True])
def test_kernels_hold_no_more_than_the_limit_around_them(
    flow: str, limit: int | None, placed: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(chunks, "LOOKED_UP", 0)
    device = RecordingDevice()
    called: Any = kernel(DOUBLE, doubled, device)
    if placed:
        called = PlacedKernel("double", called, called, lambda *_: Placement("cuda", "it is asked to"))
    x = np.arange(7000, dtype=np.float32)
    plan = compile_text(PROGRAM, "main.flow", level=0).plan
    report = run(plan, flow, {"x": x}, environment=Environment(kernels={"double": called}))
    assert report.problem is None
    np.testing.assert_array_equal(report.result, 2 * x)
    assert device.most == (2 * x.nbytes if limit is None else pytest.approx(limit, rel=0.1))


def test_the_least_limit_around_a_node_counts() -> None:
    plan = compile_text(PROGRAM, "main.flow", level=0).plan
    assert sorted(enclosing_limits(plan).values()) == [30_000, 40_000]
