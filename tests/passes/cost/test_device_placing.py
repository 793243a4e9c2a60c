"""Where calls run: transfers decide, chains share them, and what is not sure stays where it is."""

from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from flowc.passes.cost.decisions import decisions_text
from flowc.passes.cost.device_card import CARDS
from flowc.passes.cost.device_model import DeviceTime, transfer_time
from flowc.passes.cost.device_placing import Arrays, StepCost, decision_of, place
from flowc.passes.cost.kernel_model import Prediction

H200 = next(card for card in CARDS if card.name == "H200")
MB = 1e6
NOTHING = Arrays()


def step(
    cpu: float,
    device: float,
    host: Arrays = NOTHING,
    there: Arrays = NOTHING,
    results: Arrays = NOTHING,
    spread: float = 1.1,
) -> StepCost:
    """A call that takes so many seconds on either side."""
    known = Prediction(cpu, cpu / spread, cpu * spread, cpu, 1.0)
    return StepCost(known, DeviceTime(device, 1, 1.0, ()), host, there, results)


def test_transfers_decide() -> None:
    large = Arrays(1, 100 * MB)
    assert place(H200, [step(10e-3, 1e-3, host=Arrays(1, MB))]).side == "cuda"
    assert place(H200, [step(10e-3, 1e-3, host=large, results=large)]).side == "cpu"
    assert place(H200, [step(10e-3, 1e-3, there=large)]).side == "cuda"


def test_results_that_are_wanted_on_the_gpu_need_not_leave_it() -> None:
    large = Arrays(1, 100 * MB)
    found = place(H200, [step(1e-3, 1e-3, there=large, results=large)], "cuda")
    assert (found.side, found.home, found.saved) == ("cuda", "cuda", 0)
    assert found.cuda == 1e-3
    assert found.cpu > 2 * transfer_time(H200, 100 * MB)


def test_a_call_goes_over_the_bus_for_a_chain_and_not_for_itself() -> None:
    array = Arrays(1, 60 * MB)
    first = step(8e-3, 0.1e-3, host=array, results=array)
    after = step(8e-3, 0.1e-3, results=array)
    assert place(H200, [first]).side == "cpu"
    chain = place(H200, [first, after, after, after, after])
    assert chain.side == "cuda"
    assert chain.cuda < 5 * 0.1e-3 + 2.1 * transfer_time(H200, 60 * MB, 1)
    assert chain.calls == 5


def test_a_chain_may_change_sides() -> None:
    small, large = Arrays(1, 1000), Arrays(1, 200 * MB)
    narrowing = step(5e-3, 50e-3, host=large, results=small)
    found = place(H200, [narrowing, step(100e-3, 1e-3)])
    assert found.side == "cpu"
    assert found.cpu < 5e-3 + 1e-3 + 1e-4


def test_what_is_not_sure_stays_where_its_arrays_are() -> None:
    slightly = step(3e-3, 2e-3, host=Arrays(1, MB), spread=4)
    found = place(H200, [slightly])
    assert (found.side, found.unsure, found.saved) == ("cpu", True, 0)
    assert found.cuda < found.cpu
    surely = step(300e-3, 2e-3, host=Arrays(1, MB), spread=4)
    assert place(H200, [surely]).side == "cuda"


@given(st.floats(1e-5, 1), st.floats(1e-5, 1), st.floats(0, 1e9), st.floats(0, 1e9))
def test_the_least_of_a_chain_is_never_more_than_staying_on_one_side(
    cpu: float, device: float, sent: float, between: float
) -> None:
    first = step(cpu, device, host=Arrays(1, sent), results=Arrays(1, between))
    found = place(H200, [first, step(device, cpu)])
    slack = 1 + 1e-9
    assert found.cpu <= (cpu + device) * slack
    assert found.cuda <= (device + cpu + transfer_time(H200, sent)) * slack
    assert found.cuda <= (2 * device + transfer_time(H200, sent) + transfer_time(H200, between)) * slack


@given(st.floats(0, 1e9), st.floats(0, 1e9))
def test_more_bytes_in_host_memory_never_draw_a_call_to_the_gpu(one: float, other: float) -> None:
    few, many = sorted((one, other))
    if place(H200, [step(20e-3, 1e-3, host=Arrays(1, many))]).side == "cuda":
        assert place(H200, [step(20e-3, 1e-3, host=Arrays(1, few))]).side == "cuda"


def test_a_record_names_the_card_and_what_else_there_was() -> None:
    array = Arrays(1, MB)
    found = place(H200, [step(10e-3, 1e-3, host=array), step(1e-3, 1e-4)])
    record = decision_of(found, "k", H200, 7, "; some sizes")
    assert (record.choice, record.default.name, record.line) == ("GPU", "processor", 7)
    assert not record.sure
    assert 7 < record.gain < 11
    told = decisions_text([record], "main.flow")
    assert told.startswith("main.flow:7: place k: GPU, gains ")
    assert "H200 by NVIDIA H200 SXM data sheet, 2024; some sizes, with the call that follows" in told
    assert decision_of(found, "k", evolve(H200, measured=True)).sure
