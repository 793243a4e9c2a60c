"""The forms that kernels have in other libraries, as far as these can be stood in for."""

import importlib
import sys
from functools import partial
from types import ModuleType, SimpleNamespace
from typing import Any
from unittest.mock import MagicMock

import numpy as np
import pytest

from benchmarks.gpu import child, clocks
from benchmarks.gpu.catalogue import KERNELS
from benchmarks.gpu.kernel import GpuKernel
from benchmarks.gpu.libraries import LIBRARIES, Library
from benchmarks.kernels.child import load, result
from benchmarks.kernels.kernel import disagreement
from flowc.compiler.backends.cuda.emulated_device import EmulatedDevice, load_emulated
from flowc.compiler.backends.cuda.emulation import emulate
from flowc.compiler.python import jit_device
from flowc.compiler.python.jit_device import Back
from flowc.runtime.device.site import Site
from tests.cuda import conftest as devices

STOOD_IN = ("torch", "torch.nn", "torch.nn.attention", "triton", "jax", "cupy")


def imported(name: str, patch: pytest.MonkeyPatch, **modules: Any) -> ModuleType:
    """A module of forms, with other modules in place of the libraries."""
    for each in STOOD_IN:
        patch.setitem(sys.modules, each, modules.get(each, MagicMock()))
    patch.delitem(sys.modules, f"benchmarks.gpu.{name}", raising=False)
    found = importlib.import_module(f"benchmarks.gpu.{name}")
    patch.delitem(sys.modules, f"benchmarks.gpu.{name}")
    return found


@pytest.mark.parametrize(("name", "table"), [("in_cupy", "OWN"), ("in_torch", "PLAIN"), ("in_jax", "FORMS")])
def test_every_kernel_has_a_form_in_a_library(name: str, table: str, monkeypatch: pytest.MonkeyPatch) -> None:
    module = imported(name, monkeypatch)
    assert set(getattr(module, table)) == set(KERNELS)
    for kernel in KERNELS:
        assert module.forms(kernel)


def test_triton_has_forms_of_kernels_that_there_are(monkeypatch: pytest.MonkeyPatch) -> None:
    module = imported("in_triton", monkeypatch)
    assert set(module.FORMS) < set(KERNELS)
    assert not module.forms("sort")


@pytest.mark.parametrize("kernel", KERNELS.values(), ids=KERNELS)
def test_what_cupy_is_asked_for_is_what_is_expected(
    kernel: GpuKernel, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = imported("in_cupy", monkeypatch, cupy=np)
    arrays = kernel.inputs(np.random.default_rng(0), kernel.small)
    found = result(module.OWN[kernel.name](*arrays.values()))
    assert not disagreement(kernel, kernel.reference(arrays), kernel.part(found))


def test_a_call_that_is_wrong_or_fails_is_told(tmp_path: Any) -> None:
    kernel = KERNELS["affine"]
    arrays = kernel.inputs(np.random.default_rng(0), 1e-6)
    child.save(tmp_path, kernel, arrays)
    kept = load(tmp_path)
    assert list(kept) == ["x", "y"]
    expected = np.load(tmp_path / "expected.npy")
    library = Library("numpy", lambda *_: {}, np.asarray, lambda moved: clocks.Clock(len, len))
    right = np.maximum(kept["x"] + kept["y"], 0) * np.float32(1.5)
    assert child.checked(library, kernel, expected, lambda: right) == ""
    assert "off by" in child.checked(library, kernel, expected, lambda: right + 1)
    assert "ZeroDivisionError" in child.checked(library, kernel, expected, lambda: 1 // 0)


def test_every_library_has_a_clock_and_calls() -> None:
    assert list(LIBRARIES) == ["flowc", "cupy", "torch", "torch_compile", "triton", "jax"]


def test_cupys_clock_sweeps_and_then_puts_a_call_between_events(monkeypatch: pytest.MonkeyPatch) -> None:
    done: list[str] = []

    class Event:
        def record(self) -> None:
            done.append("event")

        def synchronize(self) -> None:
            done.append("wait")

    cuda = SimpleNamespace(
        Event=Event,
        get_elapsed_time=lambda first, last: 2.5,
        get_current_stream=lambda: SimpleNamespace(synchronize=lambda: done.append("wait")),
    )
    swept = SimpleNamespace(fill=lambda number: done.append("sweep"))
    cupy = SimpleNamespace(cuda=cuda, zeros=lambda size, dtype: swept, uint8=np.uint8)
    monkeypatch.setitem(sys.modules, "cupy", cupy)
    clock = clocks.by_cupy()
    assert clock.busy(lambda: done.append("call")) == 2.5e-3
    assert done == ["sweep", "event", "call", "event", "wait"]
    done.clear()
    assert 0 <= clock.wall(lambda: done.append("call")) < 60
    assert done == ["wait", "call", "wait"]


@pytest.mark.skipif(not emulate.available(), reason="there is no C++ compiler")
def test_flowc_is_called_with_arrays_of_the_device_by_a_graph_and_without(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    device = EmulatedDevice()
    site = Site(device)
    back = Back(lambda: site, (), lambda code: load_emulated(code, device)[0])
    monkeypatch.setattr(jit_device, "Back", lambda: back)
    monkeypatch.setitem(sys.modules, "cupy", SimpleNamespace(asarray=device.array))
    kernel = KERNELS["affine"]
    arrays = kernel.inputs(np.random.default_rng(0), kernel.small)
    assert list(LIBRARIES["flowc"].calls(kernel, arrays)) == ["flowc"]
    calls = LIBRARIES["flowc"].calls(kernel._replace(bound="orders"), arrays)
    assert list(calls) == ["flowc", "flowc without graph"]
    refused = []
    for call in calls.values():
        assert isinstance(call, partial)
        refused.append(call.func.specialisation(call.args).kernel.graphs.refused)
        for _ in range(4):
            assert not disagreement(kernel, kernel.reference(arrays), np.asarray(call()))
    assert refused == [False, True]


def test_jax_is_not_timed_where_it_has_no_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "jax", SimpleNamespace(default_backend=lambda: "cpu"))
    with pytest.raises(RuntimeError, match="no GPU"):
        clocks.by_jax(0.0)


def test_the_tests_of_kernels_run_on_a_device_that_there_is() -> None:
    devices.choose("emulated")
    with pytest.raises(ValueError, match="card"):
        devices.choose("cards")
