"""Calls that go by pieces: the same results, less memory, and only where the kernel allows it."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from flowc.runtime.device import chunks
from flowc.runtime.device.arguments import fitting
from flowc.runtime.device.chunks import Cut, may_cut
from flowc.runtime.device.outputs import Destination
from flowc.runtime.device.transfers import needed
from flowc.runtime.errors import FlowError
from flowc.runtime.kernel_signature import Parameter, Result
from tests.runtime.device.stand_in import (
    MATRIX,
    NUMBER,
    ROW,
    SAME,
    Called,
    RecordingDevice,
    affine,
    doubled,
    kernel,
    signature,
)

AFFINE = signature(MATRIX, ROW, NUMBER, results=[SAME], chunked=(0, None, None, 0))
Y = np.arange(4, dtype=np.float32)


def rows(count: int) -> Any:
    return np.arange(4 * count, dtype=np.float32).reshape(count, 4)


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Everything counts as large, so that pieces can be small."""
    monkeypatch.setattr(chunks, "LOOKED_UP", 0)


def test_pieces_cover_all_rows_once() -> None:
    assert Cut(3, 8).pieces() == [(0, 3), (3, 6), (6, 8)]
    assert Cut(3, 0).pieces() == []


@given(st.integers(1, 40), st.integers(1200, 6000))
def test_a_call_that_does_not_fit_goes_by_pieces_and_gives_the_same(count: int, memory: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(chunks, "LOOKED_UP", 0)
        device = RecordingDevice(memory=memory)
        x = rows(count)
        np.testing.assert_array_equal(kernel(AFFINE, affine, device)(x, Y, 3.0), x * 3 + Y)
        assert device.most <= memory
        assert device.held == 0


@pytest.mark.usefixtures("small")
def test_a_row_that_does_not_fit_is_refused() -> None:
    device = RecordingDevice(memory=500)
    with pytest.raises(FlowError, match="E0783"):
        kernel(AFFINE, affine, device)(rows(8), Y, 3.0)
    assert device.held == 0


@pytest.mark.usefixtures("small")
def test_no_more_memory_is_held_than_the_limit() -> None:
    device = RecordingDevice()
    called = kernel(signature(MATRIX, results=[SAME], chunked=(0, 0)), doubled, device, limit=4000)
    x = rows(1000)
    np.testing.assert_array_equal(called(x), 2 * x)
    assert device.most <= 4000
    assert device.done > 8


def test_large_arrays_of_the_host_go_by_pieces_though_they_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chunks, "OVERLAPPED", 1000)
    monkeypatch.setattr(chunks, "PIECE", 320)
    device = RecordingDevice()
    x = rows(100)
    np.testing.assert_array_equal(kernel(AFFINE, affine, device)(x, Y, 1.0), x + Y)
    assert device.done == 2 * -(-100 // 10)
    assert device.uploads == 1 + 10  # the row once


def test_arrays_on_the_device_go_as_a_whole_while_they_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chunks, "OVERLAPPED", 0)
    device = RecordingDevice()
    kernel(AFFINE, affine, device)(device.array(rows(100)), Y, 1.0)
    assert device.done == 2


def test_a_kernel_without_pieces_says_what_is_missing() -> None:
    device = RecordingDevice(memory=1000)
    with pytest.raises(FlowError) as error:
        kernel(signature(MATRIX, results=[SAME]), doubled, device)(rows(100))
    assert error.value.problem.code == "E0783"
    assert "an emulated GPU" in error.value.problem.message
    assert device.held == 0


@pytest.mark.usefixtures("small")
def test_temporaries_that_do_not_fit_make_pieces_smaller() -> None:
    def squared(called: Called) -> int:
        """A temporary of 64 bytes an element."""
        (x,), (target,) = called.values, called.results
        spare, address = called.temporary(16 * x.size)
        if not address:
            return 1
        spare[: x.size] = x.ravel()
        failed = called.launch(lambda: np.multiply(x, x, out=target))
        called.table.release(called.table.context, address, 4 * 16 * x.size)
        return 14 if failed else 0

    device = RecordingDevice(memory=40_000)
    x = rows(500)
    called = kernel(signature(MATRIX, results=[SAME], chunked=(0, 0)), squared, device)
    np.testing.assert_array_equal(called(x), x * x)
    assert device.most <= 40_000


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize("there", [False, True])
def test_what_a_kernel_changes_is_changed_once_in_every_row(there: bool) -> None:
    def shifted(called: Called) -> int:
        (x,) = called.values
        return called.launch(lambda: np.add(x, 1, out=x))

    written = signature(Parameter("x", "f32", ("n", "m"), written=True))
    device = RecordingDevice()
    x: Any = rows(100)
    target = device.array(x) if there else x.copy()
    kernel(written, shifted, device, limit=500)(target)
    np.testing.assert_array_equal(np.asarray(target), x + 1)


