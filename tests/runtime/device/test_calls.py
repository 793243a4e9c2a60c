"""Kernels on a device at the edge: which arrays they take and give, what they refuse and in which words."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
from attrs import frozen

from flowc.compiler.backends.cuda.emulated_device import DeviceArray, EmulatedFault
from flowc.compiler.backends.llvm import Options, compile_kernels
from flowc.dialects.array import build
from flowc.dialects.array.types import array_type
from flowc.runtime.device import chunks
from flowc.runtime.device.arguments import fitting
from flowc.runtime.errors import FlowError
from flowc.runtime.kernel_signature import Parameter, Result
from flowc.runtime.kernels import load
from flowc.testing.strategies.kernels import as_module, make_kernel
from tests.runtime.device.stand_in import AFFINE_SIGNATURE as AFFINE
from tests.runtime.device.stand_in import (
    MATRIX,
    ROW,
    SAME,
    Called,
    RecordingDevice,
    affine,
    doubled,
    kernel,
    signature,
)

X, Y = np.arange(6, dtype=np.float32).reshape(2, 3), np.ones(3, np.float32)
WANTED = X * 3 + Y


def refused(called: Any, *arguments: Any, **more: Any) -> FlowError:
    with pytest.raises(FlowError) as error:
        called(*arguments, **more)
    return error.value


def test_arrays_of_the_host_give_arrays_of_the_host_and_leave_nothing_behind() -> None:
    device = RecordingDevice()
    found = kernel(AFFINE, affine, device)(X, Y, 3.0)
    assert type(found) is np.ndarray
    np.testing.assert_array_equal(found, WANTED)
    assert device.held == 0


def test_arrays_on_the_device_are_read_where_they_lie_and_results_stay_there() -> None:
    device = RecordingDevice()
    x, y = device.array(X), device.array(Y)
    found = kernel(AFFINE, affine, device)(x, y, 3.0)
    assert type(found) is DeviceArray
    np.testing.assert_array_equal(np.asarray(found), WANTED)
    assert device.uploads == 0


def test_one_array_on_the_device_keeps_the_result_there() -> None:
    device = RecordingDevice()
    found = kernel(AFFINE, affine, device)(X, device.array(Y), 3.0)
    assert type(found) is DeviceArray
    np.testing.assert_array_equal(np.asarray(found), WANTED)
    assert device.uploads == 1


def test_arrays_of_any_strides_are_taken_on_either_side() -> None:
    device = RecordingDevice()
    called = kernel(signature(MATRIX, results=[SAME]), doubled, device)
    wide = np.zeros((4, 9), np.float32)
    wide[::2, 1::3] = X
    for view in (np.asfortranarray(X), wide[::2, 1::3], X[::-1, ::-1]):
        np.testing.assert_array_equal(called(view), 2 * view)
    there = device.array(np.arange(24).reshape(4, 6).astype(np.float32))
    for part in (there.T, there[::2, 1::2], there[::-1]):
        before = device.uploads
        np.testing.assert_array_equal(np.asarray(called(part)), 2 * np.asarray(part))
        assert device.uploads == before


def test_code_for_one_layout_gets_a_copy_of_what_lies_otherwise() -> None:
    device = RecordingDevice()
    dense = signature(MATRIX, results=[SAME], layouts=("contiguous",))
    there = device.array(X.T.copy()).T
    assert not there.flags.c_contiguous
    (given,) = fitting(dense, [there], device)
    assert given.value.flags.c_contiguous
    np.testing.assert_array_equal(np.asarray(kernel(dense, doubled, device)(there)), 2 * X)


def test_numbers_come_from_either_side() -> None:
    device = RecordingDevice()
    called = kernel(AFFINE, affine, device)
    for number in (3, 3.0, np.float32(3), np.array(3.0), device.array(np.float32(3))):
        np.testing.assert_array_equal(called(X, Y, number), WANTED)


def test_a_result_without_axes_is_a_number_of_the_host() -> None:
    def total(called: Called) -> int:
        (x,), (target,) = called.values, called.results
        return called.launch(lambda: target.fill(x.sum()))

    found = kernel(signature(ROW, results=[Result("f32", ())]), total)(Y)
    assert isinstance(found, np.float32)
    assert found == 3


def test_what_a_kernel_changes_is_changed_on_either_side() -> None:
    def shifted(called: Called) -> int:
        (x,) = called.values
        return called.launch(lambda: np.add(x, 1, out=x))

    device = RecordingDevice()
    called = kernel(signature(Parameter("x", "f32", ("n", "m"), written=True)), shifted, device)
    wide = np.zeros((4, 6), np.float32)
    assert called(wide[::2, ::3]) is None
    np.testing.assert_array_equal(wide.sum(), 4)
    there = device.array(X)
    for _ in range(6):
        called(there)
    np.testing.assert_array_equal(np.asarray(there), X + 6)


def test_out_is_written_on_either_side_and_given_back() -> None:
    device = RecordingDevice()
    called = kernel(signature(MATRIX, results=[SAME]), doubled, device)
    host, wide = np.empty_like(X), np.zeros((2, 6), np.float32)
    assert called(X, out=host) is host
    np.testing.assert_array_equal(host, 2 * X)
    called(X, out=wide[:, ::2])
    np.testing.assert_array_equal(wide[:, ::2], 2 * X)
    there = device.array(X)
    dense, across = device.array(np.zeros_like(X)), device.array(np.zeros((3, 2), np.float32)).T
    for target in (dense, across, there):  # the last overlaps the argument
        assert called(there, out=target) is target
        np.testing.assert_array_equal(np.asarray(target), 2 * X)
    there[...] = X
    called(there, out=host)
    np.testing.assert_array_equal(host, 2 * X)
    assert called(X, out=dense) is dense


@pytest.mark.parametrize(
    ("out", "message"),
    [
        (np.empty((2, 3)), "its elements are float64"),
        (np.empty((3, 2), np.float32), "its shape is (3, 2)"),
        ((np.empty((2, 3), np.float32),) * 2, "2 arrays for 1 results"),
        ([[0.0] * 3] * 2, "it is a list"),
    ],
)
def test_an_unfitting_out_is_refused(out: Any, message: str) -> None:
    problem = refused(kernel(signature(MATRIX, results=[SAME]), doubled), X, out=out).problem
    assert problem.code == "E0760"
    assert message in problem.why


@pytest.fixture(scope="module")
def on_processor() -> Any:
    def body(add: Any, x: Any, y: Any, a: Any) -> Any:
        return add(build.elementwise("add", [add(build.elementwise("mul", [x, a])), y]))

    types = {"x": array_type("f32", ("n", "m")), "y": array_type("f32", ("m",)), "a": array_type("f32", ())}
    code = compile_kernels(as_module(make_kernel(types, body)), Options(cached=False, level=0))
    return load(code.object_code, code.signatures)["k"]


@pytest.mark.parametrize("there", [False, True])
@pytest.mark.parametrize(
    "arguments",
    [
        (X, Y),
        (X, Y.astype(np.float64), 1.0),
        (X, Y.astype(np.int64), 1.0),
        (X[0], Y, 1.0),
        (X, Y[:2], 1.0),
    ],
)
def test_what_does_not_fit_is_refused_in_the_words_of_the_processor(
    on_processor: Any, arguments: tuple[Any, ...], there: bool
) -> None:
    device = RecordingDevice()
    moved = [device.array(each) if there and isinstance(each, np.ndarray) else each for each in arguments]
    problem = refused(kernel(AFFINE, affine, device), *moved).problem
    assert problem == refused(on_processor, *arguments).problem


def test_arrays_of_other_devices_are_refused() -> None:
    other = RecordingDevice(number=3)
    problem = refused(kernel(AFFINE, affine), other.array(X), Y, 1.0).problem
    assert problem.code == "E0784"
    assert "lies on GPU 3" in problem.message


@pytest.mark.parametrize("there", [False, True])
def test_arrays_that_are_changed_must_not_share_memory(there: bool) -> None:
    device = RecordingDevice()
    written = signature(Parameter("x", "f32", ("n",), written=True), Parameter("y", "f32", ("n",)))
    whole: Any = device.array(np.zeros(8, np.float32)) if there else np.zeros(8, np.float32)
    called = kernel(written, lambda _: 0, device)
    assert refused(called, whole[:4], whole[3:7]).problem.code == "E0762"
    called(whole[:4], whole[4:])


def test_a_read_only_array_is_not_changed() -> None:
    written = signature(Parameter("x", "f32", ("n",), written=True))
    fixed = np.zeros(3, np.float32)
    fixed.flags.writeable = False
    assert refused(kernel(written, lambda _: 0), fixed).problem.code == "E0761"


def test_a_status_names_the_line_that_it_concerns() -> None:
    stops = signature(ROW, sites=(4, 9))
    problem = refused(kernel(stops, lambda _: 2 + 16 * 1), Y).problem
    assert (problem.code, problem.line) == ("E0751", 9)


def test_a_launch_that_the_driver_refuses_names_the_device() -> None:
    problem = refused(kernel(AFFINE, affine, RecordingDevice(refuses=700)), X, Y, 1.0).problem
    assert problem.code == "E0785"
    assert problem.message.startswith("an emulated GPU")


def test_a_failure_in_a_function_of_the_table_is_told_as_it_is() -> None:
    class Broken(RecordingDevice):
        def read(self, *_: object) -> None:
            raise RuntimeError("the bus is on fire")

    def reading(called: Called) -> int:
        return 14 if called.table.read(called.table.context, None, None, 4) else 0

    problem = refused(kernel(signature(ROW), reading, Broken()), Y).problem
    assert (problem.code, problem.why) == ("E0785", "the bus is on fire")


@pytest.mark.parametrize(
    ("status", "why"),
    [
        (14, "its driver refused a launch"),
        (14 + 16 * 701, "its driver refused a launch with CUresult 701: it takes more registers or"),
        (14 + 16 * 999, "its driver refused a launch with CUresult 999"),
    ],
)
def test_what_the_driver_answered_to_a_launch_is_told(status: int, why: str) -> None:
    problem = refused(kernel(signature(ROW, sites=(4,) * 1000), lambda _: status), Y).problem
    assert (problem.code, problem.line) == ("E0785", 0)
    assert problem.why.startswith(why)


@frozen(eq=False)
class FailingStream:
    """A stream that tells when somebody waits what has happened before."""

    address: int = 7

    def wait(self) -> None:
        raise EmulatedFault("an access outside of memory")


class FailingDevice(RecordingDevice):
    """A device whose work in streams fails, of which host code learns nothing."""

    failing = True

    def new_stream(self) -> Any:
        return FailingStream() if self.failing else super().new_stream()

    def current_stream(self) -> Any:
        return self.new_stream()


@pytest.mark.parametrize("way", ["whole", "pieces", "plan", "fetched"])
def test_what_a_device_reports_at_a_wait_is_told_of_the_kernel(
    way: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    device = FailingDevice()
    called: Any = kernel(signature(MATRIX, results=[SAME], chunked=(0, 0)), doubled, device)
    if way == "pieces":
        monkeypatch.setattr(chunks, "OVERLAPPED", 1)
        monkeypatch.setattr(chunks, "PIECE", 1)
    given = X if way in ("whole", "pieces") else device.array(X)
    call = called.fetched if way == "fetched" else called.in_plan(True) if way == "plan" else called
    problem = refused(call, given).problem
    assert (problem.code, problem.why) == ("E0785", "an access outside of memory")
    assert "kernel `k`" in problem.message


def test_memory_of_the_caller_s_may_change_as_soon_as_a_call_returns() -> None:
    pending: list[Any] = []

    @frozen(eq=False)
    class Stream:
        address: int = 7

        def wait(self) -> None:
            while pending:
                pending.pop(0)()

    class Device(RecordingDevice):
        """Reads what is put when somebody waits, as a GPU may with pinned memory."""

        own = Stream()

        def current_stream(self) -> Any:
            return self.own

        def put(self, source: Any, array: Any, stream: Any) -> None:
            pending.append(lambda: super(Device, self).put(source, array, stream))

    device = Device()
    x = X.copy()
    found = kernel(AFFINE, affine, device)(x, device.array(Y), 3.0)
    x[...] = np.nan
    device.own.wait()
    np.testing.assert_array_equal(np.asarray(found), WANTED)


def test_negative_extents_are_refused() -> None:
    negative = signature(ROW, results=[Result("f32", (("sub", 2, ("dim", 0, 0)),))])
    assert refused(kernel(negative, lambda _: 0), Y).problem.code == "E0750"


def test_kernels_run_in_several_threads_at_once() -> None:
    called = kernel(AFFINE, affine)
    inputs = [np.full((50, 3), k, np.float32) for k in range(40)]
    with ThreadPoolExecutor(4) as pool:
        results = list(pool.map(lambda x: called(x, Y, 3.0), inputs))
    for x, got in zip(inputs, results, strict=True):
        np.testing.assert_array_equal(got, x * 3 + Y)


def test_what_may_change_between_equal_calls_is_looked_at_each_time() -> None:
    device = RecordingDevice()
    called = kernel(AFFINE, affine, device)
    x, y = device.array(X), device.array(Y)
    bytes_ = device.array(np.zeros(64, np.uint8))
    for _ in range(2):
        np.testing.assert_array_equal(np.asarray(called(x, y, 3.0)), WANTED)
        np.testing.assert_array_equal(np.asarray(called(x, y, device.array(np.float32(3)))), WANTED)
    assert len(called.known) == 1
    odd = bytes_[1:25].view(np.float32).reshape(2, 3)
    odd[...] = X
    np.testing.assert_array_equal(np.asarray(called(odd, y, 3.0)), WANTED)
    other = RecordingDevice(number=2)
    assert refused(called, other.array(X), y, 3.0).problem.code == "E0784"
    assert refused(called, x, y, out=x).problem.code == "E0755"
    assert refused(called, x, y, 3.0, out=device.array(Y)).problem.code == "E0760"
    assert called(x, y, 3.0, out=x) is x
    np.testing.assert_array_equal(np.asarray(x), WANTED)


def test_a_known_call_that_finds_no_memory_says_so() -> None:
    device = RecordingDevice()
    called = kernel(AFFINE, affine, device)
    x, y = device.array(X), device.array(Y)
    called(x, y, 3.0)
    device.memory = device.held + 100
    assert refused(called, x, y, 3.0).problem.code == "E0783"
