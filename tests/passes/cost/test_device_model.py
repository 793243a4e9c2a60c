"""What kernels are expected to take on a GPU: more work never takes less, and cards are what they are."""

import json
from pathlib import Path
from typing import Any

import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from flowc.compiler.backends.llvm import kernels_of
from flowc.compiler.driver import Options, check_text, kernels_module
from flowc.passes.cost import device_stored
from flowc.passes.cost.device_card import CARDS, Card, card_named, card_of
from flowc.passes.cost.device_model import device_time, rate_of, transfer_time
from flowc.passes.cost.device_work import DeviceWork, device_work
from flowc.passes.usual_sizes import sizes_of
from flowc.runtime.device.protocol import Properties

TEXT = """
kernel chain(x: f32[n, m]) -> f32[n, m]:
    return exp(x) * 2.0 + x

kernel softened(x: f32[n, m]) -> f32[n, m]:
    return softmax(x, axis=1)

kernel doubled(x: f64[n, m]) -> f64[n, m]:
    return exp(x) * x

kernel total(x: f32[n, m]) -> f32:
    return sum(x)

kernel ordered(x: f32[n, m]) -> f32[n, m]:
    return sort(x, axis=1)

kernel product(x: f32[n, m], y: f32[m, n]) -> f32[n, n]:
    return x @ y

kernel halves(x: bf16[n, m], y: bf16[m, n]) -> bf16[n, n]:
    return x @ y
"""
H200 = next(card for card in CARDS if card.name == "H200")


def _works() -> dict[str, DeviceWork]:
    module = kernels_module(check_text(TEXT, "device.flow"), Options())
    found = {kernel.sym_name.data: device_work(kernel) for kernel in kernels_of(module)}
    return {name: work for name, work in found.items() if work is not None}


WORKS = _works()


def seconds(name: str, rows: int, columns: int, card: Card = H200) -> float:
    shapes = [(rows, columns), (columns, rows)][: 2 if name in ("product", "halves") else 1]
    return device_time(card, WORKS[name], sizes_of(shapes)).seconds


def test_every_kernel_has_a_time() -> None:
    assert set(WORKS) == {"chain", "softened", "doubled", "total", "ordered", "product", "halves"}


@given(st.sampled_from(sorted(WORKS)), st.integers(1, 4000), st.integers(1, 4000), st.integers(1, 8))
def test_more_elements_never_take_less(name: str, rows: int, columns: int, more: int) -> None:
    least = seconds(name, rows, columns)
    assert H200.call < least <= seconds(name, rows * more, columns) * (1 + 1e-9)


@given(
    st.sampled_from(sorted(WORKS)),
    st.integers(1, 4000),
    st.sampled_from(["bandwidth", "f32", "f64", "f16", "order", "call", "read"]),
)
def test_a_better_card_never_takes_longer(name: str, edge: int, figure: str) -> None:
    value = getattr(H200, figure)
    better = evolve(H200, **{figure: value / 2 if figure in ("order", "call", "read") else value * 2})
    assert seconds(name, edge, edge, better) <= seconds(name, edge, edge)


def test_what_moves_much_is_bound_by_memory_and_what_multiplies_by_its_rate() -> None:
    time = device_time(H200, WORKS["chain"], sizes_of([(1 << 14, 1 << 12)]))
    assert time.by_memory == 1
    moved = 2 * 4 * (1 << 26)
    assert moved / H200.bandwidth < time.seconds < 2 * moved / H200.bandwidth
    assert seconds("product", 4096, 4096) > 4 * seconds("halves", 4096, 4096)
    assert device_time(H200, WORKS["product"], sizes_of([(4096, 4096)] * 2)).by_memory == 0


def test_a_card_slow_in_f64_takes_longer_for_it() -> None:
    slow = next(card for card in CARDS if card.name == "L4")
    ratio = seconds("doubled", 4096, 4096, slow) / seconds("doubled", 4096, 4096, evolve(slow, f64=slow.f32))
    assert ratio > 2
    assert [rate_of(slow, each) for each in ("bf16", "i8", "f64", "f32")] == [
        slow.f16, slow.i8, slow.f64, slow.f32,
    ]  # fmt: skip