@pytest.mark.usefixtures("small")
def test_pieces_go_along_any_axis_of_an_argument() -> None:
    def turned(called: Called) -> int:
        (x,), (target,) = called.values, called.results
        return called.launch(lambda: np.copyto(target, x.T))

    columns = signature(
        Parameter("x", "f32", ("m", "n")), results=[Result("f32", ("n", "m"))], chunked=(1, 0)
    )
    x = rows(30)
    np.testing.assert_array_equal(kernel(columns, turned, limit=1500)(x.T), x)


@pytest.mark.usefixtures("small")
def test_out_is_filled_by_pieces_wherever_it_is() -> None:
    device = RecordingDevice()
    called = kernel(signature(MATRIX, results=[SAME], chunked=(0, 0)), doubled, device, limit=3000)
    x, wide = rows(100), np.zeros((100, 8), np.float32)
    called(x, out=wide[:, ::2])
    np.testing.assert_array_equal(wide[:, ::2], 2 * x)
    for there in (device.array(np.zeros_like(x)), device.array(np.zeros((4, 100), np.float32)).T):
        assert called(x, out=there) is there
        np.testing.assert_array_equal(np.asarray(there), 2 * x)


@pytest.mark.parametrize(
    ("axes", "written", "wanted"),
    [((), False, False), ((0, 0), False, True), ((None, 0), False, False), ((0, 1), False, False),
     ((0, None), False, False), ((0, 0), True, False)],
)  # fmt: skip
def test_results_are_cut_by_their_first_axis(axes: tuple[Any, ...], written: bool, wanted: bool) -> None:
    described = signature(Parameter("x", "f32", ("n", "m"), written=written), results=[SAME], chunked=axes)
    assert may_cut(described) is wanted


@pytest.fixture
def cut_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever comes from host memory goes by pieces of a few rows."""
    monkeypatch.setattr(chunks, "OVERLAPPED", 100)
    monkeypatch.setattr(chunks, "PIECE", 160)


@pytest.mark.usefixtures("cut_up")
@pytest.mark.parametrize("by", [-7, -1, 0, 1, 57])
def test_rows_that_are_still_to_be_read_are_not_written(by: int) -> None:
    whole = rows(200)
    x, out = whole[60:140], whole[60 + by : 140 + by]
    wanted = 2 * x
    called = kernel(signature(MATRIX, results=[SAME], chunked=(0, 0)), doubled)
    assert called(x, out=out) is out
    np.testing.assert_array_equal(out, wanted)


@pytest.mark.usefixtures("cut_up")
@pytest.mark.parametrize("by", [-1, 1, 57])
def test_rows_of_the_device_that_are_still_to_be_read_are_not_written(by: int) -> None:
    def summed(called: Called) -> int:
        (x, y), (target,) = called.values, called.results
        return called.launch(lambda: np.add(x, y, out=target))

    device = RecordingDevice()
    both = signature(MATRIX, Parameter("z", "f32", ("n", "m")), results=[SAME], chunked=(0, 0, 0))
    whole = device.array(rows(200))
    there, out = whole[60:140], whole[60 + by : 140 + by]
    wanted = np.asarray(there) + rows(80)
    assert kernel(both, summed, device)(rows(80), there, out=out) is out
    np.testing.assert_array_equal(np.asarray(out), wanted)
    assert device.done > 2


@pytest.mark.usefixtures("cut_up")
def test_a_call_that_runs_out_of_memory_on_its_way_is_made_again_with_what_it_was_given() -> None:
    calls = 0

    def sometimes(called: Called) -> int:
        nonlocal calls
        calls += 1
        return 1 if calls == 5 else doubled(called)

    x = rows(100)
    kernel(signature(MATRIX, results=[SAME], chunked=(0, 0)), sometimes)(x, out=x)
    np.testing.assert_array_equal(x, 2 * rows(100))
    assert calls > 15


@pytest.mark.usefixtures("cut_up")
def test_results_of_pieces_are_allocated_in_the_caller_s_stream() -> None:
    class Device(RecordingDevice):
        within: Any = None
        made: Any = ()

        def on(self, stream: Any) -> Any:
            self.within = stream
            return super().on(stream)

        def empty(self, shape: Any, dtype: Any) -> Any:
            self.made += ((tuple(shape), self.within),)
            return super().empty(shape, dtype)

    device = Device()
    y = device.array(Y)
    found = kernel(AFFINE, affine, device)(rows(100), y, 3.0)
    np.testing.assert_array_equal(np.asarray(found), 3 * rows(100) + Y)
    assert [stream for shape, stream in device.made if shape == (100, 4)] == [device.stream]
    assert len(device.made) > 5


@pytest.mark.usefixtures("small")
def test_a_result_that_is_there_already_needs_no_memory() -> None:
    device = RecordingDevice(memory=5000)
    x, out = device.array(rows(100)), device.array(rows(100))
    called = kernel(signature(MATRIX, NUMBER, results=[SAME]), doubled, device)
    targets = [Destination(out, True, True)], [Destination(None, True, True)], [Destination(out, True)]
    (found, number) = fitting(called.signature, (x, 1.0), device)
    sizes = [needed(called.signature, (found, number), [(100, 4)], each) for each in targets]
    assert sizes == [0, 1600, 1600]
