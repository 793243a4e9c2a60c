"""Samples of kernels: times that add up to those of the run, and sizes, but no values."""

import math
from typing import Any

import numpy as np
import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from flowc.compiler.driver import compile_text
from flowc.runtime.errors import FlowError
from flowc.runtime.history.kernel_samples import (
    MOST_CALLS,
    KernelNotes,
    KernelSample,
    Size,
    is_sound,
    sizes_of,
    sizes_text,
)
from flowc.runtime.history.overlaps import shared_out
from flowc.runtime.kernels import Kernel, load
from flowc.runtime.native import threads
from flowc.runtime.trace.measures import union

SAMPLE = KernelSample("a" * 24, "some x 2", "8x384,=10,", 2, 0.003)
EXTENTS = st.integers(0, 1 << 40)
SIZES = st.lists(
    st.none() | EXTENTS | st.lists(EXTENTS, min_size=1, max_size=3).map(tuple), min_size=1, max_size=4
).map(tuple)
SPANS = st.lists(
    st.tuples(st.floats(0.0, 100.0), st.floats(0.0, 10.0)).map(lambda each: (each[0], sum(each))), max_size=8
)


def kernels(text: str) -> dict[str, Kernel]:
    compiled = compile_text(text, "main.flow").kernels
    assert compiled is not None
    return load(compiled.object_code, compiled.signatures)


@given(SIZES)
def test_sizes_come_back_from_their_text(sizes: tuple[Size, ...]) -> None:
    assert sizes_of(sizes_text(sizes)) == sizes


@pytest.mark.parametrize(
    "text", ["8x", "x", "-8", "=", "=x", "8x384,a", "1e3", "9" * 190, "8x" * 200 + "8", "\u0663", "=1_0x"]
)
def test_what_no_run_wrote_is_no_size(text: str) -> None:
    assert sizes_of(text) is None
    assert not is_sound(evolve(SAMPLE, sizes=text))


@given(st.text(max_size=220))
def test_any_text_is_read_or_refused(text: str) -> None:
    found = sizes_of(text)
    assert found is None or len(found) == text.count(",") + 1


def test_a_sample_is_sound_only_with_a_time_and_threads_that_can_be() -> None:
    assert is_sound(SAMPLE)
    for seconds in (0.0, -1.0, 1e-12, 1e9, math.nan, math.inf):
        assert not is_sound(evolve(SAMPLE, seconds=seconds))
    assert not is_sound(evolve(SAMPLE, threads=0))
    assert not is_sound(evolve(SAMPLE, name=""))
    assert not is_sound(evolve(SAMPLE, machine="m" * 201))


@given(SPANS)
def test_calls_at_once_share_the_time_in_which_any_of_them_ran(spans: list[tuple[float, float]]) -> None:
    shares = shared_out(spans)
    assert sum(shares) == pytest.approx(union(spans), abs=1e-9)
    lengths = [end - start for start, end in spans]
    assert all(-1e-9 <= share <= length + 1e-9 for share, length in zip(shares, lengths, strict=True))


def test_a_call_leaves_its_sizes_and_no_values() -> None:
    found = kernels(
        "kernel scaled(x: f32[n, m], by: f32, times: i64) -> f32[n, m]:\n    return x * by + f32(times)\n\n"
        "flow main(x: f32[n], k: int) -> f32[k]:\n    return topk(x, k).values\n"
    )
    notes = KernelNotes(found)
    watched = notes.watched()
    watched["scaled"](np.ones((3, 5), np.float32), 7.5, 1234)
    watched["main.0"](np.ones(50, np.float32), 4)
    samples = notes.take()
    assert [each.sizes for each in samples] == ["3x5,,", "50,=4"]
    assert [each.name for each in samples] == [found[name].signature.code for name in ("scaled", "main.0")]
    assert all(map(is_sound, samples))
    assert {each.threads for each in samples} == {threads()}
    assert notes.take() == ()


def test_equal_kernels_have_one_name_whatever_they_are_called_and_others_another() -> None:
    text = "kernel k(x: f32[n]) -> f32[n]:\n    return x * 2.0\n"
    (first,) = kernels(text).values()
    (renamed,) = kernels("\n\n" + text.replace("k(", "other(")).values()
    (changed,) = kernels(text.replace("2.0", "3.0")).values()
    assert first.signature.code == renamed.signature.code != changed.signature.code
    assert len(first.signature.code) == 24


def test_what_may_run_elsewhere_is_left_as_it_is_and_what_fails_leaves_no_sample() -> None:
    def elsewhere(*_: Any) -> None:
        raise AssertionError

    (doubled,) = kernels("kernel k(x: f32[n]) -> f32[n]:\n    return x * 2.0\n").values()
    notes = KernelNotes({"k": doubled, "gpu": elsewhere})
    watched = notes.watched()
    assert watched["gpu"] is elsewhere
    with pytest.raises(FlowError):
        watched["k"]("no array")
    assert notes.take() == ()


def test_of_very_many_calls_the_latest_are_noted() -> None:
    (doubled,) = kernels("kernel k(x: f32[n]) -> f32[n]:\n    return x * 2.0\n").values()
    notes = KernelNotes({"k": doubled})
    watched = notes.watched()["k"]
    for number in range(MOST_CALLS + 2):
        watched(np.ones(1 if number < 2 else 3, np.float32))
    assert {call.sizes for call in notes.calls} == {((3,),)}
    assert len(notes.calls) == MOST_CALLS