def test_few_elements_are_paid_for_as_if_the_card_were_small() -> None:
    assert seconds("chain", 1, 1) >= H200.call + H200.order
    few = seconds("chain", 1, 1000) - seconds("chain", 1, 1)
    many = (seconds("chain", 1000, 1000) - seconds("chain", 1, 1)) / 1000
    assert few > 2 * many


def test_a_number_is_waited_for_and_a_sum_has_two_passes() -> None:
    time = device_time(H200, WORKS["total"], sizes_of([(10, 10)]))
    assert WORKS["total"].numbers == 1
    assert time.launches >= 2
    assert time.seconds > H200.call + H200.read


def test_pinned_memory_is_sooner_there() -> None:
    assert transfer_time(H200, 1e9, pinned=True) < transfer_time(H200, 1e9)
    assert transfer_time(H200, 0, 0) == 0
    assert transfer_time(H200, 1e6, 2) > transfer_time(H200, 1e6, 1)


@pytest.mark.parametrize("card", CARDS, ids=lambda card: card.name)
def test_cards_are_whole_and_say_where_their_figures_are_from(card: Card) -> None:
    assert "NVIDIA" in card.source
    assert card.source[-4:].isdigit() or "2024" in card.source
    assert 2e11 <= card.bandwidth <= 1e13
    assert card.f64 < card.f32 < card.f16 <= card.i8
    assert card.pageable < card.bus < card.bandwidth
    # no multiprocessor of any card adds and multiplies more than 256 times in one of some 2e9 cycles a second
    assert card.f32 / card.multiprocessors < 256 * 2.7e9
    assert not card.measured
    assert card_named(card.name) is card


def test_cards_are_found_by_what_drivers_call_them() -> None:
    assert card_named("NVIDIA H100 80GB HBM3") is card_named("h100")
    assert card_named("NVIDIA A100-SXM4-80GB") is card_named("A100")
    assert card_named("nvidia geforce rtx 4090") is card_named("rtx4090")
    assert card_named("Tesla T4") is card_named("T4")
    assert card_named("RTX 4090 Laptop GPU") is not None  # told apart by its multiprocessors, below
    assert card_named("GTX 1080") is None


def test_a_card_of_the_same_name_with_fewer_multiprocessors_is_another() -> None:
    laptop = Properties("NVIDIA GeForce RTX 4090 Laptop GPU", "sm_89", 76, 2.04e9, 9e9, 256)
    found = card_of(laptop)
    assert found.source == "what its driver says of it"
    assert found.bandwidth == pytest.approx(576e9)
    assert found.f32 == pytest.approx(2 * 128 * 76 * 2.04e9)
    whole = Properties("NVIDIA GeForce RTX 4090", "sm_89", 128)
    assert card_of(whole) is card_named("RTX 4090")


def test_of_an_unknown_card_the_least_is_expected() -> None:
    silent = card_of(Properties("a card", "sm_999", 10))
    assert silent.bandwidth < min(card.bandwidth for card in CARDS)
    assert silent.f32 < min(card.f32 for card in CARDS)
    assert silent.f64 < silent.f32


def test_what_was_measured_is_kept_for_this_card_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FLOWC_MODEL_DIR", str(tmp_path))
    here = Properties("NVIDIA H200", "sm_90", 132, driver=13000)
    assert not device_stored.card_of_device(here).measured
    where = device_stored.store(evolve(card_of(here), bandwidth=4.1e12), here)
    found = device_stored.card_of_device(here)
    assert found.measured
    assert found.bandwidth == 4.1e12
    assert found.f32 == H200.f32
    for other in (
        evolve(here, driver=12000),
        evolve(here, name="NVIDIA H100"),
        evolve(here, multiprocessors=8),
    ):
        assert not device_stored.card_of_device(other).measured
    spoil(where, bandwidth=0)
    assert not device_stored.card_of_device(here).measured
    where.write_text("[" * 100_000)
    assert not device_stored.card_of_device(here).measured


def spoil(where: Path, **figures: Any) -> None:
    data = json.loads(where.read_text())
    data["figures"] |= figures
    where.write_text(json.dumps(data))
