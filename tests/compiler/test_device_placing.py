"""`auto` asks the cost model: where calls go, what that costs a call, and what is said of it."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from flowc.compiler import device_placing
from flowc.compiler.backends.cuda.emulated_device import DeviceArray, EmulatedDevice
from flowc.compiler.device_placing import Placer, kernel_decisions, placer, placer_of_text, work_of
from flowc.compiler.driver import check_text
from flowc.compiler.python.jit_device import Back, DeviceJit
from flowc.compiler.tuning.device_ceilings import measured_card
from flowc.dialects.array.kernel import KernelOp
from flowc.passes.cost.device_card import CARDS, Card
from flowc.runtime.device import placing
from flowc.runtime.device.failures import no_device
from flowc.runtime.device.following import Coming, Step
from flowc.runtime.device.site import Site

TEXT = """
kernel product(x: f32[n, m], y: f32[m, k]) -> f32[n, k]:
    return x @ y

kernel added(x: f32[n], a: f32) -> f32[n]:
    return x + a

kernel picked(x: f32[n], k: int) -> f32[k]:
    return topk(x, k).values
"""
WORKS: dict[str, device_placing.Work | None] = {}
H200 = next(card for card in CARDS if card.name == "H200")


@pytest.fixture
def place(monkeypatch: pytest.MonkeyPatch) -> Placer:
    monkeypatch.setattr(placing, "on_device", on_device)
    monkeypatch.setattr("flowc.compiler.device_placing.on_device", on_device)
    monkeypatch.setattr(device_placing, "work_of", work)
    found = placer(check_text(TEXT, "main.flow"))
    found.card = lambda: H200
    return found


def work(kernel: KernelOp, level: int) -> device_placing.Work | None:
    """What a kernel of TEXT does, found out once for all tests."""
    name = kernel.sym_name.data
    if name not in WORKS:
        WORKS[name] = work_of(kernel, level)
    return WORKS[name]


def on_device(each: object) -> bool:
    return isinstance(each, DeviceArray)


def square(edge: int) -> Any:
    return np.broadcast_to(np.float32(1), (edge, edge))


def test_a_large_product_goes_to_the_gpu_and_a_small_one_does_not(place: Placer) -> None:
    large, small = place("product", (square(8000), square(8000))), place("product", (square(20), square(20)))
    assert (large.where, small.where) == ("cuda", "cpu")
    assert "is expected on the processor" in large.why
    assert large.seconds is not None
    assert large.seconds > 2 * 8000 * 8000 * 4 / H200.bus


def test_what_only_moves_much_stays_in_host_memory(place: Placer) -> None:
    assert place("added", (np.broadcast_to(np.float32(1), 1 << 26), 1.0)).where == "cpu"


def test_a_caller_with_an_array_on_the_gpu_gets_one_back(place: Placer) -> None:
    there = EmulatedDevice().array(np.ones(8, np.float32))
    assert place("added", (there, 1.0)).where == "cuda"
    assert place("added", (there, 1.0, None)).seconds is None


def test_a_small_step_may_bring_its_argument_back_from_the_gpu(place: Placer) -> None:
    there = EmulatedDevice().array(np.ones(8, np.float32))
    found = place("added", (there, 1.0), [])
    assert found.where == "cpu"
    assert found.seconds is not None


def test_what_follows_counts(place: Placer) -> None:
    left, right = square(200), np.broadcast_to(np.float32(1), (200, 200))
    after = [Step("product", (Coming((200, 200)), square(200)))] * 8
    alone = place("product", (left, right), [])
    chain = place("product", (left, right), after)
    assert alone.seconds is not None
    assert chain.seconds is not None
    assert chain.seconds > 3 * alone.seconds
    assert "the 8 after it" in chain.why


def test_the_same_sizes_are_decided_once(place: Placer, monkeypatch: pytest.MonkeyPatch) -> None:
    first = place("product", (square(100), square(100)))
    monkeypatch.setattr(Placer, "_placed", None)
    assert place("product", (square(100), square(100))) is first
    with pytest.raises(TypeError):
        place("product", (square(101), square(101)))


@pytest.mark.parametrize(
    "arguments", [(), (1,), ([1, 2], 3), (np.ones(3), "x"), (np.ones((2, 2, 2)), np.ones(0))]
)
def test_arguments_that_a_kernel_refuses_are_left_to_it(place: Placer, arguments: tuple[Any, ...]) -> None:
    for name in ("product", "added", "picked", "no such kernel"):
        assert place(name, (*arguments, None)).where == "cpu"


def test_an_extent_may_be_a_number(place: Placer) -> None:
    assert place("picked", (np.ones(1000, np.float32), 10)).seconds is not None


def test_a_text_that_no_longer_compiles_leaves_calls_where_their_arrays_are(tmp_path: Path) -> None:
    found = placer_of_text("kernel f(", "main.flow", tmp_path)
    found.card = lambda: H200
    assert found("f", (np.ones(3),)).seconds is None


def test_without_a_card_calls_stay(place: Placer) -> None:
    def missing() -> Card:
        raise no_device("it was taken out")

    place.card = missing
    assert place("product", (square(8000), square(8000))).where == "cpu"


def test_decisions_are_for_usual_sizes_on_either_side() -> None:
    found = kernel_decisions(check_text(TEXT, "main.flow"), H200)
    products = [each for each in found if each.subject == "product"]
    assert [each.choice for each in products] == ["processor", "GPU", "GPU", "GPU"]
    assert [each.default.name for each in products] == ["processor", "processor", "processor", "GPU"]
    assert all("NVIDIA H200 SXM data sheet" in each.basis for each in found)
    assert {each.line for each in products} == {2}


def test_jit_asks_for_each_combination_of_types() -> None:
    def multiplied(x: Any, y: Any) -> Any:
        return x @ y

    site = Site(EmulatedDevice())
    called = DeviceJit(multiplied, target="auto", back=Back(lambda: site, card=lambda: H200))
    wide = np.ones((2000, 2000), np.float32)
    assert called.placed((wide, wide), {}).where == "cuda"
    assert called.placed((wide[:10, :10].copy(), wide[:10, :10].copy()), {}).where == "cpu"
    doubles = np.ones((10, 10))
    assert called.placed((doubles, doubles), {}).where == "cpu"
    assert len(called.placers) == 2
    np.testing.assert_array_equal(called(doubles, doubles), np.full((10, 10), 10.0))


def test_what_a_kernel_changes_must_come_back() -> None:
    def shifted(x: Any) -> None:
        x[1:] = x[:-1]

    def same(x: Any) -> Any:
        return x[:1]

    site, array = Site(EmulatedDevice()), np.ones(1 << 20)
    costs = []
    for function in (shifted, same):
        called = DeviceJit(function, target="auto", back=Back(lambda: site, card=lambda: H200))
        assert called.placed((array,), {}).where == "cpu"
        (made,) = called.placers.values()
        assert isinstance(made, Placer)
        assert made.basis is not None
        (work,) = made.basis.works.values()
        assert work is not None
        costs.append(made.basis.cost(work, lambda extent: 1 << 20, ["host"]))
    assert costs[0].results.bytes == array.nbytes
    assert costs[1].results.bytes < costs[0].results.bytes


def test_a_device_is_measured() -> None:
    card = measured_card(EmulatedDevice(), copied=1 << 20, sent=1 << 20)
    assert card.measured
    assert card.reached == 1
    assert 1e7 < card.bus < 1e13
    assert 1e7 < card.bandwidth < 1e13
    assert 0 < card.read < 1
