"""`@jit` and `@kernel` with a target: arrays on either side, and where calls go."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import flowc
from flowc.compiler.backends.cuda.emulated_device import DeviceArray, EmulatedDevice, load_emulated
from flowc.compiler.backends.cuda.emulation import emulate
from flowc.compiler.python import jit_device
from flowc.compiler.python.jit import Jit
from flowc.compiler.python.jit_device import Back, DeviceJit
from flowc.runtime.device import choosing, placing
from flowc.runtime.device.failures import no_device
from flowc.runtime.device.placing import Placement
from flowc.runtime.device.site import Site
from flowc.runtime.errors import FlowError

needs_compiler = pytest.mark.skipif(not emulate.available(), reason="there is no C++ compiler")
(n,) = flowc.dims("n")
X = np.linspace(-2, 2, 40, dtype=np.float32).reshape(5, 8)


def scaled(x: Any, by: float = 2.0) -> Any:
    return x * by + 1


@pytest.fixture
def device() -> EmulatedDevice:
    return EmulatedDevice()


@pytest.fixture
def back(device: EmulatedDevice) -> Back:
    site = Site(device)
    return Back(lambda: site, (), lambda code: load_emulated(code, device)[0])


@pytest.fixture
def without(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (choosing, placing, jit_device):
        monkeypatch.setattr(module, "absence", lambda: no_device("nobody put one in"))

    def nowhere() -> Any:
        raise no_device("nobody put one in")

    monkeypatch.setattr(jit_device, "Back", lambda: Back(nowhere))


@needs_compiler
def test_a_function_takes_arrays_on_either_side(device: EmulatedDevice, back: Back) -> None:
    called = DeviceJit(scaled, back=back)
    host = called(X)
    assert type(host) is np.ndarray
    np.testing.assert_allclose(host, scaled(X), rtol=1e-6)
    there = called(device.array(X), by=3.0)
    assert type(there) is DeviceArray
    np.testing.assert_allclose(np.asarray(there), scaled(X, 3.0), rtol=1e-6)
    assert len(called._in_rows) == 1
    out = np.empty_like(X)
    assert called(X, out=out) is out
    np.testing.assert_allclose(out, scaled(X), rtol=1e-6)


@needs_compiler
def test_arrays_in_columns_are_taken_as_they_lie(device: EmulatedDevice, back: Back) -> None:
    called = DeviceJit(scaled, back=back)
    for columns in (X.T, device.array(X).T):
        np.testing.assert_allclose(np.asarray(called(columns)), scaled(X.T), rtol=1e-6)


@needs_compiler
def test_numbers_on_the_device_are_numbers(device: EmulatedDevice, back: Back) -> None:
    found = DeviceJit(scaled, back=back)(X, device.array(np.float32(4)))
    np.testing.assert_allclose(found, scaled(X, 4.0), rtol=1e-6)


@needs_compiler
def test_the_explanation_names_the_functions_of_the_device(back: Back) -> None:
    told = DeviceJit(scaled, back=back).explain(X)
    assert told.startswith("scaled(")
    assert "functions  scaled_0" in told


@needs_compiler
def test_auto_asks_where_each_call_goes(back: Back, device: EmulatedDevice) -> None:
    asked = []

    def place(name: str, arguments: Any) -> Placement:
        asked.append(name)
        return Placement("cuda" if isinstance(arguments[0], DeviceArray) else "cpu", "of its type")

    called = DeviceJit(scaled, target="auto", back=back, place=place)
    assert type(called(X)) is np.ndarray
    assert not called._in_rows
    assert type(called(device.array(X))) is DeviceArray
    assert asked == ["scaled"] * 2


@pytest.mark.usefixtures("without")
def test_without_a_gpu_cuda_is_refused_and_auto_is_the_processor() -> None:
    with pytest.raises(FlowError, match="E0780"):
        flowc.jit(target="cuda")(scaled)(X)
    np.testing.assert_allclose(flowc.jit(target="auto")(scaled)(X), scaled(X), rtol=1e-6)


def test_the_usual_target_needs_nothing_of_this() -> None:
    assert type(flowc.jit(scaled)) is Jit
    assert type(flowc.jit(target="cpu")(scaled)) is Jit


@pytest.mark.parametrize("target", ["gpu", "CUDA", None, 1])
def test_a_target_that_is_none_is_refused(target: Any) -> None:
    with pytest.raises(ValueError, match="target is"):
        flowc.jit(target=target)
    with pytest.raises(ValueError, match="target is"):
        flowc.kernel(target=target)


@flowc.kernel(target="cuda")
def doubled(x: flowc.f32[n]) -> flowc.f32[n]:
    return x + x


@flowc.kernel
def halved(x: flowc.f32[n]) -> flowc.f32[n]:
    return x / 2


@flowc.flow
def both(x: flowc.f32[n]) -> flowc.f32[n]:
    return halved(doubled(x))


@pytest.mark.usefixtures("without")
def test_a_kernel_runs_where_it_says_and_where_a_caller_says() -> None:
    x = np.ones(3, np.float32)
    with pytest.raises(FlowError, match="E0780"):
        doubled(x)
    np.testing.assert_array_equal(doubled.using(target="cpu")(x), 2 * x)
    np.testing.assert_array_equal(doubled.using(target="auto")(x), 2 * x)
    np.testing.assert_array_equal(both.using(target="cpu")(x), x)
    np.testing.assert_array_equal(halved(x), x / 2)


@pytest.mark.usefixtures("without")
def test_kernels_of_a_file_are_loaded_for_a_target(tmp_path: Path) -> None:
    file = tmp_path / "k.flow"
    file.write_text("kernel double(x: f32[n]) -> f32[n]:\n    return x + x\n")
    x = np.ones(3, np.float32)
    np.testing.assert_array_equal(flowc.load(file, target="auto")["double"](x), 2 * x)
    with pytest.raises(FlowError, match="E0780"):
        flowc.load(file, target="cuda")
