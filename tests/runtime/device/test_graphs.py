"""Calls that come again and again are recorded, and do the same as before."""

from itertools import pairwise
from typing import Any

import numpy as np
import pytest

from flowc.runtime.device import graphs
from flowc.runtime.device.graphs import RECORDED_AT
from flowc.runtime.device.spans import recorded
from flowc.runtime.errors import FlowError
from flowc.runtime.kernel_signature import Parameter
from tests.runtime.device.stand_in import AFFINE_SIGNATURE as AFFINE
from tests.runtime.device.stand_in import (
    MATRIX,
    NUMBER,
    SAME,
    Called,
    RecordingDevice,
    affine,
    doubled,
    kernel,
    signature,
)

X, Y = np.arange(6, dtype=np.float32).reshape(2, 3), np.ones(3, np.float32)


def arrays(device: RecordingDevice) -> tuple[Any, Any, Any]:
    return device.array(X), device.array(Y), device.empty(X.shape, X.dtype)


def test_the_third_equal_call_is_recorded_and_later_ones_are_replayed() -> None:
    device = RecordingDevice()
    x, y, out = arrays(device)
    called = kernel(AFFINE, affine, device)
    for number in range(1, 8):
        x[...] = X + number
        called(x, y, 3.0, out=out)
        np.testing.assert_array_equal(np.asarray(out), (X + number) * 3 + Y)
    (graph,) = device.graphs
    assert len(graph.launches) == 8 - RECORDED_AT
    assert device.done == 2 * (RECORDED_AT - 1)


def test_a_graph_keeps_its_temporaries_apart_from_others() -> None:
    device = RecordingDevice()
    x, y, out = arrays(device)
    called = kernel(AFFINE, affine, device)
    before = device.held
    for _ in range(4):
        called(x, y, 3.0, out=out)
    assert device.held > before
    other = kernel(AFFINE, affine, device)
    other(X, Y, 7.0)
    called(x, y, 3.0, out=out)
    np.testing.assert_array_equal(np.asarray(out), X * 3 + Y)


@pytest.mark.parametrize("change", ["number", "sign", "address", "shape"])
def test_another_call_is_not_taken_for_the_recorded_one(change: str) -> None:
    device = RecordingDevice()
    x, y, out = arrays(device)
    called = kernel(AFFINE, affine, device)
    for _ in range(5):
        called(x, y, 0.0, out=out)
    number = {"number": 2.0, "sign": -0.0}.get(change, 0.0)
    if change == "address":
        x = device.array(-X)
    if change == "shape":
        x, out = x[:1], out[:1]
    called(x, y, number, out=out)
    wanted = np.asarray(x) * np.float32(number) + 2 * (np.asarray(y) / 2)
    np.testing.assert_array_equal(np.asarray(out), wanted)
    assert len(device.graphs) == 1
    assert len(device.graphs[0].launches) == 5 - RECORDED_AT + 1


def test_a_call_that_changes_its_argument_changes_it_once() -> None:
    def shifted(called: Called) -> int:
        (x,) = called.values
        return called.launch(lambda: np.add(x, 1, out=x))

    device = RecordingDevice()
    x = device.array(X)
    called = kernel(signature(Parameter("x", "f32", ("n", "m"), written=True)), shifted, device)
    for _ in range(6):
        called(x)
    np.testing.assert_array_equal(np.asarray(x), X + 6)
    assert len(device.graphs) == 1


@pytest.mark.parametrize("function", ["read", "product"])
def test_host_code_that_waits_or_asks_a_library_is_never_recorded(function: str) -> None:
    def waiting(called: Called) -> int:
        table = called.table
        if function == "read":
            word = np.zeros(1, np.float32)
            there = called.values[0].ctypes.data
            failed = table.read(table.context, word.ctypes.data, there, 4)
        else:
            failed = table.product(table.context, None)
        return 14 if failed else doubled(called)

    class Device(RecordingDevice):
        def product(self, *_: object) -> None:
            pass

    device = Device()
    x, _, out = arrays(device)
    called = kernel(signature(MATRIX, results=[SAME]), waiting, device)
    for _ in range(6):
        out[...] = 0
        called(x, out=out)
        np.testing.assert_array_equal(np.asarray(out), 2 * X)
    assert len(device.graphs) == 1
    assert not device.graphs[0].launches
    assert called.graphs.refused


def test_a_call_that_fails_is_not_recorded_and_fails_each_time() -> None:
    device = RecordingDevice()
    x, _, out = arrays(device)
    called = kernel(signature(MATRIX, results=[SAME], sites=(3,)), lambda _: 2, device)
    for _ in range(5):
        with pytest.raises(FlowError, match="E0751"):
            called(x, out=out)
    assert not called.graphs.kept


def test_an_interruption_of_a_recording_ends_the_call() -> None:
    class Device(RecordingDevice):
        def copy(self, *_: object) -> None:
            if self.recording is not None:
                raise KeyboardInterrupt

    def copying(called: Called) -> int:
        table = called.table
        return 14 if table.copy(table.context, None, None, 0) else doubled(called)

    device = Device()
    x, _, out = arrays(device)
    called = kernel(signature(MATRIX, results=[SAME]), copying, device)
    for _ in range(RECORDED_AT - 1):
        called(x, out=out)
    with pytest.raises(KeyboardInterrupt):
        called(x, out=out)


def test_graphs_and_calls_are_forgotten_when_there_are_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(graphs, "MOST_GRAPHS", 2)
    monkeypatch.setattr(graphs, "MOST_MET", 3)
    device = RecordingDevice()
    called = kernel(signature(MATRIX, NUMBER, results=[SAME]), doubled, device)
    x, _, out = arrays(device)
    for number in range(6):
        for _ in range(4):
            called(x, float(number), out=out)
    assert len(called.graphs.kept) == 2
    for number in range(100, 110):
        called(x, float(number), out=out)
    assert len(called.graphs.met) == 3


def test_arrays_of_the_host_are_never_part_of_a_graph() -> None:
    device = RecordingDevice()
    called = kernel(AFFINE, affine, device)
    for _ in range(6):
        called(X, device.array(Y), 3.0)
        called(X, Y, 3.0)
    assert not device.graphs


def test_a_traced_call_is_done_launch_by_launch() -> None:
    device = RecordingDevice()
    x, y, out = arrays(device)
    called = kernel(AFFINE, affine, device)
    with recorded() as recorder:
        for _ in range(5):
            called(x, y, 3.0, out=out)
    assert not device.graphs
    spans = recorder.spans()
    assert [span.kernel for span in spans] == ["k"] * 5
    assert all(a.end <= b.start for a, b in pairwise(spans))
    assert all(span.start <= span.end for span in spans)
