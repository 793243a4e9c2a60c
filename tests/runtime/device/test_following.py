"""Results stay on the GPU between kernels of a plan, and leave it for whoever else reads them."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pytest

from flowc.compiler.backends.cuda.emulated_device import DeviceArray
from flowc.compiler.driver import compile_text
from flowc.runtime.device import placing
from flowc.runtime.device.following import Coming, Step, following
from flowc.runtime.device.placing import PlacedKernel, Placement
from flowc.runtime.environment import Environment
from flowc.runtime.execute import run
from flowc.runtime.history.kernel_samples import KernelNotes
from flowc.runtime.kernel_signature import KernelSignature, Parameter, Result
from tests.runtime.device.stand_in import RecordingDevice, doubled, kernel

PROGRAM = """
kernel double(x: f32[n]) -> f32[n]:
    return x + x

kernel twice(x: f32[n]) -> f32[n]:
    return x + x

tool look(x: f32[n]) -> bool reads eyes

flow chain(x: f32[n]) -> f32[n]:
    return double(twice(double(x)))

flow bound(x: f32[n]) -> f32[n]:
    with memory(1MB):
        y = twice(double(x))
    return y

flow shared(x: f32[n]) -> list[f32[n]]:
    y = double(x)
    return [double(y), twice(y)]

flow shown(x: f32[n]) -> list[f32[n]]:
    y = double(x)
    return [y, twice(y)]

flow asked(x: f32[n]) -> f32[n]:
    y = double(x)
    return twice(y) if look(y) else x

flow inside(x: f32[n], many: list[int]) -> list[f32[n]]:
    y = double(x)
    return [twice(y) for each in many]
"""
X = np.arange(100, dtype=np.float32)


class Watching(RecordingDevice):
    """A device that counts what comes and goes."""

    downloads = 0

    def get(self, array: Any, target: Any, stream: Any) -> None:
        type(self).downloads += 1
        super().get(array, target, stream)


def described(name: str) -> KernelSignature:
    return KernelSignature(name, (Parameter("x", "f32", ("n",)),), (Result("f32", ("n",)),), chunked=(0, 0))


def on_processor(x: Any) -> Any:
    assert type(x) is np.ndarray
    return x + x


@pytest.fixture
def device(monkeypatch: pytest.MonkeyPatch) -> Watching:
    monkeypatch.setattr(placing, "on_device", lambda each: isinstance(each, DeviceArray))
    monkeypatch.setattr(Watching, "downloads", 0)
    return Watching()


def kernels(device: Watching) -> dict[str, Any]:
    return {name: kernel(described(name), doubled, device) for name in ("double", "twice")}


def ran(flow: str, found: Mapping[str, Any], looked: Any = None, **more: Any) -> Any:
    plan = compile_text(PROGRAM, "main.flow", level=0).plan
    world = Environment(kernels=found, tools={"look": looked or (lambda x: True)})
    report = run(plan, flow, {"x": X, **more}, environment=world)
    assert report.problem is None
    return report.result


def test_between_kernels_nothing_leaves_the_device(device: Watching) -> None:
    result = ran("chain", kernels(device))
    assert type(result) is np.ndarray
    np.testing.assert_array_equal(result, 8 * X)
    assert (device.uploads, device.downloads) == (1, 1)


def test_two_kernels_may_read_what_stays(device: Watching) -> None:
    first, second = ran("shared", kernels(device))
    np.testing.assert_array_equal(first, 4 * X)
    np.testing.assert_array_equal(second, 4 * X)
    assert (device.uploads, device.downloads) == (1, 2)


@pytest.mark.parametrize("flow", ["shown", "asked", "inside"])
def test_what_anything_else_reads_is_in_host_memory(flow: str, device: Watching) -> None:
    seen: list[Any] = []

    def look(x: Any) -> bool:
        seen.append(type(x))
        return True

    result = ran(flow, kernels(device), look, **({"many": [1, 2]} if flow == "inside" else {}))
    for each in result if isinstance(result, list) else [result]:
        assert type(each) is np.ndarray
    assert seen == ([np.ndarray] if flow == "asked" else [])


def test_a_kernel_of_the_processor_among_them_gets_host_memory(device: Watching) -> None:
    found = {**kernels(device), "twice": on_processor}
    np.testing.assert_array_equal(ran("chain", found), 8 * X)
    assert (device.uploads, device.downloads) == (2, 2)


def test_under_a_limit_of_memory_nothing_stays(device: Watching) -> None:
    np.testing.assert_array_equal(ran("bound", kernels(device)), 4 * X)
    assert (device.uploads, device.downloads) == (2, 2)


def test_what_does_not_fit_beside_its_argument_goes_to_host_memory(device: Watching) -> None:
    device.memory = 3 * X.nbytes // 2
    np.testing.assert_array_equal(ran("chain", kernels(device)), 8 * X)
    assert device.downloads > 2


def placed(device: Watching, place: Any) -> dict[str, Any]:
    return {name: PlacedKernel(name, on_processor, each, place) for name, each in kernels(device).items()}


def test_a_step_that_is_placed_on_the_processor_gets_what_the_gpu_made(device: Watching) -> None:
    found = placed(device, lambda name, *_: Placement("cpu" if name == "twice" else "cuda", "of its name"))
    np.testing.assert_array_equal(ran("chain", found), 8 * X)
    assert (device.uploads, device.downloads) == (2, 2)
    assert found["double"].placements[Placement("cuda", "of its name")].count == 2
    assert found["twice"].placements[Placement("cpu", "of its name")].count == 1


def test_who_places_is_told_what_follows(device: Watching) -> None:
    told: list[tuple[str, list[str], list[Any]]] = []

    def place(name: str, arguments: Sequence[Any], ahead: Sequence[Step] | None = None, /) -> Placement:
        assert ahead is not None
        told.append((name, [each.kernel for each in ahead], [each.arguments for each in ahead]))
        return Placement("cuda", "it may")

    ran("chain", placed(device, place))
    coming = (Coming((100,)),)
    assert told == [
        ("double", ["twice", "double"], [coming, coming]),
        ("twice", ["double"], [coming]),
        ("double", [], []),
    ]


def test_a_run_that_is_traced_leaves_results_where_they_are_too(device: Watching) -> None:
    notes = KernelNotes(kernels(device))
    np.testing.assert_array_equal(ran("chain", notes.watched()), 8 * X)
    assert (device.uploads, device.downloads) == (1, 1)


def test_nothing_follows_where_no_kernel_takes_what_lies_on_a_gpu() -> None:
    plan = compile_text(PROGRAM, "main.flow", level=0).plan
    assert following(plan, lambda name: False) == {}
    stays = [found.stay for found in following(plan, lambda name: True).values()]
    assert stays.count(True) == 4
